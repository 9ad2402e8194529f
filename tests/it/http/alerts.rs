//! The dashboard and the alerts under `docker`: everything they name is there to be asked for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::ask;
use super::dashboard;
use super::exposition::Scrape;
use super::promql::Known;
use super::start;
use crate::routing::Stage;
use crate::support::Setup;
use crate::support::wait::until;

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// One alert, as far as its lines say.
#[derive(Debug, Default)]
struct Alert {
    name: String,
    expression: String,
    /// The lines behind the expression.
    rest: String,
}

impl Alert {
    /// Labels that its texts show.
    fn shown(&self) -> Vec<&str> {
        let behind = self.rest.split("$labels.").skip(1);
        behind
            .filter_map(|text| text.split([' ', '}']).next())
            .collect()
    }
}

fn alerts() -> Vec<Alert> {
    let rules = fs::read_to_string(repository("docker/prometheus/rules.yml")).unwrap();
    let mut alerts: Vec<Alert> = Vec::new();
    let mut in_expression = false;
    for line in rules.lines() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix("- alert: ") {
            alerts.push(Alert {
                name: name.to_owned(),
                ..Alert::default()
            });
        } else if let Some(alert) = alerts.last_mut() {
            let key = line.split(' ').next().unwrap_or_default();
            in_expression = key == "expr:" || (in_expression && !key.ends_with(':'));
            let into = if in_expression {
                &mut alert.expression
            } else {
                &mut alert.rest
            };
            into.push_str(line);
            into.push('\n');
        }
    }
    alerts
}

/// The text of a scrape with clients, errors and replicas behind it.
fn busy_scrape() -> String {
    let stage = Stage::shared();
    let (weir, port) = start(&stage.setup());
    let mut client = weir.client("app", "app");
    let error = "pgweir_errors_total{class=\"42\"";
    until("a lag, a read on a replica and an error", || {
        drop(client.query("select 1"));
        drop(client.query("select * from nowhere"));
        let scrape = Scrape::read(&ask::get(port, "/metrics").body);
        [
            "pgweir_replica_lag_seconds{",
            "pgweir_replica_lag_bytes{",
            "pgweir_route_decisions_total{",
            error,
        ]
        .iter()
        .all(|prefix| scrape.with_prefix(prefix).count() > 0)
    });
    ask::get(port, "/metrics").body
}

#[test]
fn every_metric_label_and_state_of_the_dashboard_and_the_alerts_exists() {
    let known = Known::of(&Scrape::read(&busy_scrape()));
    let alerts = alerts();
    let in_rules = alerts
        .iter()
        .flat_map(|alert| known.missing(&alert.expression, &alert.shown()));
    let panels = dashboard::expressions();
    assert!(alerts.len() > 15 && panels.len() > 60);
    let on_panels = panels
        .iter()
        .flat_map(|(expression, legend)| known.missing(expression, &dashboard::shown(legend)));
    let missing: Vec<_> = in_rules.chain(on_panels).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_alert_is_graded_explained_and_tested_both_ways() {
    let tests = fs::read_to_string(repository("docker/prometheus/rules_test.yml")).unwrap();
    for alert in alerts() {
        let Alert { name, rest, .. } = &alert;
        for part in [
            "for: ",
            "labels: { severity: ",
            "summary: \"",
            "description: \"",
        ] {
            assert!(rest.contains(part), "{name}: {part}");
        }
        let says_where = ["SHOW ", "RESUME", "log"];
        assert!(says_where.iter().any(|word| rest.contains(word)), "{name}");
        let silent = format!("alertname: {name}, exp_alerts: [] }}");
        let fires = format!("alertname=\"{name}\"");
        let mut lines = tests.lines();
        assert!(
            lines.any(|line| line.trim_end().ends_with(&silent)),
            "{name}"
        );
        let fired = |line: &str| line.contains(&fires) && !line.contains("exp_samples: []");
        assert!(tests.lines().any(fired), "{name}");
    }
}

/// The console's commands in a text.
fn commands(text: &str) -> BTreeSet<String> {
    let word = |text: &str| {
        let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        text[..end.unwrap_or(text.len())].to_owned()
    };
    let found = text.split("SHOW ").skip(1).map(|behind| {
        let mut command = format!("SHOW {}", word(behind));
        if let Some((_, column)) = behind.split_once(" ORDER BY ") {
            command.push_str(" ORDER BY ");
            command.push_str(&word(column));
        }
        command
    });
    found.collect()
}

#[test]
fn the_console_knows_every_command_that_an_alert_names() {
    let (weir, _) = start(&Setup::new().database("it", ""));
    let mut console = weir.console();
    let texts = alerts().into_iter().map(|alert| alert.rest);
    let commands = commands(&texts.collect::<String>());
    assert!(commands.len() > 8, "{commands:?}");
    for command in commands {
        let answer = console.query(&command);
        assert_eq!(answer.error(), None, "{command}");
    }
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
    for (arguments, input) in [
        (&["check", "metrics"][..], busy_scrape()),
        (&["check", "rules", "rules.yml"], String::new()),
        (&["check", "config", "prometheus.yml"], String::new()),
        (&["test", "rules", "rules_test.yml"], String::new()),
        (&["check", "rules", "/dev/stdin"], dashboard::as_rules()),
    ] {
        if let Some((passed, said)) = promtool(arguments, &input) {
            assert!(passed, "{arguments:?}: {said}");
        }
    }
}
