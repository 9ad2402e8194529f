//! Sans-IO. The settings that the pool obeys, with inheritance already resolved.
//!
//! Not here: which of user, database and `[pgbouncer]` section wins (`config`). `None` means "off"
//! wherever `PgBouncer` writes 0 for it.

use std::time::Duration;

/// Which idle connection is taken first (`server_round_robin`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The one used last: few connections stay busy, the others reach their idle timeout.
    Lifo,
    /// The one idle longest: all are used alike.
    Fifo,
}

/// Who keeps a pool at its `min_pool_size`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepMinimum {
    /// Only while a client of this pool is connected.
    WithClients,
    /// Always: the database has a forced user.
    Always,
}

/// Settings of one pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// Server connections at most (`pool_size`, `default_pool_size`).
    pub pool_size: u32,
    /// Server connections kept open, capped by `pool_size` (`min_pool_size`).
    pub min_pool_size: u32,
    /// When `min_pool_size` holds.
    pub keep_minimum: KeepMinimum,
    /// Connections on top of `pool_size` for waiters that are old (`reserve_pool_size`).
    pub reserve_pool_size: u32,
    /// Age at which a waiter may use the reserve (`reserve_pool_timeout`).
    pub reserve_pool_timeout: Duration,
    /// Logins to the server under way at once; at least 1 is taken. `PgBouncer` has 1.
    pub connect_parallelism: u32,
    /// Idle time after which a connection is closed (`server_idle_timeout`).
    pub server_idle_timeout: Option<Duration>,
    /// Age after which a connection is not used again; zero: single use (`server_lifetime`).
    pub server_lifetime: Duration,
    /// Pause after a failed connect or login (`server_login_retry`).
    pub server_login_retry: Duration,
    /// Idle time after which a connection is checked before use; `None` when no check is
    /// configured (`server_check_delay`, `server_check_query`).
    pub server_check_delay: Option<Duration>,
    /// `server_round_robin`.
    pub order: Order,
    /// Age at which a waiter is told that it waits (`query_wait_notify`).
    pub query_wait_notify: Option<Duration>,
    /// Time after which an empty pool is removed (`pool_idle_timeout`).
    pub pool_idle_timeout: Option<Duration>,
}

impl Default for PoolLimits {
    /// `PgBouncer`'s defaults.
    fn default() -> Self {
        Self {
            pool_size: 20,
            min_pool_size: 0,
            keep_minimum: KeepMinimum::WithClients,
            reserve_pool_size: 0,
            reserve_pool_timeout: Duration::from_secs(5),
            connect_parallelism: 1,
            server_idle_timeout: Some(Duration::from_secs(600)),
            server_lifetime: Duration::from_secs(3600),
            server_login_retry: Duration::from_secs(15),
            server_check_delay: Some(Duration::from_secs(30)),
            order: Order::Lifo,
            query_wait_notify: Some(Duration::from_secs(5)),
            pool_idle_timeout: None,
        }
    }
}

impl PoolLimits {
    /// Connections at most with the reserve in use.
    pub fn ceiling(&self) -> usize {
        (self.pool_size as usize).saturating_add(self.reserve_pool_size as usize)
    }

    /// `min_pool_size`, never above `pool_size`.
    pub fn floor(&self) -> usize {
        self.min_pool_size.min(self.pool_size) as usize
    }

    /// Time between two closes for age, so that a pool opened at once is not closed at once.
    pub fn lifetime_gap(&self) -> Duration {
        self.server_lifetime
            .checked_div(self.pool_size)
            .unwrap_or(Duration::ZERO)
    }
}

/// Settings of one database entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DatabaseLimits {
    /// Server connections of all its pools together (`max_db_connections`).
    pub max_db_connections: Option<u32>,
    /// Idle time after which the database is dropped; only for databases made by the `*` entry
    /// (`autodb_idle_timeout`).
    pub autodb_idle_timeout: Option<Duration>,
}

/// Settings of one server user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UserLimits {
    /// Server connections of all its pools together (`max_user_connections`).
    pub max_user_connections: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_never_exceeds_the_pool_size() {
        let limits = PoolLimits {
            pool_size: 3,
            min_pool_size: 5,
            ..PoolLimits::default()
        };
        assert_eq!(limits.floor(), 3);
    }

    #[test]
    fn lifetime_gaps_spread_a_whole_pool_over_one_lifetime() {
        let limits = PoolLimits::default();
        assert_eq!(limits.lifetime_gap(), Duration::from_secs(180));
        let none = PoolLimits {
            pool_size: 0,
            ..limits
        };
        assert_eq!(none.lifetime_gap(), Duration::ZERO);
    }
}
