//! Sans-IO. The configuration as the program reads it, and which of several values counts.
//!
//! Precedence, as in `PgBouncer`: user, then database, then the setting. "User" is the pool's user
//! (the forced one if there is one) for sizes, modes and limits of pools and the server's times,
//! and the user who logged in for what concerns the client: the caller knows which to pass.

use std::collections::BTreeMap;
use std::time::Duration;

use super::choice::PoolMode;
use super::diagnostic::Origin;
use super::model::{CONSOLE_DATABASES, DatabaseSpec, PeerSpec, UserSpec};
use super::replicas::ReplicaSpec;
use super::settings::Settings;

/// A setting's text and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assigned {
    pub(super) raw: String,
    pub(super) origin: Origin,
}

/// Where everything was set. Opaque: for `SHOW CONFIG`, reports and reloads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources {
    pub(super) settings: BTreeMap<&'static str, Assigned>,
    pub(super) databases: BTreeMap<String, Origin>,
    pub(super) users: BTreeMap<String, Origin>,
    pub(super) peers: BTreeMap<u16, Origin>,
}

/// The whole configuration, checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// The settings of `[pgbouncer]`.
    pub settings: Settings,
    /// The named entries of `[databases]`.
    pub databases: BTreeMap<String, DatabaseSpec>,
    /// The `*` entry: stands for every database that is not named.
    pub autodb: Option<DatabaseSpec>,
    /// The entries of `[users]`.
    pub users: BTreeMap<String, UserSpec>,
    /// The entries of `[peers]`, by their number.
    pub peers: BTreeMap<u16, PeerSpec>,
    /// Where everything was set.
    pub sources: Sources,
    /// Replicas that were found in place of those that the file names, by entry.
    pub found: BTreeMap<String, Vec<ReplicaSpec>>,
}

/// Whether a database has an entry of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// It has.
    Named,
    /// It comes from the `*` entry.
    Auto,
}

/// A database that a client may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved<'a> {
    /// Its entry.
    pub spec: &'a DatabaseSpec,
    /// Its name on the server.
    pub dbname: &'a str,
    /// Whether the entry is its own.
    pub registration: Registration,
}

impl Config {
    /// The database of that name; `None` when there is none, and for the admin console.
    pub fn database<'a>(&'a self, name: &'a str) -> Option<Resolved<'a>> {
        if CONSOLE_DATABASES.contains(&name) {
            return None;
        }
        let (spec, registration) = match self.databases.get(name) {
            Some(spec) => (spec, Registration::Named),
            None => (self.autodb.as_ref()?, Registration::Auto),
        };
        let dbname = spec.dbname.as_deref().unwrap_or(name);
        Some(Resolved {
            spec,
            dbname,
            registration,
        })
    }

    /// The user who owns the pool: the forced one of the database, else the one who logged in.
    pub fn pool_user<'a>(&self, database: &'a DatabaseSpec, login: &'a str) -> &'a str {
        database.user.as_deref().unwrap_or(login)
    }

    fn of_user<T>(&self, user: &str, value: impl FnOnce(&UserSpec) -> Option<T>) -> Option<T> {
        self.users.get(user).and_then(value)
    }

    /// Most server connections of the pool.
    pub fn pool_size(&self, database: &DatabaseSpec, user: &str) -> usize {
        let own = self
            .of_user(user, |spec| spec.pool_size)
            .or(database.pool_size);
        own.unwrap_or(self.settings.default_pool_size)
    }

    /// Server connections the pool may have beyond its size.
    pub fn reserve_pool_size(&self, database: &DatabaseSpec, user: &str) -> usize {
        let own = self.of_user(user, |spec| spec.reserve_pool_size);
        let own = own.or(database.reserve_pool_size);
        own.unwrap_or(self.settings.reserve_pool_size)
    }

    /// Server connections that pools of the database keep open.
    pub fn min_pool_size(&self, database: &DatabaseSpec) -> usize {
        database
            .min_pool_size
            .unwrap_or(self.settings.min_pool_size)
    }

    /// When server connections of the pool go back.
    pub fn pool_mode(&self, database: &DatabaseSpec, user: &str) -> PoolMode {
        let own = self
            .of_user(user, |spec| spec.pool_mode)
            .or(database.pool_mode);
        own.unwrap_or(self.settings.pool_mode)
    }

    /// Longest wait for a server; `None` is no limit. `user` is the one who logged in.
    pub fn query_wait_timeout(&self, database: &DatabaseSpec, user: &str) -> Option<Duration> {
        let own = self.of_user(user, |spec| spec.query_wait_timeout);
        match own.or(database.query_wait_timeout) {
            Some(time) => (!time.is_zero()).then_some(time),
            None => self.settings.query_wait_timeout,
        }
    }

    /// Age at which a server connection is closed; zero is after one use.
    pub fn server_lifetime(&self, database: &DatabaseSpec) -> Duration {
        database
            .server_lifetime
            .unwrap_or(self.settings.server_lifetime)
    }

    /// Most server connections of the database; `None` is no limit.
    pub fn max_db_connections(&self, database: &DatabaseSpec) -> Option<usize> {
        database
            .max_db_connections
            .or(self.settings.max_db_connections)
    }

    /// Most client connections of the database; `None` is no limit.
    pub fn max_db_client_connections(&self, database: &DatabaseSpec) -> Option<usize> {
        let own = database.max_db_client_connections;
        own.or(self.settings.max_db_client_connections)
    }

    /// Most server connections of the user; `None` is no limit.
    pub fn max_user_connections(&self, user: &str) -> Option<usize> {
        let own = self.of_user(user, |spec| spec.max_user_connections);
        own.or(self.settings.max_user_connections)
    }

    /// Most client connections of the user; `None` is no limit.
    pub fn max_user_client_connections(&self, user: &str) -> Option<usize> {
        let own = self.of_user(user, |spec| spec.max_user_client_connections);
        own.or(self.settings.max_user_client_connections)
    }

    /// Longest query; `None` is no limit.
    pub fn query_timeout(&self, user: &str) -> Option<Duration> {
        let own = self.of_user(user, |spec| spec.query_timeout);
        own.or(self.settings.query_timeout)
    }

    /// Longest idling inside a transaction; `None` is no limit.
    pub fn idle_transaction_timeout(&self, user: &str) -> Option<Duration> {
        let own = self.of_user(user, |spec| spec.idle_transaction_timeout);
        own.or(self.settings.idle_transaction_timeout)
    }

    /// Longest transaction; `None` is no limit.
    pub fn transaction_timeout(&self, user: &str) -> Option<Duration> {
        let own = self.of_user(user, |spec| spec.transaction_timeout);
        own.or(self.settings.transaction_timeout)
    }

    /// Longest silence of a client; `None` is no limit.
    pub fn client_idle_timeout(&self, user: &str) -> Option<Duration> {
        let own = self.of_user(user, |spec| spec.client_idle_timeout);
        own.or(self.settings.client_idle_timeout)
    }

    /// User who runs `auth_query` for clients of the database.
    pub fn auth_user<'a>(&'a self, database: &'a DatabaseSpec) -> Option<&'a str> {
        database
            .auth_user
            .as_deref()
            .or(self.settings.auth_user.as_deref())
    }

    /// The query that fetches passwords for clients of the database.
    pub fn auth_query<'a>(&'a self, database: &'a DatabaseSpec) -> &'a str {
        database
            .auth_query
            .as_deref()
            .unwrap_or(&self.settings.auth_query)
    }

    /// The entry on which that query runs; `None` is the database itself.
    pub fn auth_dbname<'a>(&'a self, database: &'a DatabaseSpec) -> Option<&'a str> {
        database
            .auth_dbname
            .as_deref()
            .or(self.settings.auth_dbname.as_deref())
    }
}

#[cfg(test)]
mod tests;
