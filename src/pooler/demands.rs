//! Who wants to know where the hosts of a cluster are, told to their monitors without a lock.
//!
//! Every read that must go to the primary for want of a position says so. The monitors are woken by
//! the first one only: a flag tells whether they have looked since.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::cluster::Demand;

/// When positions were demanded last. Times are those since a common start.
#[derive(Debug, Default)]
pub(super) struct Demands {
    wanted: Mark,
    awaited: Mark,
    /// Somebody has been told, and nobody has looked since.
    told: AtomicBool,
}

/// Whether the monitors know of a demand already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// They look soon.
    Already,
    /// They must be woken.
    Not,
}

impl Demands {
    /// A demand. All orderings are the strictest: one of the two sides sees the other.
    pub(super) fn note(&self, how: Demand, now: Duration) -> Heard {
        match how {
            Demand::Idle => return Heard::Already,
            Demand::Wanted => self.wanted.set(now),
            Demand::Awaited => self.awaited.set(now),
        }
        // One who waits is rare, and in a hurry.
        if self.told.swap(true, Ordering::SeqCst) && how == Demand::Wanted {
            Heard::Already
        } else {
            Heard::Not
        }
    }

    /// The strongest demand for something newer than what was asked for then.
    pub(super) fn since(&self, asked_at: Option<Duration>) -> Demand {
        self.told.store(false, Ordering::SeqCst);
        if self.awaited.is_after(asked_at) {
            Demand::Awaited
        } else if self.wanted.is_after(asked_at) {
            Demand::Wanted
        } else {
            Demand::Idle
        }
    }
}

/// A time in nanoseconds, plus one; 0 where there was none.
#[derive(Debug, Default)]
struct Mark(AtomicU64);

impl Mark {
    fn set(&self, now: Duration) {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX - 1);
        self.0.fetch_max(now.saturating_add(1), Ordering::SeqCst);
    }

    /// Whether it is not before that time.
    fn is_after(&self, time: Option<Duration>) -> bool {
        let Some(marked) = self.0.load(Ordering::SeqCst).checked_sub(1) else {
            return false;
        };
        time.is_none_or(|time| Duration::from_nanos(marked) >= time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn a_demand_lasts_until_something_newer_was_asked_for() {
        let demands = Demands::default();
        assert_eq!(demands.since(None), Demand::Idle);
        demands.note(Demand::Wanted, ms(5));
        assert_eq!(demands.since(None), Demand::Wanted);
        assert_eq!(demands.since(Some(ms(5))), Demand::Wanted);
        assert_eq!(demands.since(Some(ms(6))), Demand::Idle);
    }

    #[test]
    fn one_who_waits_comes_first() {
        let demands = Demands::default();
        demands.note(Demand::Awaited, ms(3));
        demands.note(Demand::Wanted, ms(5));
        assert_eq!(demands.since(Some(ms(1))), Demand::Awaited);
        assert_eq!(demands.since(Some(ms(4))), Demand::Wanted);
    }

    #[test]
    fn monitors_are_woken_once_until_they_have_looked() {
        let demands = Demands::default();
        assert_eq!(demands.note(Demand::Wanted, ms(1)), Heard::Not);
        assert_eq!(demands.note(Demand::Wanted, ms(2)), Heard::Already);
        assert_eq!(demands.note(Demand::Awaited, ms(3)), Heard::Not);
        demands.since(None);
        assert_eq!(demands.note(Demand::Wanted, ms(4)), Heard::Not);
    }
}
