//! pgbench, which checks little itself, with a look at what it leaves in its tables.

use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use pgweir::demo::binaries::Tool;
use pgweir::demo::process::{self, Output, ProcessError};

use crate::support::sampler::Sampler;
use crate::support::{Fixture, Setup, Weir};

const POOL: u32 = 20;
const CLIENTS: &str = "200";
/// Longer than any run here takes.
const LIMIT: Duration = Duration::from_secs(60);

/// The server's tables of pgbench, which one run at a time uses.
fn tables() -> &'static Mutex<()> {
    static TABLES: OnceLock<Mutex<()>> = OnceLock::new();
    TABLES.get_or_init(|| {
        let mut command = Fixture::get().tool(Tool::Pgbench);
        let port = Fixture::get().port().to_string();
        command.args([
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            "app",
            "-i",
            "-q",
            "-s",
            "10",
            "bench",
        ]);
        run(command).unwrap();
        Mutex::new(())
    })
}

fn run(command: std::process::Command) -> Result<Output, ProcessError> {
    process::run(command, LIMIT, &Fixture::get().installation.interrupt)
}

/// Runs pgbench through a pool of 20, and checks what it says and how many connections it took.
fn bench(setup: &Setup, arguments: &[&str]) {
    let tables = tables();
    let _alone = tables.lock().unwrap_or_else(|poisoned| {
        tables.clear_poison();
        poisoned.into_inner()
    });
    let weir = setup
        .clone()
        .database("bench", &format!("pool_size={POOL}"))
        .set("max_client_conn", 1000)
        .start();
    let sampler = Sampler::start("datname = 'bench' and backend_type = 'client backend'");
    let outcome = run(command(&weir, arguments));
    let highest = sampler.finish();
    let output = outcome.unwrap();
    assert!(!output.stderr.contains("error"), "{}", output.stderr);
    assert!(output.stdout.contains("tps = "), "{}", output.stdout);
    let failed = output
        .stdout
        .lines()
        .find(|line| line.contains("failed transactions"));
    assert!(
        failed.is_none_or(|line| line.contains(": 0 ")),
        "{failed:?}"
    );
    assert!((1..=POOL).contains(&highest), "{highest} connections");
    assert_balanced();
}

fn command(weir: &Weir, arguments: &[&str]) -> std::process::Command {
    let port = weir.port().to_string();
    let mut command = Fixture::get().tool(Tool::Pgbench);
    command.args(["-h", "127.0.0.1", "-p", &port, "-U", "app", "-n"]);
    command.args(arguments).arg("bench");
    command
}

/// Every transaction adds the same amount to an account, a teller, a branch and the history: had
/// one been lost, doubled or mixed with another, the sums would differ.
fn assert_balanced() {
    let mut server = Fixture::get().superuser("bench");
    let sums = "select (select sum(abalance) from pgbench_accounts), \
        (select sum(bbalance) from pgbench_branches), (select sum(tbalance) from pgbench_tellers), \
        (select coalesce(sum(delta), 0) from pgbench_history)";
    let sums = server.query(sums).rows().remove(0);
    assert!(sums.iter().all(|sum| *sum == sums[0]), "{sums:?}");
}

/// TPC-B, some queries by a client so that the number of transactions is known.
fn tpcb(protocol: &str, script: &str) {
    let setup = Setup::new();
    bench(
        &setup,
        &[
            "-M", protocol, "-b", script, "-c", CLIENTS, "-j", "2", "-t", "8",
        ],
    );
}

fn select_only(protocol: &str) {
    let setup = Setup::new();
    let arguments = ["-M", protocol, "-S", "-c", CLIENTS, "-j", "2", "-T", "2"];
    bench(&setup, &arguments);
}

fn connecting(protocol: &str) {
    let setup = Setup::new();
    let arguments = ["-M", protocol, "-S", "-C", "-c", "50", "-j", "2", "-t", "8"];
    bench(&setup, &arguments);
}

#[test]
fn select_only_in_the_simple_protocol() {
    select_only("simple");
}

#[test]
fn select_only_in_the_extended_protocol() {
    select_only("extended");
}

#[test]
fn select_only_with_prepared_statements() {
    select_only("prepared");
}

#[test]
fn tpcb_in_the_simple_protocol_adds_up() {
    tpcb("simple", "tpcb-like");
}

#[test]
fn tpcb_in_the_extended_protocol_adds_up() {
    tpcb("extended", "tpcb-like");
}

#[test]
fn tpcb_with_prepared_statements_adds_up() {
    tpcb("prepared", "tpcb-like");
}

#[test]
fn simple_updates_with_prepared_statements() {
    // Leaves tellers and branches alone, so it must not touch the sums: its history is deleted.
    let setup = Setup::new();
    let arguments = ["-M", "prepared", "-S", "-c", "64", "-j", "2", "-t", "20"];
    bench(&setup.clone().set("max_prepared_statements", 1), &arguments);
    bench(
        &setup.set("max_prepared_statements", 0),
        &["-M", "simple", "-S", "-c", "64", "-t", "20"],
    );
}

#[test]
fn a_connection_for_each_transaction_in_every_protocol() {
    for protocol in ["simple", "extended", "prepared"] {
        connecting(protocol);
    }
}

#[test]
fn tpcb_in_a_session_pool_adds_up() {
    let setup = Setup::new().set("pool_mode", "session");
    let arguments = [
        "-M",
        "prepared",
        "-b",
        "tpcb-like",
        "-c",
        "20",
        "-j",
        "2",
        "-t",
        "40",
    ];
    bench(&setup, &arguments);
}
