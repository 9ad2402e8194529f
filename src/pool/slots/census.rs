//! Sans-IO. What one pool's connections are doing, and whether its books are in order.

use std::time::{Duration, Instant};

use super::{Entry, Slots, State};
use crate::pool::action::{Pooled, Use};
use crate::pool::slab::Key;

/// How many connections are in which state (columns of SHOW POOLS).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::pool) struct Census {
    pub(in crate::pool) active: usize,
    pub(in crate::pool) tested: usize,
    pub(in crate::pool) being_canceled: usize,
    pub(in crate::pool) idle: usize,
    pub(in crate::pool) used: usize,
}

impl<C: Pooled, W> Slots<C, W> {
    /// Columns of SHOW POOLS. Walks all connections.
    pub(in crate::pool) fn census(&self, now: Instant) -> Census {
        let mut census = Census::default();
        for (_, entry) in self.entries.iter() {
            let rested = now.saturating_duration_since(entry.idle_since);
            let due = |delay: Duration| rested > delay;
            match entry.state {
                _ if entry.cancels > 0 => census.being_canceled += 1,
                State::Lent(Use::Active) => census.active += 1,
                State::Lent(Use::Tested) => census.tested += 1,
                State::Idle(_) if self.limits.server_check_delay.is_some_and(due) => {
                    census.used += 1;
                }
                State::Idle(_) => census.idle += 1,
                State::Held(_) => census.being_canceled += 1,
            }
        }
        census
    }

    /// Panics unless every connection is in the state that its lists say (tests and debug runs).
    pub(in crate::pool) fn check_invariants(&self) {
        let mut idle = 0;
        for (_, entry) in self.entries.iter() {
            match entry.state {
                State::Idle(_) => {
                    idle += 1;
                    assert_eq!(entry.epoch, self.epoch, "idle connections are never stale");
                    assert_eq!(entry.cancels, 0, "a canceled connection is held, not idle");
                }
                State::Held(_) => assert!(entry.cancels > 0, "held for nothing"),
                State::Lent(_) => {}
            }
        }
        assert_eq!(
            idle,
            self.idle.len(),
            "the idle list holds each idle connection once"
        );
        let since: Vec<_> = self
            .idle
            .iter()
            .map(|slot| self.idle_since(*slot))
            .collect();
        assert!(since.is_sorted(), "the idle list is sorted by age");
        let arrivals: Vec<_> = self.waiting.arrivals().collect();
        assert!(
            arrivals.is_sorted(),
            "the queue is first come, first served"
        );
        assert_eq!(
            arrivals.len(),
            self.waiting.len(),
            "the queue is linked throughout"
        );
        let stale = |(_, entry): &(Key, &Entry<C>)| entry.epoch != self.epoch;
        let stale = self.entries.iter().filter(stale).count();
        assert!(stale <= self.stale && self.stale <= stale + self.opening);
    }
}
