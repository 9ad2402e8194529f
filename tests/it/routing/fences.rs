//! Nobody reads what is older than what it has written or read before.
//!
//! Clients write a value and read it back at once, over and over, while replicas apply what they
//! get late. `my_port()` in the same statement says who answered. A longer run:
//! `PGWEIR_FENCE_SECONDS=60 cargo test --test it routing::fences`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use pgweir::demo::cluster::Server;
use pgweir::demo::interrupt::Deadline;

use super::{Protocol, Stage};
use crate::support::fixture::options;
use crate::support::wait::until;
use crate::support::{Weir, Wire};

/// Clients that write and read.
const CLIENTS: i64 = 32;
/// How often each of them reads what it has written.
const READS: usize = 8;

/// How long the clients of one test go on.
fn duration() -> Duration {
    let seconds = std::env::var("PGWEIR_FENCE_SECONDS");
    let seconds = seconds.ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(1.5))
}

/// What the clients of one run have seen.
#[derive(Debug, Default)]
struct Seen {
    primary: AtomicU64,
    replicas: AtomicU64,
    stale: AtomicU64,
}

impl Seen {
    /// Counts one answer; true when it is as new as it must be.
    fn count(&self, stage: &Stage, answer: &Read, least: i64) -> bool {
        let from_primary = answer.port == stage.cluster.primary().port();
        let counter = if from_primary {
            &self.primary
        } else {
            &self.replicas
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let fresh = answer.value >= least;
        if !fresh {
            self.stale.fetch_add(1, Ordering::Relaxed);
        }
        fresh
    }

    /// Share of the reads that replicas have answered, in per cent.
    fn share(&self) -> u64 {
        let replicas = self.replicas.load(Ordering::Relaxed);
        let all = replicas + self.primary.load(Ordering::Relaxed);
        (100 * replicas).checked_div(all).unwrap_or(0)
    }
}

/// One answer: the value, and the port of the server that gave it.
#[derive(Debug)]
struct Read {
    value: i64,
    port: u16,
}

fn read(client: &mut Wire, protocol: Protocol, id: i64) -> Read {
    let sql = format!("select v, my_port() from kept where id = {id}");
    let rows = protocol.run(client, &sql).rows();
    let [row] = rows.as_slice() else {
        panic!("{rows:?}")
    };
    Read {
        value: row[0].parse().unwrap(),
        port: row[1].parse().unwrap(),
    }
}

fn write(client: &mut Wire, protocol: Protocol, id: i64, value: i64) {
    let sql = format!("update kept set v = {value} where id = {id}");
    let answer = protocol.run(client, &sql);
    assert_eq!(answer.tag().as_deref(), Some("UPDATE 1"), "{answer:?}");
}

/// Who answers reads of clients that have seen nothing yet: one that has may stay where it is.
fn ports(weir: &Weir) -> BTreeSet<u16> {
    let port = |_| read(&mut weir.client("app", "app"), Protocol::Simple, 0).port;
    (0..20).map(port).collect()
}

/// How late a replica applies commits.
fn delay(server: &Server, milliseconds: u32) {
    let sql = format!("alter system set recovery_min_apply_delay = {milliseconds}");
    server.psql("postgres", &sql).unwrap();
    server.psql("postgres", "select pg_reload_conf()").unwrap();
    until("the delay counts", || {
        let shown = "select setting from pg_settings where name = 'recovery_min_apply_delay'";
        server.psql("postgres", shown).unwrap() == milliseconds.to_string()
    });
}

fn stage(delays: [u32; 2]) -> Stage {
    let stage = Stage::start(options());
    for (server, milliseconds) in stage.cluster.replicas().iter().zip(delays) {
        delay(server, milliseconds);
    }
    stage
}

fn start(stage: &Stage, scope: &str) -> Weir {
    let weir = stage
        .setup()
        .set("fence_scope", scope)
        .set("default_pool_size", 20)
        .set("max_client_conn", 500)
        .start();
    until("reads go to replicas", || {
        let answer = read(&mut weir.client("app", "app"), Protocol::Simple, 0);
        answer.port != stage.cluster.primary().port()
    });
    weir
}

/// Whose connection reads what a client has written.
#[derive(Debug, Clone, Copy)]
enum Reader {
    /// The client's own.
    Same,
    /// Another one of the same user.
    SameUser,
    /// One of another user.
    OtherUser,
}

/// Writes and reads back with many clients at once.
fn read_back(stage: &Stage, weir: &Weir, reader: Reader) -> Seen {
    let seen = Seen::default();
    let deadline = Deadline::after(duration());
    thread::scope(|scope| {
        for id in 0..CLIENTS {
            let (seen, deadline) = (&seen, &deadline);
            scope.spawn(move || {
                let protocol = Protocol::ALL[usize::from(id % 2 == 0)];
                let mut writer = weir.client("app", "app");
                let mut second = match reader {
                    Reader::Same => None,
                    Reader::SameUser => Some(weir.client("app", "app")),
                    Reader::OtherUser => Some(weir.client("app", "other")),
                };
                let start = read(&mut writer, protocol, id).value;
                for value in start + 1.. {
                    if deadline.passed() {
                        break;
                    }
                    write(&mut writer, protocol, id, value);
                    for _ in 0..READS {
                        let client = second.as_mut().unwrap_or(&mut writer);
                        let answer = read(client, protocol, id);
                        seen.count(stage, &answer, value);
                    }
                }
            });
        }
    });
    seen
}

fn report(what: &str, seen: &Seen) {
    let share = seen.share();
    eprintln!("{what}: {share} % of the reads by replicas: {seen:?}");
}

fn nobody_reads_stale(delays: [u32; 2]) {
    let stage = stage(delays);
    for (scope, reader) in [
        ("session", Reader::Same),
        ("user", Reader::SameUser),
        ("database", Reader::OtherUser),
    ] {
        let weir = start(&stage, scope);
        let seen = read_back(&stage, &weir, reader);
        report(&format!("fence_scope={scope}, delays {delays:?} ms"), &seen);
        assert_eq!(seen.stale.load(Ordering::Relaxed), 0, "{scope} {delays:?}");
    }
}

#[test]
fn nobody_reads_stale_from_replicas_that_keep_up() {
    nobody_reads_stale([0, 0]);
}

#[test]
fn nobody_reads_stale_from_replicas_that_are_a_little_late() {
    nobody_reads_stale([50, 0]);
}

#[test]
fn nobody_reads_stale_from_replicas_that_are_very_late() {
    nobody_reads_stale([2000, 50]);
}

#[test]
fn without_a_fence_stale_reads_are_seen() {
    let stage = stage([2000, 2000]);
    let weir = start(&stage, "off");
    let seen = read_back(&stage, &weir, Reader::Same);
    report("fence_scope=off", &seen);
    assert!(seen.stale.load(Ordering::Relaxed) > 0, "{seen:?}");
}

#[test]
fn two_reads_of_a_client_never_go_back_in_time() {
    const READERS: usize = 16;
    let stage = stage([0, 200]);
    let weir = start(&stage, "session");
    let (newest, seen) = (AtomicI64::new(0), Seen::default());
    let deadline = Deadline::after(duration());
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = Wire::login(stage.cluster.primary().port(), "app", "app");
            for value in 1.. {
                if deadline.passed() {
                    break;
                }
                write(&mut writer, Protocol::Simple, 100, value);
                newest.store(value, Ordering::Relaxed);
            }
        });
        for number in 0..READERS {
            let (weir, stage, seen, deadline) = (&weir, &stage, &seen, &deadline);
            scope.spawn(move || {
                let protocol = Protocol::ALL[number % 2];
                let mut client = weir.client("app", "app");
                let mut last = 0;
                while !deadline.passed() {
                    let answer = read(&mut client, protocol, 100);
                    assert!(seen.count(stage, &answer, last), "{answer:?} after {last}");
                    last = answer.value;
                }
            });
        }
    });
    report("reads beside a writer", &seen);
    assert!(newest.load(Ordering::Relaxed) > 0);
    assert!(seen.replicas.load(Ordering::Relaxed) > 0, "{seen:?}");
}

#[test]
fn a_read_may_wait_for_its_replica() {
    let stage = stage([100, 100]);
    let weir = stage.setup().set("fence_wait", 10).start();
    until("reads go to replicas", || {
        let answer = read(&mut weir.client("app", "app"), Protocol::Simple, 0);
        answer.port != stage.cluster.primary().port()
    });
    let mut client = weir.client("app", "app");
    for value in 1..4 {
        write(&mut client, Protocol::Simple, 101, value);
        let answer = read(&mut client, Protocol::Simple, 101);
        assert_eq!(answer.value, value);
        assert_ne!(answer.port, stage.cluster.primary().port());
    }
}

#[test]
fn a_replica_that_lags_gets_no_reads_until_it_has_caught_up() {
    let stage = stage([0, 0]);
    let weir = stage.setup().set("replica_max_lag", 0.3).start();
    let [one, other] = stage.cluster.replicas() else {
        panic!("two replicas")
    };
    let both = BTreeSet::from([one.port(), other.port()]);
    until("both replicas answer", || ports(&weir) == both);
    one.psql("postgres", "select pg_wal_replay_pause()")
        .unwrap();
    let mut writer = Wire::login(stage.cluster.primary().port(), "app", "app");
    let mut value = 0;
    until("the one that lags does not answer", || {
        value += 1;
        write(&mut writer, Protocol::Simple, 102, value);
        ports(&weir) == BTreeSet::from([other.port()])
    });
    one.psql("postgres", "select pg_wal_replay_resume()")
        .unwrap();
    until("both replicas answer again", || ports(&weir) == both);
}

#[test]
fn a_session_stays_on_its_replica_when_that_leaves_the_rotation() {
    let stage = stage([0, 0]);
    let weir = stage
        .setup()
        .entry(&stage.entry("app_ro", "role=replica pool_mode=session"))
        .set("replica_max_lag", 0.3)
        .start();
    let mut client = weir.client("app_ro", "app");
    let port = client.value("select my_port()");
    assert_ne!(port, stage.cluster.primary().port().to_string());
    for replica in stage.cluster.replicas() {
        let sql = "select pg_wal_replay_pause()";
        replica.psql("postgres", sql).unwrap();
    }
    let mut writer = Wire::login(stage.cluster.primary().port(), "app", "app");
    let mut value = 0;
    until("no replica answers reads any more", || {
        value += 1;
        write(&mut writer, Protocol::Simple, 104, value);
        ports(&weir) == BTreeSet::from([stage.cluster.primary().port()])
    });
    for protocol in Protocol::ALL {
        let answer = protocol.run(&mut client, "select my_port()");
        assert_eq!(answer.rows(), [[port.clone()]]);
    }
}

#[test]
fn a_position_can_be_carried_from_one_connection_to_another() {
    let stage = stage([300, 300]);
    let weir = start(&stage, "session");
    let mut writer = weir.client("app", "app");
    for (value, protocol) in (1..).zip(Protocol::ALL) {
        write(&mut writer, protocol, 103, value);
        let position = writer.value("show pgweir.lsn");
        assert!(!position.is_empty(), "it waits until it is known");
        let mut reader = weir.client("app", "app");
        reader.run(&format!("set pgweir.min_lsn = '{position}'"));
        assert_eq!(read(&mut reader, protocol, 103).value, value);
    }
}
