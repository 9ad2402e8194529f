use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::ids::ConnId;
use crate::telemetry::line::{Format, PeerAddress, Side};
use crate::telemetry::log::LogSettings;
use crate::telemetry::log::tests::start;
use crate::telemetry::stats::Averages;
use crate::telemetry::writer::{SinkSettings, Stderr};

fn settings(path: &Path) -> LogSettings {
    let sinks = SinkSettings {
        stderr: Stderr::Off,
        file: Some(path.to_owned()),
        syslog: None,
    };
    LogSettings {
        sinks,
        ..LogSettings::default()
    }
}

/// What is in the log after `log` has run, without time and process.
fn logged(change: impl FnOnce(&mut LogSettings), log: impl FnOnce()) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut settings = settings(&path);
    change(&mut settings);
    let (handle, subscriber, _company) = start(&settings);
    tracing::subscriber::with_default(subscriber, log);
    handle.flush();
    let text = std::fs::read_to_string(&path).unwrap();
    let strip = |line: &str| {
        line.split_once("] ")
            .map_or(line, |(_, rest)| rest)
            .to_owned()
    };
    text.lines().map(strip).collect()
}

fn peer() -> SocketAddr {
    "127.0.0.1:5000".parse().unwrap()
}

fn who(side: Side, user: &str) -> Who<'_> {
    Who {
        side,
        id: ConnId(42),
        database: Some("bench"),
        user: Some(user),
        peer: PeerAddress::Tcp(peer()),
    }
}

#[test]
fn connection_lines_have_pgbouncers_words() {
    let client = who(Side::Client, "ann");
    let server = who(Side::Server, "ann");
    let attempt = LoginAttempt {
        database: "bench",
        user: "ann",
        tls: None,
        replication: "no",
    };
    let lines = logged(
        |_| {},
        || {
            login_attempt(&client, &attempt);
            login_failed(&client, "bench", "ann");
            no_such_user(&client, "bob");
            server_connected(&server, Some(peer()));
            server_connected(&server, None);
            closing(
                &client,
                "client close request",
                Duration::from_millis(3_999),
            );
            pooler_error(&client, "query timeout");
            server_login_failed(&server, "FATAL", "no");
            reserve_connection(&client);
        },
    );
    let c = "C-0x2a: bench/ann@127.0.0.1:5000";
    let s = "S-0x2a: bench/ann@127.0.0.1:5000";
    let expected = [
        format!("LOG {c} login attempt: db=bench user=ann tls=no replication=no"),
        format!("LOG {c} login failed: db=bench user=ann"),
        format!("LOG {c} no such user: bob"),
        format!("LOG {s} new connection to server (from 127.0.0.1:5000)"),
        format!("LOG {s} new connection to server"),
        format!("LOG {c} closing because: client close request (age=3s)"),
        format!("WARNING {c} pooler error: query timeout"),
        format!("WARNING {s} server login failed: FATAL no"),
        format!("WARNING {c} taking connection from reserve_pool"),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn process_and_pool_lines_have_pgbouncers_words() {
    let limits = DescriptorLimits {
        soft: 100,
        hard: 200,
        max_client_conn: 150,
        expected: 171,
    };
    let lines = logged(
        |_| {},
        || {
            descriptor_limits(&limits);
            listening(&"127.0.0.1:6432");
            process_up();
            console_command("RELOAD", None);
            console_command("PAUSE", Some("bench"));
            auto_database_registered("x");
            database_dropped("x");
            idle_pool_removed("x", "ann", Duration::from_secs(9));
            stats(&Averages::default());
            connections_dropped(Dropped::Clients);
            stale_pid_file();
            fatal(&"cannot load config file");
        },
    );
    let expected = [
        "LOG kernel file descriptor limit: 100 (hard: 200); max_client_conn: 150, \
         max expected fd use: 171",
        "WARNING max expected fd use of 171 is above the file descriptor limit of 100: \
         raise the limit or lower max_client_conn",
        "LOG listening on 127.0.0.1:6432",
        concat!("LOG process up: pgweir ", env!("CARGO_PKG_VERSION")),
        "LOG RELOAD command issued",
        "LOG PAUSE 'bench' command issued",
        "LOG registered new auto-database: x",
        "LOG dropping database 'x' as it does not exist anymore or inactive auto-database",
        "LOG cleaning up idle pool for user ann on db x because: pool idle timeout (age= 9s)",
        "LOG stats: 0 xacts/s, 0 queries/s, 0 client parses/s, 0 server parses/s, \
         0 binds/s, 0 client logins/s, \
         in 0 B/s, out 0 B/s, xact 0 us, query 0 us, wait 0 us",
        "LOG client connections dropped, exiting",
        "LOG stale pidfile, removing",
        "FATAL cannot load config file",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_json_line_names_the_event_and_its_fields() {
    let client = who(Side::Client, "ann");
    let lines = logged(
        |settings| settings.format = Format::Json,
        || closing(&client, "query timeout", Duration::from_millis(1_500)),
    );
    let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    for (key, value) in [
        ("level", "LOG"),
        ("event", "closing"),
        ("side", "client"),
        ("database", "bench"),
        ("user", "ann"),
        ("peer", "127.0.0.1:5000"),
        ("reason", "query timeout"),
        ("message", "closing because: query timeout (age=1s)"),
    ] {
        assert_eq!(line[key], value, "{key}");
    }
    assert_eq!(line["id"], 42);
    assert_eq!(line["elapsed_ms"], 1_500);
    assert!(line.get("error").is_none());
}

#[test]
fn a_repeated_warning_is_held_back_and_client_errors_are_not() {
    let client = who(Side::Client, "ann");
    let lines = logged(
        |_| {},
        || {
            for _ in 0..50 {
                server_login_failed(&client, "FATAL", "no");
                pooler_error(&client, "query timeout");
            }
        },
    );
    let count = |word: &str| lines.iter().filter(|line| line.contains(word)).count();
    assert!(
        (10..50).contains(&count("server login failed")),
        "{}",
        count("server login failed")
    );
    assert_eq!(count("pooler error"), 50);
}

#[test]
fn each_switch_silences_its_own_lines_only() {
    let client = who(Side::Client, "ann");
    let attempt = LoginAttempt {
        database: "bench",
        user: "ann",
        tls: None,
        replication: "no",
    };
    let table = [
        (Switch::Connections, "login attempt"),
        (Switch::Disconnections, "closing because"),
        (Switch::PoolerErrors, "pooler error"),
        (Switch::Stats, "stats:"),
    ];
    for (off, word) in table {
        let lines = logged(
            |settings| settings.switches = settings.switches.without(off),
            || {
                login_attempt(&client, &attempt);
                closing(&client, "x", Duration::ZERO);
                pooler_error(&client, "x");
                stats(&Averages::default());
            },
        );
        assert_eq!(lines.len(), 3, "{off:?}");
        assert!(
            lines.iter().all(|line| !line.contains(word)),
            "{off:?}: {lines:?}"
        );
    }
}

#[test]
fn debug_lines_come_with_verbosity_one() {
    let client = who(Side::Client, "ann");
    let say = || debug(&client, "logged_in", &"logged in");
    assert_eq!(logged(|_| {}, say).len(), 0);
    let lines = logged(|settings| settings.verbose = 1, say);
    assert_eq!(lines, ["DEBUG C-0x2a: bench/ann@127.0.0.1:5000 logged in"]);
}

#[test]
fn a_slow_query_says_where_its_time_went() {
    let client = who(Side::Client, "ann");
    let query = SlowQuery {
        waited_us: 250_149,
        server_us: 62_300,
        fingerprint: Some(255),
        text: "select $1",
    };
    let unread = SlowQuery {
        fingerprint: None,
        text: "",
        ..query
    };
    let lines = logged(
        |_| {},
        || {
            slow_query(&client, &query);
            slow_query(&client, &unread);
        },
    );
    let times = "total 312.4 ms (waited 250.1 ms for a server, server 62.3 ms)";
    let who = "LOG C-0x2a: bench/ann@127.0.0.1:5000 slow query:";
    assert_eq!(
        lines,
        [
            format!("{who} {times}, fingerprint 00000000000000ff, select $1"),
            format!("{who} {times}, text not read"),
        ]
    );
}
