//! Limits on clients and on waiting, with the words that clients are told.

use crate::support::message::{query, text};
use crate::support::{Fixture, Setup, Weir};

fn refusal(weir: &Weir, database: &str, user: &str) -> String {
    match weir.login(database, user).connect() {
        Ok(_) => "let in".to_owned(),
        Err(error) => error.report(),
    }
}

#[test]
fn max_client_conn_counts_all_clients_but_those_of_the_console() {
    let weir = Setup::new().set("max_client_conn", 2).start();
    let clients = [weir.app(), weir.client("it", "other")];
    let words = "08P01 no more connections allowed (max_client_conn)";
    assert_eq!(refusal(&weir, "it", "third"), words);
    assert_eq!(refusal(&weir, "pgbouncer", "admin"), "let in");
    drop(clients);
    crate::support::wait::until("a place is free again", || {
        refusal(&weir, "it", "third") == "let in"
    });
}

#[test]
fn max_db_client_connections_counts_the_clients_of_one_database() {
    let weir = Setup::new()
        .database("second", "")
        .database("it", "max_db_client_connections=1")
        .start();
    let _client = weir.app();
    let words = "08P01 client connections exceeded (max_db_client_connections)";
    assert_eq!(refusal(&weir, "it", "other"), words);
    assert_eq!(refusal(&weir, "second", "other"), "let in");
}

#[test]
fn max_user_client_connections_counts_the_clients_of_one_user() {
    let weir = Setup::new()
        .database("second", "")
        .section("[users]\napp = max_user_client_connections=1")
        .start();
    let _client = weir.app();
    let words = "08P01 client connections exceeded (max_user_client_connections)";
    assert_eq!(refusal(&weir, "second", "app"), words);
    assert_eq!(refusal(&weir, "it", "other"), "let in");
}

#[test]
fn a_client_that_waits_too_long_is_told_and_sent_away() {
    let role = Fixture::get().role();
    let weir = Setup::new()
        .forced(&role, "pool_size=1")
        .set("query_wait_notify", "0.1")
        .set("query_wait_timeout", "1")
        .start();
    let mut holder = weir.app();
    holder.run("begin");
    let mut waiter = weir.app();
    waiter.send(&query("select 1"));
    let frames = waiter.until_closed();
    let said: Vec<_> = frames
        .iter()
        .map(|frame| format!("{}: {}", text(&[frame.tag]), frame.report()))
        .collect();
    let queued = "No server connection available in postgres backend, client being queued";
    assert_eq!(
        said,
        [
            format!("N: 00000 {queued}"),
            "E: 08P01 query_wait_timeout".to_owned()
        ]
    );
    holder.run("commit");
    assert_eq!(weir.app().value("select 2"), "2");
}

#[test]
fn timeouts_end_what_takes_too_long() {
    let role = Fixture::get().role();
    let weir = Setup::new()
        .forced(&role, "pool_size=3")
        .database("second", "")
        .user("idle", "")
        .user("open", "")
        .user("slow", "")
        .user("long", "")
        .section(
            "[users]\nidle = client_idle_timeout=1\nopen = idle_transaction_timeout=1\n\
             slow = query_timeout=1\nlong = transaction_timeout=1",
        )
        .start();
    let roles = "create role idle login; create role open login; create role slow login; \
        create role long login";
    Fixture::get().superuser("postgres").run(roles);
    let client = |user, sql: &str| {
        let mut client = weir.client("second", user);
        client.send(&query(sql));
        client
    };
    let mut idle = client("idle", "select 1");
    let mut open = client("open", "begin");
    let mut slow = client("slow", "select pg_sleep(60)");
    let mut long = client("long", "begin; select 1; select pg_sleep(60)");
    assert_eq!(idle.farewell(), "08P01 client_idle_timeout");
    assert_eq!(open.farewell(), "08P01 idle transaction timeout");
    assert_eq!(slow.farewell(), "08P01 query timeout");
    assert_eq!(long.farewell(), "08P01 transaction timeout");
    // Queries of others go on.
    assert_eq!(weir.client("second", "app").value("select 1"), "1");
}

#[test]
fn max_db_connections_holds_over_all_users() {
    let weir = Setup::new()
        .database("third", "max_db_connections=1")
        .set("query_wait_timeout", 1)
        .start();
    let mut first = weir.client("third", "app");
    first.run("begin");
    // A second user's first login waits for a connection to greet it with.
    assert_eq!(refusal(&weir, "third", "other"), "08P01 query_wait_timeout");
    first.run("commit");
    // Now the idle connection of the first user makes room.
    assert_eq!(weir.client("third", "other").value("select 1"), "1");
}

#[test]
fn codes_are_those_of_the_server_where_asked_for() {
    let role = Fixture::get().role();
    let weir = Setup::new()
        .forced(&role, "pool_size=1")
        .database("second", "max_db_client_connections=1")
        .set("error_codes", "postgres")
        .set("query_wait_timeout", "1")
        .set("auth_type", "plain")
        .user("app", "right")
        .start();
    let login = |database| weir.login(database, "app").password("right");
    let _second = login("second").connect().unwrap();
    let code = |outcome: Result<_, crate::support::message::Frame>| {
        outcome.map_or_else(
            |error| error.field('C').unwrap(),
            |_: crate::support::Wire| String::new(),
        )
    };
    assert_eq!(code(login("second").connect()), "53300");
    assert_eq!(code(login("nowhere").connect()), "3D000");
    assert_eq!(code(login("it").password("wrong").connect()), "28P01");
    let mut holder = login("it").connect().unwrap();
    holder.run("begin");
    let mut waiter = login("it").connect().unwrap();
    waiter.send(&query("select 1"));
    assert_eq!(waiter.farewell(), "53300 query_wait_timeout");
}
