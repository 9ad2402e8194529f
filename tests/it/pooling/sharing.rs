//! Clients share connections, and nothing else.

use std::thread;

use crate::support::message::{bind, close, execute, parse, sync};
use crate::support::sampler::Sampler;
use crate::support::{Fixture, Setup, Weir, Wire};

#[test]
fn a_pool_never_has_more_connections_than_its_size() {
    let role = Fixture::get().role();
    let weir = Setup::new().forced(&role, "pool_size=3").start();
    let sampler = Sampler::start(&format!("usename = '{role}'"));
    thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                let mut client = weir.app();
                for _ in 0..25 {
                    client.run("begin");
                    client.run("select count(*) from items");
                    client.run("commit");
                }
            });
        }
    });
    let highest = sampler.finish();
    assert!((1..=3).contains(&highest), "{highest} connections");
}

#[test]
fn clients_of_one_pool_keep_their_own_statements_and_parameters() {
    const CLIENTS: usize = 24;
    const ROUNDS: usize = 25;
    let role = Fixture::get().role();
    let weir = Setup::new()
        .forced(&role, "pool_size=2")
        .set("server_round_robin", 1)
        .set("max_prepared_statements", 5)
        .start();
    let zones = ["Asia/Tokyo", "Europe/Berlin", "America/New_York", "UTC"];
    let styles = ["German", "ISO", "SQL"];
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let weir = &weir;
            let (zone, style) = (zones[number % zones.len()], styles[number % styles.len()]);
            scope.spawn(move || {
                let mut client = weir.app();
                let name = format!("client {number}");
                client.run(&format!("set application_name = '{name}'"));
                client.run(&format!(
                    "set timezone = '{zone}'; set datestyle = '{style}'"
                ));
                for round in 0..ROUNDS {
                    own_statement(&mut client, number, round);
                    assert_eq!(client.value("show timezone"), zone);
                    assert_eq!(client.value("show application_name"), name);
                    let shown = client.value("show datestyle");
                    assert!(shown.starts_with(style), "{shown} instead of {style}");
                }
            });
        }
    });
}

/// Every client has another text under the same name, and changes it from time to time.
fn own_statement(client: &mut Wire, number: usize, round: usize) {
    let era = round / 5;
    if round.is_multiple_of(5) {
        let sql = format!("select {number} * 1000 + {era} + $1::int");
        client.send(&[close('S', "s"), parse("s", &sql, &[]), sync()].concat());
        client.until_ready(1);
    }
    let value = round.to_string();
    client.send(
        &[
            bind("", "s", &[Some(value.as_bytes())]),
            execute("", 0),
            sync(),
        ]
        .concat(),
    );
    let frames = client.until_ready(1);
    let row = frames.iter().find(|frame| frame.tag == b'D');
    let row = row.unwrap_or_else(|| panic!("no row: {frames:?}"));
    let expected = (number * 1000 + era + round).to_string();
    assert_eq!(row.columns(), [Some(expected.into_bytes())]);
}

#[test]
fn parameters_of_the_startup_packet_follow_the_client() {
    let role = Fixture::get().role();
    let weir = Setup::new().forced(&role, "pool_size=1").start();
    let mine = [
        ("TimeZone", "Asia/Tokyo"),
        ("application_name", "mine"),
        ("client_encoding", "LATIN1"),
        ("options", "-c DateStyle=German --IntervalStyle=iso_8601"),
    ];
    let mut other = weir.app();
    let mut client = weir.login("it", "app").more(&mine).connect().unwrap();
    for (name, value) in [
        ("TimeZone", "Asia/Tokyo"),
        ("application_name", "mine"),
        ("client_encoding", "LATIN1"),
        ("IntervalStyle", "iso_8601"),
    ] {
        assert_eq!(client.parameters.get(name).map(String::as_str), Some(value));
        assert_eq!(client.value(&format!("show {name}")), value);
        assert_ne!(other.value(&format!("show {name}")), value, "{name}");
    }
    assert_eq!(client.value("select '2000-01-31'::date"), "31.01.2000");
    assert_eq!(other.value("select '2000-01-31'::date"), "2000-01-31");
}

#[test]
fn waiting_clients_are_served_in_the_order_in_which_they_came() {
    const WAITERS: usize = 8;
    let role = Fixture::get().role();
    Fixture::get().superuser("it").run(&format!(
        "create sequence turns; grant all on sequence turns to {role}"
    ));
    // Between workers the order is kept to about a millisecond: a connection stays where it is.
    let weir = Setup::new()
        .forced(&role, "pool_size=1")
        .set("workers", 1)
        .start();
    let mut holder = weir.app();
    holder.run("begin");
    let mut waiters = Vec::new();
    for number in 0..WAITERS {
        let mut waiter = weir.app();
        waiter.send(&crate::support::message::query("select nextval('turns')"));
        waiters.push(waiter);
        weir.until_waiting(number + 1);
    }
    holder.run("commit");
    let turns: Vec<_> = waiters.iter_mut().map(turn).collect();
    let expected: Vec<_> = (1..=WAITERS).map(|turn| turn.to_string()).collect();
    assert_eq!(turns, expected);
    weir.until_waiting(0);
}

fn turn(waiter: &mut Wire) -> String {
    let frames = waiter.until_ready(1);
    let answer = crate::support::wire::Answer(frames);
    answer.rows()[0][0].clone()
}

/// The backend that serves a client now.
fn backend(client: &mut Wire) -> String {
    client.value("select pg_backend_pid()")
}

#[test]
fn a_session_keeps_its_connection_which_is_reset_before_the_next_one() {
    let role = Fixture::get().role();
    let weir = Setup::new()
        .forced(&role, "pool_mode=session pool_size=1")
        .start();
    let mut first = weir.app();
    let pid = backend(&mut first);
    first.run("set statement_timeout = '77s'");
    first.run("create temp table left_behind (a int)");
    first.run("prepare left_over as select 1");
    first.run("listen left_on");
    assert_eq!(backend(&mut first), pid);
    drop(first);
    let mut second = weir.app();
    assert_eq!(backend(&mut second), pid);
    assert_eq!(second.value("show statement_timeout"), "0");
    let left = "select (select count(*) from pg_prepared_statements)
        + (select count(*) from pg_listening_channels())
        + (select count(*) from pg_class where relname = 'left_behind')";
    assert_eq!(second.value(left), "0");
}

#[test]
fn a_reset_query_that_fails_costs_only_the_connection() {
    let role = Fixture::get().role();
    let weir = Setup::new()
        .forced(&role, "pool_mode=session pool_size=1")
        .set("server_reset_query", "select 1/0")
        .start();
    let pid = backend(&mut weir.app());
    assert_ne!(backend(&mut weir.app()), pid);
}

#[test]
fn a_transaction_pool_lends_a_connection_for_one_transaction() {
    let role = Fixture::get().role();
    let weir = Setup::new().forced(&role, "pool_size=1").start();
    let (mut first, mut second) = (weir.app(), weir.app());
    first.run("begin");
    let pid = backend(&mut first);
    first.run("commit");
    assert_eq!(backend(&mut second), pid);
    assert_eq!(backend(&mut first), pid);
}

#[test]
fn a_statement_pool_refuses_transaction_blocks() {
    let role = Fixture::get().role();
    let weir = Setup::new()
        .forced(&role, "pool_mode=statement pool_size=2")
        .start();
    let mut client = weir.app();
    assert_eq!(client.value("select 1; select 2"), "1");
    client.send(&crate::support::message::query("begin"));
    let farewell = client.farewell();
    assert_eq!(
        farewell,
        "08P01 transaction blocks not allowed in statement pooling mode"
    );
    assert_eq!(weir.app().value("select 3"), "3");
}

#[test]
fn a_pool_mode_can_be_set_for_each_user() {
    let weir = Setup::new()
        .section("[users]\nother = pool_mode=session pool_size=1")
        .start();
    let mode = |client: &Wire| client.parameters.get("pgbouncer.pool_mode").cloned();
    assert_eq!(
        mode(&weir.client("it", "other")).as_deref(),
        Some("session")
    );
    assert_eq!(mode(&weir.app()).as_deref(), Some("transaction"));
}

#[test]
fn users_and_databases_have_pools_of_their_own() {
    let weir: Weir = Setup::new()
        .database("second", "pool_size=1")
        .set("default_pool_size", 1)
        .start();
    let mut clients = [
        weir.client("it", "app"),
        weir.client("it", "other"),
        weir.client("second", "app"),
    ];
    let who = "select current_user || ' ' || current_database()";
    for client in &mut clients {
        client.run("begin");
    }
    let answers: Vec<_> = clients.iter_mut().map(|client| client.value(who)).collect();
    assert_eq!(answers, ["app it", "other it", "app second"]);
}

#[test]
fn an_entry_for_any_database_takes_its_name() {
    let port = Fixture::get().port();
    let weir = Setup::new()
        .entry(&format!("* = host=127.0.0.1 port={port}"))
        .start();
    let mut client = weir.client("third", "app");
    assert_eq!(client.value("select current_database()"), "third");
    weir.until_logged("registered new auto-database: third");
    let error = weir.login("nowhere", "app").connect().unwrap_err();
    assert_eq!(error.report(), "3D000 database \"nowhere\" does not exist");
}
