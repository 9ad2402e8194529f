//! `/metrics` beside the console, and what it counts.

use super::{scrape, start};
use crate::support::{Fixture, Setup, Wire};

/// What the exporter calls the columns of the console, and what they are multiplied by.
const POOLS: &[(&str, &str)] = &[
    ("cl_active", "client_active_connections"),
    ("cl_active_cancel_req", "client_active_cancel_connections"),
    ("cl_waiting", "client_waiting_connections"),
    ("cl_waiting_cancel_req", "client_waiting_cancel_connections"),
    ("sv_active", "server_active_connections"),
    ("sv_active_cancel", "server_active_cancel_connections"),
    ("sv_being_canceled", "server_being_canceled_connections"),
    ("sv_idle", "server_idle_connections"),
    ("sv_used", "server_used_connections"),
    ("sv_tested", "server_testing_connections"),
    ("sv_login", "server_login_connections"),
    ("maxwait", "client_maxwait_seconds"),
];

const STATS: &[(&str, &str, f64)] = &[
    ("query_count", "queries_pooled_total", 1.0),
    ("query_time", "queries_duration_seconds_total", 1e-6),
    ("bytes_received", "received_bytes_total", 1.0),
    ("bytes_sent", "sent_bytes_total", 1.0),
    ("wait_time", "client_wait_seconds_total", 1e-6),
    ("xact_count", "sql_transactions_pooled_total", 1.0),
    ("xact_time", "server_in_transaction_seconds_total", 1e-6),
    ("client_parse_count", "client_parses_total", 1.0),
    ("server_parse_count", "server_parses_total", 1.0),
    ("bind_count", "binds_total", 1.0),
    ("server_assignment_count", "server_assignments_total", 1.0),
];

const DATABASES: &[(&str, &str)] = &[
    ("pool_size", "pool_size"),
    ("reserve_pool_size", "reserve_pool"),
    ("max_connections", "max_connections"),
    ("current_connections", "current_connections"),
    ("paused", "paused"),
    ("disabled", "disabled"),
];

const LISTS: &[(&str, &str)] = &[
    ("databases", "pgbouncer_databases"),
    ("users", "pgbouncer_users"),
    ("pools", "pgbouncer_pools"),
    ("free_clients", "pgbouncer_free_clients"),
    ("used_clients", "pgbouncer_used_clients"),
    ("login_clients", "pgbouncer_login_clients"),
    ("free_servers", "pgbouncer_free_servers"),
    ("used_servers", "pgbouncer_used_servers"),
    ("dns_names", "pgbouncer_cached_dns_names"),
    ("dns_zones", "pgbouncer_cached_dns_zones"),
    ("dns_queries", "pgbouncer_in_flight_dns_queries"),
];

const CONFIG: &[(&str, &str)] = &[
    ("max_client_conn", "pgbouncer_config_max_client_connections"),
    (
        "max_user_connections",
        "pgbouncer_config_max_user_connections",
    ),
];

/// A row of a console table: names and values.
type Row = Vec<(String, String)>;

fn table(console: &mut Wire, name: &str) -> Vec<Row> {
    let answer = console.query(&format!("show {name}"));
    let names = answer.names();
    let rows = answer.rows().into_iter();
    rows.map(|row| names.iter().cloned().zip(row).collect())
        .collect()
}

/// A value of a row, NULL as nothing.
fn cell(row: &Row, name: &str) -> String {
    let found = row.iter().find(|(known, _)| known == name);
    let value = found.map(|(_, value)| value.clone());
    value.filter(|value| value != "NULL").unwrap_or_default()
}

/// A series, the value that the console shows, and what that is multiplied by.
type Expected = (String, String, f64);

fn from_pools(rows: &[Row], expected: &mut Vec<Expected>) {
    for row in rows {
        let (database, user) = (cell(row, "database"), cell(row, "user"));
        for (column, metric) in POOLS {
            let labels = format!("database=\"{database}\",user=\"{user}\"");
            let series = format!("pgbouncer_pools_{metric}{{{labels}}}");
            expected.push((series, cell(row, column), 1.0));
        }
    }
}

fn from_stats(rows: &[Row], expected: &mut Vec<Expected>) {
    // What the console itself has asked meanwhile is not the same in both.
    for row in rows
        .iter()
        .filter(|row| cell(row, "database") != "pgbouncer")
    {
        let database = cell(row, "database");
        for (column, metric, factor) in STATS {
            for prefix in ["pgbouncer_stats", "pgbouncer_stats_totals"] {
                let series = format!("{prefix}_{metric}{{database=\"{database}\"}}");
                expected.push((series, cell(row, column), *factor));
            }
        }
    }
}

fn from_databases(rows: &[Row], expected: &mut Vec<Expected>) {
    for row in rows {
        let labels = [
            "database",
            "force_user",
            "host",
            "name",
            "pool_mode",
            "port",
        ];
        let labels = labels.map(|label| format!("{label}=\"{}\"", cell(row, label)));
        for (column, metric) in DATABASES {
            let series = format!("pgbouncer_databases_{metric}{{{}}}", labels.join(","));
            expected.push((series, cell(row, column), 1.0));
        }
    }
}

fn from_lists(lists: &[Row], config: &[Row], expected: &mut Vec<Expected>) {
    for (list, metric) in LISTS {
        let row = lists.iter().find(|row| cell(row, "list") == *list).unwrap();
        expected.push((format!("{metric}{{}}"), cell(row, "items"), 1.0));
    }
    for (key, metric) in CONFIG {
        let row = config.iter().find(|row| cell(row, "key") == *key).unwrap();
        expected.push((format!("{metric}{{}}"), cell(row, "value"), 1.0));
    }
}

#[test]
fn the_exporters_series_are_all_there_with_the_consoles_values() {
    let role = Fixture::get().role();
    let (weir, port) = start(&Setup::new().forced(&role, "pool_size=3"));
    let (mut one, mut other) = (weir.app(), weir.app());
    one.run("select 1");
    one.run("begin");
    other.run("select pg_sleep(0.01)");
    let mut console = weir.console(); // stays, so that it is counted in both
    let tables = ["pools", "stats_totals", "databases", "lists", "config"];
    let [pools, stats, databases, lists, config] = tables.map(|name| table(&mut console, name));
    let scrape = scrape(port);
    let mut expected = Vec::new();
    from_pools(&pools, &mut expected);
    from_stats(&stats, &mut expected);
    from_databases(&databases, &mut expected);
    from_lists(&lists, &config, &mut expected);
    let version = "pgbouncer_version_info{version=\"PgBouncer 1.26.1\"}";
    let app = "pgbouncer_client_connections{application_name=\"\",database=\"it\"";
    for series in [
        format!("{app},state=\"active\",user=\"app\"}}"),
        format!("{app},state=\"idle\",user=\"app\"}}"),
        "pgbouncer_up{}".to_owned(),
        version.to_owned(),
    ] {
        expected.push((series, "1".to_owned(), 1.0));
    }
    assert!(expected.len() > 60, "{}", expected.len());
    for (series, value, factor) in &expected {
        let shown: f64 = value.parse().unwrap();
        let found = scrape
            .value(series)
            .unwrap_or_else(|| panic!("no {series}"));
        assert!(
            (found - shown * factor).abs() < 1e-9,
            "{series}: {found}, shown {shown}"
        );
    }
    // Of the exporter's names none is there that it would not have.
    let others = ["pgbouncer_client_connections", "pgbouncer_stats"];
    for (series, _) in scrape.with_prefix("pgbouncer_") {
        let known = expected.iter().any(|(known, _, _)| known == series);
        let varies = others.iter().any(|prefix| series.starts_with(prefix));
        assert!(known || varies, "{series}");
    }
}

#[test]
fn names_above_the_limit_are_other() {
    let mut setup = Setup::new().set("http_max_pools", 5);
    for number in 0..20 {
        setup = setup.database(&format!("db{number:02}"), "dbname=it");
    }
    let (weir, port) = start(&setup);
    let mut clients = Vec::new();
    for number in 0..20 {
        let mut client = weir.client(&format!("db{number:02}"), "app");
        client.run("select 1");
        clients.push(client);
    }
    let scrape = scrape(port);
    let counts: Vec<_> = scrape
        .with_prefix("pgbouncer_stats_queries_pooled_total{")
        .collect();
    assert_eq!(counts.len(), 6, "{counts:?}");
    let sum: f64 = counts.iter().map(|(_, value)| value).sum();
    assert!((sum - 20.0).abs() < 0.1, "{counts:?}");
    assert!(
        counts
            .iter()
            .any(|(series, _)| series.contains("\"other\"")),
        "{counts:?}"
    );
    for prefix in [
        "pgbouncer_pools_server_idle_connections{",
        "pgbouncer_databases_pool_size{",
    ] {
        assert_eq!(scrape.with_prefix(prefix).count(), 6, "{prefix}");
    }
    for (series, _) in scrape.with_prefix("") {
        assert!(!series.contains("db19"), "{series}");
    }
}
