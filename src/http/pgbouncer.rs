//! Sans-IO. The metrics of `pgbouncer_exporter`, from the rows that the console shows.
//!
//! Names and labels are its own, since dashboards and alerts ask for them; the statistics stand there
//! under both prefixes that it has had.

use std::collections::BTreeMap;

use super::exposition::{Exposition, Label, Number, Type};
use super::pools::Gone;
use super::seats::{AllSeats, OTHER};
use super::source::{ClientKind, Limits};
use crate::admin::rows::{Counters, DatabaseRow, Lists, PoolRow, StatsRow};
use crate::version;

/// What the console shows at one moment.
#[derive(Debug, Default)]
pub struct Shown {
    /// `SHOW DATABASES`
    pub databases: Vec<DatabaseRow>,
    /// `SHOW POOLS`
    pub pools: Vec<PoolRow>,
    /// `SHOW STATS`
    pub stats: Vec<StatsRow>,
    /// `SHOW LISTS`
    pub lists: Lists,
    /// What it shows of `SHOW CONFIG`.
    pub limits: Limits,
    /// What it shows of `SHOW CLIENTS`.
    pub clients: Vec<ClientKind>,
}

/// A metric of rows: the end of its name, what it means, its value in a row.
type Metric<R> = (&'static str, &'static str, fn(&R) -> u64);

/// Prefixes of the statistics: the older one, which most dashboards have, and the newer one.
const STATS_PREFIXES: [&str; 2] = ["pgbouncer_stats", "pgbouncer_stats_totals"];

/// Counters of a database that are whole numbers.
const COUNTS: &[Metric<Counters>] = &[
    ("queries_pooled_total", "Queries", |row| row.queries),
    (
        "received_bytes_total",
        "Bytes received from clients",
        |row| row.received_bytes,
    ),
    ("sent_bytes_total", "Bytes sent to clients", |row| {
        row.sent_bytes
    }),
    ("sql_transactions_pooled_total", "Transactions", |row| {
        row.transactions
    }),
    (
        "client_parses_total",
        "Prepared statements that clients made",
        |row| row.client_parses,
    ),
    (
        "server_parses_total",
        "Prepared statements made on servers",
        |row| row.server_parses,
    ),
    ("binds_total", "Prepared statements bound", |row| row.binds),
    (
        "server_assignments_total",
        "Times that a client was given a server connection",
        |row| row.server_assignments,
    ),
];

/// Counters of a database that are times, in microseconds.
const TIMES: &[Metric<Counters>] = &[
    (
        "queries_duration_seconds_total",
        "Time that servers spent on queries",
        |row| row.query_us,
    ),
    (
        "client_wait_seconds_total",
        "Time that clients waited for a server",
        |row| row.wait_us,
    ),
    (
        "server_in_transaction_seconds_total",
        "Time that clients spent in transactions",
        |row| row.transaction_us,
    ),
];

const DATABASES: &[Metric<DatabaseRow>] = &[
    ("pool_size", "Most server connections of a pool", |row| {
        row.pool_size.into()
    }),
    (
        "reserve_pool",
        "Server connections of a pool beyond its size",
        |row| row.reserve_pool_size.into(),
    ),
    (
        "max_connections",
        "Most server connections of the database, 0 is no limit",
        |row| row.max_connections.into(),
    ),
    ("current_connections", "Server connections", |row| {
        row.current_connections.into()
    }),
    ("paused", "Whether the database is paused", |row| {
        row.is_paused.into()
    }),
    ("disabled", "Whether the database is disabled", |row| {
        row.is_disabled.into()
    }),
];

const POOLS: &[Metric<PoolRow>] = &[
    (
        "client_active_connections",
        "Clients that have a server connection or are idle",
        |row| row.clients.active.into(),
    ),
    (
        "client_active_cancel_connections",
        "Cancel requests sent to a server",
        |row| row.clients.active_cancel_requests.into(),
    ),
    (
        "client_waiting_connections",
        "Clients that wait for a server connection",
        |row| row.clients.waiting.into(),
    ),
    (
        "client_waiting_cancel_connections",
        "Cancel requests that wait for a connection",
        |row| row.clients.waiting_cancel_requests.into(),
    ),
    (
        "server_active_connections",
        "Servers linked to a client",
        |row| row.servers.active.into(),
    ),
    (
        "server_active_cancel_connections",
        "Server connections that carry a cancel request",
        |row| row.servers.active_cancel.into(),
    ),
    (
        "server_being_canceled_connections",
        "Servers that wait for the end of cancel requests",
        |row| row.servers.being_canceled.into(),
    ),
    ("server_idle_connections", "Servers that are idle", |row| {
        row.servers.idle.into()
    }),
    (
        "server_used_connections",
        "Servers idle for longer than server_check_delay",
        |row| row.servers.used.into(),
    ),
    (
        "server_testing_connections",
        "Servers that run a reset or check query",
        |row| row.servers.tested.into(),
    ),
    ("server_login_connections", "Servers that log in", |row| {
        row.servers.login.into()
    }),
];

/// Rows of `SHOW LISTS` that are metrics.
const LISTS: &[(&str, &str, &str)] = &[
    ("databases", "pgbouncer_databases", "Databases"),
    ("users", "pgbouncer_users", "Users"),
    ("pools", "pgbouncer_pools", "Pools"),
    (
        "free_clients",
        "pgbouncer_free_clients",
        "Free client slots",
    ),
    ("used_clients", "pgbouncer_used_clients", "Clients"),
    (
        "login_clients",
        "pgbouncer_login_clients",
        "Clients that log in",
    ),
    (
        "free_servers",
        "pgbouncer_free_servers",
        "Free server slots",
    ),
    (
        "used_servers",
        "pgbouncer_used_servers",
        "Server connections",
    ),
    (
        "dns_names",
        "pgbouncer_cached_dns_names",
        "Host names whose address is kept",
    ),
    (
        "dns_zones",
        "pgbouncer_cached_dns_zones",
        "DNS zones that are watched",
    ),
    (
        "dns_queries",
        "pgbouncer_in_flight_dns_queries",
        "Look-ups under way",
    ),
];

/// Writes all of them. At most `most` databases, pools and kinds of clients have names.
pub fn write(
    out: &mut Exposition,
    (shown, gone): (&Shown, &Gone),
    seats: &mut AllSeats,
    most: usize,
) {
    out.single(
        "pgbouncer_up",
        Type::Gauge,
        "Whether the pooler answers",
        1_u64,
    );
    let version = format!("PgBouncer {}", version::COMPATIBLE_WITH);
    out.family(
        "pgbouncer_version_info",
        Type::Gauge,
        "Whose behaviour the pooler follows",
    )
    .sample(&[("version", &version)], 1_u64);
    databases(out, &shown.databases, seats, most);
    stats(out, (&shown.stats, gone), seats, most);
    pools(out, &shown.pools, seats, most);
    lists(out, &shown.lists);
    limits(out, shown.limits);
    clients(out, &shown.clients, seats, most);
}

fn databases(out: &mut Exposition, rows: &[DatabaseRow], seats: &mut AllSeats, most: usize) {
    let named: Vec<_> = rows
        .iter()
        .map(|row| (row, seats.databases.place([&row.name], most) != [OTHER]))
        .collect();
    for (name, help, value) in DATABASES {
        let name = format!("pgbouncer_databases_{name}");
        let mut family = out.family(&name, Type::Gauge, help);
        for (row, _) in named.iter().filter(|(_, is_named)| *is_named) {
            let port = row.port.to_string();
            let labels: [Label<'_>; 6] = [
                ("name", &row.name),
                ("host", row.host.as_deref().unwrap_or_default()),
                ("port", &port),
                ("database", &row.database),
                ("force_user", row.force_user.as_deref().unwrap_or_default()),
                ("pool_mode", row.pool_mode.unwrap_or_default()),
            ];
            family.sample(&labels, value(row));
        }
        let rest = || named.iter().filter(|(_, is_named)| !is_named);
        if rest().next().is_some() {
            let sum: u64 = rest().map(|(row, _)| value(row)).sum();
            let rest =
                ["host", "port", "database", "force_user", "pool_mode"].map(|name| (name, ""));
            let [host, port, database, user, mode] = rest;
            family.sample(&[("name", OTHER), host, port, database, user, mode], sum);
        }
    }
}

fn stats(
    out: &mut Exposition,
    (rows, gone): (&[StatsRow], &Gone),
    seats: &mut AllSeats,
    most: usize,
) {
    let mut by_name: BTreeMap<&str, Vec<&Counters>> = BTreeMap::new();
    for row in rows {
        let [name] = seats.databases.place([&row.database], most);
        by_name.entry(name).or_default().push(&row.stats.total);
    }
    if let Some(gone) = gone.databases() {
        by_name.entry(OTHER).or_default().push(gone);
    }
    let counts = COUNTS
        .iter()
        .map(|metric| (metric, Number::Whole as fn(u64) -> Number));
    let times = TIMES
        .iter()
        .map(|metric| (metric, Number::Micros as fn(u64) -> Number));
    let metrics: Vec<_> = counts.chain(times).collect();
    for prefix in STATS_PREFIXES {
        for ((name, help, value), number) in &metrics {
            let name = format!("{prefix}_{name}");
            let mut family = out.family(&name, Type::Counter, help);
            for (database, totals) in &by_name {
                let sum = totals.iter().map(|totals| value(totals)).sum();
                family.sample(&[("database", database)], number(sum));
            }
        }
    }
}

fn pools(out: &mut Exposition, rows: &[PoolRow], seats: &mut AllSeats, most: usize) {
    let mut by_names: BTreeMap<[&str; 2], Vec<&PoolRow>> = BTreeMap::new();
    for row in rows {
        let names = seats.pools.place([&row.database, &row.user], most);
        by_names.entry(names).or_default().push(row);
    }
    for (name, help, value) in POOLS {
        let name = format!("pgbouncer_pools_{name}");
        let mut family = out.family(&name, Type::Gauge, help);
        for ([database, user], rows) in &by_names {
            let sum: u64 = rows.iter().map(|row| value(row)).sum();
            family.sample(&[("database", database), ("user", user)], sum);
        }
    }
    let name = "pgbouncer_pools_client_maxwait_seconds";
    let help = "How long the first waiting client has waited, in whole seconds";
    let mut family = out.family(name, Type::Gauge, help);
    for ([database, user], rows) in &by_names {
        let longest = rows.iter().map(|row| row.maxwait.as_secs()).max();
        let labels = [("database", *database), ("user", *user)];
        family.sample(&labels, longest.unwrap_or(0));
    }
}

fn lists(out: &mut Exposition, lists: &Lists) {
    let rows = lists.rows();
    for (list, name, help) in LISTS {
        if let Some((_, items)) = rows.iter().find(|(known, _)| known == list) {
            out.single(name, Type::Gauge, help, *items);
        }
    }
}

fn limits(out: &mut Exposition, limits: Limits) {
    out.single(
        "pgbouncer_config_max_client_connections",
        Type::Gauge,
        "Most clients, as configured",
        limits.clients,
    );
    out.single(
        "pgbouncer_config_max_user_connections",
        Type::Gauge,
        "Most server connections of a user, as configured; 0 is no limit",
        limits.user_connections,
    );
}

fn clients(out: &mut Exposition, kinds: &[ClientKind], seats: &mut AllSeats, most: usize) {
    let mut counts: BTreeMap<([&str; 3], &str), u64> = BTreeMap::new();
    for kind in kinds {
        let names = [&*kind.database, &*kind.user, &*kind.application_name];
        let names = seats.clients.place(names, most);
        *counts.entry((names, kind.state)).or_default() += kind.count;
    }
    let help = "Clients by what they do and who they are";
    let mut family = out.family("pgbouncer_client_connections", Type::Gauge, help);
    for (([database, user, application], state), count) in counts {
        let labels = [
            ("database", database),
            ("user", user),
            ("application_name", application),
            ("state", state),
        ];
        family.sample(&labels, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::rows::{ClientCounts, ServerCounts, Stats};
    use std::time::Duration;

    fn shown(databases: &[&str]) -> Shown {
        let pool = |database: &&str| PoolRow {
            database: (*database).to_owned(),
            user: "u".to_owned(),
            clients: ClientCounts {
                waiting: 2,
                ..ClientCounts::default()
            },
            servers: ServerCounts::default(),
            maxwait: Duration::from_millis(3_900),
            pool_mode: "transaction",
            load_balance_hosts: None,
        };
        let stats = |database: &&str| StatsRow {
            database: (*database).to_owned(),
            stats: Stats {
                total: Counters {
                    queries: 5,
                    wait_us: 1_500_000,
                    ..Counters::default()
                },
                average: Counters::default(),
            },
        };
        Shown {
            databases: Vec::new(),
            pools: databases.iter().map(pool).collect(),
            stats: databases.iter().map(stats).collect(),
            lists: Lists::default(),
            limits: Limits::default(),
            clients: Vec::new(),
        }
    }

    fn text(shown: &Shown, most: usize) -> String {
        let mut out = Exposition::default();
        let shown = (shown, &Gone::default());
        write(&mut out, shown, &mut AllSeats::default(), most);
        out.finish()
    }

    #[test]
    fn statistics_stand_under_both_prefixes_and_times_are_seconds() {
        let text = text(&shown(&["a"]), 9);
        for line in [
            "pgbouncer_stats_queries_pooled_total{database=\"a\"} 5",
            "pgbouncer_stats_totals_queries_pooled_total{database=\"a\"} 5",
            "pgbouncer_stats_client_wait_seconds_total{database=\"a\"} 1.5",
            "pgbouncer_stats_totals_client_wait_seconds_total{database=\"a\"} 1.5",
            "pgbouncer_pools_client_maxwait_seconds{database=\"a\",user=\"u\"} 3",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line}\n{text}");
        }
    }

    #[test]
    fn what_has_no_name_is_summed_as_other_and_waits_are_not_summed() {
        let text = text(&shown(&["a", "b", "c"]), 1);
        for line in [
            "pgbouncer_stats_queries_pooled_total{database=\"a\"} 5",
            "pgbouncer_stats_queries_pooled_total{database=\"other\"} 10",
            "pgbouncer_pools_client_waiting_connections{database=\"other\",user=\"other\"} 4",
            "pgbouncer_pools_client_maxwait_seconds{database=\"other\",user=\"other\"} 3",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line}\n{text}");
        }
        assert!(!text.contains("\"b\""), "{text}");
    }
}
