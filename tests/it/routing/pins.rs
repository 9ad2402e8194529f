//! What lives in a server connection stays with its client, whoever else comes.

use super::Expect::{self, Primary};
use super::{Protocol, Stage};
use crate::support::{Weir, Wire};

/// Takes every idle connection to the primary, so that one which is not pinned is found missing.
fn rivals(weir: &Weir) -> Vec<Wire> {
    let rivals = (0..3).map(|_| {
        let mut rival = weir.client("app", "app");
        rival.run("begin; select 1 for update");
        rival
    });
    rivals.collect()
}

fn kept(first: &str, second: &str) {
    let stage = Stage::shared();
    let weir = stage.setup().set("default_pool_size", 5).start();
    for protocol in Protocol::ALL {
        let mut client = weir.client("app", "app");
        for step in first.split("; ") {
            stage.play(&mut client, protocol, &[(step, Expect::Any)]);
        }
        let rivals = rivals(&weir);
        stage.play(&mut client, protocol, &[(second, Expect::Primary)]);
        drop(rivals);
    }
}

#[test]
fn a_temporary_table_is_kept() {
    kept(
        "create temp table mine as select 1 as one",
        "select * from mine",
    );
}

#[test]
fn a_cursor_with_hold_is_kept() {
    kept(
        "begin; declare held cursor with hold for select 1; commit",
        "fetch 1 from held",
    );
}

#[test]
fn a_statement_prepared_in_sql_is_kept() {
    kept(
        "prepare by_id as select * from items where id = 3",
        "execute by_id",
    );
}

#[test]
fn what_is_prepared_in_sql_is_executed_outside_of_transactions_until_it_is_deallocated() {
    Stage::both(&[
        ("prepare r_{n} as select * from items where id = 3", Primary),
        ("execute r_{n}", Primary),
        (
            "prepare w_{n} as insert into noted (what) values ('w')",
            Primary,
        ),
        ("execute w_{n}", Primary),
        ("explain execute r_{n}", Primary),
        ("deallocate r_{n}", Primary),
        ("execute w_{n}", Primary),
        ("deallocate all", Primary),
        ("select * from items", Expect::Soon),
    ]);
}

#[test]
fn who_listens_is_notified_and_keeps_its_connection_until_it_stops() {
    let (weir, stage) = (Stage::weir(), Stage::shared());
    for protocol in Protocol::ALL {
        let mut client = weir.client("app", "app");
        stage.play(&mut client, protocol, &[("listen news", Primary)]);
        let mut other = weir.client("app", "app");
        stage.play(&mut other, protocol, &[("notify news, 'all'", Primary)]);
        let heard = client.until_tag(b'A');
        assert!(heard.last().unwrap().body.ends_with(b"news\0all\0"));
        let steps = [
            ("select * from items", Primary),
            ("unlisten news", Primary),
            ("select * from items", Expect::Soon),
        ];
        stage.play(&mut client, protocol, &steps);
    }
}

#[test]
fn what_is_left_on_a_replica_does_not_keep_its_client_from_the_primary() {
    Stage::both(&[
        ("begin read only", Expect::Any),
        ("select * from items", Expect::Replica),
        (
            "declare held cursor with hold for select 1",
            Expect::Replica,
        ),
        ("select pg_advisory_lock({n})", Expect::Replica),
        ("commit", Expect::Replica),
        ("insert into noted (what) values ('after')", Primary),
        ("select * from items", Expect::Soon),
    ]);
}

#[test]
fn an_advisory_lock_is_held_by_its_client_until_it_leaves() {
    let stage = Stage::shared();
    let weir = stage.setup().set("default_pool_size", 5).start();
    let mut client = weir.client("app", "app");
    client.run("select pg_advisory_lock(77, 1)");
    let mut rivals = rivals(&weir);
    for rival in &mut rivals {
        let got = rival.value("select pg_try_advisory_lock(77, 1)");
        assert_eq!(got, "f", "the rival has the connection with the lock");
    }
    assert_eq!(client.value("select pg_advisory_unlock(77, 1)"), "t");
    assert_eq!(rivals[0].value("select pg_try_advisory_lock(77, 1)"), "t");
}
