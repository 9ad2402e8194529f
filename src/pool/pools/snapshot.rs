//! Sans-IO. What the console shows of the pools, and whether the books are in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{DatabaseState, Gate, Pools, Quota};
use crate::pool::action::Pooled;
use crate::pool::key::{DatabaseId, PoolId, PoolKey, Scope, SlotId};
use crate::pool::slots::{Slots, Standing};

/// One row of SHOW POOLS, without the columns that count clients which do not wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSnapshot {
    /// The pool.
    pub pool: PoolId,
    /// Its database and user.
    pub key: PoolKey,
    /// Clients that wait for a connection.
    pub cl_waiting: usize,
    /// Connections lent to clients.
    pub sv_active: usize,
    /// Cancel requests under way.
    pub sv_active_cancel: usize,
    /// Connections that a cancel request is under way to.
    pub sv_being_canceled: usize,
    /// Idle connections that can be used at once.
    pub sv_idle: usize,
    /// Idle connections that are checked before use (`server_check_delay`).
    pub sv_used: usize,
    /// Connections that run a check or reset query.
    pub sv_tested: usize,
    /// Connections being opened.
    pub sv_login: usize,
    /// Age of the oldest waiter; zero without waiters.
    pub maxwait: Duration,
}

/// One database that has been used or named on the console (SHOW DATABASES).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseSnapshot {
    /// The database.
    pub id: DatabaseId,
    /// Its name.
    pub name: Arc<str>,
    /// Connections that exist or are being opened.
    pub connections: usize,
    /// Its pools.
    pub pools: usize,
    /// Its own PAUSE or KILL holds it.
    pub is_paused: bool,
    /// DISABLE holds it.
    pub is_disabled: bool,
}

/// What SHOW DATABASES, SHOW SERVERS and SHOW STATE ask.
impl<C: Pooled, W: Clone> Pools<C, W> {
    /// One row for each pool, sorted by database and user.
    pub fn snapshot(&self, now: Instant) -> Vec<PoolSnapshot> {
        let rows = self.slots.iter().map(|(key, slots)| {
            let census = slots.census(now);
            let since = slots.waiting.oldest_since();
            PoolSnapshot {
                pool: PoolId(key),
                key: slots.key.clone(),
                cl_waiting: slots.waiting.len(),
                sv_active: census.active,
                sv_active_cancel: slots.cancels,
                sv_being_canceled: census.being_canceled,
                sv_idle: census.idle,
                sv_used: census.used,
                sv_tested: census.tested,
                sv_login: slots.opening,
                maxwait: since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since)),
            }
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by(|one, other| (&one.key, one.pool).cmp(&(&other.key, other.pool)));
        rows
    }

    /// One row for each database, sorted by name; those that are going are left out.
    pub fn databases(&self) -> Vec<DatabaseSnapshot> {
        let known = self.databases.iter();
        let known = known.filter(|(_, database)| database.state != DatabaseState::Removed);
        let mut rows: Vec<_> = known
            .map(|(key, database)| DatabaseSnapshot {
                id: DatabaseId(key),
                name: Arc::clone(&database.name),
                connections: database.quota.connections,
                pools: database.quota.pools.len(),
                is_paused: database.state == DatabaseState::Paused,
                is_disabled: database.disabled,
            })
            .collect();
        rows.sort_by(|one, other| one.name.cmp(&other.name));
        rows
    }

    /// The connections that no client holds, with what is known of them.
    pub fn parked(&self, now: Instant) -> impl Iterator<Item = (&C, Standing)> {
        self.slots
            .iter()
            .flat_map(move |(_, slots)| slots.parked(now))
    }

    /// What is known of one connection, lent or not; `None` once it has gone.
    pub fn standing(&self, slot: SlotId, now: Instant) -> Option<Standing> {
        self.slots.get(slot.pool.0)?.standing(slot.key, now)
    }

    /// Connections of a database that exist or are being opened (`current_connections`).
    pub fn database_connections(&self, id: DatabaseId) -> usize {
        let found = self.databases.get(id.0);
        found.map_or(0, |database| database.quota.connections)
    }

    /// Connections of a server user that exist or are being opened (`current_connections`).
    pub fn user_connections(&self, name: &str) -> usize {
        let id = self.user_ids.get(name);
        let found = id.and_then(|id| self.users.get(id.0));
        found.map_or(0, |user| user.quota.connections)
    }

    /// Whether PAUSE of all databases is in force (SHOW STATE).
    pub fn is_all_paused(&self) -> bool {
        self.mode != Gate::Open
    }

    /// Panics unless the books are in order; for tests and debug runs.
    ///
    /// That limits are kept is not a property of one moment (a limit may be lowered under lent
    /// connections); what is checked is that nothing above a limit is idle.
    pub fn check_invariants(&self, now: Instant) {
        for (key, slots) in self.slots.iter() {
            slots.check_invariants();
            let name = &slots.key;
            let idle = slots.idle_len();
            assert!(
                idle == 0 || slots.waiting.is_empty(),
                "{name}: idle under a waiter"
            );
            assert!(
                idle == 0 || slots.live() <= slots.limits().ceiling(),
                "{name}: over size"
            );
            if self.gate(slots) != Gate::Open {
                assert_eq!(idle, 0, "{name}: idle behind a closed gate");
            }
            let listed = self.blocked.contains(&PoolId(key));
            assert_eq!(slots.blocked, listed, "{name}: the list of blocked pools");
            assert!(
                !slots.is_empty() || slots.empty_since.is_some(),
                "{name}: empty, no clock"
            );
            assert!(
                slots.size() == 0 || slots.empty_since.is_none(),
                "{name}: used, clock runs"
            );
            self.check_clock(PoolId(key), slots, now);
        }
        for (_, database) in self.databases.iter() {
            self.check_quota(&database.quota, &database.name);
        }
        for (_, user) in self.users.iter() {
            self.check_quota(&user.quota, &user.name);
        }
        assert_eq!(
            self.is_drained(Scope::All),
            self.slots.iter().all(|(_, s)| s.size() == 0)
        );
    }

    /// What a pool waits for is announced, and what it may open is being opened.
    fn check_clock(&self, pool: PoolId, slots: &Slots<C, W>, now: Instant) {
        let name = &slots.key;
        let (announced, due) = (self.announced, slots.due);
        let known = due.is_none() || (announced.is_some() && announced <= due);
        assert!(known, "{name}: no tick");
        let late = due.is_some_and(|due| due <= now);
        if self.gate(slots) == Gate::Open
            && !late
            && let Some(demand) = slots.demand(now)
        {
            let stuck = self.victims(pool, demand).is_none();
            assert!(
                slots.blocked && stuck,
                "{name}: wants a connection, none is opened"
            );
        }
    }

    fn check_quota(&self, quota: &Quota, name: &str) {
        let pools = quota.pools.iter();
        let pools = pools.map(|pool| self.slots.get(pool.0).expect("a listed pool exists"));
        let (sizes, idle): (Vec<_>, Vec<_>) =
            pools.map(|slots| (slots.size(), slots.idle_len())).unzip();
        assert_eq!(
            sizes.iter().sum::<usize>(),
            quota.connections,
            "{name}: connections"
        );
        if quota.is_over() {
            assert_eq!(idle.iter().sum::<usize>(), 0, "{name}: idle over the limit");
        }
    }
}
