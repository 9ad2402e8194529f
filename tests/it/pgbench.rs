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

/// What a run adds to, each the same amount.
#[derive(Debug, Clone, Copy)]
enum Adds {
    /// Nothing: it only reads.
    Nothing,
    /// Accounts, branches, tellers and history.
    Everywhere,
    /// Accounts and history (`-N`).
    Accounts,
}

/// Runs pgbench through a pool of 20, and checks what it says, how many connections it took and what
/// it has left in its tables.
fn bench(setup: &Setup, adds: Adds, arguments: &[&str]) {
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
    let before = sums();
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
    assert_added(adds, &before, &sums());
}

fn command(weir: &Weir, arguments: &[&str]) -> std::process::Command {
    let port = weir.port().to_string();
    let mut command = Fixture::get().tool(Tool::Pgbench);
    command.args(["-h", "127.0.0.1", "-p", &port, "-U", "app", "-n"]);
    command.args(arguments).arg("bench");
    command
}

/// Sums over accounts, branches, tellers and history.
fn sums() -> Vec<i64> {
    let mut server = Fixture::get().superuser("bench");
    let sums = "select (select sum(abalance) from pgbench_accounts), \
        (select sum(bbalance) from pgbench_branches), (select sum(tbalance) from pgbench_tellers), \
        (select coalesce(sum(delta), 0) from pgbench_history)";
    let sums = server.query(sums).rows().remove(0);
    sums.iter().map(|sum| sum.parse().unwrap()).collect()
}

/// Every transaction adds the same amount in several places: had one been lost, doubled or mixed
/// with another, the sums would differ.
fn assert_added(adds: Adds, before: &[i64], after: &[i64]) {
    let added: Vec<_> = after
        .iter()
        .zip(before)
        .map(|(after, before)| after - before)
        .collect();
    let by = added[0];
    let expected = match adds {
        Adds::Nothing => [0; 4],
        Adds::Everywhere => [by; 4],
        Adds::Accounts => [by, 0, 0, by],
    };
    assert_eq!(added, expected);
}

fn tpcb(protocol: &str) {
    let arguments = [
        "-M",
        protocol,
        "-b",
        "tpcb-like",
        "-c",
        CLIENTS,
        "-j",
        "2",
        "-t",
        "8",
    ];
    bench(&Setup::new(), Adds::Everywhere, &arguments);
}

fn select_only(protocol: &str) {
    let arguments = ["-M", protocol, "-S", "-c", CLIENTS, "-j", "2", "-T", "2"];
    bench(&Setup::new(), Adds::Nothing, &arguments);
}

fn connecting(protocol: &str) {
    let arguments = ["-M", protocol, "-S", "-C", "-c", "50", "-j", "2", "-t", "8"];
    bench(&Setup::new(), Adds::Nothing, &arguments);
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
    tpcb("simple");
}

#[test]
fn tpcb_in_the_extended_protocol_adds_up() {
    tpcb("extended");
}

#[test]
fn tpcb_with_prepared_statements_adds_up() {
    tpcb("prepared");
}

#[test]
fn simple_updates_in_every_protocol_add_up() {
    for protocol in ["simple", "extended", "prepared"] {
        let arguments = ["-M", protocol, "-N", "-c", CLIENTS, "-j", "2", "-t", "8"];
        bench(&Setup::new(), Adds::Accounts, &arguments);
    }
}

#[test]
fn statements_are_followed_with_room_for_one_only() {
    let setup = Setup::new().set("max_prepared_statements", 1);
    let arguments = [
        "-M",
        "prepared",
        "-b",
        "tpcb-like",
        "-c",
        "64",
        "-j",
        "2",
        "-t",
        "10",
    ];
    bench(&setup, Adds::Everywhere, &arguments);
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
    bench(&setup, Adds::Everywhere, &arguments);
}
