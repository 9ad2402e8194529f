//! Sans-IO. Whether one pool wants another connection, and when time alone changes its mind.
//!
//! Not here: limits over several pools and eviction (`growth`).

use std::time::Instant;

use super::{Failing, Slots};
use crate::pool::action::Pooled;
use crate::pool::limits::KeepMinimum;
use crate::pool::slab::Key;

/// Why a pool wants one more connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pool) enum Demand {
    /// A waiter has nothing being opened for it: worth evicting a neighbour's idle connection.
    Waiter,
    /// `min_pool_size` is not reached.
    Minimum,
}

impl<C: Pooled, W> Slots<C, W> {
    /// Whether this pool's own limits allow no further connection, whoever wants one.
    pub(in crate::pool) fn is_full(&self) -> bool {
        self.size() >= self.limits.ceiling()
    }

    /// Whether one more connection is wanted now and this pool's own limits allow it.
    pub(in crate::pool) fn demand(&self, now: Instant) -> Option<Demand> {
        let resting = |failing: &Failing| failing.retry_at > now;
        if self.opening >= self.parallelism() || self.failing.as_ref().is_some_and(resting) {
            return None;
        }
        if self.waiting.len() > self.opening {
            let allowed = self.size() < self.limits.pool_size as usize
                || self.reserve_due().is_some_and(|at| at <= now);
            return allowed.then_some(Demand::Waiter);
        }
        (self.size() < self.minimum()).then_some(Demand::Minimum)
    }

    /// When `demand` may change by time alone.
    pub(in crate::pool) fn demand_due(&self, now: Instant) -> Option<Instant> {
        let wanted = self.waiting.len() > self.opening || self.size() < self.minimum();
        if !wanted || self.opening >= self.parallelism() {
            return None;
        }
        let retry_at = self.failing.as_ref().map(|failing| failing.retry_at);
        let reserve_at = if self.size() < self.limits.pool_size as usize {
            None
        } else {
            self.reserve_due()
        };
        [retry_at, reserve_at]
            .into_iter()
            .flatten()
            .filter(|at| *at > now)
            .min()
    }

    /// When an idle connection reaches its idle timeout or its lifetime, at the earliest.
    pub(in crate::pool) fn idle_due(&self) -> Option<Instant> {
        [self.idle_timeout_due(), self.lifetime_due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// When the connection idle longest reaches its timeout; never at or below `min_pool_size`.
    pub(in crate::pool) fn idle_timeout_due(&self) -> Option<Instant> {
        let timeout = self.limits.server_idle_timeout?;
        let since = self.oldest_idle_since()?;
        (self.live() > self.minimum()).then_some(since + timeout)
    }

    /// When parking this connection gives `tick` something to do, if that is earlier than what it
    /// is due for anyway.
    pub(in crate::pool) fn park_due(&self, slot: Key) -> Option<Instant> {
        let earlier = |at: &Instant| self.due.is_none_or(|due| *at < due);
        let idle = self.idle_timeout_due().filter(earlier);
        let old = self.lives_until(slot).filter(earlier);
        let old = old.map(|at| self.lifetime_gap_until().map_or(at, |gap| gap.max(at)));
        [idle, old].into_iter().flatten().min()
    }

    /// When the pool has been empty for long enough to be removed.
    pub(in crate::pool) fn removal_due(&self) -> Option<Instant> {
        Some(self.empty_since? + self.limits.pool_idle_timeout?)
    }

    /// The connection must have at least this many to satisfy `min_pool_size`.
    fn minimum(&self) -> usize {
        match self.limits.keep_minimum {
            KeepMinimum::WithClients if self.clients == 0 => 0,
            KeepMinimum::WithClients | KeepMinimum::Always => self.limits.floor(),
        }
    }

    /// After a failure one attempt at a time is enough to see whether the server is back.
    fn parallelism(&self) -> usize {
        match self.failing {
            Some(_) => 1,
            None => self.limits.connect_parallelism.max(1) as usize,
        }
    }

    /// When the oldest waiter for whom nothing is being opened may use the reserve.
    fn reserve_due(&self) -> Option<Instant> {
        if self.is_full() {
            return None;
        }
        let first = self.waiting.terms_of(self.opening)?;
        Some(first.since + self.limits.reserve_pool_timeout)
    }

    /// Never for single use: an unused connection has its one use still before it.
    pub(super) fn lifetime_due(&self) -> Option<Instant> {
        if self.limits.server_lifetime.is_zero() {
            return None;
        }
        let idle = self.idle.iter();
        let outlived = idle.filter_map(|parked| self.lives_until(parked.slot));
        let outlived = outlived.min()?;
        Some(
            self.lifetime_gap_until()
                .map_or(outlived, |gap| gap.max(outlived)),
        )
    }

    fn lives_until(&self, slot: Key) -> Option<Instant> {
        if self.limits.server_lifetime.is_zero() {
            return None;
        }
        Some(self.entries.get(slot)?.lives_until)
    }
}
