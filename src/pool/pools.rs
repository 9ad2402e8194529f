//! Sans-IO. All pools of the process: who belongs together, and the books over them.
//!
//! The events are in the files below: `traffic` (connections and clients come and go), `growth`
//! (opening and evicting), `upkeep` (time), `command` (the console), `snapshot` (what to show);
//! `books` counts and keeps the clocks for all of them.
//! `W` is how the caller recognises its waiter; it comes back in the action that answers it.

mod books;
mod command;
mod growth;
mod snapshot;
mod traffic;
mod upkeep;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use snapshot::{DatabaseSnapshot, PoolSnapshot};
pub use traffic::Request;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::RandomState;

use super::action::{Actions, Pooled};
use super::key::{DatabaseId, PoolId, PoolKey, UserId};
use super::limits::{DatabaseLimits, PoolLimits, UserLimits};
use super::reason::Why;
use super::slab::Slab;
use super::slots::Slots;

/// Whether connections may be handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    /// PAUSE: waiters wait.
    Paused,
    /// Shutting down, waiting for servers: waiters are refused.
    Stopping,
    /// The database has gone: waiters are refused.
    Removed,
}

/// Connections that several pools share a limit over.
#[derive(Debug, Default)]
struct Quota {
    max: Option<u32>,
    /// That exist or are being opened.
    connections: usize,
    pools: Vec<PoolId>,
}

impl Quota {
    fn is_full(&self) -> bool {
        self.max.is_some_and(|max| self.connections >= max as usize)
    }

    fn is_over(&self) -> bool {
        self.max.is_some_and(|max| self.connections > max as usize)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DatabaseState {
    Running,
    Paused,
    Removed,
}

#[derive(Debug)]
struct Database {
    name: Arc<str>,
    limits: DatabaseLimits,
    quota: Quota,
    state: DatabaseState,
    /// DISABLE: new clients are refused (by the login, which asks).
    disabled: bool,
    clients: usize,
    /// Since when an automatic database has neither clients nor connections.
    idle_since: Option<Instant>,
}

impl Database {
    fn removal_due(&self) -> Option<Instant> {
        match self.state {
            DatabaseState::Running => Some(self.idle_since? + self.limits.autodb_idle_timeout?),
            DatabaseState::Paused | DatabaseState::Removed => None,
        }
    }
}

#[derive(Debug)]
struct User {
    name: Arc<str>,
    quota: Quota,
}

/// All pools of the process. See the module's documentation.
#[derive(Debug)]
pub struct Pools<C, W> {
    slots: Slab<Slots<C, W>>,
    databases: Slab<Database>,
    users: Slab<User>,
    pool_ids: HashMap<PoolKey, PoolId, RandomState>,
    database_ids: HashMap<Arc<str>, DatabaseId, RandomState>,
    user_ids: HashMap<Arc<str>, UserId, RandomState>,
    /// `Open`, `Paused` or `Stopping`, for all databases.
    mode: Gate,
    /// Pools that want a connection and are held back by a limit over several pools.
    blocked: Vec<PoolId>,
    /// The time that was last announced for `tick`.
    announced: Option<Instant>,
}

impl<C: Pooled, W: Clone> Default for Pools<C, W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Pooled, W: Clone> Pools<C, W> {
    /// No pools.
    pub fn new() -> Self {
        Self {
            slots: Slab::default(),
            databases: Slab::default(),
            users: Slab::default(),
            pool_ids: HashMap::default(),
            database_ids: HashMap::default(),
            user_ids: HashMap::default(),
            mode: Gate::Open,
            blocked: Vec::new(),
            announced: None,
        }
    }

    /// Makes a database known, or finds it; its limits become the given ones.
    pub fn add_database(
        &mut self,
        name: &Arc<str>,
        limits: DatabaseLimits,
        now: Instant,
        out: &mut Actions<C, W>,
    ) -> DatabaseId {
        if let Some(id) = self.database_ids.get(name).copied() {
            self.set_database_limits(id, limits, now, out);
            return id;
        }
        let id = DatabaseId(self.databases.insert(Database {
            name: Arc::clone(name),
            limits,
            quota: Quota {
                max: limits.max_db_connections,
                ..Quota::default()
            },
            state: DatabaseState::Running,
            disabled: false,
            clients: 0,
            idle_since: Some(now),
        }));
        self.database_ids.insert(Arc::clone(name), id);
        let due = self.databases.get(id.0).and_then(Database::removal_due);
        self.announce(due, out);
        id
    }

    /// Makes a pool of a known database, or finds it. The limits are those of a new pool and a
    /// new user; existing ones keep theirs. `None` when the database has gone.
    pub fn add_pool(
        &mut self,
        (database, user): (DatabaseId, &Arc<str>),
        (limits, user_limits): (PoolLimits, UserLimits),
        now: Instant,
        out: &mut Actions<C, W>,
    ) -> Option<PoolId> {
        let key = PoolKey {
            database: Arc::clone(&self.running(database)?.name),
            user: Arc::clone(user),
        };
        if let Some(id) = self.pool_ids.get(&key) {
            return Some(*id);
        }
        let user = self.add_user(user, user_limits);
        let slots = Slots::new(key.clone(), (database, user), limits, now);
        let id = PoolId(self.slots.insert(slots));
        self.pool_ids.insert(key, id);
        self.database_mut(database).quota.pools.push(id);
        self.user_mut(user).quota.pools.push(id);
        self.schedule_all(id, out);
        self.grow(id, now, out);
        Some(id)
    }

    /// The pool of a key, if there is one.
    pub fn find_pool(&self, key: &PoolKey) -> Option<PoolId> {
        self.pool_ids.get(key).copied()
    }

    /// The database of a name, if there is one.
    pub fn find_database(&self, name: &str) -> Option<DatabaseId> {
        self.database_ids.get(name).copied()
    }

    /// What a pool is for; `None` once it has been removed.
    pub fn key(&self, pool: PoolId) -> Option<&PoolKey> {
        Some(&self.slots.get(pool.0)?.key)
    }

    /// The database that a pool belongs to; `None` once the pool has been removed.
    pub fn database_of(&self, pool: PoolId) -> Option<DatabaseId> {
        Some(self.slots.get(pool.0)?.database)
    }

    fn add_user(&mut self, name: &Arc<str>, limits: UserLimits) -> UserId {
        if let Some(id) = self.user_ids.get(name) {
            return *id;
        }
        let id = UserId(self.users.insert(User {
            name: Arc::clone(name),
            quota: Quota {
                max: limits.max_user_connections,
                ..Quota::default()
            },
        }));
        self.user_ids.insert(Arc::clone(name), id);
        id
    }

    fn running(&self, database: DatabaseId) -> Option<&Database> {
        let found = self.databases.get(database.0)?;
        (found.state != DatabaseState::Removed).then_some(found)
    }

    fn gate(&self, slots: &Slots<C, W>) -> Gate {
        self.gate_of(self.database(slots.database))
    }

    fn gate_of(&self, database: &Database) -> Gate {
        match database.state {
            DatabaseState::Removed => Gate::Removed,
            DatabaseState::Paused if self.mode == Gate::Open => Gate::Paused,
            DatabaseState::Paused | DatabaseState::Running => self.mode,
        }
    }

    /// What a closed gate does to a connection that comes back.
    fn closed_gate(gate: Gate) -> Option<Why> {
        match gate {
            Gate::Open => None,
            Gate::Paused | Gate::Stopping => Some(Why::Paused),
            Gate::Removed => Some(Why::DatabaseRemoved),
        }
    }

    fn database(&self, id: DatabaseId) -> &Database {
        let found = self.databases.get(id.0);
        found.expect("a database outlives its pools")
    }

    fn database_mut(&mut self, id: DatabaseId) -> &mut Database {
        let found = self.databases.get_mut(id.0);
        found.expect("a database outlives its pools")
    }

    fn user(&self, id: UserId) -> &User {
        let found = self.users.get(id.0);
        found.expect("a user outlives its pools")
    }

    fn user_mut(&mut self, id: UserId) -> &mut User {
        let found = self.users.get_mut(id.0);
        found.expect("a user outlives its pools")
    }
}
