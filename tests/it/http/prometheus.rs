//! A real Prometheus scrapes pgweir and evaluates the alerts: one fires by a fault, and clears.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use pgweir::demo::cluster::free_port;
use pgweir::demo::process::Process;
use serde_json::Value;

use super::{ask, start};
use crate::support::message::query;
use crate::support::wait::until;
use crate::support::{Fixture, Setup};

/// The server, beside `PGWEIR_PROMTOOL`; `None` where that is not set.
fn program() -> Option<PathBuf> {
    let tool = PathBuf::from(std::env::var_os("PGWEIR_PROMTOOL")?);
    let server = tool.with_file_name("prometheus");
    server.exists().then_some(server)
}

/// A copy that the account which runs servers can reach.
fn reachable(program: &Path, dir: &Path) -> PathBuf {
    let copy = dir.join("prometheus");
    fs::copy(program, &copy).unwrap();
    Fixture::get().installation.account.own(&copy).unwrap();
    copy
}

/// The alerts of the repository, without the time for which they must hold.
fn write_configuration(dir: &Path, scraped: u16) {
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/docker/prometheus/rules.yml");
    let rules = fs::read_to_string(rules).unwrap();
    let at_once: Vec<_> = rules
        .lines()
        .filter(|line| !line.trim().starts_with("for:"))
        .collect();
    assert!(at_once.len() < rules.lines().count());
    fs::write(dir.join("rules.yml"), at_once.join("\n")).unwrap();
    let configuration = format!(
        "global: {{ scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms }}\n\
         rule_files: [rules.yml]\n\
         scrape_configs:\n\
         - job_name: pgweir\n  \
           static_configs: [{{ targets: ['127.0.0.1:{scraped}'] }}]\n"
    );
    fs::write(dir.join("prometheus.yml"), configuration).unwrap();
}

/// Names of the alerts that fire.
fn firing(port: u16) -> Vec<String> {
    let request = "GET /api/v1/alerts HTTP/1.0\r\nHost: localhost\r\n\r\n";
    let answer = ask::send(port, request);
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    let alerts = answer["data"]["alerts"].as_array().unwrap().iter();
    let firing = alerts.filter(|alert| alert["state"] == "firing");
    let names = firing.map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned());
    names.collect()
}

#[test]
fn an_alert_fires_by_a_real_fault_and_clears() {
    let Some(program) = program() else {
        eprintln!("without Prometheus: PGWEIR_PROMTOOL is not set, or it is not beside it");
        return;
    };
    let (weir, scraped) = start(&Setup::new().database("it", "pool_size=1"));
    let dir = Fixture::get().directory("prometheus");
    let port = free_port().unwrap();
    write_configuration(&dir, scraped);
    let mut command = Command::new(reachable(&program, &dir));
    command.current_dir(&dir).args([
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        &format!("--web.listen-address=127.0.0.1:{port}"),
    ]);
    Fixture::get().installation.account.apply(&mut command);
    let log = dir.join("prometheus.log");
    fs::write(&log, "").unwrap();
    Fixture::get().installation.account.own(&log).unwrap();
    let mut process = Process::start(command, "prometheus", &log, Signal::SIGTERM).unwrap();
    until("prometheus is ready", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
            && ask::send(port, "GET /-/ready HTTP/1.0\r\n\r\n").status == 200
    });
    let mut client = weir.app();
    client.run("begin");
    let mut waiting = weir.app();
    waiting.send(&query("select 1"));
    until("the pool is exhausted", || {
        firing(port).contains(&"PgweirPoolExhausted".to_owned())
    });
    client.run("commit");
    waiting.until_ready(1);
    until("all is well", || firing(port).is_empty());
    let steps = [
        (Signal::SIGTERM, Duration::from_secs(5)),
        (Signal::SIGKILL, Duration::from_secs(5)),
    ];
    process.stop(&steps).unwrap();
}
