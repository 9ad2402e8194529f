//! Whose replicas answered.

use super::{counts, row};
use crate::routing::{Place, Protocol, Stage};

#[test]
fn the_share_of_replicas_is_what_the_servers_logs_say() {
    let stage = Stage::shared();
    let weir = stage.setup().start();
    stage.await_replicas(&weir, "app");
    let mut client = weir.client("app", "app");
    let mut on_replicas = 0;
    for (number, protocol) in Protocol::ALL.into_iter().cycle().take(8).enumerate() {
        let mark = stage.mark();
        let hint = if number < 2 {
            "/* pgweir: primary */"
        } else {
            ""
        };
        let sql = format!("{hint} select name as shared from items where id = 3 {mark}");
        protocol.run(&mut client, &sql);
        on_replicas += u64::from(stage.place(&mark) == Some(Place::Replica));
    }
    let text = "select name as shared from items where id = $1";
    let [calls, percent] = row(&weir, text, ["calls", "replica_percent"]).unwrap();
    assert_eq!(
        (&*calls, percent),
        ("8", (on_replicas * 100 / 8).to_string())
    );
}

#[test]
fn a_read_that_a_replica_has_refused_is_counted_once_and_without_an_error() {
    let (weir, stage) = (Stage::weir(), Stage::shared());
    let mark = stage.mark();
    let mut client = weir.client("app", "app");
    client.run(&format!("select liar() as counted_once {mark}"));
    assert_eq!(stage.place(&mark), Some(Place::Primary));
    let text = "select liar() as counted_once";
    assert_eq!(counts(weir, text), [1, 1, 0]);
    let [percent] = row(weir, text, ["replica_percent"]).unwrap();
    assert_eq!(percent, "0");
}
