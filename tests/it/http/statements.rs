//! What pgweir answers itself, and whether servers have what is asked of them: counted exactly.

use super::{scrape, start};
use crate::support::message::{bind, execute, parse, sync};
use crate::support::wait::until;
use crate::support::{Fixture, Setup, Weir, Wire};

const CLIENTS: usize = 5;

/// Prepares a statement, and waits for the answer.
fn prepare(client: &mut Wire, sql: &str) {
    client.send(&[parse("s", sql, &[]), sync()].concat());
    client.until_ready(1);
}

/// Runs it.
fn run(client: &mut Wire) {
    client.send(&[bind("", "s", &[]), execute("", 0), sync()].concat());
    client.until_ready(1);
}

/// Client's parses, server's, those that were answered here, binds, hits, misses.
fn counted((_, port): &(Weir, u16), role: &str) -> [u64; 6] {
    let scraped = scrape(*port);
    let names = [
        "client_parses",
        "server_parses",
        "local_parses",
        "binds",
        "statement_hits",
        "statement_misses",
    ];
    names.map(|name| {
        let series = format!("pgweir_{name}_total{{database=\"it\",user=\"{role}\"}}");
        scraped.value(&series).map_or(0, |value| {
            assert!(value.fract() == 0.0, "{series}: {value}");
            format!("{value}").parse().unwrap()
        })
    })
}

fn until_counted(weir: &(Weir, u16), role: &str, expected: [u64; 6]) {
    // A client may have its answer before it is counted.
    until("what was asked for is counted", || {
        let found = counted(weir, role);
        let above = found
            .iter()
            .zip(&expected)
            .any(|(found, expected)| found > expected);
        assert!(!above, "{found:?}, expected {expected:?}");
        found == expected
    });
}

#[test]
fn local_parses_and_hits_of_prepared_statements_are_counted_one_by_one() {
    let role = Fixture::get().role();
    let weir = start(&Setup::new().forced(&role, "pool_size=1"));
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| weir.0.app()).collect();
    // The server gets the first one; it is pgweir that tells the others.
    for client in &mut clients {
        prepare(client, "select 1");
    }
    until_counted(&weir, &role, [5, 1, 4, 0, 0, 0]);
    for client in &mut clients {
        run(client);
    }
    until_counted(&weir, &role, [5, 1, 4, 5, 5, 0]);
    // On another server, the first who needs it has it prepared there.
    weir.0.console().run("reconnect it");
    for client in &mut clients {
        run(client);
    }
    until_counted(&weir, &role, [5, 2, 4, 10, 9, 1]);
    // Within a transaction it is known as well, and another statement is not.
    let mut late = weir.0.app();
    late.run("begin");
    prepare(&mut late, "select 1");
    run(&mut late);
    late.run("commit");
    prepare(&mut weir.0.app(), "select 2");
    until_counted(&weir, &role, [7, 3, 5, 11, 10, 1]);
}
