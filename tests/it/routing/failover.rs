//! Servers that die, freeze, are promoted and come back.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgweir::demo::cluster::Server;
use pgweir::demo::interrupt::Deadline;

use super::{Expect, Protocol, Stage};
use crate::support::fixture::options;
use crate::support::wait::{pause, until};
use crate::support::wire::Answer;
use crate::support::{Weir, Wire};

/// Clients that write while the primary is replaced.
const WRITERS: i32 = 8;

/// Servers of a test's own, whose commits are safe on the first replica before they are answered.
fn stage() -> Stage {
    let stage = Stage::start(options());
    let primary = stage.cluster.primary();
    for sql in [
        "alter system set synchronous_standby_names = 'replica1'",
        "select pg_reload_conf()",
    ] {
        primary.psql("postgres", sql).unwrap();
    }
    until("replica1 is synchronous", || {
        let sql = "select count(*) from pg_stat_replication where sync_state = 'sync'";
        primary.psql("postgres", sql).unwrap() == "1"
    });
    stage
}

fn start(stage: &Stage) -> Weir {
    let weir = stage
        .setup()
        .set("replica_check_timeout", 0.3)
        .set("server_login_retry", 0.1)
        .set("query_wait_timeout", 30)
        .start();
    until("reads go to replicas", || {
        port_of(&mut weir.client("app", "app")) != stage.cluster.primary().port()
    });
    weir
}

/// The server that answers a read.
fn port_of(client: &mut Wire) -> u16 {
    client.value("select my_port()").parse().unwrap()
}

/// The servers that answer reads of new clients: one that has read before may stay where it is.
pub(super) fn ports(weir: &Weir) -> BTreeSet<u16> {
    let port = |_| port_of(&mut weir.client("app", "app"));
    (0..20).map(port).collect()
}

/// Makes the second replica follow the first one.
pub(super) fn follow(replica: &Server, primary: &Server) {
    let conninfo = primary.socket_conninfo("postgres").replace('\'', "''");
    for sql in [
        &format!("alter system set primary_conninfo = '{conninfo} application_name=replica2'"),
        "alter system set primary_slot_name = ''",
        "select pg_reload_conf()",
    ] {
        replica.psql("postgres", sql).unwrap();
    }
}

/// What one writing client has been told.
#[derive(Debug, Default)]
struct Told {
    /// Rows whose commit was acknowledged.
    committed: Vec<i32>,
    /// Statements that failed, and how.
    errors: Vec<String>,
}

/// Inserts one row after the other and reads each back, until told to stop. A statement that is on
/// its way when its server dies may fail, for nobody knows what became of it; then the client
/// connects again.
fn write_on(weir: &Weir, client: i32, stop: &AtomicBool, written: &AtomicU64) -> Told {
    let mut told = Told::default();
    let mut wire = weir.client("app", "app");
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let answer = wire.query(&format!("insert into committed values ({client}, {n})"));
        if let Some(error) = failed(&answer, &mut wire, weir) {
            told.errors.push(error);
            continue;
        }
        told.committed.push(n);
        written.fetch_add(1, Ordering::Relaxed);
        let sql = format!("select max(n) from committed where client = {client}");
        let answer = wire.query(&sql);
        if let Some(error) = failed(&answer, &mut wire, weir) {
            told.errors.push(error);
            continue;
        }
        assert_eq!(answer.rows()[0][0], n.to_string(), "client {client}: stale");
    }
    told
}

/// The error of an answer; where the connection has gone with it, a new one takes its place.
fn failed(answer: &Answer, wire: &mut Wire, weir: &Weir) -> Option<String> {
    let error = answer.error()?;
    if answer.0.last().is_none_or(|frame| frame.tag != b'Z') {
        *wire = weir.client("app", "app");
    }
    Some(error)
}

#[test]
fn clients_wait_while_the_primary_is_replaced_and_lose_nothing() {
    let mut stage = stage();
    let weir = start(&stage);
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    // These are idle when the primary goes, so that they have no reason to see an error.
    let mut idle: Vec<Wire> = (0..4).map(|_| weir.client("app", "app")).collect();
    for client in &mut idle {
        client.run("insert into noted (what) values ('before')");
    }
    let told: Vec<Told> = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|client| {
                let (weir, stop, written) = (&weir, &stop, &written);
                scope.spawn(move || write_on(weir, client, stop, written))
            })
            .collect();
        let wrote = |more: u64| {
            let before = written.load(Ordering::Relaxed);
            until("rows are written", || {
                written.load(Ordering::Relaxed) >= before + more
            });
        };
        wrote(50);
        stage.cluster.primary_mut().stop().unwrap();
        let waiting: Vec<_> = idle
            .iter_mut()
            .map(|client| {
                scope.spawn(|| {
                    client.run("insert into noted (what) values ('during')");
                    client.value("select count(*) from noted where what = 'during'")
                })
            })
            .collect();
        stage.cluster.replicas_mut()[0].promote().unwrap();
        let [promoted, other] = stage.cluster.replicas() else {
            panic!("two replicas")
        };
        follow(other, promoted);
        for client in waiting {
            let count: usize = client.join().unwrap().parse().unwrap();
            assert!((1..=4).contains(&count), "{count} rows");
        }
        wrote(50);
        stop.store(true, Ordering::Relaxed);
        let told = writers.into_iter().map(|writer| writer.join().unwrap());
        told.collect()
    });
    let promoted = &stage.cluster.replicas()[0];
    for (client, told) in told.iter().enumerate() {
        // Its sessions end one after the other, and a statement may meet another one that is ending.
        let dying = |error: &String| error.starts_with("57P01 ") || error.starts_with("08P01 ");
        let few = told.errors.len() <= 3 && told.errors.iter().all(dying);
        assert!(few, "client {client}: {:?}", told.errors);
        let sql = format!("select n from committed where client = {client}");
        let rows = promoted.psql("app", &sql).unwrap();
        let rows: BTreeSet<i32> = rows.lines().map(|n| n.parse().unwrap()).collect();
        let missing: Vec<_> = told
            .committed
            .iter()
            .filter(|n| !rows.contains(n))
            .collect();
        assert!(missing.is_empty(), "client {client} misses {missing:?}");
    }
}

#[test]
fn a_primary_that_comes_back_is_refused() {
    let mut stage = stage();
    let weir = start(&stage);
    stage.cluster.primary_mut().kill_hard().unwrap();
    stage.cluster.replicas_mut()[0].promote().unwrap();
    let promoted = stage.cluster.replicas()[0].port();
    let mut client = weir.client("app", "app");
    client.run("insert into noted (what) values ('new')");
    // It takes itself for a primary, on an older timeline, and would take writes.
    stage.cluster.primary_mut().start().unwrap();
    let old = stage.cluster.primary();
    let settings = "alter system reset synchronous_standby_names";
    old.psql("postgres", settings).unwrap();
    old.psql("postgres", "select pg_reload_conf()").unwrap();
    let asked = || {
        let sql = "select count(*) from pg_stat_activity where usename = 'monitor'";
        old.psql("postgres", sql).unwrap() != "0"
    };
    until("the monitor has found it", asked);
    for _ in 0..50 {
        let mut client = weir.client("app", "app");
        client.run("insert into noted (what) values ('after')");
        let port = client.value("/* pgweir: primary */ select my_port()");
        assert_eq!(port, promoted.to_string());
    }
    let strayed = "select count(*) from noted where what in ('new', 'after')";
    assert_eq!(old.psql("app", strayed).unwrap(), "0");
}

#[test]
fn a_client_inside_a_block_gets_an_error_when_its_primary_dies_and_goes_on_after_it() {
    let mut stage = stage();
    let weir = start(&stage);
    let mut client = weir.client("app", "app");
    client.run("begin");
    client.run("insert into noted (what) values ('lost')");
    stage.cluster.primary_mut().kill_hard().unwrap();
    stage.cluster.replicas_mut()[0].promote().unwrap();
    let answer = client.query("insert into noted (what) values ('lost too')");
    assert!(failed(&answer, &mut client, &weir).is_some());
    client.run("insert into noted (what) values ('kept')");
    let sql = "select string_agg(what, ',') from noted";
    let rows = stage.cluster.replicas()[0].psql("app", sql).unwrap();
    assert_eq!(rows, "kept");
}

/// Reads without a break until told to stop; the errors.
fn read_on(weir: &Weir, stop: &AtomicBool) -> Vec<String> {
    let mut errors = Vec::new();
    let mut wire = weir.client("app", "app");
    while !stop.load(Ordering::Relaxed) {
        let answer = wire.query("select my_port()");
        errors.extend(failed(&answer, &mut wire, weir));
    }
    errors
}

#[test]
fn reads_leave_a_replica_that_is_killed_and_come_back_to_it() {
    const READERS: usize = 6;
    let mut stage = stage();
    let weir = start(&stage);
    let stop = AtomicBool::new(false);
    let mut idle = weir.client("app", "app");
    let dead = stage.cluster.replicas()[1].port();
    until("both replicas answer", || ports(&weir).contains(&dead));
    let errors: Vec<String> = thread::scope(|scope| {
        let readers = (0..READERS).map(|_| scope.spawn(|| read_on(&weir, &stop)));
        let readers: Vec<_> = readers.collect();
        stage.cluster.replicas_mut()[1].kill_hard().unwrap();
        // Nothing of this client's is on its way, so none of these may fail.
        for _ in 0..200 {
            assert_ne!(port_of(&mut idle), dead);
        }
        stage.cluster.replicas_mut()[1].start().unwrap();
        until("the replica answers again", || ports(&weir).contains(&dead));
        stop.store(true, Ordering::Relaxed);
        let errors = readers
            .into_iter()
            .flat_map(|reader| reader.join().unwrap());
        errors.collect()
    });
    assert!(errors.len() <= READERS, "{errors:?}");
}

/// A server with everything it has started.
fn processes(server: &Server) -> Vec<Pid> {
    let file = fs::read_to_string(server.data_dir().join("postmaster.pid")).unwrap();
    let postmaster: i32 = file.lines().next().unwrap().parse().unwrap();
    let mut found = vec![Pid::from_raw(postmaster)];
    for entry in fs::read_dir("/proc").unwrap() {
        let Ok(pid) = entry.unwrap().file_name().into_string().unwrap().parse() else {
            continue;
        };
        // It may have ended meanwhile.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // "pid (name) state parent ...", and the name may hold anything.
        let parent = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.split(' ').nth(1));
        if parent.and_then(|parent| parent.parse().ok()) == Some(postmaster) {
            found.push(Pid::from_raw(pid));
        }
    }
    found
}

/// Stops a server in the middle of whatever it does, until this is dropped.
pub(super) struct Frozen(Vec<Pid>);

impl Frozen {
    pub(super) fn new(server: &Server) -> Self {
        let frozen = Self(processes(server));
        frozen.signal(Signal::SIGSTOP);
        frozen
    }

    fn signal(&self, signal: Signal) {
        for pid in &self.0 {
            // It may have ended meanwhile.
            kill(*pid, signal).ok();
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.signal(Signal::SIGCONT);
    }
}

/// Whether a new client's read is answered soon.
pub(super) fn answered(port: u16) -> bool {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut client = Wire::login(port, "app", "app");
        let answer = client.query("select my_port()");
        // Nobody may be listening any more.
        sender.send(answer.error().is_none()).ok();
    });
    receiver.recv_timeout(Duration::from_millis(500)) == Ok(true)
}

#[test]
fn reads_leave_a_replica_that_is_frozen_and_come_back_to_it() {
    let stage = stage();
    let weir = start(&stage);
    let replica = &stage.cluster.replicas()[1];
    let all = || ports(&weir).contains(&replica.port());
    until("both replicas answer", all);
    let frozen = Frozen::new(replica);
    // A timeout of 0.3 s, and a second to move; the rest is for a busy machine.
    let deadline = Deadline::after(Duration::from_secs(8));
    until("reads have left it", || {
        (0..20).all(|_| answered(weir.port()))
    });
    assert!(!deadline.passed());
    drop(frozen);
    until("both replicas answer again", all);
}

#[test]
fn nobody_waits_for_a_replica_whose_entry_is_paused() {
    let stage = Stage::shared();
    let weir = stage.setup().start();
    let [one, other] = [0, 1].map(|place| stage.cluster.replicas()[place].port());
    let both = BTreeSet::from([one, other]);
    until("both replicas answer", || ports(&weir) == both);
    let mut console = weir.console();
    console.run(&format!("pause \"app@127.0.0.1:{one}\""));
    let only = BTreeSet::from([other]);
    until("the other one answers all", || ports(&weir) == only);
    for _ in 0..10 {
        // Where it were chosen, its clients would wait and then read on the primary.
        assert_eq!(ports(&weir), only);
    }
    console.run(&format!("resume \"app@127.0.0.1:{one}\""));
    until("both answer again", || ports(&weir) == both);
}

#[test]
fn reads_go_to_the_primary_when_no_replica_is_left() {
    let mut stage = stage();
    let primary = stage.cluster.primary();
    let off = "alter system reset synchronous_standby_names";
    primary.psql("postgres", off).unwrap();
    primary.psql("postgres", "select pg_reload_conf()").unwrap();
    let weir = start(&stage);
    let mut client = weir.client("app", "app");
    for replica in stage.cluster.replicas_mut() {
        replica.kill_hard().unwrap();
    }
    for _ in 0..20 {
        assert_eq!(port_of(&mut client), stage.cluster.primary().port());
    }
    stage.cluster.replicas_mut()[0].start().unwrap();
    let steps = [("select my_port()", Expect::Any)];
    stage.play(&mut client, Protocol::Extended, &steps);
    until("reads go to a replica again", || {
        pause();
        port_of(&mut client) == stage.cluster.replicas()[0].port()
    });
}
