//! How far the process is on its way out, and when it has got there.
//!
//! The decision is [`ShutdownState`]'s; this carries it to whoever waits: the acceptor closes its TCP
//! listeners when [`Stage`] leaves `Serving`, the main loop ends when [`Shutdown::finished`] does.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::pool::Scope;
use crate::pooler::Pooler;
use crate::process::{Activity, ShutdownState, Signal, Stop, Verdict};
use crate::telemetry::events::{self, Dropped};

/// Time for last words: the answer to the console that asked, the errors that clients are sent.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How far the process is. A later one never goes back to an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It serves.
    Serving,
    /// No logins, no TCP listeners; it ends when the last client has left.
    WaitForClients,
    /// The same, and nothing is lent any more; it ends when the last server connection is closed.
    WaitForServers,
    /// It ends now.
    Exit,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<ShutdownState>,
    stage: watch::Sender<Stage>,
}

/// The way out of the process; clones refer to the same one.
#[derive(Debug, Clone)]
pub struct Shutdown {
    inner: Arc<Inner>,
}

impl Default for Shutdown {
    fn default() -> Self {
        let inner = Inner {
            state: Mutex::default(),
            stage: watch::Sender::new(Stage::Serving),
        };
        Self {
            inner: Arc::new(inner),
        }
    }
}

impl Shutdown {
    /// How far it is.
    pub fn stage(&self) -> Stage {
        *self.inner.stage.borrow()
    }

    /// To wait for the next stage.
    pub fn watch(&self) -> watch::Receiver<Stage> {
        self.inner.stage.subscribe()
    }

    /// Waits until the process has left `Serving`. Cancel-safe.
    pub async fn begun(&self) {
        // The sender lives as long as `self`, so there is no error.
        drop(
            self.watch()
                .wait_for(|stage| *stage > Stage::Serving)
                .await
                .map(|stage| *stage),
        );
    }

    /// The verdict on a signal, and the line for the log.
    pub fn judge(&self, signal: Signal, activity: Activity) -> (Verdict, &'static str) {
        self.with(|state| state.signal(signal, activity))
    }

    /// Begins to stop, at a signal that was judged so.
    pub fn begin(&self, stop: Stop, pooler: &Pooler) {
        let stage = match stop {
            Stop::WaitForClients => Stage::WaitForClients,
            Stop::WaitForServers => Stage::WaitForServers,
        };
        pooler.stop_logins();
        if stop == Stop::WaitForServers {
            let now = tokio::time::Instant::now().into_std();
            pooler.pools.with(|pools, out| pools.stop(now, out));
        }
        self.advance(stage);
    }

    /// `SHUTDOWN WAIT_FOR_...` on the console. Waiting for clients may become waiting for servers,
    /// never the other way round.
    pub fn command(&self, stop: Stop, pooler: &Pooler) {
        if self.with(|state| state.command(stop)) {
            self.begin(stop, pooler);
        }
    }

    /// Ends now: SIGQUIT, a second SIGTERM, `SHUTDOWN`.
    pub fn exit(&self) {
        self.advance(Stage::Exit);
    }

    /// Waits until the process may end, and says in the log what it waited for. Cancel-safe.
    pub async fn finished(&self, pooler: &Pooler) {
        let mut stage = self.watch();
        loop {
            let current = *stage.borrow_and_update();
            // Both are cancel-safe: they only look.
            tokio::select! {
                biased;
                dropped = reached(current, pooler) => {
                    if let Some(dropped) = dropped {
                        events::connections_dropped(dropped);
                    }
                    return;
                }
                _ = stage.changed() => {}
            }
        }
    }

    fn advance(&self, to: Stage) {
        self.inner.stage.send_if_modified(|stage| {
            let advances = *stage < to;
            *stage = (*stage).max(to);
            advances
        });
    }

    fn with<R>(&self, f: impl FnOnce(&mut ShutdownState) -> R) -> R {
        let mut state = self.inner.state.lock();
        f(state.as_mut().expect("nothing panics under this lock"))
    }
}

/// Waits for what a stage waits for. Consoles hold nothing up: a monitor may stay connected for ever.
async fn reached(stage: Stage, pooler: &Pooler) -> Option<Dropped> {
    match stage {
        Stage::Serving => std::future::pending().await,
        Stage::WaitForClients => {
            pooler.admission.emptied().await;
            sleep(LAST_WORDS).await;
            Some(Dropped::Clients)
        }
        Stage::WaitForServers => {
            pooler.pools.drained(Scope::All).await;
            sleep(LAST_WORDS).await;
            Some(Dropped::Servers)
        }
        Stage::Exit => None,
    }
}
