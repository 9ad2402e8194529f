//! Orders to one client from outside its task: leave, and why.
//!
//! The task looks at one atomic number each time it wakes; an order wakes it. Invariant: the first
//! order stands, later ones are ignored.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::Waker;

/// Why a client must leave. `Display` is the text of its error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Leave {
    /// `KILL_CLIENT`.
    #[error("admin forced disconnect")]
    Killed,
    /// `KILL`, or the database left the configuration.
    #[error("database removed")]
    DatabaseRemoved,
    /// The process stops at once: no word, as `PgBouncer`.
    #[error("server shutting down")]
    Shutdown,
}

const LEAVES: [Leave; 3] = [Leave::Killed, Leave::DatabaseRemoved, Leave::Shutdown];

/// One client's letter box.
#[derive(Debug, Default)]
pub struct Control {
    order: AtomicU8, // 0: none, else 1 + index in LEAVES
    nudged: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Control {
    /// Tells the client to leave.
    pub fn order(&self, leave: Leave) {
        let number = LEAVES
            .iter()
            .position(|known| *known == leave)
            .unwrap_or_default();
        let number = u8::try_from(number + 1).expect("there are few reasons");
        let first = self
            .order
            .compare_exchange(0, number, Ordering::AcqRel, Ordering::Acquire);
        if first.is_ok() {
            let waker = self
                .waker
                .lock()
                .expect("nothing panics under this lock")
                .take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    fn wake(&self) {
        let waker = self
            .waker
            .lock()
            .expect("nothing panics under this lock")
            .clone();
        waker.into_iter().for_each(Waker::wake);
    }

    /// Has the client look whether its server connection is still wanted (`server_fast_close`).
    pub fn nudge(&self) {
        self.nudged.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether it has been nudged since this was asked last.
    pub fn take_nudge(&self) -> bool {
        self.nudged.load(Ordering::Acquire) && self.nudged.swap(false, Ordering::AcqRel)
    }

    /// The order, if there is one.
    pub fn pending(&self) -> Option<Leave> {
        let number = self.order.load(Ordering::Acquire);
        LEAVES.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// Says whom to wake. Once for each task: its waker stays the same.
    pub fn register(&self, waker: &Waker) {
        *self.waker.lock().expect("nothing panics under this lock") = Some(waker.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_order_stands() {
        let control = Control::default();
        assert_eq!(control.pending(), None);
        control.order(Leave::DatabaseRemoved);
        control.order(Leave::Killed);
        assert_eq!(control.pending(), Some(Leave::DatabaseRemoved));
    }
}
