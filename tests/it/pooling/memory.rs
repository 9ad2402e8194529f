//! What clients that do nothing cost.

use std::fs;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::support::{Fixture, Setup, Weir, Wire};

const CLIENTS: usize = 1_000;

/// Bytes that a client may cost. It was 1,660 when this was written, of which the allocator took 200.
const BYTES_MAX: usize = 2_048;

/// Memory of the process that is no file's, in bytes.
fn memory(weir: &Weir) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", weir.pid())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line
        .and_then(|line| line.split_whitespace().next())
        .unwrap();
    kib.parse::<usize>().unwrap() * 1024
}

#[test]
fn a_client_at_rest_costs_two_kilobytes_at_most() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let role = Fixture::get().role();
    let setup = Setup::new().forced(&role, "pool_size=2");
    let weir = setup.set("max_client_conn", 2 * CLIENTS).start();
    let more = |count: usize| -> Vec<Wire> {
        let clients = (0..count).map(|_| {
            let mut client = weir.app();
            client.run("select 1");
            client
        });
        clients.collect()
    };
    // The first ones pay for what all of them share: pages, buffers, tables that grow by doubling.
    let first = more(CLIENTS / 2);
    let before = memory(&weir);
    let rest = more(CLIENTS);
    let each = (memory(&weir) - before) / CLIENTS;
    drop((first, rest));
    assert!(each <= BYTES_MAX, "{each} bytes for each client");
}
