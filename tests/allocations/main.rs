//! Nothing in the path of a query allocates or writes to the log.
//!
//! The whole of it runs here on one thread, as on a worker: clients, the proxy with its pool and its
//! idle watch, and servers that answer what they know. The sockets are pairs and files of the
//! machine. Everything on this thread is counted, so the clients and servers here do not allocate
//! either. The counter is the test's own allocator: that is why this is a program of its own.
#![allow(clippy::unwrap_used, reason = "a failing step is a failing test")]

mod client;
#[path = "../../benches/cases/frames.rs"]
mod frames;
mod lines;
mod proxy;
mod server;

use std::sync::Arc;
use std::time::Instant;

use allocation_counter::measure;
use client::{Client, Script};
use frames::{Frames, frame};
use lines::Lines;
use pgweir::telemetry::stats::{Counter, Totals};
use proxy::Proxy;
use tokio::runtime::Builder;
use tokio::sync::Barrier;

/// Clients, who share [`SERVERS`] connections.
const CLIENTS: usize = 10;
/// Connections of the pool.
const SERVERS: u32 = 3;
/// Times that each client goes through its script before it counts.
const WARM_UP: usize = 20;

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// What is counted while all clients go through a script.
struct Counted {
    allocations: u64,
    lines: u64,
    queries: u64,
    wait_us: u64,
}

/// Relays at least so many queries, which the servers answer with these rows.
fn relay(script: Script, rows: &[u8], queries: usize) -> Counted {
    let lines = Lines::default();
    let _installed = tracing::subscriber::set_default(lines.clone());
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let rounds = queries.div_ceil(CLIENTS * script.queries());
    let script = Arc::new(script);
    let barrier = Arc::new(Barrier::new(CLIENTS + 1));
    let proxy = runtime.block_on(async {
        let proxy = Proxy::start(SERVERS, rows);
        for _ in 0..CLIENTS {
            let client = Client::connect(proxy.enter(), Arc::clone(&script)).await;
            tokio::spawn(client.talk([WARM_UP, rounds], Arc::clone(&barrier)));
        }
        proxy
    });
    // Each part of the scripts is between two barriers.
    let part = || {
        runtime.block_on(async {
            barrier.wait().await;
            barrier.wait().await;
        });
    };
    let warm_up = measure(part).count_total;
    assert!(
        warm_up > 0,
        "first buffers are allocated, so allocations are seen"
    );
    let (before, lines_before) = (totals(&proxy), lines.count());
    assert!(lines_before > 0, "logins are logged, so lines are seen");
    let counted = measure(part);
    let (after, lines) = (totals(&proxy), lines.count() - lines_before);
    let grown = |counter| after.get(counter) - before.get(counter);
    Counted {
        allocations: counted.count_total,
        lines,
        queries: grown(Counter::Queries),
        wait_us: grown(Counter::WaitTime),
    }
}

fn totals(proxy: &Proxy) -> Totals {
    proxy.pooler.stats.all(now()).0
}

#[test]
fn a_million_relayed_queries_allocate_and_log_nothing() {
    let frames = Frames::new();
    let counted = relay(Script::small(&frames), &frames.row, 1_000_000);
    assert!(counted.queries >= 1_000_000);
    assert!(counted.wait_us > 0, "clients had to wait for each other");
    assert_eq!((counted.allocations, counted.lines), (0, 0));
}

#[test]
fn large_results_allocate_and_log_nothing() {
    let frames = Frames::new();
    // A mebibyte: many times what a buffer or a socket holds.
    let wide = [&b"\0\x01\0\0\x40\0"[..], &[b'x'; 16 << 10]].concat();
    let rows = frame(b'D', &wide).repeat(64);
    let counted = relay(Script::large(&frames, &rows), &rows, 500);
    assert!(counted.queries >= 500);
    assert_eq!((counted.allocations, counted.lines), (0, 0));
}
