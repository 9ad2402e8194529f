//! Sans-IO. What one pool's connections are doing, and whether its books are in order.

use std::time::{Duration, Instant};

use super::{Entry, Parked, Slots, State};
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

/// What one connection is doing (SHOW SERVERS, column `state`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Lent to a client.
    Active,
    /// Lent, and runs the check or reset query.
    Tested,
    /// Ready for the next client.
    Idle,
    /// Idle for so long that it is checked before use.
    Used,
    /// A cancel request is under way to it.
    BeingCanceled,
}

/// What the pool knows of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What it is doing.
    pub doing: Doing,
    /// It was made before RECONNECT or a changed entry and goes as soon as it is free.
    pub is_close_needed: bool,
}

impl<C: Pooled, W> Slots<C, W> {
    fn doing(&self, entry: &Entry<C>, now: Instant) -> Doing {
        let rested = now.saturating_duration_since(entry.idle_since);
        let due = |delay: Duration| rested > delay;
        match entry.state {
            _ if entry.cancels > 0 => Doing::BeingCanceled,
            State::Lent(Use::Active) => Doing::Active,
            State::Lent(Use::Tested) => Doing::Tested,
            State::Idle(_) if self.limits.server_check_delay.is_some_and(due) => Doing::Used,
            State::Idle(_) => Doing::Idle,
            State::Held(_) => Doing::BeingCanceled,
        }
    }

    fn standing_of(&self, entry: &Entry<C>, now: Instant) -> Standing {
        Standing {
            doing: self.doing(entry, now),
            is_close_needed: entry.epoch != self.epoch,
        }
    }

    /// What is known of one connection, lent or not.
    pub(in crate::pool) fn standing(&self, slot: Key, now: Instant) -> Option<Standing> {
        Some(self.standing_of(self.entries.get(slot)?, now))
    }

    /// The connections that no client holds, with what is known of them.
    pub(in crate::pool) fn parked(&self, now: Instant) -> impl Iterator<Item = (&C, Standing)> {
        self.entries
            .iter()
            .filter_map(move |(_, entry)| match &entry.state {
                State::Idle(conn) | State::Held(conn) => Some((conn, self.standing_of(entry, now))),
                State::Lent(_) => None,
            })
    }

    /// Columns of SHOW POOLS. Walks all connections.
    pub(in crate::pool) fn census(&self, now: Instant) -> Census {
        let mut census = Census::default();
        for (_, entry) in self.entries.iter() {
            let count = match self.doing(entry, now) {
                Doing::Active => &mut census.active,
                Doing::Tested => &mut census.tested,
                Doing::Idle => &mut census.idle,
                Doing::Used => &mut census.used,
                Doing::BeingCanceled => &mut census.being_canceled,
            };
            *count += 1;
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
        let since = self.idle.iter().map(|parked| parked.since);
        assert!(since.is_sorted(), "the idle list is sorted by age");
        for Parked { slot, home, since } in &self.idle {
            let entry = self.entries.get(*slot).expect("an idle connection is live");
            let conn = match &entry.state {
                State::Idle(conn) => Some(conn),
                State::Held(_) | State::Lent(_) => None,
            };
            let facts = conn.map(|conn| (conn.home(), entry.idle_since));
            let listed = (*home, *since);
            assert_eq!(facts, Some(listed), "the idle list is up to date");
        }
        self.waiting.check_invariants();
        let stale = |(_, entry): &(Key, &Entry<C>)| entry.epoch != self.epoch;
        let stale = self.entries.iter().filter(stale).count();
        assert!(stale <= self.stale && self.stale <= stale + self.opening);
    }
}
