//! Sans-IO. What names a pool, and the small copies of those names.

use std::fmt;
use std::sync::Arc;

use super::slab::Key;

/// What a pool is for: one database entry and one server user (`PgBouncer`: a forced user makes
/// one pool for its database).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolKey {
    /// Name in the `[databases]` section, not the name on the server.
    pub database: Arc<str>,
    /// The user that logs in to the server.
    pub user: Arc<str>,
}

impl PoolKey {
    /// A key from plain names.
    pub fn new(database: &str, user: &str) -> Self {
        Self {
            database: database.into(),
            user: user.into(),
        }
    }
}

impl fmt::Display for PoolKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.database, self.user)
    }
}

/// A pool. Finds nothing once the pool has been removed, even if its key is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolId(pub(super) Key);

/// A database entry: the pools of all its users share `max_db_connections`, PAUSE and KILL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DatabaseId(pub(super) Key);

/// A server user: its pools in all databases share `max_user_connections`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(pub(super) Key);

/// A live server connection as the pool knows it, lent or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId {
    /// The pool it belongs to.
    pub pool: PoolId,
    pub(super) key: Key,
}

/// One wait in a pool's queue. Each wait has its own, so an old one never takes out a new wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WaiterId {
    /// The pool whose queue it is.
    pub pool: PoolId,
    pub(super) key: Key,
}

/// A worker thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u16);

/// Which databases a command of the console is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All of them.
    All,
    /// One.
    Database(DatabaseId),
}
