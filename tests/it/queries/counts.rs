//! What is counted is what was run.

use std::time::Duration;

use pgweir::demo::binaries::Tool;
use pgweir::demo::process;

use super::{counts, row};
use crate::support::message::{bind, copy_data, copy_done, execute, extended, parse, query, sync};
use crate::support::{Fixture, Setup, Weir};

/// The texts that are listed, in the order of this view.
fn listed(weir: &Weir, view: &str) -> Vec<String> {
    let answer = weir.console().query(&format!("show queries {view}"));
    assert_eq!(answer.error(), None, "{view}");
    let at = answer.names().iter().position(|name| name == "query");
    let rows = answer.rows().into_iter();
    rows.map(|row| row[at.unwrap()].clone()).collect()
}

#[test]
fn simple_queries_are_counted_whatever_their_values() {
    let weir = Setup::new().set("workers", 2).start();
    let mut clients = [weir.app(), weir.app(), weir.app()];
    for number in 0..30 {
        for client in &mut clients {
            client.run(&format!("select g from generate_series(1, {number}) g"));
            client.run(&format!("SELECT 'a{number}'  AS x"));
        }
    }
    let expected = (0..30).sum::<u64>() * 3;
    let series = "select g from generate_series($1, $2) g";
    assert_eq!(counts(&weir, series), [90, expected, 0]);
    assert_eq!(counts(&weir, "select $1 as x"), [90, 90, 0]);
    let names = row(&weir, series, ["database", "user", "replica_percent"]).unwrap();
    assert_eq!(names, ["it", "app", "0"]);
    weir.client("it", "other").run("select 'z' as x");
    let texts = listed(&weir, "");
    let found = texts.iter().filter(|text| *text == "select $1 as x");
    assert_eq!(found.count(), 2, "a row for each user: {texts:?}");
    assert!(!texts.concat().contains("a1"), "{texts:?}");
}

#[test]
fn calls_are_as_many_as_pgbench_says_in_each_protocol() {
    let weir = Setup::new().set("workers", 2).start();
    let script = weir.dir().join("script.sql");
    std::fs::write(
        &script,
        "\\set n random(1, 100000)\nselect :n as benched;\n",
    )
    .unwrap();
    let port = weir.port().to_string();
    for mode in ["simple", "extended", "prepared"] {
        let mut command = Fixture::get().tool(Tool::Pgbench);
        command.args(["-h", "127.0.0.1", "-p", &port, "-U", "app", "-n"]);
        command.args(["-M", mode, "-c", "8", "-t", "100", "-f"]);
        let interrupt = &Fixture::get().installation.interrupt;
        command.arg(&script).arg("it");
        let output = process::run(command, Duration::from_secs(60), interrupt).unwrap();
        let said = "number of transactions actually processed: 800/800";
        assert!(output.stdout.contains(said), "{}", output.stdout);
    }
    assert_eq!(counts(&weir, "select $1 as benched"), [2400, 2400, 0]);
}

#[test]
fn each_execute_of_a_pipeline_is_a_call_of_its_own_statement() {
    for mode in ["transaction", "session"] {
        let weir = Setup::new().set("pool_mode", mode).start();
        let mut client = weir.app();
        let prepare = [
            parse("a", "select 1 as a", &[]),
            parse("b", "select 2 as b", &[]),
            sync(),
        ];
        client.send(&prepare.concat());
        client.until_ready(1);
        let (a, b) = (bind("", "a", &[]), bind("p", "b", &[]));
        for _ in 0..5 {
            client.send(
                &[
                    a.clone(),
                    b.clone(),
                    execute("p", 0),
                    execute("", 0),
                    a.clone(),
                    execute("", 0),
                    sync(),
                    extended("select 3 as c"),
                ]
                .concat(),
            );
            client.until_ready(2);
        }
        assert_eq!(counts(&weir, "select $1 as a"), [10, 10, 0], "{mode}");
        assert_eq!(counts(&weir, "select $1 as b"), [5, 5, 0], "{mode}");
        assert_eq!(counts(&weir, "select $1 as c"), [5, 5, 0], "{mode}");
    }
}

#[test]
fn errors_belong_to_the_call_that_failed() {
    let weir = Setup::new().start();
    let mut client = weir.app();
    assert!(client.query("select 1 / 0").error().is_some());
    assert!(
        client
            .query("select 1; select 1 / 0; select 2")
            .error()
            .is_some()
    );
    client.send(
        &[
            parse("", "select 1 as before", &[]),
            bind("", "", &[]),
            execute("", 0),
            parse("", "select 1 / 0 as wrong", &[]),
            bind("", "", &[]),
            execute("", 0),
            parse("", "select 1 as behind", &[]),
            bind("", "", &[]),
            execute("", 0),
            sync(),
            query("select 7 as next"),
        ]
        .concat(),
    );
    client.until_ready(2);
    assert_eq!(counts(&weir, "select $1 / $2"), [1, 0, 1]);
    assert_eq!(
        counts(&weir, "select $1; select $2 / $3; select $4"),
        [1, 1, 1]
    );
    assert_eq!(counts(&weir, "select $1 as before"), [1, 1, 0]);
    assert_eq!(counts(&weir, "select $1 / $2 as wrong"), [1, 0, 1]);
    assert_eq!(
        counts(&weir, "select $1 as behind"),
        [0, 0, 0],
        "it never ran"
    );
    assert_eq!(counts(&weir, "select $1 as next"), [1, 1, 0]);
}

#[test]
fn a_copy_is_one_call_with_its_rows() {
    let weir = Setup::new().start();
    let mut client = weir.app();
    client.run("begin; create temp table copied (n int) on commit drop");
    client.send(&query("copy copied from stdin"));
    client.until_tag(b'G');
    client.send(&[copy_data(b"1\n2\n"), copy_data(b"3\n"), copy_done()].concat());
    client.until_ready(1);
    client.send(&query("copy copied to stdout"));
    client.until_ready(1);
    client.run("commit");
    assert_eq!(counts(&weir, "copy copied from stdin"), [1, 3, 0]);
    assert_eq!(counts(&weir, "copy copied to stdout"), [1, 3, 0]);
    assert_eq!(counts(&weir, "commit"), [1, 0, 0]);
}

#[test]
fn a_call_without_an_answer_has_failed() {
    let weir = Setup::new().set("query_timeout", 1).start();
    let mut client = weir.app();
    client.send(&query("select pg_sleep(30)"));
    client.until_closed();
    assert_eq!(counts(&weir, "select pg_sleep($1)"), [1, 0, 1]);
    let [time] = row(&weir, "select pg_sleep($1)", ["max_us"]).unwrap();
    assert!(
        (900_000..20_000_000).contains(&time.parse().unwrap()),
        "{time}"
    );
}

#[test]
fn rows_come_in_the_order_and_number_that_is_asked_for() {
    let weir = Setup::new().start();
    let mut client = weir.app();
    for (sql, calls) in [
        ("select 1 as b", 3),
        ("select 1 as a", 1),
        ("select 1 as c", 2),
    ] {
        for _ in 0..calls {
            client.run(sql);
        }
    }
    let [a, b, c] = ["a", "b", "c"].map(|name| format!("select $1 as {name}"));
    let names = weir.console().query("show queries").names();
    let expected = "database user fingerprint calls total_us mean_us p50_us p95_us p99_us max_us \
        wait_us rows errors bytes replica_percent query";
    assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
    let all = listed(&weir, "order by calls");
    assert_eq!(all, [&b, &c, &a].map(String::clone));
    assert_eq!(listed(&weir, "ORDER BY calls ASC LIMIT 2;"), [a.clone(), c]);
    assert_eq!(listed(&weir, "order by query limit 1"), [a]);
    let refused = weir
        .console()
        .query("show queries order by nonsense")
        .error();
    let expected = "08P01 invalid command 'show queries order by nonsense', use SHOW HELP;";
    assert_eq!(refused.as_deref(), Some(expected));
}

#[test]
fn only_an_admin_resets_and_counting_goes_on() {
    let weir = Setup::new().start();
    let mut client = weir.app();
    client.send(&[parse("kept", "select 5 as five", &[]), sync()].concat());
    client.until_ready(1);
    let again = [bind("", "kept", &[]), execute("", 0), sync()].concat();
    client.send(&again);
    client.until_ready(1);
    let mut stats = weir.client("pgbouncer", "stats");
    assert_eq!(stats.query("show queries").rows().len(), 1);
    let refused = stats.query("reset queries").error();
    assert_eq!(refused.as_deref(), Some("08P01 admin access needed"));
    let reset = weir.console().query("reset queries");
    assert_eq!(reset.tag().as_deref(), Some("RESET"));
    assert_eq!(listed(&weir, ""), [""; 0]);
    client.send(&again);
    client.until_ready(1);
    assert_eq!(counts(&weir, "select $1 as five"), [1, 1, 0]);
    weir.console().query("set query_stats = 0");
    client.run("select 1 as uncounted");
    weir.console().query("set query_stats = 1");
    client.run("select 1 as counted");
    assert_eq!(counts(&weir, "select $1 as uncounted"), [0, 0, 0]);
    assert_eq!(counts(&weir, "select $1 as counted"), [1, 1, 0]);
}

#[test]
fn what_has_no_room_is_counted_in_the_rest() {
    let weir = Setup::new()
        .set("query_stats_max", 10)
        .set("workers", 1)
        .start();
    let mut client = weir.app();
    for number in 0..50 {
        client.run(&format!("select 1 as name_{number}"));
    }
    // Too long to be read.
    client.run(&format!("select '{}' as long", "x".repeat(20_000)));
    let answer = weir.console().query("show queries");
    let at = |name: &str| {
        answer
            .names()
            .iter()
            .position(|known| known == name)
            .unwrap()
    };
    let rows = answer.rows();
    assert_eq!(rows.len(), 11);
    let calls: Vec<u64> = rows
        .iter()
        .map(|row| row[at("calls")].parse().unwrap())
        .collect();
    assert_eq!(calls.iter().sum::<u64>(), 51);
    let last = rows.last().unwrap();
    assert_eq!(last[at("query")], "(all others)");
    assert_eq!(last[at("calls")], "41");
    assert_eq!(last[at("rows")], "41");
}

#[test]
fn times_and_bytes_are_those_of_the_answer() {
    let weir = Setup::new().start();
    let mut client = weir.app();
    for _ in 0..3 {
        client.run("select pg_sleep(0.2)");
    }
    client.send(&query("select repeat('x', 100000) as wide"));
    client.until_ready(1);
    let columns = ["total_us", "mean_us", "p50_us", "p99_us", "max_us"];
    let times = row(&weir, "select pg_sleep($1)", columns).unwrap();
    let [total, mean, p50, p99, max] = times.map(|time| time.parse::<u64>().unwrap());
    assert!(total >= 600_000 && mean == total / 3, "{total}, {mean}");
    assert!(
        p50 >= 200_000 && p50 <= p99 && p99 <= max,
        "{p50}, {p99}, {max}"
    );
    assert!(max <= total - 400_000, "{max} of {total}");
    let bytes = row(&weir, "select repeat($1, $2) as wide", ["bytes"]).unwrap();
    let bytes: u64 = bytes[0].parse().unwrap();
    assert!((100_000..100_200).contains(&bytes), "{bytes}");
}
