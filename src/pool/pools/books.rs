//! Sans-IO. Counts over several pools, and the clock that `tick` goes by.
//!
//! Every connection and opening is counted up and down here and nowhere else.

use std::time::Instant;

use super::{DatabaseState, Gate, Pools};
use crate::pool::action::{Action, Actions, Pooled};
use crate::pool::key::{DatabaseId, PoolId, UserId};
use crate::pool::reason::Why;
use crate::pool::slab::Key;
use crate::pool::slots::{Age, Slots};

impl<C: Pooled, W: Clone> Pools<C, W> {
    /// Announces a time for `tick` unless an earlier one has been announced.
    pub(super) fn announce(&mut self, at: Option<Instant>, out: &mut Actions<C, W>) {
        let Some(at) = at else { return };
        if self.announced.is_none_or(|announced| at < announced) {
            self.announced = Some(at);
            out.push(Action::WakeJanitor(at));
        }
    }

    /// `tick` must look at this pool at `at`.
    #[inline]
    pub(super) fn schedule(&mut self, pool: PoolId, at: Option<Instant>, out: &mut Actions<C, W>) {
        if let Some(at) = at {
            self.schedule_at(pool, at, out);
        }
    }

    fn schedule_at(&mut self, pool: PoolId, at: Instant, out: &mut Actions<C, W>) {
        let Some(slots) = self.slots.get_mut(pool.0) else {
            return;
        };
        if slots.due.is_none_or(|due| at < due) {
            slots.due = Some(at);
            self.announce(Some(at), out);
        }
    }

    /// Schedules whatever this pool waits for.
    pub(super) fn schedule_all(&mut self, pool: PoolId, out: &mut Actions<C, W>) {
        let due = self.slots.get(pool.0).and_then(|slots| {
            [
                slots.waiting.next_due(),
                slots.idle_due(),
                slots.removal_due(),
            ]
            .into_iter()
            .flatten()
            .min()
        });
        self.schedule(pool, due, out);
    }

    /// One more connection exists or is being opened.
    pub(super) fn count_up(&mut self, database: DatabaseId, user: UserId) {
        let database = self.database_mut(database);
        database.quota.connections += 1;
        database.idle_since = None;
        self.user_mut(user).quota.connections += 1;
    }

    /// One connection or opening is gone.
    pub(super) fn count_down(
        &mut self,
        pool: PoolId,
        age: Age,
        now: Instant,
        out: &mut Actions<C, W>,
    ) {
        let Some(slots) = self.slots.get(pool.0) else {
            return;
        };
        let (id, user) = (slots.database, slots.user);
        let gate = self.gate(slots);
        self.user_mut(user).quota.connections -= 1;
        let database = self.database_mut(id);
        database.quota.connections -= 1;
        if database.quota.connections == 0 && gate != Gate::Open {
            out.push(Action::Drained(id));
        }
        if age == Age::Stale && self.stale(id) == 0 {
            out.push(Action::Renewed(id));
        }
        self.rest_if_empty(pool, now, out);
    }

    /// Starts the clocks that remove what nobody uses.
    pub(super) fn rest_if_empty(&mut self, pool: PoolId, now: Instant, out: &mut Actions<C, W>) {
        let Some(slots) = self.slots.get_mut(pool.0) else {
            return;
        };
        if !slots.is_empty() {
            return;
        }
        slots.empty_since.get_or_insert(now);
        let (id, due) = (slots.database, slots.removal_due());
        self.schedule(pool, due, out);
        let database = self.database_mut(id);
        if database.clients == 0 && database.quota.connections == 0 {
            database.idle_since.get_or_insert(now);
            let due = database.removal_due();
            self.announce(due, out);
        }
    }

    /// Connections and openings of a database from before its last RECONNECT.
    pub(super) fn stale(&self, database: DatabaseId) -> usize {
        let pools = self.database(database).quota.pools.iter();
        pools
            .filter_map(|pool| self.slots.get(pool.0))
            .map(Slots::stale)
            .sum()
    }

    /// Closes a connection and counts it out. Does not look who could use the room: the caller
    /// does, with `relieve` or `refill`.
    pub(super) fn retire(
        &mut self,
        (pool, slot): (PoolId, Key),
        conn: C,
        why: Why,
        now: Instant,
        out: &mut Actions<C, W>,
    ) {
        out.push(Action::Retire { conn, why });
        let forgotten = self
            .slots
            .get_mut(pool.0)
            .and_then(|slots| slots.forget(slot));
        if let Some(age) = forgotten {
            self.count_down(pool, age, now, out);
        }
    }

    /// Removes a pool that is empty, and its user and database if they are not needed any more.
    pub(super) fn remove_pool(&mut self, pool: PoolId, out: &mut Actions<C, W>) {
        let Some(slots) = self.slots.remove(pool.0) else {
            return;
        };
        self.blocked.retain(|other| *other != pool);
        if self.pool_ids.get(&slots.key) == Some(&pool) {
            self.pool_ids.remove(&slots.key);
        }
        let user = self.user_mut(slots.user);
        user.quota.pools.retain(|other| *other != pool);
        if user.quota.pools.is_empty()
            && let Some(user) = self.users.remove(slots.user.0)
        {
            self.user_ids.remove(&user.name);
        }
        let database = self.database_mut(slots.database);
        database.quota.pools.retain(|other| *other != pool);
        if database.state == DatabaseState::Removed && database.quota.pools.is_empty() {
            self.databases.remove(slots.database.0);
        }
        out.push(Action::PoolRemoved(slots.key));
    }
}
