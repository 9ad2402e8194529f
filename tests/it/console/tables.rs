//! `SHOW`, and who may do what.

use super::{refusal, run};
use crate::support::message::{bind, describe, execute, parse, query, sync};
use crate::support::wait::until;
use crate::support::{Fixture, Setup, Weir};

/// Columns of every table, as `PgBouncer` 1.26 has them; monitoring programs rely on them.
const COLUMNS: &[(&str, &str)] = &[
    (
        "clients",
        "type user database replication state addr port local_addr local_port connect_time \
         request_time wait wait_us close_needed ptr link remote_pid tls application_name \
         prepared_statements id",
    ),
    (
        "servers",
        "type user database replication state addr port local_addr local_port connect_time \
         request_time wait wait_us close_needed ptr link remote_pid tls application_name \
         prepared_statements id",
    ),
    (
        "sockets",
        "type user database replication state addr port local_addr local_port connect_time \
         request_time wait wait_us close_needed ptr link remote_pid tls application_name \
         prepared_statements id recv_pos pkt_pos pkt_remain send_pos send_remain pkt_avail \
         send_avail",
    ),
    (
        "pools",
        "database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active \
         sv_active_cancel sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us \
         pool_mode load_balance_hosts",
    ),
    (
        "databases",
        "name host port database force_user pool_size min_pool_size reserve_pool_size \
         server_lifetime pool_mode load_balance_hosts max_connections current_connections \
         max_client_connections current_client_connections paused disabled",
    ),
    (
        "users",
        "name pool_size reserve_pool_size pool_mode max_user_connections current_connections \
         max_user_client_connections current_client_connections",
    ),
    ("peers", "peer_id host port pool_size"),
    (
        "peer_pools",
        "peer_id cl_active_cancel_req cl_waiting_cancel_req sv_active_cancel sv_login",
    ),
    (
        "stats",
        "database total_server_assignment_count total_xact_count total_query_count total_received \
         total_sent total_xact_time total_query_time total_wait_time total_client_parse_count \
         total_server_parse_count total_bind_count total_client_login_count \
         avg_server_assignment_count avg_xact_count avg_query_count avg_recv avg_sent \
         avg_xact_time avg_query_time avg_wait_time avg_client_parse_count avg_server_parse_count \
         avg_bind_count avg_client_login_count",
    ),
    (
        "stats_totals",
        "database server_assignment_count xact_count query_count bytes_received bytes_sent \
         xact_time query_time wait_time client_parse_count server_parse_count bind_count \
         client_login_count",
    ),
    (
        "stats_averages",
        "database server_assignment_count xact_count query_count bytes_received bytes_sent \
         xact_time query_time wait_time avg_client_parse_count avg_server_parse_count \
         avg_bind_count avg_client_login_count",
    ),
    ("totals", "name value"),
    ("lists", "list items"),
    ("config", "key value default changeable"),
    ("mem", "name size used free memtotal"),
    ("dns_hosts", "hostname ttl addrs"),
    ("dns_zones", "zonename serial count"),
    ("state", "key value"),
    ("version", "version"),
];

#[test]
fn every_table_has_pgbouncers_columns() {
    let weir = Setup::new().start();
    let mut client = weir.app();
    client.run("begin");
    let mut console = weir.console();
    for (table, columns) in COLUMNS {
        let answer = console.query(&format!("SHOW {table}"));
        assert_eq!(answer.error(), None, "{table}");
        assert_eq!(answer.names().join(" "), *columns, "{table}");
        assert_eq!(answer.tag().as_deref(), Some("SHOW"), "{table}");
        let widths = answer.rows().into_iter().map(|row| row.len());
        let width = columns.split(' ').count();
        assert!(widths.into_iter().all(|found| found == width), "{table}");
    }
}

#[test]
fn pools_count_who_works_waits_and_rests() {
    let role = Fixture::get().role();
    let weir = Setup::new().forced(&role, "pool_size=2").start();
    let pool = [("database", "it"), ("user", role.as_str())];
    let shown = |column| weir.shown("pools", &pool, column).unwrap_or_default();
    let mut clients: Vec<_> = (0..3).map(|_| weir.app()).collect();
    clients[0].run("begin");
    clients[1].run("begin");
    clients[2].send(&query("select 1"));
    weir.until_waiting(1);
    assert_eq!(
        (shown("cl_active"), shown("sv_active")),
        ("2".into(), "2".into())
    );
    assert_eq!(shown("sv_idle"), "0");
    assert_eq!(shown("pool_mode"), "transaction");
    clients[0].run("commit");
    clients[2].until_ready(1);
    until("one server works, one rests", || {
        shown("sv_active") == "1" && shown("sv_idle") == "1"
    });
    assert_eq!(shown("cl_waiting"), "0");
    drop(clients);
    until("nobody is left", || shown("cl_active") == "0");
}

#[test]
fn clients_and_servers_name_each_other() {
    let weir = Setup::new().start();
    let mut client = weir.login("it", "app");
    let name = [("application_name", "who am i")];
    client = client.more(&name);
    let mut client = client.connect().unwrap();
    client.run("begin");
    let pid = client.value("select pg_backend_pid()");
    let row = [("user", "app")];
    let of_client = |column| weir.shown("clients", &row, column).unwrap();
    let of_server = |column| weir.shown("servers", &row, column).unwrap();
    assert_eq!(of_client("type"), "C");
    assert_eq!(of_client("state"), "active");
    assert_eq!(of_client("application_name"), "who am i");
    assert_eq!(of_server("type"), "S");
    assert_eq!(of_server("state"), "active");
    assert_eq!(of_server("remote_pid"), pid);
    assert_eq!(of_client("link"), of_server("ptr"));
    assert_eq!(of_server("link"), of_client("ptr"));
    client.run("commit");
    until("both rest", || {
        of_client("state") == "idle" && of_server("state") == "idle"
    });
    assert_eq!(
        (of_client("link"), of_server("link")),
        (String::new(), String::new())
    );
}

#[test]
fn statistics_count_queries_and_transactions() {
    let weir = Setup::new().start();
    let total = |name| {
        let value = weir.shown("stats", &[("database", "it")], name);
        value.map_or(0, |value| value.parse::<u64>().unwrap())
    };
    let mut client = weir.app();
    for _ in 0..5 {
        client.run("begin");
        client.run("select 1");
        client.run("commit");
    }
    client.send(
        &[
            parse("s", "select 1", &[]),
            bind("", "s", &[]),
            execute("", 0),
            sync(),
        ]
        .concat(),
    );
    client.until_ready(1);
    assert_eq!(total("total_xact_count"), 6);
    assert_eq!(total("total_query_count"), 16);
    assert_eq!(total("total_client_parse_count"), 1);
    assert_eq!(total("total_bind_count"), 1);
    assert_eq!(total("total_client_login_count"), 1);
    assert!(total("total_received") > 100 && total("total_sent") > 100);
}

#[test]
fn other_tables_say_what_is_configured() {
    let weir = Setup::new().database("second", "pool_size=7").start();
    drop(weir.app());
    let mut console = weir.console();
    assert!(console.value("show version").starts_with("PgBouncer 1."));
    let second = [("name", "second")];
    assert_eq!(
        weir.shown("databases", &second, "pool_size").as_deref(),
        Some("7")
    );
    assert_eq!(
        weir.shown("databases", &second, "paused").as_deref(),
        Some("0")
    );
    let port = [("key", "listen_port")];
    let shown = weir.shown("config", &port, "value");
    assert_eq!(shown, Some(weir.port().to_string()));
    assert_eq!(
        weir.shown("config", &port, "changeable").as_deref(),
        Some("no")
    );
    assert_eq!(
        weir.shown("lists", &[("list", "databases")], "items")
            .as_deref(),
        Some("3")
    );
    assert_eq!(
        weir.shown("state", &[("key", "active")], "value")
            .as_deref(),
        Some("yes")
    );
    let help = console.query("show help");
    assert!(help.0.iter().any(|frame| frame.tag == b'N'), "{help:?}");
}

#[test]
fn what_is_no_command_is_refused_in_pgbouncers_words() {
    let weir = Setup::new().start();
    let mut console = weir.console();
    for text in [
        "",
        ";",
        "nonsense",
        "show",
        "show nonsense",
        "show pools; show pools",
        "pause a b",
    ] {
        let expected = format!("08P01 invalid command '{text}', use SHOW HELP;");
        assert_eq!(refusal(&mut console, text), expected);
    }
    for (command, words) in [
        ("pause nowhere", "08P01 no such database: nowhere"),
        ("resume", "08P01 pooler is not paused"),
        ("resume it", "08P01 database it is not paused"),
        ("pause pgbouncer", "08P01 cannot pause admin db: pgbouncer"),
        ("disable", "08P01 a database is required"),
        (
            "disable pgbouncer",
            "08P01 cannot disable admin db: pgbouncer",
        ),
        ("kill_client 999999", "08P01 client not found"),
        ("kill_client it", "08P01 invalid client pointer supplied"),
        ("set nonsense = 1", "08P01 SET failed"),
    ] {
        assert_eq!(refusal(&mut console, command), words, "{command}");
    }
    run(&mut console, "  ShOw \"POOLS\" ; ", "SHOW");
    run(&mut console, "select version", "SHOW");
}

/// CVE-2026-6667: `KILL_CLIENT` was open to users that may only look.
#[test]
fn users_that_may_look_may_not_touch() {
    let weir = Setup::new().start();
    let mut client = weir.app();
    let id = weir.shown("clients", &[("user", "app")], "id").unwrap();
    let mut console = weir.client("pgbouncer", "stats");
    run(&mut console, "show clients", "SHOW");
    for command in [
        &format!("kill_client {id}"),
        "kill",
        "kill it",
        "pause",
        "resume",
        "disable it",
        "enable it",
        "reconnect",
        "wait_close",
        "reload",
        "set verbose = 1",
        "shutdown",
        "shutdown wait_for_clients",
    ] {
        assert_eq!(
            refusal(&mut console, command),
            "08P01 admin access needed",
            "{command}"
        );
    }
    assert_eq!(client.value("select 1"), "1");
    let error = weir.login("pgbouncer", "app").connect().unwrap_err();
    assert_eq!(error.report(), "08P01 not allowed");
}

fn psql(weir: &Weir, sql: &str) -> Result<String, String> {
    let port = weir.port();
    let conninfo = format!("host=127.0.0.1 port={port} dbname=pgbouncer user=admin");
    Fixture::get().psql(&conninfo, sql)
}

#[test]
fn psql_is_understood() {
    let weir = Setup::new().start();
    drop(weir.app());
    let pools = psql(&weir, "show pools").unwrap();
    assert!(
        pools.lines().any(|line| line.starts_with("it|app|")),
        "{pools}"
    );
    let error = psql(&weir, "nonsense").unwrap_err();
    assert!(
        error.contains("invalid command 'nonsense', use SHOW HELP;"),
        "{error}"
    );
}

#[test]
fn the_console_speaks_the_extended_protocol_too() {
    let weir = Setup::new().start();
    let mut console = weir.console();
    for name in ["", "s"] {
        let messages = [
            parse(name, "show version", &[]),
            describe('S', name),
            bind("", name, &[]),
            describe('P', ""),
            execute("", 0),
            sync(),
        ];
        console.send(&messages.concat());
        let tags: Vec<_> = console
            .until_ready(1)
            .iter()
            .map(|f| char::from(f.tag))
            .collect();
        assert_eq!(tags.iter().collect::<String>(), "1tT2TDCZ");
    }
    console.send(
        &[
            parse("", "nonsense", &[]),
            bind("", "", &[]),
            execute("", 0),
            sync(),
        ]
        .concat(),
    );
    let tags: Vec<_> = console
        .until_ready(1)
        .iter()
        .map(|f| char::from(f.tag))
        .collect();
    assert_eq!(
        tags.iter().filter(|tag| **tag == 'E').count(),
        1,
        "{tags:?}"
    );
    run(&mut console, "show version", "SHOW");
}
