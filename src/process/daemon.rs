//! Going to the background (`-d`).
//!
//! A forked copy of a threaded process may not do much, so pgweir starts itself again instead: the
//! first process runs the same program with the same arguments and a mark in the environment, and
//! waits. The second one makes a session of its own, starts up in full, with errors still going to
//! the terminal, and says on its standard output that it is ready (or ends without a word). Only
//! then the first one leaves, so that `pgweir -d && echo up` tells the truth.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Set in the environment of the process in the background. No setting has this name.
pub const MARK: &str = "PGWEIR_BACKGROUND";
const READY: &[u8] = b"ready\n";

/// Longest time that a start in the background may take.
pub const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Why there is no pooler in the background.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The program could not be started again.
    #[error("could not start in the background: {0}")]
    Spawn(#[source] io::Error),
    /// It ended before it was ready, and has said why.
    #[error("the process in the background ended before it was ready")]
    Failed,
    /// It is still starting.
    #[error("the process in the background is not ready after {} seconds", .0.as_secs())]
    Slow(Duration),
    /// The process in the background could not leave its terminal.
    #[error("could not leave the terminal: {0}")]
    Detach(#[source] io::Error),
}

/// In the process in the background: tells the waiting one that all is well.
#[derive(Debug)]
pub struct Readiness(());

/// Whether this process is the one in the background. If so it gets its own session here.
pub fn in_background() -> Result<Option<Readiness>, DaemonError> {
    if std::env::var_os(MARK).is_none() {
        return Ok(None);
    }
    match nix::unistd::setsid() {
        // EPERM: it leads a session already, which is what we want.
        Ok(_) | Err(nix::errno::Errno::EPERM) => Ok(Some(Readiness(()))),
        Err(errno) => Err(DaemonError::Detach(errno.into())),
    }
}

impl Readiness {
    /// Reports that clients are served, then lets go of the terminal.
    pub fn report(self) -> Result<(), DaemonError> {
        let mut out = io::stdout().lock();
        // The first process may have been killed meanwhile; that is no reason to stop.
        out.write_all(READY).and_then(|()| out.flush()).ok();
        let null = OpenOptions::new().read(true).write(true).open("/dev/null");
        let null = null.map_err(DaemonError::Detach)?;
        nix::unistd::dup2_stdout(&null).map_err(|errno| DaemonError::Detach(errno.into()))?;
        nix::unistd::dup2_stderr(&null).map_err(|errno| DaemonError::Detach(errno.into()))
    }
}

/// In the first process: starts this program again with the same arguments, and waits until it is
/// ready. Returns its pid.
pub fn start_in_background() -> Result<u32, DaemonError> {
    let program = std::env::current_exe().map_err(DaemonError::Spawn)?;
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1));
    start(command, START_TIMEOUT)
}

fn start(mut command: Command, timeout: Duration) -> Result<u32, DaemonError> {
    command
        .env(MARK, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let child = command.spawn().map_err(DaemonError::Spawn)?;
    let pid = child.id();
    await_ready(child, timeout)?;
    Ok(pid)
}

fn await_ready(mut child: Child, timeout: Duration) -> Result<(), DaemonError> {
    let mut output = child.stdout.take().ok_or(DaemonError::Failed)?;
    let (send, receive) = mpsc::sync_channel(1);
    // Reads in a thread because a pipe's read has no deadline. The thread ends with the process.
    std::thread::spawn(move || {
        let mut word = [0; READY.len()];
        let ready = output.read_exact(&mut word).is_ok() && word == READY;
        // The receiver is gone after a timeout, and then nobody wants to know.
        send.send(ready).ok();
    });
    match receive.recv_timeout(timeout) {
        Ok(true) => Ok(()),
        Ok(false) | Err(mpsc::RecvTimeoutError::Disconnected) => Err(DaemonError::Failed),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(DaemonError::Slow(timeout)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_first_process_leaves_when_the_second_is_ready() {
        let script = format!("test -n \"${MARK}\" && echo ready; exec >/dev/null");
        assert!(start(shell(&script), START_TIMEOUT).is_ok());
    }

    #[test]
    fn a_process_that_ends_without_a_word_has_failed() {
        let outcome = start(shell("exit 1"), START_TIMEOUT);
        assert!(matches!(outcome, Err(DaemonError::Failed)), "{outcome:?}");
        let outcome = start(shell("echo rubbish"), START_TIMEOUT);
        assert!(matches!(outcome, Err(DaemonError::Failed)), "{outcome:?}");
    }

    #[test]
    fn a_program_that_is_not_there_is_reported() {
        let outcome = start(Command::new("/nonexistent/pgweir"), START_TIMEOUT);
        assert!(matches!(outcome, Err(DaemonError::Spawn(_))), "{outcome:?}");
    }

    #[test]
    fn a_start_that_takes_too_long_is_not_waited_for() {
        let outcome = start(shell("echo ready"), Duration::ZERO);
        assert!(matches!(outcome, Err(DaemonError::Slow(_))), "{outcome:?}");
    }
}
