//! Waiting that Ctrl-C ends, and deadlines.
//!
//! Programs started by the demo live in process groups of their own, so the terminal's Ctrl-C
//! reaches only pgweir; every wait asks an [`Interrupt`], and cleaning up follows from `Drop`.

use std::io;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// The user asked to stop (SIGINT, SIGTERM or SIGHUP).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted by a signal")]
pub struct Interrupted;

/// A shared flag that says whether to stop; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    raised: Mutex<bool>,
    changed: Condvar,
}

impl Interrupt {
    /// A flag that nobody raises, for tests.
    pub fn never() -> Self {
        Self::default()
    }

    /// Raises the flag and wakes every [`Interrupt::pause`].
    pub fn raise(&self) {
        *self
            .shared
            .raised
            .lock()
            .expect("nothing panics under this lock") = true;
        self.shared.changed.notify_all();
    }

    /// Fails once the flag has been raised.
    pub fn check(&self) -> Result<(), Interrupted> {
        self.pause(Duration::ZERO)
    }

    /// Waits for `length`, or until the flag is raised.
    pub fn pause(&self, length: Duration) -> Result<(), Interrupted> {
        let raised = self
            .shared
            .raised
            .lock()
            .expect("nothing panics under this lock");
        let (raised, _) = self
            .shared
            .changed
            .wait_timeout_while(raised, length, |raised| !*raised)
            .expect("nothing panics under this lock");
        if *raised { Err(Interrupted) } else { Ok(()) }
    }
}

/// A thread that listens for signals and raises an [`Interrupt`].
///
/// The signals stay caught after [`SignalWatch::finish`]: a second Ctrl-C must not cut cleaning up
/// short, which has deadlines of its own.
#[derive(Debug)]
pub struct SignalWatch {
    stop: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl SignalWatch {
    /// Starts listening; when this returns, signals are already caught.
    pub fn start(interrupt: Interrupt) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (ready_sender, ready) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("demo-signals".to_owned())
            .spawn(move || listen(&interrupt, stopped, &ready_sender))?;
        ready.recv().map_err(io::Error::other)??;
        Ok(Self { stop, thread })
    }

    /// Ends the thread.
    pub fn finish(self) {
        drop(self.stop);
        // A panic there has been printed already and leaves nothing to do here.
        drop(self.thread.join());
    }
}

fn listen(
    interrupt: &Interrupt,
    stopped: oneshot::Receiver<()>,
    ready: &mpsc::SyncSender<io::Result<()>>,
) {
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| runtime.block_on(raise_on_signal(interrupt, stopped, ready)));
    if let Err(error) = outcome {
        // The starter waits for exactly one message; it has it when the loop was entered.
        drop(ready.try_send(Err(error)));
    }
}

async fn raise_on_signal(
    interrupt: &Interrupt,
    mut stopped: oneshot::Receiver<()>,
    ready: &mpsc::SyncSender<io::Result<()>>,
) -> io::Result<()> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    let mut hangups = signal(SignalKind::hangup())?;
    drop(ready.try_send(Ok(())));
    // Every arm is cancel-safe: `recv` loses no signal, and the one-shot is only ever dropped.
    tokio::select! {
        _ = &mut stopped => return Ok(()),
        _ = interrupts.recv() => {}
        _ = terminations.recv() => {}
        _ = hangups.recv() => {}
    }
    interrupt.raise();
    Ok(())
}

/// A point in time after which waiting stops.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    at: Instant,
}

impl Deadline {
    /// `length` from now.
    pub fn after(length: Duration) -> Self {
        Self { at: now() + length }
    }

    /// Whether the time is up.
    pub fn passed(self) -> bool {
        now() >= self.at
    }
}

/// The clock, asked in this one place.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raising_the_flag_ends_a_pause_of_any_clone() {
        let interrupt = Interrupt::never();
        assert_eq!(interrupt.check(), Ok(()));
        let other = interrupt.clone();
        let waiter = std::thread::spawn(move || other.pause(Duration::from_hours(1)));
        interrupt.raise();
        assert_eq!(waiter.join().unwrap(), Err(Interrupted));
    }

    #[test]
    fn a_deadline_passes() {
        assert!(Deadline::after(Duration::ZERO).passed());
        assert!(!Deadline::after(Duration::from_hours(1)).passed());
    }
}
