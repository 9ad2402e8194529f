//! The log of slow queries.

use super::row;
use crate::support::message::query;
use crate::support::{Fixture, Setup, Weir};

/// The line of the log with these words, and both of its times in milliseconds.
fn line(weir: &Weir, words: &str) -> (String, f64, f64) {
    weir.until_logged(words);
    let log = weir.log();
    let line = log.lines().find(|line| line.contains(words)).unwrap();
    let number = |behind: &str| {
        let (_, rest) = line.split_once(behind).unwrap();
        rest.split(' ').next().unwrap().parse::<f64>().unwrap()
    };
    (
        line.to_owned(),
        number("(waited "),
        number("for a server, server "),
    )
}

#[test]
fn a_slow_query_is_logged_with_wait_and_server_apart_and_without_values() {
    let role = Fixture::get().role();
    let setup = Setup::new().forced(&role, "pool_size=1");
    let weir = setup.set("log_min_duration", 150).start();
    let (mut holder, mut waiter) = (weir.app(), weir.client("it", "other"));
    holder.run("select 1 as fast; begin");
    holder.send(&query("select pg_sleep(0.8), 'a secret' as holder"));
    waiter.send(&query("select 7 as waiter"));
    weir.until_waiting(1);
    holder.until_ready(1);
    holder.run("commit");
    waiter.until_ready(1);
    let (logged, waited, server) = line(&weir, "as holder");
    assert!(
        logged.contains(" LOG C-0x") && logged.contains(": it/app@127.0.0.1:"),
        "{logged}"
    );
    assert!(logged.contains("slow query: total 8"), "{logged}");
    assert!(
        logged.ends_with("select pg_sleep($1), $2 as holder"),
        "{logged}"
    );
    assert!(waited < 100.0 && server >= 800.0, "{logged}");
    let [print] = row(&weir, "select pg_sleep($1), $2 as holder", ["fingerprint"]).unwrap();
    assert!(
        logged.contains(&format!(", fingerprint {print}, ")),
        "{logged}"
    );
    let (logged, waited, server) = line(&weir, "as waiter");
    assert!(waited >= 150.0 && server < 150.0, "{logged}");
    let [wait] = row(&weir, "select $1 as waiter", ["wait_us"]).unwrap();
    assert!(
        wait.parse::<f64>().unwrap() >= waited * 1000.0 - 100.0,
        "{wait}"
    );
    assert!(!weir.log().contains("secret") && !weir.log().contains("as fast"));
}

#[test]
fn many_slow_queries_at_once_are_held_back() {
    let weir = Setup::new().set("log_min_duration", 0).start();
    let mut client = weir.app();
    for _ in 0..200 {
        client.run("select 1 as many");
    }
    weir.until_logged("as many");
    let lines = weir.log().matches("as many").count();
    assert!((1..100).contains(&lines), "{lines}");
}

#[test]
fn slow_queries_are_logged_where_that_is_on_whether_queries_are_counted_or_not() {
    let weir = Setup::new().set("log_min_duration", -1).start();
    let (mut client, mut console) = (weir.app(), weir.console());
    client.run("select pg_sleep(0.3) as never");
    console.run("set query_stats = 0");
    client.run("select pg_sleep(0.3) as never");
    console.run("set log_min_duration = 200");
    client.run("select pg_sleep(0.3) as uncounted");
    line(&weir, "as uncounted");
    assert!(!weir.log().contains("as never"));
    assert_eq!(
        row(&weir, "select pg_sleep($1) as uncounted", ["calls"]),
        None
    );
    let [calls] = row(&weir, "select pg_sleep($1) as never", ["calls"]).unwrap();
    assert_eq!(calls, "1");
}
