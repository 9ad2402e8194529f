//! Sans-IO. The configuration in the words of the pool.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::config::{CheckQuery, Config, DatabaseSpec, Registration, Resolved};
use crate::pool::{DatabaseLimits, KeepMinimum, Order, PoolLimits, UserLimits};

/// Longer than any process runs, and short enough to be added to a clock.
const NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

fn count(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Limits of the pool of `user` in this database.
pub fn of_pool(config: &Config, database: &DatabaseSpec, user: &str) -> PoolLimits {
    let settings = &config.settings;
    let forced = database.user.is_some();
    PoolLimits {
        pool_size: count(config.pool_size(database, user)),
        min_pool_size: count(config.min_pool_size(database)),
        keep_minimum: if forced {
            KeepMinimum::Always
        } else {
            KeepMinimum::WithClients
        },
        reserve_pool_size: count(config.reserve_pool_size(database, user)),
        reserve_pool_timeout: settings.reserve_pool_timeout.unwrap_or(NEVER),
        connect_parallelism: count(settings.pool_connect_parallelism),
        server_idle_timeout: settings.server_idle_timeout,
        server_lifetime: config.server_lifetime(database),
        server_login_retry: settings.server_login_retry,
        server_check_delay: match settings.server_check_query {
            CheckQuery::Off => None,
            CheckQuery::Empty | CheckQuery::Sql(_) => Some(settings.server_check_delay),
        },
        order: if settings.server_round_robin {
            Order::Fifo
        } else {
            Order::Lifo
        },
        query_wait_notify: settings.query_wait_notify,
        pool_idle_timeout: settings.pool_idle_timeout,
    }
}

/// Limits of a database.
pub fn of_database(config: &Config, database: &Resolved<'_>) -> DatabaseLimits {
    DatabaseLimits {
        max_db_connections: config.max_db_connections(database.spec).map(count),
        autodb_idle_timeout: match database.registration {
            Registration::Auto => config.settings.autodb_idle_timeout,
            Registration::Named => None,
        },
    }
}

/// Limits of a server user.
pub fn of_user(config: &Config, user: &str) -> UserLimits {
    UserLimits {
        max_user_connections: config.max_user_connections(user).map(count),
    }
}

/// `scram_iterations`, which the settings table keeps above zero.
pub fn scram_iterations(config: &Config) -> NonZeroU32 {
    NonZeroU32::new(config.settings.scram_iterations).unwrap_or(NonZeroU32::MIN)
}
