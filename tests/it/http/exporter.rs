//! Debian's `prometheus-pgbouncer-exporter` reads our console: its series are those of `/metrics`.
//!
//! Version 1.7 ends with an error beside `PgBouncer` 1.26, since two of its columns have other names by
//! now, and so it does beside us. With these names (`exporter.py`) it has to read all it wants.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use pgweir::demo::cluster::free_port;
use pgweir::demo::process::Process;

use super::alerts::repository;
use super::exposition::Scrape;
use super::{ask, scrape, start};
use crate::support::wait::{eventually, until};
use crate::support::{Fixture, Setup, Weir};

/// The exporter, asking this pgweir and answering on this port: `script`, a file or a module's name.
/// `PGWEIR_EXPORTER` names the directory of its modules, if it is not installed.
fn exporter(script: &[&str], weir: &Weir, port: u16) -> Option<Command> {
    let python = |arguments: &[&str]| {
        // Debian's interpreter: the modules are made for it.
        let mut command = Command::new("/usr/bin/python3");
        command
            .args(arguments)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PGPASSWORD", "secret");
        if let Some(modules) = std::env::var_os("PGWEIR_EXPORTER") {
            command.env("PYTHONPATH", modules);
        }
        command
    };
    let mut probe = python(&["-c", "import psycopg2, prometheus_pgbouncer_exporter.cli"]);
    probe.stdin(Stdio::null());
    probe.stdout(Stdio::null()).stderr(Stdio::null());
    if !probe.status().is_ok_and(|status| status.success()) {
        eprintln!("without Debian's exporter: not installed, and not where PGWEIR_EXPORTER says");
        return None;
    }
    let mut command = python(script);
    command.args(["--pgbouncer-host", "127.0.0.1", "--pgbouncer-user", "stats"]);
    command.args(["--pgbouncer-port", &weir.port().to_string()]);
    command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
    Some(command)
}

/// Its name of a series, ours, and what ours is multiplied by.
const TWINS: &[(&str, &str, f64)] = &[
    (
        "pgbouncer_requests_total",
        "pgbouncer_stats_queries_pooled_total",
        1.0,
    ),
    (
        "pgbouncer_received_bytes_total",
        "pgbouncer_stats_received_bytes_total",
        1.0,
    ),
    (
        "pgbouncer_sent_bytes_total",
        "pgbouncer_stats_sent_bytes_total",
        1.0,
    ),
    (
        "pgbouncer_query_microseconds_total",
        "pgbouncer_stats_queries_duration_seconds_total",
        1e6,
    ),
    (
        "pgbouncer_active_clients",
        "pgbouncer_pools_client_active_connections",
        1.0,
    ),
    (
        "pgbouncer_waiting_clients",
        "pgbouncer_pools_client_waiting_connections",
        1.0,
    ),
    ("pgbouncer_pool_size", "pgbouncer_databases_pool_size", 1.0),
    (
        "pgbouncer_reserve_pool",
        "pgbouncer_databases_reserve_pool",
        1.0,
    ),
    ("pgbouncer_databases", "pgbouncer_databases", 1.0),
    ("pgbouncer_users", "pgbouncer_users", 1.0),
    ("pgbouncer_pools", "pgbouncer_pools", 1.0),
    ("pgbouncer_free_clients", "pgbouncer_free_clients", 1.0),
    ("pgbouncer_used_clients", "pgbouncer_used_clients", 1.0),
    ("pgbouncer_login_clients", "pgbouncer_login_clients", 1.0),
    ("pgbouncer_free_servers", "pgbouncer_free_servers", 1.0),
    ("pgbouncer_used_servers", "pgbouncer_used_servers", 1.0),
    ("pgbouncer_dns_names", "pgbouncer_cached_dns_names", 1.0),
    ("pgbouncer_dns_zones", "pgbouncer_cached_dns_zones", 1.0),
    (
        "pgbouncer_dns_queries",
        "pgbouncer_in_flight_dns_queries",
        1.0,
    ),
];

/// The value of ours with all labels of its series, whatever other labels there are.
fn ours(scraped: &Scrape, name: &str, labels: &str) -> f64 {
    let labels: Vec<_> = labels
        .split(',')
        .filter(|label| !label.is_empty())
        .collect();
    let prefix = format!("{name}{{");
    let fits = |series: &str| labels.iter().all(|label| series.contains(label));
    let found: Vec<_> = scraped
        .with_prefix(&prefix)
        .filter(|(series, _)| fits(series))
        .collect();
    assert_eq!(found.len(), 1, "{name} {labels:?}: {found:?}");
    found[0].1
}

/// Whether the console's own asking changes it.
fn is_of_the_console(labels: &str) -> bool {
    labels.contains("database=\"pgbouncer\"")
}

#[test]
fn debians_exporter_reads_the_console_and_shows_what_we_show() {
    let role = Fixture::get().role();
    let (weir, port) = start(&Setup::new().forced(&role, "pool_size=3 reserve_pool_size=2"));
    let its_port = free_port().unwrap();
    let script = repository("tests/it/http/exporter.py");
    let Some(command) = exporter(&[script.to_str().unwrap()], &weir, its_port) else {
        return;
    };
    let (mut one, mut other, mut third) = (weir.app(), weir.app(), weir.app());
    for client in [&mut one, &mut other] {
        client.run("select pg_sleep(0.01)");
        client.run("begin");
    }
    drop(third.query("select 1"));
    let log = weir.dir().join("exporter.log");
    let mut process = Process::start(command, "exporter", &log, Signal::SIGTERM).unwrap();
    until("the exporter listens", || {
        let ended = process.ended().unwrap();
        assert_eq!(ended, None, "{}", fs::read_to_string(&log).unwrap());
        std::net::TcpStream::connect(("127.0.0.1", its_port)).is_ok()
    });
    let theirs = || ask::send(its_port, "GET /metrics HTTP/1.0\r\n\r\n").body;
    // A query may be counted only after its answer, and `begin` when its transaction has ended.
    let (theirs, scraped) = eventually("both show the same moment", || {
        let before = scrape(port);
        let theirs = theirs();
        let after = scrape(port);
        let queries = "pgbouncer_stats_queries_pooled_total{database=\"it\"}";
        let same = before.value(queries) == after.value(queries);
        (same && after.value(queries) == Some(3.0)).then_some((theirs, after))
    });
    let mut compared = 0;
    for line in theirs.lines().filter(|line| line.starts_with("pgbouncer_")) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = labels.trim_end_matches('}');
        if name == "pgbouncer_dns_pending"
            || (name.ends_with("_total") && is_of_the_console(labels))
        {
            continue; // ours has no such series; theirs grow while they are asked for
        }
        let twin = TWINS.iter().find(|(theirs, ..)| *theirs == name);
        let (_, twin, factor) = twin.unwrap_or_else(|| panic!("{series} has no twin"));
        let shown = ours(&scraped, twin, labels) * factor;
        let value: f64 = value.parse().unwrap();
        assert!(
            (shown - value).abs() < 0.5,
            "{series}: {value}, ours {shown}"
        );
        compared += 1;
    }
    // 4 of the database and its pools, twice 2 and 2, 11 lists.
    assert!(compared >= 4 + 8 + 11, "{compared}:\n{theirs}");
    let steps = [(Signal::SIGKILL, Duration::from_secs(5))];
    process.stop(&steps).unwrap();
}

#[test]
fn debians_exporter_as_it_is_fails_with_the_error_that_it_has_beside_pgbouncer() {
    let (weir, _) = start(&Setup::new());
    let module = ["-m", "prometheus_pgbouncer_exporter"];
    let Some(mut command) = exporter(&module, &weir, free_port().unwrap()) else {
        return;
    };
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.trim_end().ends_with("KeyError: 'total_requests'"),
        "{said}"
    );
}
