//! Commands that change something.

use std::thread;

use nix::sys::signal::Signal;

use super::{refusal, run};
use crate::support::message::{cancel_request, query};
use crate::support::wait::until;
use crate::support::wire::Answer;
use crate::support::{Fixture, Setup, Weir, Wire};

#[test]
fn pause_waits_for_transactions_and_holds_new_ones_until_resume() {
    let role = Fixture::get().role();
    let weir = Setup::new().forced(&role, "").start();
    let mut busy = weir.app();
    busy.run("begin");
    let mut console = weir.console();
    console.send(&query("pause"));
    let mut held = weir.app();
    held.send(&query("select 'held'"));
    weir.until_waiting(1);
    busy.run("commit");
    assert_eq!(
        Answer(console.until_ready(1)).tag().as_deref(),
        Some("PAUSE")
    );
    assert_eq!(
        Fixture::get().pids(&role).len(),
        0,
        "connections are closed"
    );
    assert_eq!(refusal(&mut console, "pause"), "08P01 already paused");
    let paused = weir.shown("state", &[("key", "paused")], "value");
    assert_eq!(paused.as_deref(), Some("yes"));
    run(&mut console, "resume", "RESUME");
    assert_eq!(Answer(held.until_ready(1)).rows(), [["held"]]);
    assert_eq!(busy.value("select 1"), "1");
}

#[test]
fn one_database_can_be_paused_alone() {
    let weir = Setup::new().database("second", "").start();
    let (mut here, mut there) = (weir.app(), weir.client("second", "app"));
    let mut console = weir.console();
    run(&mut console, "pause it", "PAUSE");
    here.send(&query("select 'held'"));
    weir.until_waiting(1);
    assert_eq!(there.value("select 1"), "1");
    let paused = weir.shown("databases", &[("name", "it")], "paused");
    assert_eq!(paused.as_deref(), Some("1"));
    run(&mut console, "resume it", "RESUME");
    assert_eq!(Answer(here.until_ready(1)).rows(), [["held"]]);
}

#[test]
fn a_cancelled_pause_resumes_everything() {
    let weir = Setup::new().start();
    let mut busy = weir.app();
    busy.run("begin");
    let mut console = weir.console();
    console.send(&query("pause"));
    until("it waits", || {
        weir.shown("state", &[("key", "paused")], "value")
            .as_deref()
            == Some("yes")
    });
    let mut cancel = Wire::open(weir.port());
    cancel.send(&cancel_request(&console.key));
    cancel.until_closed();
    assert!(Answer(console.until_ready(1)).error().is_some());
    busy.run("commit");
    assert_eq!(weir.app().value("select 1"), "1");
}

#[test]
fn killed_databases_drop_their_clients_until_resume() {
    let weir = Setup::new().database("second", "").start();
    let (mut here, mut there) = (weir.app(), weir.client("second", "app"));
    here.run("begin");
    let mut console = weir.console();
    run(&mut console, "kill it", "KILL");
    assert_eq!(here.farewell(), "08P01 database removed");
    assert_eq!(there.value("select 1"), "1");
    run(&mut console, "resume it", "RESUME");
    assert_eq!(weir.app().value("select 1"), "1");
}

#[test]
fn one_client_can_be_killed() {
    let weir = Setup::new().start();
    let (mut doomed, mut spared) = (weir.app(), weir.client("it", "other"));
    doomed.run("begin");
    let id = weir.shown("clients", &[("user", "app")], "id").unwrap();
    let mut console = weir.console();
    run(&mut console, &format!("kill_client {id}"), "KILL_CLIENT");
    assert_eq!(doomed.farewell(), "08P01 admin forced disconnect");
    assert_eq!(spared.value("select 1"), "1");
    let again = format!("kill_client {id}");
    until("it is gone", || {
        refusal(&mut console, &again) == "08P01 client not found"
    });
}

#[test]
fn reconnect_replaces_connections_as_they_become_free() {
    let role = Fixture::get().role();
    let weir = Setup::new().forced(&role, "").start();
    let (mut busy, mut other) = (weir.app(), weir.app());
    busy.run("begin");
    let old = busy.value("select pg_backend_pid()");
    let mut console = weir.console();
    run(&mut console, "reconnect it", "RECONNECT");
    console.send(&query("wait_close it"));
    assert_ne!(other.value("select pg_backend_pid()"), old);
    assert_eq!(busy.value("select pg_backend_pid()"), old);
    busy.run("commit");
    assert_eq!(
        Answer(console.until_ready(1)).tag().as_deref(),
        Some("WAIT_CLOSE")
    );
    assert_ne!(busy.value("select pg_backend_pid()"), old);
    until("the old one is gone", || {
        !Fixture::get().pids(&role).contains(&old)
    });
}

#[test]
fn fast_close_ends_a_session_between_transactions_and_not_inside_one() {
    let setup = Setup::new().set("pool_mode", "session");
    let weir = setup.set("server_fast_close", 1).start();
    let (mut busy, mut idle) = (weir.app(), weir.client("it", "other"));
    busy.run("begin");
    idle.run("select 1");
    run(&mut weir.console(), "reconnect", "RECONNECT");
    assert_eq!(idle.farewell(), "08P01 database configuration changed");
    assert_eq!(busy.value("select 1"), "1", "its transaction goes on");
    busy.send(&query("commit"));
    assert_eq!(busy.farewell(), "08P01 database configuration changed");
}

#[test]
fn disabled_databases_let_nobody_in() {
    let weir = Setup::new().start();
    let mut inside = weir.app();
    let mut console = weir.console();
    run(&mut console, "disable it", "DISABLE");
    let error = weir.login("it", "app").connect().unwrap_err();
    assert_eq!(error.report(), "08P01 database \"it\" is disabled");
    assert_eq!(inside.value("select 1"), "1");
    run(&mut console, "enable it", "ENABLE");
    assert_eq!(weir.app().value("select 1"), "1");
}

#[test]
fn set_changes_a_setting_at_once() {
    let role = Fixture::get().role();
    let weir = Setup::new().forced(&role, "pool_size=1").start();
    let mut console = weir.console();
    run(
        &mut console,
        "set query_wait_timeout = 1",
        "SET query_wait_timeout=1",
    );
    let value = weir.shown("config", &[("key", "query_wait_timeout")], "value");
    assert_eq!(value.as_deref(), Some("1"));
    let (mut holder, mut waiter) = (weir.app(), weir.app());
    holder.run("begin");
    waiter.send(&query("select 1"));
    assert_eq!(waiter.farewell(), "08P01 query_wait_timeout");
    run(
        &mut console,
        "set max_client_conn to '1'",
        "SET max_client_conn=1",
    );
    let error = weir.login("it", "app").connect().unwrap_err();
    assert_eq!(
        error.report(),
        "08P01 no more connections allowed (max_client_conn)"
    );
}

/// Reloads by the console or by a signal, and waits until that has happened.
fn reload(weir: &mut Weir, how: Reload) {
    match how {
        Reload::Console => run(&mut weir.console(), "reload", "RELOAD"),
        Reload::Signal => {
            weir.signal(Signal::SIGHUP);
            weir.until_logged("SIGHUP");
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Reload {
    Console,
    Signal,
}

#[test]
fn a_reload_takes_up_databases_users_and_limits() {
    for how in [Reload::Console, Reload::Signal] {
        let before = Setup::new().database("second", "");
        let mut weir = before.start();
        let (mut stays, mut goes) = (weir.app(), weir.client("second", "app"));
        let port = Fixture::get().port();
        let after = Setup::new()
            .entry(&format!("fresh = host=127.0.0.1 port={port} dbname=third"))
            .user("fresh_user", "");
        Fixture::get()
            .superuser("postgres")
            .run("drop role if exists fresh_user; create role fresh_user login");
        weir.rewrite(&after);
        assert!(weir.login("fresh", "app").connect().is_err());
        reload(&mut weir, how);
        assert_eq!(goes.farewell(), "08P01 database removed", "{how:?}");
        assert_eq!(stays.value("select 1"), "1");
        let mut fresh = weir.client("fresh", "fresh_user");
        assert_eq!(fresh.value("select current_database()"), "third");
    }
}

#[test]
fn a_reload_of_a_broken_file_changes_nothing() {
    let weir = Setup::new().start();
    let mut client = weir.app();
    let mut console = weir.console();
    for broken in [
        Setup::new().set("no_such_setting", 1),
        Setup::new().set("pool_mode", "nonsense"),
        Setup::new().entry("it = no_such_key=1"),
        Setup::new().section("[nonsense]"),
    ] {
        weir.rewrite(&broken.set("max_client_conn", 1));
        let error = "F0000 RELOAD failed, see logs for additional details";
        assert_eq!(refusal(&mut console, "reload"), error);
        assert_eq!(client.value("select 1"), "1");
        assert_eq!(weir.app().value("select 1"), "1");
    }
    weir.rewrite(&Setup::new());
    run(&mut console, "reload", "RELOAD");
}

#[test]
fn changed_addresses_count_for_the_next_transaction() {
    let weir = Setup::new().start();
    let mut client = weir.app();
    assert_eq!(client.value("select current_database()"), "it");
    let port = Fixture::get().port();
    weir.rewrite(&Setup::new().entry(&format!("it = host=127.0.0.1 port={port} dbname=second")));
    run(&mut weir.console(), "reload", "RELOAD");
    assert_eq!(client.value("select current_database()"), "second");
}

#[test]
fn signals_pause_and_resume() {
    let mut weir = Setup::new().start();
    let mut client = weir.app();
    weir.signal(Signal::SIGUSR1);
    until("it is paused", || {
        weir.shown("state", &[("key", "paused")], "value")
            .as_deref()
            == Some("yes")
    });
    client.send(&query("select 'held'"));
    weir.until_waiting(1);
    weir.signal(Signal::SIGUSR2);
    assert_eq!(Answer(client.until_ready(1)).rows(), [["held"]]);
}

#[test]
fn a_reopened_log_goes_on_in_a_new_file() {
    let mut weir = Setup::new().set("logfile", "{dir}/own.log").start();
    let log = weir.dir().join("own.log");
    let moved = weir.dir().join("own.log.1");
    until("it is logged to", || log.exists());
    std::fs::rename(&log, &moved).unwrap();
    weir.signal(Signal::SIGHUP);
    until("a new file is there", || log.exists());
    drop(weir.app());
    let logged = || std::fs::read_to_string(&log).unwrap_or_default();
    until("it is used", || {
        logged().contains("login attempt: db=it user=app")
    });
}

#[test]
fn commands_under_load_lose_no_answer() {
    let role = Fixture::get().role();
    let weir = Setup::new().forced(&role, "pool_size=3").start();
    let stop = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = weir.app();
                let mut value = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    value += 1;
                    assert_eq!(client.value(&format!("select {value}")), value.to_string());
                }
            });
        }
        let mut console = weir.console();
        for _ in 0..10 {
            run(&mut console, "pause", "PAUSE");
            run(&mut console, "resume", "RESUME");
            run(&mut console, "reconnect", "RECONNECT");
            run(&mut console, "reload", "RELOAD");
            run(&mut console, "wait_close", "WAIT_CLOSE");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
