//! Clients and servers that go away at any moment.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use pgweir::demo::cluster::Cluster;

use crate::support::fixture::options;
use crate::support::message::{Frame, copy_data, parse, query, terminate};
use crate::support::wait::until;
use crate::support::{Fixture, Setup, Weir, Wire};

struct Scene {
    role: String,
    weir: Weir,
}

/// A pool of one connection, so that whoever is not served shows that it is taken.
fn scene() -> Scene {
    let role = Fixture::get().role();
    let weir = Setup::new().forced(&role, "pool_size=1").start();
    Scene { role, weir }
}

impl Scene {
    fn pid(&self) -> String {
        let pids = Fixture::get().pids(&self.role);
        assert_eq!(pids.len(), 1, "connections {pids:?}");
        pids[0].clone()
    }

    fn until_gone(&self, pid: &String) {
        until(&format!("backend {pid} is gone"), || {
            !Fixture::get().pids(&self.role).contains(pid)
        });
    }

    /// Others are served, by another connection.
    fn assert_others_are_served(&self) {
        let mut other = self.weir.app();
        assert_eq!(other.value("select 1"), "1");
        other.run("begin; select 1; commit");
    }
}

#[test]
fn a_client_that_leaves_within_a_transaction_takes_the_connection_with_it() {
    let scene = scene();
    let mut client = scene.weir.app();
    client.run("begin; update counters set n = n + 1000");
    let pid = scene.pid();
    drop(client);
    scene.until_gone(&pid);
    scene.assert_others_are_served();
    let n = scene.weir.app().value("select max(n) < 1000 from counters");
    assert_eq!(n, "t", "it was rolled back");
}

#[test]
fn a_client_that_says_goodbye_within_a_transaction_does_too() {
    let scene = scene();
    let mut client = scene.weir.app();
    client.run("begin");
    let pid = scene.pid();
    client.send(&terminate());
    assert_eq!(client.until_closed(), []);
    scene.until_gone(&pid);
    scene.assert_others_are_served();
}

#[test]
fn a_client_that_leaves_within_a_query_takes_the_connection_with_it() {
    let scene = scene();
    let mut client = scene.weir.app();
    client.send(&query("select generate_series(1, 1000000000)"));
    client.until_tag(b'D');
    let pid = scene.pid();
    drop(client);
    scene.until_gone(&pid);
    scene.assert_others_are_served();
}

#[test]
fn a_client_that_leaves_before_the_answer_does_not_leave_it_to_the_next() {
    let scene = scene();
    for _ in 0..20 {
        let mut client = scene.weir.app();
        client.send(&query("select 'not yours'"));
        drop(client);
        assert_eq!(scene.weir.app().value("select 'mine'"), "mine");
    }
}

#[test]
fn a_client_that_leaves_within_a_sleep_does_not_block_the_pool() {
    let scene = scene();
    let mut client = scene.weir.app();
    client.send(&query("select pg_sleep(60)"));
    let sleeping = "select count(*) from pg_stat_activity where query like 'select pg_sleep(60)' \
        and usename = ";
    let mut server = Fixture::get().superuser("postgres");
    let sql = format!("{sleeping}'{}'", scene.role);
    until("it sleeps", || server.value(&sql) == "1");
    drop(client);
    scene.assert_others_are_served();
}

#[test]
fn a_client_that_leaves_within_a_copy_takes_the_connection_with_it() {
    let scene = scene();
    let mut client = scene.weir.app();
    client.send(&query("copy copied from stdin"));
    client.until_tag(b'G');
    client.send(&copy_data(b"1\tone\n"));
    let pid = scene.pid();
    drop(client);
    scene.until_gone(&pid);
    scene.assert_others_are_served();
    let copied = scene.weir.app().value("select count(*) from copied");
    assert_eq!(copied, "0");
}

#[test]
fn a_client_that_leaves_before_its_sync_takes_the_connection_with_it() {
    let scene = scene();
    let mut client = scene.weir.app();
    let insert = "insert into parents values (4711)";
    client.send(&[parse("", insert, &[]), crate::support::message::flush()].concat());
    client.until_tag(b'1');
    let pid = scene.pid();
    drop(client);
    scene.until_gone(&pid);
    scene.assert_others_are_served();
}

#[test]
fn a_client_that_leaves_within_a_message_does_no_harm() {
    let scene = scene();
    for cut in [1, 3, 5, 8, 20] {
        let mut client = scene.weir.app();
        client.send(&query("select 'a query that is never sent whole'")[..cut]);
        drop(client);
        scene.assert_others_are_served();
    }
}

#[test]
fn an_idle_connection_that_the_server_ends_is_replaced_silently() {
    let scene = scene();
    let mut client = scene.weir.app();
    for _ in 0..5 {
        client.run("select 1");
        let pid = scene.pid();
        let mut server = Fixture::get().superuser("postgres");
        server.run(&format!("select pg_terminate_backend({pid})"));
        scene.until_gone(&pid);
        assert_eq!(client.value("select 2"), "2");
    }
}

#[test]
fn a_busy_connection_that_the_server_ends_is_the_client_s_end_too() {
    let scene = scene();
    let mut client = scene.weir.app();
    client.run("begin");
    let pid = scene.pid();
    let mut server = Fixture::get().superuser("postgres");
    server.run(&format!("select pg_terminate_backend({pid})"));
    let errors: Vec<_> = client.until_closed().iter().map(Frame::report).collect();
    let expected = [
        "57P01 terminating connection due to administrator command",
        "08P01 server conn crashed?",
    ];
    assert_eq!(errors, expected);
    scene.assert_others_are_served();
}

#[test]
fn a_server_that_restarts_under_load_is_found_again() {
    const CLIENTS: usize = 12;
    let installation = &Fixture::get().installation;
    let mut cluster = Cluster::start(installation, options()).unwrap();
    let port = cluster.primary().port();
    let weir = Setup::new()
        .entry(&format!(
            "own = host=127.0.0.1 port={port} dbname=postgres user=postgres"
        ))
        .set("server_login_retry", 1)
        .set("default_pool_size", 4)
        .start();
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    work(&weir, &stop, &done);
                }
            });
        }
        let more = |what: &str| {
            let before = done.load(Ordering::Relaxed);
            until(what, || done.load(Ordering::Relaxed) > before + 200);
        };
        more("queries are answered");
        cluster.primary_mut().restart().unwrap();
        more("queries are answered after a restart");
        cluster.primary_mut().kill_hard().unwrap();
        cluster.primary_mut().start().unwrap();
        more("queries are answered after a crash");
        stop.store(true, Ordering::Relaxed);
    });
}

/// One client until it is told off or the test is over.
fn work(weir: &Weir, stop: &AtomicBool, done: &AtomicUsize) {
    let Ok(mut client) = weir.login("own", "app").connect() else {
        return;
    };
    let mut value = 0;
    while !stop.load(Ordering::Relaxed) {
        value += 1;
        let answer = client.query(&format!("select {value}"));
        if answer.error().is_some() {
            return;
        }
        assert_eq!(answer.rows(), [[value.to_string()]]);
        done.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_server_that_cannot_be_reached_is_reported_to_those_who_wait() {
    let nobody = pgweir::demo::cluster::free_port().unwrap();
    let weir = Setup::new()
        .entry(&format!("nowhere = host=127.0.0.1 port={nobody}"))
        .set("query_wait_timeout", 2)
        .set("server_login_retry", 1)
        .start();
    let error = weir.login("nowhere", "app").connect().unwrap_err().report();
    let words = ["query_wait_timeout", "server login has been failing"];
    assert!(words.iter().any(|known| error.contains(known)), "{error}");
    assert_eq!(weir.app().value("select 1"), "1");
}

#[test]
fn a_half_closed_client_gets_no_other_client_s_answer() {
    let scene = scene();
    let mut client: Wire = scene.weir.app();
    client.send(&query("select 1"));
    client.hang_up();
    for frame in client.until_closed() {
        assert!(
            frame.tag != b'D' || frame.columns() == [Some(b"1".to_vec())],
            "{frame:?}"
        );
    }
    scene.assert_others_are_served();
}
