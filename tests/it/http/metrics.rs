//! `/metrics` beside the console, and what it counts.

use std::time::Duration;

use pgweir::demo::binaries::Tool;
use pgweir::demo::process;

use super::exposition::Scrape;
use super::{scrape, start};
use crate::routing::Stage;
use crate::support::wait::{eventually, until};
use crate::support::{Fixture, Setup, Weir, Wire};

/// Longer than pgbench takes here.
const LIMIT: Duration = Duration::from_secs(60);

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

/// Asked for as the exporter does.
fn table(console: &mut Wire, name: &str) -> Vec<Row> {
    let answer = console.query(&format!("SHOW {name};"));
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
    until("both queries are counted", || {
        let counted = weir.shown("stats", &[("database", "it")], "total_query_count");
        counted.as_deref() == Some("2")
    });
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
    // A client may have its answer before the query is counted.
    let queries = "pgbouncer_stats_queries_pooled_total{";
    let scrape = eventually("20 queries are counted", || {
        let scraped = scrape(port);
        (sum(&scraped, queries) == 20).then_some(scraped)
    });
    let counts: Vec<_> = scrape.with_prefix(queries).collect();
    assert_eq!(counts.len(), 6, "{counts:?}");
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

/// Sum of all series that begin so.
fn sum(scrape: &Scrape, prefix: &str) -> u64 {
    scrape
        .with_prefix(prefix)
        .map(|(_, value)| whole(value))
        .sum()
}

fn whole(value: f64) -> u64 {
    assert!(value.fract() == 0.0 && value >= 0.0, "{value}");
    format!("{value}").parse().unwrap()
}

/// Runs a script of five queries in two transactions with pgbench: eight clients, each so often.
fn run_script(weir: &Weir, times: u32) {
    let script = weir.dir().join("script.sql");
    std::fs::write(
        &script,
        "select 1;\nbegin;\nselect 2;\nselect 3;\ncommit;\n",
    )
    .unwrap();
    let mut command = Fixture::get().tool(Tool::Pgbench);
    let (port, times) = (weir.port().to_string(), times.to_string());
    command.args([
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "-U",
        "app",
        "-n",
        "-c",
        "8",
        "-j",
        "2",
    ]);
    command.args(["-t", &times, "-f"]).arg(&script).arg("it");
    process::run(command, LIMIT, &Fixture::get().installation.interrupt).unwrap();
}

/// What a pool has counted: queries, transactions, assignments by its counters, then the same by its
/// histograms.
fn counted(scrape: &Scrape, role: &str) -> [[u64; 3]; 2] {
    let value = |series: String| scrape.value(&series).map_or(0, whole);
    let counters = ["queries", "transactions", "server_assignments"].map(|name| {
        value(format!(
            "pgweir_{name}_total{{database=\"it\",user=\"{role}\"}}"
        ))
    });
    let labels = format!("database=\"it\",role=\"primary\",user=\"{role}\"");
    let histograms = ["query", "transaction", "queue_wait"]
        .map(|name| value(format!("pgweir_{name}_seconds_count{{{labels}}}")));
    [counters, histograms]
}

#[test]
fn counters_and_histograms_have_what_pgbench_has_run() {
    let role = Fixture::get().role();
    let (weir, port) = start(&Setup::new().forced(&role, "pool_size=2"));
    // pgbench asks for something itself at each start, so two runs are compared.
    run_script(&weir, 1);
    until("all have left", || {
        sum(&scrape(port), "pgweir_worker_connections{") == 0
    });
    let before = counted(&scrape(port), &role);
    let mut during = Vec::new();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run_script(&weir, 51));
        while !running.is_finished() {
            during.push(scrape(port));
        }
        running.join().unwrap();
    });
    until("all have left", || {
        sum(&scrape(port), "pgweir_worker_connections{") == 0
    });
    let after = scrape(port);
    let [counters, histograms] = counted(&after, &role);
    let expected = before[0].map(|own| own * 2); // and 50 times more for each of 8 clients
    assert_eq!(counters[0], expected[0] + 400 * 5);
    assert_eq!(counters[1], expected[1] + 400 * 2);
    assert_eq!(histograms, counters);
    // The sums are the console's times.
    let labels = format!("{{database=\"it\",role=\"primary\",user=\"{role}\"}}");
    for (histogram, column) in [
        ("query", "total_query_time"),
        ("transaction", "total_xact_time"),
        ("queue_wait", "total_wait_time"),
    ] {
        let series = format!("pgweir_{histogram}_seconds_sum{labels}");
        let seconds = after.value(&series).unwrap();
        let shown = weir.shown("stats", &[("database", "it")], column).unwrap();
        let shown: f64 = shown.parse().unwrap();
        assert!(
            (seconds - shown / 1e6).abs() < 1e-6,
            "{series}: {seconds}, shown {shown}"
        );
    }
    // No counter goes back from one scrape to the next.
    for (one, next) in during.iter().zip(during.iter().skip(1).chain([&after])) {
        for (series, value) in &one.series {
            let family = series.split('{').next().unwrap();
            if one.types.get(family).is_some_and(|kind| kind == "counter") {
                let now = next.value(series).unwrap();
                assert!(now >= *value, "{series}: {value}, then {now}");
            }
        }
    }
    assert!(!during.is_empty());
    assert_eq!(
        sum(
            &after,
            "pgweir_server_connects_total{database=\"it\",outcome=\"opened\"}"
        ),
        2
    );
}

#[test]
fn errors_ends_resets_and_refusals_are_counted_by_reason() {
    let role = Fixture::get().role();
    let setup = Setup::new()
        .forced(&role, "pool_mode=session pool_size=1")
        .set("server_reset_query", "discard all")
        .set("max_client_conn", 3);
    let (weir, port) = start(&setup);
    let mut client = weir.app();
    for (sql, times) in [
        ("select 1/0", 3),
        ("select * from nowhere", 2),
        ("select 1", 1),
    ] {
        for _ in 0..times {
            drop(client.query(sql));
        }
    }
    drop(client);
    until("the reset", || {
        sum(&scrape(port), "pgweir_server_errands_total{") == 1
    });
    let (_one, _two) = (weir.app(), weir.console());
    assert!(weir.login("nowhere", "app").connect().is_err());
    assert!(weir.login("it", "nobody").connect().is_err());
    let refused = "pgweir_client_logins_total{outcome=\"wrong_proof\"}";
    until("the last refusal is shown", || {
        sum(&scrape(port), refused) == 1
    });
    let scraped = scrape(port);
    let pool = format!("database=\"it\",user=\"{role}\"");
    let errors = |class: &str| {
        let series = format!("pgweir_errors_total{{class=\"{class}\",{pool}}}");
        scraped.value(&series).map(whole)
    };
    assert_eq!(
        (errors("22"), errors("42"), errors("25")),
        (Some(3), Some(2), None)
    );
    // Those that alerts look for begin at nothing.
    for class in ["08", "23", "40", "53", "57", "58", "XX", "other"] {
        assert_eq!(errors(class), Some(0), "{class}");
    }
    for outcome in ["unreachable", "rejected", "no_primary"] {
        let series =
            format!("pgweir_server_connects_total{{database=\"it\",outcome=\"{outcome}\"}}");
        assert_eq!(scraped.value(&series), Some(0.0), "{series}");
    }
    let reset = "pgweir_server_errands_total{errand=\"reset\",outcome=\"done\"}";
    assert_eq!(scraped.value(reset).map(whole), Some(1));
    let logins = |outcome: &str| {
        sum(
            &scraped,
            &format!("pgweir_client_logins_total{{outcome=\"{outcome}\"}}"),
        )
    };
    assert_eq!((logins("no_such_database"), logins("wrong_proof")), (1, 1));
    assert_eq!(
        sum(&scraped, "pgweir_client_disconnects_total{reason=\"lost\"}"),
        1
    );
    weir.console().run("reconnect it");
    until("the old server is gone", || {
        let closes = "pgweir_server_closes_total{reason=\"configuration\"}";
        sum(&scrape(port), closes) == 1
    });
}

#[test]
fn the_process_and_its_workers_are_seen() {
    let (weir, port) = start(&Setup::new().set("workers", 2));
    let clients: Vec<_> = (0..6).map(|_| weir.app()).collect();
    until("six are there", || {
        sum(&scrape(port), "pgweir_worker_connections{") == 6
    });
    let scraped = scrape(port);
    assert_eq!(
        scraped
            .with_prefix("pgweir_worker_busy_seconds_total{")
            .count(),
        2
    );
    assert!(scraped.value("process_resident_memory_bytes{}").unwrap() > 1e6);
    assert!(scraped.value("process_open_fds{}").unwrap() > 6.0);
    let started = scraped.value("process_start_time_seconds{}").unwrap();
    let now = std::time::SystemTime::now();
    let now = now
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    assert!(
        (0.0..60.0).contains(&(now - started)),
        "{started}, now {now}"
    );
    drop(clients);
}

#[test]
fn what_went_where_and_how_far_replicas_are_is_counted() {
    let stage = Stage::shared();
    let (weir, port) = start(&stage.setup());
    let mut client = weir.client("app", "app");
    until("a read on a replica", || {
        drop(client.query("select 1"));
        sum(
            &scrape(port),
            "pgweir_route_decisions_total{database=\"app\",reason=\"read\"}",
        ) > 0
    });
    client.run("/* pgweir: primary */ select 1");
    let wished = "pgweir_route_decisions_total{database=\"app\",reason=\"wish\"}";
    until("the wish is shown", || sum(&scrape(port), wished) == 1);
    let scraped = scrape(port);
    let states = scraped.with_prefix("pgweir_replica_state{");
    let states: Vec<_> = states.filter(|(_, value)| *value > 0.0).collect();
    let hosts = scraped.with_prefix("pgweir_replica_requests{").count();
    assert_eq!(states.len(), hosts, "one state a host: {states:?}");
    let primaries = states
        .iter()
        .filter(|(series, _)| series.contains("state=\"primary\""));
    assert_eq!(primaries.count(), 1, "{states:?}");
    assert!(scraped.with_prefix("pgweir_replica_lag_seconds{").count() > 0);
    let replica = "pgweir_query_seconds_count{database=\"app\",role=\"replica\"";
    assert!(sum(&scraped, replica) > 0);
}

/// The bucket of a time in microseconds, by the power of two that bounds it.
fn bucket(micros: f64) -> i32 {
    let power = (6..30).find(|power| micros <= f64::from(1 << power));
    power.unwrap_or(30)
}

#[test]
fn the_histogram_has_the_percentiles_of_pgbenchs_own_log() {
    let role = Fixture::get().role();
    let (weir, port) = start(&Setup::new().forced(&role, "pool_size=8"));
    let script = weir.dir().join("script.sql");
    let sql = "select pg_sleep(case when random() < 0.05 then 0.2 else 0.01 end);\n";
    std::fs::write(&script, sql).unwrap();
    let mut command = Fixture::get().tool(Tool::Pgbench);
    let weir_port = weir.port().to_string();
    command.args([
        "-h",
        "127.0.0.1",
        "-p",
        &weir_port,
        "-U",
        "app",
        "-n",
        "-c",
        "8",
    ]);
    command
        .args(["-t", "60", "-l", "-f"])
        .arg(&script)
        .arg("it");
    command.current_dir(weir.dir());
    process::run(command, LIMIT, &Fixture::get().installation.interrupt).unwrap();
    let mut latencies = Vec::new();
    for entry in std::fs::read_dir(weir.dir()).unwrap() {
        let path = entry.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("pgbench_log.")
        {
            let log = std::fs::read_to_string(path).unwrap();
            let latency = |line: &str| line.split(' ').nth(2).unwrap().parse::<f64>().unwrap();
            latencies.extend(log.lines().map(latency));
        }
    }
    assert_eq!(latencies.len(), 480);
    latencies.sort_by(f64::total_cmp);
    let recorded = || counted(&scrape(port), &role)[1][0];
    until("all are recorded", || recorded() == 480);
    let labels = format!("database=\"it\",le=\"{{le}}\",role=\"primary\",user=\"{role}\"");
    let scraped = scrape(port);
    for share in [50, 90, 99] {
        let logged = bucket(latencies[480 * share / 100 - 1]);
        let ours = (6..27).find(|power: &i32| {
            let bound = f64::from(1 << power) / 1e6;
            let labels = labels.replace("{le}", &bound.to_string());
            let up_to = scraped
                .value(&format!("pgweir_query_seconds_bucket{{{labels}}}"))
                .unwrap();
            up_to >= 4.8 * f64::from(u8::try_from(share).unwrap())
        });
        let ours = ours.unwrap();
        assert!(
            (ours - logged).abs() <= 1,
            "p{share}: 2^{ours} us, in the log 2^{logged} us"
        );
    }
}

#[test]
fn a_session_that_stays_is_counted_while_it_lasts() {
    let role = Fixture::get().role();
    let (weir, port) = start(&Setup::new().forced(&role, "pool_mode=session"));
    let mut client = weir.app();
    for _ in 0..5 {
        client.run("select 1");
    }
    drop(client.query("select 1/0"));
    until("all of it is seen", || {
        let scraped = scrape(port);
        let [[queries, ..], [recorded, ..]] = counted(&scraped, &role);
        let errors = sum(&scraped, "pgweir_errors_total{class=\"22\"");
        let sent = sum(&scraped, "pgweir_sent_bytes_total{database=\"it\"");
        (queries, recorded, errors) == (6, 6, 1) && sent > 100
    });
    drop(client);
}
