//! Child processes: started in a group of their own, waited for with a deadline, always stopped.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::interrupt::{Deadline, Interrupt, Interrupted};

/// How often a child is asked whether it has ended: short, since most end within milliseconds.
const POLL: Duration = Duration::from_millis(3);
/// How long a program may be busy that was copied a moment ago.
const BUSY_LIMIT: Duration = Duration::from_secs(10);
/// The most of a child's output that is kept.
const OUTPUT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The most of a child's words that go into an error.
const TAIL_BYTES_MAX: usize = 2_000;

/// What went wrong with a program that we started.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("cannot start {program}: {error}")]
    Start {
        /// What it is called in messages.
        program: String,
        /// The reason.
        error: io::Error,
    },
    /// It ended with an error.
    #[error("{program} failed ({status}): {said}")]
    Failed {
        /// What it is called in messages.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote.
        said: String,
    },
    /// It did not end in time and was killed.
    #[error("{program} did not end within {} s", .limit.as_secs())]
    TooSlow {
        /// What it is called in messages.
        program: String,
        /// The time it had.
        limit: Duration,
    },
    /// It could not be waited for, or its output not read.
    #[error("cannot wait for {program}: {error}")]
    Wait {
        /// What it is called in messages.
        program: String,
        /// The reason.
        error: io::Error,
    },
    /// The user pressed Ctrl-C meanwhile.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// A long-running child: a server, the pooler, a sampler. Dropping it stops it.
///
/// Stopping in `Drop` waits, which the rest of pgweir does not do: see [`super::scratch::Scratch`].
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    end_at_once: Signal,
}

/// One step of stopping a process: a signal, and how long it has to work.
pub type StopStep = (Signal, Duration);

/// How long a dropped process has to end at once: a little more than `PostgreSQL` gives its own
/// children in an immediate shutdown.
const END_AT_ONCE_LIMIT: Duration = Duration::from_secs(8);
/// How long the system may take to end a killed process.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// Starts a child in a group of its own.
///
/// A program that we have just copied may be busy for a moment: a child that another thread started
/// meanwhile holds the copy open for writing until it has become another program.
fn spawn(command: &mut Command) -> io::Result<Child> {
    let deadline = Deadline::after(BUSY_LIMIT);
    loop {
        let busy = match command.process_group(0).spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => error,
            outcome => return outcome,
        };
        if deadline.passed() || Interrupt::never().pause(POLL).is_err() {
            return Err(busy);
        }
    }
}

impl Process {
    /// Starts `command` with everything that it writes appended to the file `log`; `end_at_once` is
    /// the signal that makes this program end without waiting for anybody.
    pub fn start(
        mut command: Command,
        name: &str,
        log: &Path,
        end_at_once: Signal,
    ) -> Result<Self, ProcessError> {
        let failed = |error| ProcessError::Start {
            program: name.to_owned(),
            error,
        };
        let log = File::options().create(true).append(true).open(log);
        let log = log.map_err(failed)?;
        let errors = log.try_clone().map_err(failed)?;
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let child = spawn(&mut command).map_err(failed)?;
        Ok(Self {
            child,
            name: name.to_owned(),
            end_at_once,
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, ProcessError> {
        self.child.try_wait().map_err(|error| ProcessError::Wait {
            program: self.name.clone(),
            error,
        })
    }

    /// Sends `signal`, unless it has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<(), ProcessError> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        // The child is not reaped yet, so its id cannot belong to another process.
        kill(pid_of(&self.child), signal).map_err(|error| ProcessError::Wait {
            program: self.name.clone(),
            error: error.into(),
        })
    }

    /// Goes through `steps` until it has ended.
    pub fn stop(&mut self, steps: &[StopStep]) -> Result<ExitStatus, ProcessError> {
        let mut limit = Duration::ZERO;
        for (signal, patience) in steps {
            self.signal(*signal)?;
            limit += *patience;
            let deadline = Deadline::after(*patience);
            loop {
                if let Some(status) = self.ended()? {
                    return Ok(status);
                }
                if deadline.passed() {
                    break;
                }
                std::thread::sleep(POLL);
            }
        }
        let program = self.name.clone();
        Err(ProcessError::TooSlow { program, limit })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let steps = [
            (self.end_at_once, END_AT_ONCE_LIMIT),
            (Signal::SIGKILL, KILL_LIMIT),
        ];
        // Nobody is left to hear of a process that outlives SIGKILL.
        drop(self.stop(&steps));
    }
}

fn pid_of(child: &Child) -> Pid {
    let id = i32::try_from(child.id()).expect("process ids fit into pid_t, from which this came");
    Pid::from_raw(id)
}

/// What a program that ended well wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its standard output; invalid UTF-8 is replaced.
    pub stdout: String,
    /// Its standard error; invalid UTF-8 is replaced.
    pub stderr: String,
}

/// Runs `command` to its end, at most `limit`, and gives what it wrote.
pub fn run(
    mut command: Command,
    limit: Duration,
    interrupt: &Interrupt,
) -> Result<Output, ProcessError> {
    interrupt.check()?;
    let program = program_name(&command);
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = spawn(&mut command);
    let mut child = started.map_err(|error| ProcessError::Start {
        program: program.clone(),
        error,
    })?;
    let stdout = child.stdout.take().map(read_in_thread);
    let stderr = child.stderr.take().map(read_in_thread);
    let waited = wait(&mut child, &program, limit, interrupt);
    if waited.is_err() {
        // Its whole group, since package clients start programs of their own. The child has not
        // been reaped, so the group's id is still its own.
        if killpg(pid_of(&child), Signal::SIGKILL).is_err() {
            drop(child.kill());
        }
        drop(child.wait());
    }
    let output = Output {
        stdout: joined(stdout),
        stderr: joined(stderr),
    };
    let status = waited?;
    if status.success() {
        return Ok(output);
    }
    let said = if output.stderr.trim().is_empty() {
        tail(&output.stdout)
    } else {
        tail(&output.stderr)
    };
    Err(ProcessError::Failed {
        program,
        status,
        said,
    })
}

fn wait(
    child: &mut Child,
    program: &str,
    limit: Duration,
    interrupt: &Interrupt,
) -> Result<ExitStatus, ProcessError> {
    let deadline = Deadline::after(limit);
    loop {
        let ended = child.try_wait().map_err(|error| ProcessError::Wait {
            program: program.to_owned(),
            error,
        })?;
        if let Some(status) = ended {
            return Ok(status);
        }
        if deadline.passed() {
            return Err(ProcessError::TooSlow {
                program: program.to_owned(),
                limit,
            });
        }
        interrupt.pause(POLL)?;
    }
}

fn program_name(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    match program.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => program.to_string_lossy().into_owned(),
    }
}

type Reading = std::thread::JoinHandle<String>;

fn read_in_thread(mut pipe: impl Read + Send + 'static) -> Reading {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        // A broken pipe ends the output like its end does; what does not fit is read and dropped,
        // so that the writer never blocks.
        drop(pipe.by_ref().take(OUTPUT_BYTES_MAX).read_to_end(&mut kept));
        drop(io::copy(&mut pipe, &mut io::sink()));
        String::from_utf8_lossy(&kept).into_owned()
    })
}

fn joined(reading: Option<Reading>) -> String {
    reading
        .and_then(|thread| thread.join().ok())
        .unwrap_or_default()
}

/// The last lines of `text`, for an error message.
pub fn tail(text: &str) -> String {
    let text = text.trim();
    let from = text.len().saturating_sub(TAIL_BYTES_MAX);
    let from = (from..text.len()).find(|at| text.is_char_boundary(*at));
    from.and_then(|at| text.get(at..))
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_and_failure_are_reported_in_the_program_s_words() {
        let never = Interrupt::never();
        let output = run(shell("echo out; echo err >&2"), LIMIT, &never).unwrap();
        assert_eq!((&*output.stdout, &*output.stderr), ("out\n", "err\n"));
        let error = run(shell("echo broken >&2; exit 3"), LIMIT, &never).unwrap_err();
        assert_eq!(error.to_string(), "sh failed (exit status: 3): broken");
        let error = run(Command::new("/nowhere/it"), LIMIT, &never).unwrap_err();
        assert!(matches!(error, ProcessError::Start { program, .. } if program == "it"));
    }

    #[test]
    fn a_copy_that_is_still_open_elsewhere_is_waited_for() {
        let dir = tempfile::TempDir::new().unwrap();
        let copy = dir.path().join("true");
        std::fs::copy("/bin/true", &copy).unwrap();
        let writer = File::options().write(true).open(&copy).unwrap();
        let Err(busy) = Command::new(&copy).status() else {
            return; // a system that does not mind
        };
        assert_eq!(busy.kind(), io::ErrorKind::ExecutableFileBusy);
        let closing = std::thread::spawn(move || {
            Interrupt::never().pause(10 * POLL).unwrap();
            drop(writer);
        });
        run(Command::new(&copy), LIMIT, &Interrupt::never()).unwrap();
        closing.join().unwrap();
    }

    #[test]
    fn a_program_that_takes_too_long_dies_with_its_children() {
        let error = run(
            shell("/bin/sleep 1000 & wait"),
            Duration::from_millis(50),
            &Interrupt::never(),
        );
        assert!(
            matches!(error, Err(ProcessError::TooSlow { .. })),
            "{error:?}"
        );
    }

    #[test]
    fn an_interrupt_ends_the_wait_for_a_program() {
        let interrupt = Interrupt::never();
        let waiting = interrupt.clone();
        let waiter = std::thread::spawn(move || run(shell("exec sleep 1000"), LIMIT, &waiting));
        interrupt.raise();
        let outcome = waiter.join().unwrap();
        assert!(
            matches!(outcome, Err(ProcessError::Interrupted(_))),
            "{outcome:?}"
        );
    }

    #[test]
    fn a_process_is_stopped_by_the_first_step_that_works() {
        let log = Path::new("/dev/null");
        let command = shell("trap '' INT; while :; do sleep 0.02; done");
        let mut process = Process::start(command, "loop", log, Signal::SIGTERM).unwrap();
        assert_eq!(process.ended().unwrap(), None);
        let steps = [
            (Signal::SIGINT, Duration::from_millis(50)),
            (Signal::SIGKILL, LIMIT),
        ];
        let status = process.stop(&steps).unwrap();
        assert!(status.signal().is_some(), "{status}");
    }

    #[test]
    fn the_tail_is_short_and_cut_between_characters() {
        assert_eq!(tail("  words \n"), "words");
        let long = "é".repeat(TAIL_BYTES_MAX);
        let tail = tail(&format!("x{long}"));
        assert!(tail.len() <= TAIL_BYTES_MAX && tail.chars().all(|c| c == 'é'));
    }
}
