//! Sans-IO. Opening connections, and making room for them.
//!
//! A pool that a limit over several pools holds back is remembered in `blocked`; whenever a
//! connection becomes idle or goes, those pools are asked again, the one with the oldest waiter
//! first. So nothing has to poll.

use std::time::{Duration, Instant};

use super::{Pools, Quota};
use crate::pool::action::{Action, Actions, OpenTicket, Pooled};
use crate::pool::key::PoolId;
use crate::pool::reason::Why;
use crate::pool::slots::{Demand, Slots};

/// A pool without any connection whose oldest waiter is older than this, and older than those of
/// a neighbour, gets the neighbour's next free connection, even if the neighbour has waiters. So
/// one busy pool cannot keep another from ever getting a connection.
const NEIGHBOURLY_AFTER: Duration = Duration::from_secs(1);

/// A pool that loses its connection idle longest, and why.
pub(super) type Victim = (PoolId, Why);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grown {
    /// Or not at all.
    ByOwnMeans,
    ByEviction,
}

impl<C: Pooled, W: Clone> Pools<C, W> {
    /// Opens as many connections as the pool wants and may have.
    pub(super) fn grow(&mut self, pool: PoolId, now: Instant, out: &mut Actions<C, W>) {
        if self.grow_alone(pool, now, out) == Grown::ByEviction {
            self.relieve(now, out);
        }
    }

    /// Room has appeared in this pool and in its limits: whoever waits longest may use it.
    pub(super) fn refill(&mut self, pool: PoolId, now: Instant, out: &mut Actions<C, W>) {
        if self.blocked.is_empty() {
            self.grow(pool, now, out);
        } else {
            self.block(pool);
            self.relieve(now, out);
        }
        self.remove_if_doomed(pool, out);
    }

    /// Asks all blocked pools again, once each. That is enough although one of them may evict a
    /// connection that counted for other limits too: a pool with waiters could have evicted that
    /// connection itself, and pools without waiters, which evict nobody, come last.
    #[inline]
    pub(super) fn relieve(&mut self, now: Instant, out: &mut Actions<C, W>) {
        if !self.blocked.is_empty() {
            self.relieve_blocked(now, out);
        }
    }

    fn relieve_blocked(&mut self, now: Instant, out: &mut Actions<C, W>) {
        let mut blocked = std::mem::take(&mut self.blocked);
        blocked.sort_by_cached_key(|pool| {
            let slots = self.slots.get(pool.0);
            let since = slots.and_then(|slots| slots.waiting.oldest_since());
            (since.is_none(), since, *pool)
        });
        for pool in &blocked {
            if let Some(slots) = self.slots.get_mut(pool.0) {
                slots.blocked = false;
            }
        }
        for pool in blocked {
            self.grow_alone(pool, now, out);
        }
    }

    fn grow_alone(&mut self, pool: PoolId, now: Instant, out: &mut Actions<C, W>) -> Grown {
        let mut grown = Grown::ByOwnMeans;
        while let Some(slots) = self.slots.get(pool.0) {
            // The usual case in a pool whose clients queue.
            if slots.is_full() || Self::closed_gate(self.gate(slots)).is_some() {
                break;
            }
            let Some(demand) = slots.demand(now) else {
                let due = slots.demand_due(now);
                self.schedule(pool, due, out);
                break;
            };
            let Some(victims) = self.victims(pool, demand) else {
                self.block(pool);
                break;
            };
            for (victim, why) in victims.into_iter().flatten() {
                self.evict(victim, why, now, out);
                grown = Grown::ByEviction;
            }
            self.open(pool, out);
        }
        grown
    }

    /// Whether a connection of this pool that has become free is owed to a neighbour.
    pub(super) fn owed_to_neighbour(&self, own: &Slots<C, W>, now: Instant) -> Option<Why> {
        if self.blocked.is_empty() {
            return None;
        }
        let own_since = own.waiting.oldest_since();
        let blocked = self.blocked.iter();
        blocked
            .filter_map(|pool| self.slots.get(pool.0))
            .filter(|other| other.size() == 0 && other.key != own.key)
            .filter(|other| {
                other.waiting.oldest_since().is_some_and(|since| {
                    since + NEIGHBOURLY_AFTER <= now && own_since.is_none_or(|own| since < own)
                })
            })
            .find_map(|other| self.would_help(own, other, now))
    }

    /// Whether closing one connection of `own` lets `other` open one, and for which limit.
    fn would_help(&self, own: &Slots<C, W>, other: &Slots<C, W>, now: Instant) -> Option<Why> {
        other.demand(now)?;
        let database = self.database(other.database).quota.is_full();
        let user = self.user(other.user).quota.is_full();
        let same_database = own.database == other.database;
        let same_user = own.user == other.user;
        if (database && !same_database) || (user && !same_user) {
            return None;
        }
        if database {
            Some(Why::EvictedForMaxDbConnections)
        } else {
            user.then_some(Why::EvictedForMaxUserConnections)
        }
    }

    fn open(&mut self, pool: PoolId, out: &mut Actions<C, W>) {
        let Some(slots) = self.slots.get_mut(pool.0) else {
            return;
        };
        let first = slots.waiting.terms_of(slots.opening);
        let home = first.map(|waiter| waiter.home);
        slots.opening += 1;
        slots.empty_since = None;
        let epoch = slots.epoch();
        let (database, user) = (slots.database, slots.user);
        self.count_up(database, user);
        out.push(Action::Open(OpenTicket { pool, epoch, home }));
    }

    fn block(&mut self, pool: PoolId) {
        if let Some(slots) = self.slots.get_mut(pool.0)
            && !slots.blocked
        {
            slots.blocked = true;
            self.blocked.push(pool);
        }
    }

    /// Who has to give up a connection so that this pool may open one; `None` when nobody can.
    ///
    /// Victims for both limits are found before either goes: a lone eviction would be for nothing.
    pub(super) fn victims(&self, pool: PoolId, demand: Demand) -> Option<[Option<Victim>; 2]> {
        let slots = self.slots.get(pool.0)?;
        let database = &self.database(slots.database).quota;
        let user = &self.user(slots.user).quota;
        if !database.is_full() && !user.is_full() {
            return Some([None, None]);
        }
        if demand == Demand::Minimum || database.is_over() || user.is_over() {
            return None;
        }
        let mut for_database = None;
        if database.is_full() {
            let victim = self.longest_idle(database)?;
            for_database = Some((victim, Why::EvictedForMaxDbConnections));
        }
        let served = for_database.is_some_and(|(victim, _)| user.pools.contains(&victim));
        let mut for_user = None;
        if user.is_full() && !served {
            let victim = self.longest_idle(user)?;
            for_user = Some((victim, Why::EvictedForMaxUserConnections));
        }
        Some([for_database, for_user])
    }

    /// The pool that has the connection idle longest, of all pools under a limit.
    pub(super) fn longest_idle(&self, quota: &Quota) -> Option<PoolId> {
        let pools = quota.pools.iter();
        pools
            .filter_map(|pool| {
                let since = self.slots.get(pool.0)?.oldest_idle_since()?;
                Some((since, *pool))
            })
            .min()
            .map(|(_, pool)| pool)
    }

    /// Closes the connection of `victim` that has been idle longest.
    pub(super) fn evict(
        &mut self,
        victim: PoolId,
        why: Why,
        now: Instant,
        out: &mut Actions<C, W>,
    ) {
        let Some(slots) = self.slots.get_mut(victim.0) else {
            return;
        };
        if let Some((slot, conn)) = slots.take_oldest_idle() {
            self.retire((victim, slot), conn, why, now, out);
            // Its `min_pool_size` may be missed now; it is asked again when there is room.
            self.block(victim);
        }
    }

    /// A pool of a dropped database goes with its last connection.
    pub(super) fn remove_if_doomed(&mut self, pool: PoolId, out: &mut Actions<C, W>) {
        let Some(slots) = self.slots.get(pool.0) else {
            return;
        };
        let doomed = self.running(slots.database).is_none();
        if doomed && slots.size() == 0 {
            self.remove_pool(pool, out);
        }
    }
}
