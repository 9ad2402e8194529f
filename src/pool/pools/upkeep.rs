//! Sans-IO. What time alone brings about: timeouts, lifetimes, reserves, retries, removal.
//!
//! Nothing polls: every pool keeps the earliest time at which it may need care (a lower bound, so
//! it may turn out that nothing is to do), and an event that makes an earlier one announces it.

use std::time::Instant;

use super::{Database, DatabaseState, Pools};
use crate::pool::action::{Action, Actions, Pooled};
use crate::pool::key::{DatabaseId, PoolId};
use crate::pool::reason::{Refusal, Why};
use crate::pool::slots::Slots;

impl<C: Pooled, W: Clone> Pools<C, W> {
    /// Does what is due and tells when to be called next, unless an event announces an earlier
    /// time before. Costs one comparison for each pool that is not due.
    pub fn tick(&mut self, now: Instant, out: &mut Actions<C, W>) -> Option<Instant> {
        // Until the end of this call nothing is announced: the result is.
        self.announced = Some(now);
        for key in self.slots.keys() {
            let slots = self.slots.get(key);
            let due = slots.and_then(|slots| slots.due);
            if due.is_some_and(|due| due <= now) {
                self.maintain(PoolId(key), now, out);
            }
        }
        for key in self.databases.keys() {
            self.drop_idle(DatabaseId(key), now, out);
        }
        let pools = self.slots.iter().filter_map(|(_, slots)| slots.due);
        let databases = self.databases.iter();
        let removals = databases.filter_map(|(_, database)| database.removal_due());
        self.announced = pools.chain(removals).min();
        self.announced
    }

    /// Closes the idle connections that `unfit` finds dead or in doubt: their servers have closed them
    /// or have said something unasked.
    pub fn close_unfit(
        &mut self,
        mut unfit: impl FnMut(&mut C) -> bool,
        now: Instant,
        out: &mut Actions<C, W>,
    ) {
        for key in self.slots.keys() {
            let Some(slots) = self.slots.get_mut(key) else {
                continue;
            };
            let taken = slots.take_unfit(&mut unfit);
            if taken.is_empty() {
                continue;
            }
            for (slot, conn) in taken {
                self.retire((PoolId(key), slot), conn, Why::Crashed, now, out);
            }
            self.refill(PoolId(key), now, out);
        }
    }

    /// The time that `tick` returned or an event announced last.
    pub fn next_tick(&self) -> Option<Instant> {
        self.announced
    }

    fn maintain(&mut self, pool: PoolId, now: Instant, out: &mut Actions<C, W>) {
        self.answer_waiters(pool, now, out);
        let closed = self.close_idle(pool, now, out);
        if closed > 0 {
            self.refill(pool, now, out);
        }
        let Some(slots) = self.slots.get_mut(pool.0) else {
            return;
        };
        slots.due = None;
        let removal = slots.removal_due();
        if slots.is_empty() && removal.is_some_and(|at| at <= now) {
            self.remove_pool(pool, out);
            return;
        }
        self.schedule_all(pool, out);
        self.grow(pool, now, out);
    }

    fn answer_waiters(&mut self, pool: PoolId, now: Instant, out: &mut Actions<C, W>) {
        let Some(slots) = self.slots.get_mut(pool.0) else {
            return;
        };
        for waiter in slots.waiting.take_expired(now) {
            let refusal = Refusal::QueryWaitTimeout;
            out.push(Action::Refuse { waiter, refusal });
        }
        for waiter in slots.waiting.take_notices(now) {
            out.push(Action::Notify { waiter });
        }
        self.rest_if_empty(pool, now, out);
    }

    /// Closes idle connections that are idle for too long or too old. Tells how many.
    fn close_idle(&mut self, pool: PoolId, now: Instant, out: &mut Actions<C, W>) -> usize {
        let mut closed = 0;
        while let Some(slots) = self.slots.get_mut(pool.0) {
            let timed_out = slots.idle_timeout_due().is_some_and(|due| due <= now);
            let (found, why) = if timed_out {
                (slots.take_oldest_idle(), Why::IdleTimeout)
            } else {
                (slots.take_outlived(now), Why::LifetimeOver)
            };
            let Some((slot, conn)) = found else { break };
            self.retire((pool, slot), conn, why, now, out);
            closed += 1;
        }
        closed
    }

    /// Drops a database made by the `*` entry that nobody has used for long enough.
    fn drop_idle(&mut self, id: DatabaseId, now: Instant, out: &mut Actions<C, W>) {
        let found = self.databases.get(id.0);
        let Some(database) = found.filter(|found| found.removal_due().is_some_and(|at| at <= now))
        else {
            return;
        };
        let pools = database.quota.pools.iter();
        let mut pools = pools.filter_map(|pool| self.slots.get(pool.0));
        if pools.all(Slots::is_empty) {
            self.drop_database(id, now, out);
        } else if let Some(database) = self.databases.get_mut(id.0) {
            database.idle_since = None;
        }
    }

    /// Removes a database: it left the configuration. Waiters are refused, lent connections are
    /// closed when they come back; the name may be used again at once.
    pub fn drop_database(&mut self, id: DatabaseId, now: Instant, out: &mut Actions<C, W>) {
        let Some(Database { name, .. }) = self.running(id) else {
            return;
        };
        let name = name.clone();
        let database = self.database_mut(id);
        database.state = DatabaseState::Removed;
        let pools = database.quota.pools.clone();
        self.database_ids.remove(&name);
        for pool in &pools {
            if let Some(slots) = self.slots.get(pool.0) {
                self.pool_ids.remove(&slots.key);
            }
            self.empty_pool(
                *pool,
                Some(&Refusal::DatabaseRemoved),
                Why::DatabaseRemoved,
                now,
                out,
            );
            self.remove_if_doomed(*pool, out);
        }
        if pools.is_empty() {
            self.databases.remove(id.0);
        }
        out.push(Action::DatabaseRemoved(name));
        self.relieve(now, out);
    }

    /// Closes what no client holds and, if told how, refuses the waiters.
    pub(super) fn empty_pool(
        &mut self,
        pool: PoolId,
        refusal: Option<&Refusal>,
        why: Why,
        now: Instant,
        out: &mut Actions<C, W>,
    ) {
        let Some(slots) = self.slots.get_mut(pool.0) else {
            return;
        };
        if let Some(refusal) = refusal {
            while let Some(waiter) = slots.waiting.pop() {
                let refusal = refusal.clone();
                out.push(Action::Refuse { waiter, refusal });
            }
        }
        for (slot, conn) in slots.take_all_parked() {
            self.retire((pool, slot), conn, why, now, out);
        }
        self.rest_if_empty(pool, now, out);
    }
}
