//! Replicas that nobody names: the primary is asked who streams from it.

use std::collections::BTreeSet;

use pgweir::demo::cluster::Server;

use super::Stage;
use super::failover::ports;
use crate::support::fixture::options;
use crate::support::wait::until;
use crate::support::{Setup, Weir};

/// A replica says where it is: all servers of a test have the same address.
fn say_where(replica: &Server, primary: &Server) {
    let conninfo = primary.socket_conninfo("postgres").replace('\'', "''");
    let port = replica.port();
    for sql in [
        &format!(
            "alter system set primary_conninfo = '{conninfo} application_name=127.0.0.1:{port}'"
        ),
        "alter system set primary_slot_name = ''",
        "select pg_reload_conf()",
    ] {
        replica.psql("postgres", sql).unwrap();
    }
}

fn stage() -> Stage {
    let stage = Stage::start(options());
    let primary = stage.cluster.primary();
    let sql = "grant pg_monitor to monitor";
    primary.psql("postgres", sql).unwrap();
    for replica in stage.cluster.replicas() {
        say_where(replica, primary);
    }
    stage
}

fn setup(stage: &Stage) -> Setup {
    let port = stage.cluster.primary().port();
    let entry = format!("app = host=127.0.0.1 port={port} replicas='*'");
    Setup::new()
        .entry(&entry)
        .set("monitor_user", "monitor")
        .user("monitor", "")
        .set("replica_check_period", 0.05)
        .set("replica_slow_start", 0)
        .set("server_login_retry", 0.1)
        .set("query_wait_timeout", 30)
}

fn hosts(weir: &Weir) -> BTreeSet<String> {
    let rows = weir.console().query("show replicas");
    let names = rows.names();
    let name = names.iter().position(|name| name == "name").unwrap();
    let rows = rows.rows().into_iter();
    rows.map(|row| row[name].clone()).collect()
}

#[test]
fn whoever_streams_from_the_primary_gets_reads() {
    let stage = stage();
    let mut weir = setup(&stage).start();
    let replicas = stage.cluster.replicas();
    let expected: BTreeSet<u16> = replicas.iter().map(Server::port).collect();
    until("reads go to both replicas", || ports(&weir) == expected);
    let before = hosts(&weir);
    assert_eq!(before.len(), 3, "{before:?}");
    assert!(weir.log().contains("database app: replicas found: "));

    // A reload for another reason does not forget them.
    let pids = || weir.shown("servers", &[("database", &host_of(&replicas[0]))], "ptr");
    let kept = pids();
    assert!(kept.is_some());
    weir.rewrite(&setup(&stage).set("server_idle_timeout", 77));
    assert_eq!(weir.console().query("reload").error(), None);
    assert_eq!((hosts(&weir), pids()), (before, kept));
    assert!(weir.is_alive());
}

fn host_of(server: &Server) -> String {
    format!("app@127.0.0.1:{}", server.port())
}

#[test]
fn a_promoted_replica_that_was_found_stays_the_primary() {
    let mut stage = stage();
    let weir = setup(&stage).set("replica_check_timeout", 0.3).start();
    let replicas = stage.cluster.replicas();
    let expected: BTreeSet<u16> = replicas.iter().map(Server::port).collect();
    until("reads go to both replicas", || ports(&weir) == expected);

    stage.cluster.primary_mut().kill_hard().unwrap();
    stage.cluster.replicas_mut()[0].promote().unwrap();
    let replicas = stage.cluster.replicas();
    say_where(&replicas[1], &replicas[0]);
    let mut client = weir.client("app", "app");
    client.run("insert into noted (what) values ('after the promotion')");
    assert_eq!(client.value("select pg_is_in_recovery()"), "f");
    let second = BTreeSet::from([replicas[1].port()]);
    until("reads go to the other replica", || ports(&weir) == second);
    assert_eq!(hosts(&weir).len(), 3);
}
