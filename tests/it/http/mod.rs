//! What pgweir says over HTTP: metrics, health, tables.

mod access;
mod alerts;
mod ask;
mod dashboard;
mod exporter;
mod exposition;
mod health;
mod metrics;
mod prometheus;
mod promql;
mod statements;
mod tables;

use pgweir::demo::cluster::free_port;

use crate::support::{Setup, Weir};
use exposition::Scrape;

/// A pgweir that serves HTTP on that port.
fn start(setup: &Setup) -> (Weir, u16) {
    let port = free_port().unwrap();
    let weir = setup
        .clone()
        .set("http_listen", format!("127.0.0.1:{port}"))
        .start();
    (weir, port)
}

/// What `/metrics` shows.
fn scrape(port: u16) -> Scrape {
    let answer = ask::get(port, "/metrics");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer
            .headers
            .contains("content-type: text/plain; version=0.0.4"),
        "{answer:?}"
    );
    Scrape::read(&answer.body)
}
