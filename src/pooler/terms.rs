//! Sans-IO. What the configuration says to one client, looked up once for each new configuration.

use std::time::Duration;

use crate::config::{
    CheckQuery, Config, DatabaseSpec, ErrorCodes as Configured, FenceScope, PoolMode, Resolved,
    Role, RouteMode, Settings,
};
use crate::session::calls::{CallTerms, Counting};
use crate::session::client_login::ErrorCodes;
use crate::session::client_state::{SimpleQuery, Tracking};

/// Limits on how long things may take; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Timeouts {
    /// `query_timeout`.
    pub query: Option<Duration>,
    /// `idle_transaction_timeout`.
    pub idle_transaction: Option<Duration>,
    /// `transaction_timeout`.
    pub transaction: Option<Duration>,
    /// `client_idle_timeout`.
    pub client_idle: Option<Duration>,
}

/// How the statements of one client find their server, where there is more than one to choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RouteTerms {
    /// `route_mode`; never [`RouteMode::Off`].
    pub mode: RouteMode,
    /// `fence_scope`
    pub scope: FenceScope,
    /// `fence_wait`; zero: reads do not wait for replicas.
    pub fence_wait: Duration,
    /// `fence_interval`
    pub fence_interval: Duration,
    /// `role` of the database entry.
    pub role: Role,
}

impl RouteTerms {
    /// The terms for clients of an entry in a pool of that mode; `None` where all goes to the
    /// primary.
    pub fn of(config: &Config, database: &DatabaseSpec, mode: PoolMode) -> Option<Self> {
        let settings = &config.settings;
        // A client of a session pool has one server for all its life.
        let routable = mode != PoolMode::Session || database.role != Role::Auto;
        let routed = settings.route_mode != RouteMode::Off && routable;
        (routed && !database.replicas.is_empty()).then_some(Self {
            mode: settings.route_mode,
            scope: settings.fence_scope,
            fence_wait: settings.fence_wait,
            fence_interval: settings.fence_interval,
            role: database.role,
        })
    }
}

/// The terms of one client's service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Terms {
    /// Which configuration they come from.
    pub generation: u64,
    /// `pool_mode`
    pub mode: PoolMode,
    /// `query_wait_timeout`
    pub wait: Option<Duration>,
    /// The other timeouts.
    pub timeouts: Timeouts,
    /// `server_reset_query` where one is run when a connection comes back.
    pub reset: Option<String>,
    /// `server_check_query`, empty for `<empty>`.
    pub check: String,
    /// `max_prepared_statements`, where names are followed.
    pub tracking: Tracking,
    /// `disable_pqexec`
    pub simple_query: SimpleQuery,
    /// `error_codes`
    pub codes: ErrorCodes,
    /// Longest time for a check or a reset query (`server_connect_timeout`).
    pub errand: Duration,
    /// Where its statements may go; `None`: to the primary.
    pub route: Option<RouteTerms>,
    /// What is to be done with its calls; `None`: nothing.
    pub calls: Option<CallTerms>,
}

/// `query_stats`, `query_stats_max` and `log_min_duration` in the words of the session.
fn calls(settings: &Settings) -> Option<CallTerms> {
    let milliseconds = u64::try_from(settings.log_min_duration).ok();
    let terms = CallTerms {
        counting: if settings.query_stats {
            Counting::On
        } else {
            Counting::Off
        },
        most: settings.query_stats_max,
        slow_us: milliseconds.map(|milliseconds| milliseconds * 1000),
    };
    (settings.query_stats || terms.slow_us.is_some()).then_some(terms)
}

/// Where `server_connect_timeout` is off, an errand has this long.
const ERRAND: Duration = Duration::from_secs(15);

/// `error_codes` in the words of the session.
pub fn codes(config: &Config) -> ErrorCodes {
    match config.settings.error_codes {
        Configured::Pgbouncer => ErrorCodes::PgBouncer,
        Configured::Postgres => ErrorCodes::Postgres,
    }
}

impl Terms {
    /// The terms for `login`, whose pool belongs to `pool_user`.
    pub fn of(
        config: &Config,
        generation: u64,
        database: &Resolved<'_>,
        (login, pool_user): (&str, &str),
    ) -> Self {
        let settings = &config.settings;
        let mode = config.pool_mode(database.spec, pool_user);
        let resets = mode == PoolMode::Session || settings.server_reset_query_always;
        let follows = mode != PoolMode::Session && settings.max_prepared_statements > 0;
        Self {
            generation,
            mode,
            wait: config.query_wait_timeout(database.spec, login),
            timeouts: Timeouts {
                query: config.query_timeout(pool_user),
                idle_transaction: config.idle_transaction_timeout(pool_user),
                transaction: config.transaction_timeout(pool_user),
                client_idle: config.client_idle_timeout(login),
            },
            reset: settings
                .server_reset_query
                .clone()
                .filter(|sql| resets && !sql.is_empty()),
            check: match &settings.server_check_query {
                CheckQuery::Off | CheckQuery::Empty => String::new(),
                CheckQuery::Sql(sql) => sql.clone(),
            },
            tracking: if follows {
                Tracking::On {
                    limit: settings.max_prepared_statements,
                }
            } else {
                Tracking::Off
            },
            simple_query: if settings.disable_pqexec {
                SimpleQuery::Disallowed
            } else {
                SimpleQuery::Allowed
            },
            codes: codes(config),
            errand: settings.server_connect_timeout.unwrap_or(ERRAND),
            route: RouteTerms::of(config, database.spec, mode),
            calls: calls(settings),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    #[test]
    fn only_clients_of_entries_with_replicas_are_routed_and_only_where_they_can_be() {
        let text = "[databases]\na = host=p replicas=r\nb = host=p\n\
            ro = host=p replicas=r role=replica\n[pgbouncer]\nfence_wait=0.5\n";
        let read = |_: &str| Ok(text.as_bytes().to_vec());
        let config = load(&read, "x.ini", &[]).unwrap().config;
        let route = |config: &Config, name: &str, mode| {
            RouteTerms::of(config, config.database(name).unwrap().spec, mode)
        };
        let expected = RouteTerms {
            mode: RouteMode::On,
            scope: FenceScope::Session,
            fence_wait: Duration::from_millis(500),
            fence_interval: Duration::from_millis(10),
            role: Role::Auto,
        };
        let (session, transaction) = (PoolMode::Session, PoolMode::Transaction);
        assert_eq!(route(&config, "a", transaction), Some(expected));
        assert_eq!(route(&config, "a", session), None);
        assert_eq!(route(&config, "a@r:5432", transaction), None);
        assert_eq!(route(&config, "b", transaction), None);
        let role = route(&config, "ro", session).map(|route| route.role);
        assert_eq!(role, Some(Role::Replica));
        let off = config.with_setting("route_mode", "off").unwrap();
        assert_eq!(route(&off, "a", transaction), None);
        assert_eq!(route(&off, "ro", transaction), None);
    }
}
