//! The dashboard and the alerts under `docker`: everything they name is there to be asked for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pgweir::demo::cluster::free_port;

use super::ask;
use super::exposition::Scrape;
use crate::routing::Stage;
use crate::support::wait::until;

/// Prefixes of the names of metrics.
const PREFIXES: [&str; 3] = ["pgweir_", "pgbouncer_", "process_"];

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Names of metrics in a text.
fn metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let named = |word: &&str| PREFIXES.iter().any(|prefix| word.starts_with(prefix));
    words.filter(named).map(str::to_owned).collect()
}

/// The expressions of the alerts, without names of labels and texts.
fn in_rules() -> BTreeSet<String> {
    let rules = fs::read_to_string(repository("docker/prometheus/rules.yml")).unwrap();
    let mut found = BTreeSet::new();
    let mut in_expression = false;
    for line in rules.lines() {
        let key = line.trim().split(' ').next().unwrap_or_default();
        in_expression = key == "expr:" || (in_expression && !key.ends_with(':'));
        if in_expression {
            found.extend(metrics(line));
        }
    }
    found
}

fn in_dashboard() -> BTreeSet<String> {
    let text = fs::read(repository("docker/grafana/pgweir.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    let expressions = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    let queries = variables.filter_map(|variable| variable["definition"].as_str());
    let texts = expressions.chain(queries.map(str::to_owned));
    texts.flat_map(|text| metrics(&text)).collect()
}

/// The text of a scrape with clients, errors, replicas and TLS behind it.
fn busy_scrape() -> String {
    let stage = Stage::shared();
    let port = free_port().unwrap();
    let setup = stage
        .setup()
        .set("http_listen", format!("127.0.0.1:{port}"));
    let weir = setup.start();
    let mut client = weir.client("app", "app");
    let error = "pgweir_errors_total{class=\"42\"";
    until("a lag, a read on a replica and an error", || {
        drop(client.query("select 1"));
        drop(client.query("select * from nowhere"));
        let scrape = Scrape::read(&ask::get(port, "/metrics").body);
        [
            "pgweir_replica_lag_seconds{",
            "pgweir_route_decisions_total{",
            error,
        ]
        .iter()
        .all(|prefix| scrape.with_prefix(prefix).count() > 0)
    });
    ask::get(port, "/metrics").body
}

#[test]
fn every_metric_of_the_dashboard_and_the_alerts_exists() {
    let scrape = Scrape::read(&busy_scrape());
    let series: BTreeSet<_> = scrape
        .series
        .keys()
        .filter_map(|series| series.split('{').next())
        .collect();
    let (rules, dashboard) = (in_rules(), in_dashboard());
    assert!(
        rules.len() > 15 && dashboard.len() > 30,
        "{rules:?} {dashboard:?}"
    );
    // Without a certificate its end has no series; its family is there all the same.
    let known = |name: &str| series.contains(name) || scrape.types.contains_key(name);
    let missing: Vec<_> = rules
        .union(&dashboard)
        .filter(|name| !known(name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Prometheus' own tool, where it is installed or named by `PGWEIR_PROMTOOL`.
fn promtool(arguments: &[&str], input: &str) -> Option<(bool, String)> {
    let program = std::env::var_os("PGWEIR_PROMTOOL").unwrap_or_else(|| "promtool".into());
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(repository("docker/prometheus"));
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            eprintln!("without promtool: {error}");
            return None;
        }
    };
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    ))
}

#[test]
fn promtool_takes_the_metrics_the_alerts_and_their_tests() {
    let scrape = busy_scrape();
    for arguments in [
        &["check", "metrics"][..],
        &["check", "rules", "rules.yml"],
        &["check", "config", "prometheus.yml"],
        &["test", "rules", "rules_test.yml"],
    ] {
        if let Some((passed, said)) = promtool(arguments, &scrape) {
            assert!(passed, "{arguments:?}: {said}");
        }
    }
}
