//! The scripts of `differential`, through a database whose reads go to replicas: the client must get
//! the bytes that the primary would have sent.

use super::Stage;
use crate::differential::script::Scope;
use crate::differential::{Sides, compare_all, corpus};
use crate::support::fixture::{options, populate};
use crate::support::wait::until;

#[test]
fn clients_get_the_same_bytes_whoever_answers() {
    let stage = Stage::start_with(options(), |server| {
        populate(server, &["direct", "routed"]);
        let monitor = "create role monitor login";
        server.psql("postgres", monitor).unwrap();
    });
    let weir = stage
        .setup()
        .entry(&stage.entry_of("routed", "routed", "pool_size=3"))
        .set("server_round_robin", 1)
        .start();
    let primary = stage.cluster.primary().port();
    let scans = "select seq_scan > 0 from pg_stat_user_tables where relname = 'items'";
    until("a replica answers", || {
        weir.client("routed", "app").run("select * from items");
        let mut replicas = stage.cluster.replicas().iter();
        replicas.any(|server| server.psql("routed", scans).unwrap() == "t")
    });
    let mut scripts = corpus();
    scripts.retain(|script| script.scope != Scope::Session);
    let sides = Sides::new((primary, "direct"), (weir.port(), "routed"));
    compare_all(&scripts, &sides);
}
