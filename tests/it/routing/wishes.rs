//! What clients and the configuration ask for wins over what statements look like.

use super::{Expect, Place, Protocol, Stage};
use crate::support::Wire;
use crate::support::wait::until;

use Expect::{Any, Primary, Replica, Soon};

#[test]
fn a_hint_in_a_comment_wins() {
    Stage::both(&[
        ("/* pgweir: replica */ select pg_is_in_recovery()", Replica),
        ("/* pgweir: primary */ select * from items", Primary),
        ("/* other */ /* pgweir: primary */ select 1", Primary),
        ("select 1 /* pgweir: primary */", Soon),
    ]);
}

#[test]
fn a_hint_to_a_replica_cannot_make_a_write_fail() {
    Stage::both(&[(
        "/* pgweir: replica */ insert into noted (what) values ('hint')",
        Primary,
    )]);
}

#[test]
fn a_setting_of_the_session_wins_and_can_be_taken_back() {
    Stage::both(&[
        ("set pgweir.route = 'primary'", Any),
        ("select * from items", Primary),
        ("set pgweir.route = 'replica'", Any),
        ("select pg_is_in_recovery()", Soon),
        ("set pgweir.route = 'auto'", Any),
        ("select * from items", Soon),
        ("select pg_is_in_recovery()", Primary),
    ]);
}

#[test]
fn a_session_that_looks_elsewhere_for_its_tables_finds_them() {
    let (weir, stage) = (Stage::shared().setup().start(), Stage::shared());
    for protocol in Protocol::ALL {
        let mut client = weir.client("app", "app");
        let steps = [
            ("select * from items", Soon),
            ("set search_path = calm", Any),
            ("select * from items", Primary),
        ];
        stage.play(&mut client, protocol, &steps);
        let name = |client: &mut Wire| client.value("select name from items where id = 3");
        assert_eq!(name(&mut client), "calm");
        let steps = [("reset search_path", Any), ("select * from items", Soon)];
        stage.play(&mut client, protocol, &steps);
        assert_eq!(name(&mut client), "item 3");
    }
}

#[test]
fn a_session_that_says_it_only_reads_goes_to_a_replica() {
    Stage::both(&[
        ("set session characteristics as transaction read only", Any),
        ("select 1", Soon),
        ("begin", Any),
        ("select * from items", Replica),
        ("commit", Replica),
    ]);
    Stage::both(&[
        ("set default_transaction_read_only = on", Any),
        ("select 1", Soon),
        ("begin", Any),
        ("select * from items", Replica),
        ("commit", Replica),
    ]);
}

#[test]
fn an_entry_with_a_role_sends_everything_there() {
    let stage = Stage::shared();
    let weir = stage
        .setup()
        .entry(&stage.entry("app_ro", "role=replica"))
        .entry(&stage.entry("app_rw", "role=primary"))
        .start();
    stage.await_replicas(&weir, "app_ro");
    for protocol in Protocol::ALL {
        let mut client = weir.client("app_ro", "app");
        let steps = [
            ("select pg_is_in_recovery()", Replica),
            ("begin", Any),
            ("select * from items", Replica),
            ("commit", Replica),
        ];
        stage.play(&mut client, protocol, &steps);
        let refused = protocol.run(&mut client, "insert into noted (what) values ('ro')");
        assert!(refused.error().unwrap().starts_with("25006 "));
        let mut client = weir.client("app_rw", "app");
        stage.play(&mut client, protocol, &[("select * from items", Primary)]);
    }
}

#[test]
fn drivers_that_look_for_a_kind_of_server_are_told_what_an_entry_leads_to() {
    let stage = Stage::shared();
    let weir = stage
        .setup()
        .entry(&stage.entry("app_ro", "role=replica"))
        .start();
    stage.await_replicas(&weir, "app_ro");
    for (entry, expected) in [("app", "off"), ("app_ro", "on")] {
        let mut client = weir.client(entry, "app");
        assert_eq!(client.parameters["in_hot_standby"], expected, "{entry}");
        for setting in ["transaction_read_only", "in_hot_standby"] {
            let shown = client.value(&format!("show {setting}"));
            assert_eq!(shown, expected, "{entry}: {setting}");
        }
    }
}

#[test]
fn one_host_can_be_looked_at_by_its_own_name() {
    let stage = Stage::shared();
    let weir = stage.setup().start();
    for (place, server) in stage.servers() {
        let name = format!("app@127.0.0.1:{}", server.port());
        let mut client = weir.client(&name, "app");
        assert_eq!(client.value("select my_port()"), server.port().to_string());
        let mark = stage.mark();
        client.run(&format!("select pg_is_in_recovery() {mark}"));
        assert_eq!(stage.place(&mark), Some(place), "{name}");
    }
}

#[test]
fn observing_and_off_send_everything_to_the_primary() {
    let stage = Stage::shared();
    for mode in ["observe", "off"] {
        let weir = stage.setup().set("route_mode", mode).start();
        for protocol in Protocol::ALL {
            let mut client = weir.client("app", "app");
            let steps = [
                ("select * from items", Primary),
                ("select steady(1)", Primary),
                ("begin read only", Any),
                ("select * from items", Primary),
                ("commit", Primary),
                ("insert into noted (what) values ('mode')", Primary),
            ];
            stage.play(&mut client, protocol, &steps);
        }
    }
}

#[test]
fn routing_is_switched_on_and_off_without_a_restart() {
    let stage = Stage::shared();
    let weir = stage.setup().set("route_mode", "off").start();
    let mut client = weir.client("app", "app");
    stage.play(&mut client, Protocol::Simple, &[("select 1", Primary)]);
    for (mode, place) in [
        ("on", Place::Replica),
        ("observe", Place::Primary),
        ("on", Place::Replica),
    ] {
        weir.console().run(&format!("set route_mode = {mode}"));
        until(&format!("route_mode={mode} counts"), || {
            let mark = stage.mark();
            client.run(&format!("select 1 {mark}"));
            stage.place(&mark) == Some(place)
        });
    }
}

#[test]
fn the_console_shows_servers_and_routes_and_explains() {
    let (weir, stage) = (Stage::weir(), Stage::shared());
    let mut console = weir.console();
    let states: Vec<String> = console
        .query("show replicas")
        .rows()
        .iter()
        .map(|row| row[2].clone())
        .collect();
    assert_eq!(states, ["primary", "replica", "replica"]);
    let mark = stage.mark();
    let mut client = weir.client("app", "app");
    client.run(&format!("select id, 4711 as shown_once from items {mark}"));
    until("the statement is shown without its literal", || {
        let routes = console.query("show routes").rows();
        let row = routes.iter().find(|row| row[8].contains("shown_once"));
        row.is_some_and(|row| row[2] == "read" && !row[8].contains("4711"))
    });
    let explained = console.query("explain route delete from items").rows();
    assert_eq!(explained[0][2], "write");
    let primary = format!("app@127.0.0.1:{}", stage.cluster.primary().port());
    assert_eq!(explained[0][1], primary);
    let explained = console.query("explain route select id from outside").rows();
    assert_eq!(explained[0][2], "node_dependent", "a foreign table");
    let explained = console.query("EXPLAIN ROUTE select id from items").rows();
    assert_eq!(explained[0][2], "read");
    assert_ne!(explained[0][1], primary);
}

#[test]
fn a_startup_option_counts_as_a_setting_of_the_session() {
    let (stage, weir) = (Stage::shared(), Stage::weir());
    let options = |options| [("options", options)];
    let primary = options("-c pgweir.route=primary");
    let mut client = weir.login("app", "app").more(&primary).connect().unwrap();
    for protocol in Protocol::ALL {
        let steps = [("select * from items", Primary)];
        stage.play(&mut client, protocol, &steps);
    }
    assert_eq!(client.value("show pgweir.route"), "primary");
    let floor = options("-c pgweir.min_lsn=FF/0 -c search_path=public");
    let mut client = weir.login("app", "app").more(&floor).connect().unwrap();
    let steps = [("select * from items", Primary)];
    stage.play(&mut client, Protocol::Simple, &steps);
    assert_eq!(client.value("show pgweir.min_lsn"), "FF/0");
}

#[test]
fn a_startup_option_that_means_nothing_ends_the_login() {
    let weir = Stage::weir();
    for (options, expected) in [
        (
            "-c pgweir.route=nowhere",
            "invalid value for parameter \"pgweir.route\": \"nowhere\"",
        ),
        (
            "-c pgweir.min_lsn=1",
            "invalid value for parameter \"pgweir.min_lsn\": \"1\"",
        ),
        (
            "-c pgweir.speed=high",
            "unsupported startup parameter in options: pgweir.speed",
        ),
    ] {
        let more = [("options", options)];
        let error = weir.login("app", "app").more(&more).connect().unwrap_err();
        assert_eq!(error.field('M').as_deref(), Some(expected));
    }
}
