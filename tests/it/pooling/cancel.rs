//! `CancelRequest`: it must reach the query of its client, and never another one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::message::{cancel_request, query};
use crate::support::wait::until;
use crate::support::wire::Answer;
use crate::support::{Fixture, Setup, Weir, Wire};

const CANCELED: &str = "57014 canceling statement due to user request";

/// Sends a request and waits until the other side has closed, as libpq does.
fn cancel(port: u16, key: &[u8]) {
    let mut wire = Wire::open(port);
    wire.send(&cancel_request(key));
    assert_eq!(wire.until_closed(), []);
}

fn until_sleeping(role: &str) {
    let sql = format!(
        "select count(*) from pg_stat_activity where usename = '{role}' and wait_event = 'PgSleep'"
    );
    let mut server = Fixture::get().superuser("postgres");
    until("a query sleeps", || server.value(&sql) != "0");
}

#[test]
fn a_running_query_is_cancelled_and_its_client_goes_on() {
    let role = Fixture::get().role();
    let weir = Setup::new().forced(&role, "pool_size=2").start();
    let mut client = weir.app();
    for _ in 0..5 {
        client.send(&query("select pg_sleep(60)"));
        until_sleeping(&role);
        cancel(weir.port(), &client.key);
        let error = Answer(client.until_ready(1)).error();
        assert_eq!(error.as_deref(), Some(CANCELED));
        assert_eq!(client.value("select 1"), "1");
    }
}

#[test]
fn a_cancel_works_while_the_pool_is_full() {
    let role = Fixture::get().role();
    let weir = Setup::new().forced(&role, "pool_size=1").start();
    let mut client = weir.app();
    client.send(&query("select pg_sleep(60)"));
    until_sleeping(&role);
    let mut waiting = weir.app();
    waiting.send(&query("select 1"));
    weir.until_waiting(1);
    cancel(weir.port(), &client.key);
    assert_eq!(
        Answer(client.until_ready(1)).error().as_deref(),
        Some(CANCELED)
    );
    assert_eq!(Answer(waiting.until_ready(1)).rows(), [["1"]]);
}

#[test]
fn a_wrong_key_cancels_nothing() {
    let role = Fixture::get().role();
    let weir = Setup::new().forced(&role, "pool_size=1").start();
    let mut client = weir.app();
    client.send(&query("select pg_sleep(0.3), 'done'"));
    until_sleeping(&role);
    for byte in 0..8 {
        let mut key = client.key.clone();
        key[byte] ^= 0x10;
        cancel(weir.port(), &key);
    }
    cancel(weir.port(), &[0; 8]);
    assert_eq!(Answer(client.until_ready(1)).rows()[0][1], "done");
}

#[test]
fn a_late_cancel_of_an_idle_client_reaches_nobody() {
    let role = Fixture::get().role();
    let weir = Setup::new().forced(&role, "pool_size=1").start();
    let mut idle = weir.app();
    idle.run("select 1");
    let mut busy = weir.app();
    busy.send(&query("select pg_sleep(0.3), 'done'"));
    until_sleeping(&role);
    for _ in 0..20 {
        cancel(weir.port(), &idle.key);
    }
    assert_eq!(Answer(busy.until_ready(1)).rows()[0][1], "done");
}

#[test]
fn in_a_rain_of_cancels_only_their_own_queries_are_cancelled() {
    const WET: usize = 6;
    const DRY: usize = 10;
    const ROUNDS: usize = 60;
    let role = Fixture::get().role();
    let weir = Setup::new().forced(&role, "pool_size=4").start();
    let wet: Vec<_> = (0..WET).map(|_| weir.app()).collect();
    let keys: Vec<_> = wet.iter().map(|client| client.key.clone()).collect();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for keys in keys.chunks(WET / 2) {
            let (stop, weir) = (&stop, &weir);
            scope.spawn(move || rain(weir, keys, stop));
        }
        let wet: Vec<_> = wet
            .into_iter()
            .map(|client| scope.spawn(|| in_the_rain(client)))
            .collect();
        let dry: Vec<_> = (0..DRY)
            .map(|_| {
                let client = weir.app();
                scope.spawn(move || in_the_dry(client, ROUNDS))
            })
            .collect();
        let dry: Vec<_> = dry
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect();
        let wet: Vec<_> = wet
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect();
        stop.store(true, Ordering::Relaxed);
        assert!(
            dry.iter().all(Result::is_ok),
            "a client that nobody cancelled failed"
        );
        let hit: usize = wet.into_iter().map(|hits| hits.unwrap()).sum();
        assert!(hit > 0, "no cancel ever hit");
    });
}

fn rain(weir: &Weir, keys: &[Vec<u8>], stop: &AtomicBool) {
    for key in keys.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        cancel(weir.port(), key);
    }
}

/// Counts how often it was cancelled; every answer is its own or that it was cancelled.
fn in_the_rain(mut client: Wire) -> usize {
    let mut hits = 0;
    for round in 0..40 {
        let answer = client.query(&format!("select {round} from pg_sleep(0.01)"));
        match answer.error() {
            None => assert_eq!(answer.rows(), [[round.to_string()]]),
            Some(error) => {
                assert_eq!(error, CANCELED);
                hits += 1;
            }
        }
    }
    hits
}

fn in_the_dry(mut client: Wire, rounds: usize) {
    for round in 0..rounds {
        let answer = client.query(&format!("select {round} from pg_sleep(0.004)"));
        assert_eq!(answer.rows(), [[round.to_string()]]);
    }
}
