use super::*;
use crate::config::{AuthType, PoolMode, SslMode};
use proptest::prelude::*;
use std::time::Duration;

fn load_text(text: &str, env: &[(&str, &str)]) -> Result<Loaded, Vec<Diagnostic>> {
    let read = |_: &str| Ok(text.as_bytes().to_vec());
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    load(&read, "t.ini", &env.iter().map(own).collect::<Vec<_>>())
}

fn texts(found: &[Diagnostic]) -> Vec<String> {
    found.iter().map(ToString::to_string).collect()
}

fn errors(text: &str) -> Vec<String> {
    texts(&load_text(text, &[]).expect_err("the text is wrong"))
}

fn warnings(text: &str) -> Vec<String> {
    texts(&load_text(text, &[]).expect("the text is right").warnings)
}

/// A file without a finding, with `more` at its end.
fn clean(more: &str) -> String {
    format!("[databases]\nx=host=h\n[pgbouncer]\nauth_file=f\n{more}")
}

#[test]
fn a_file_as_people_write_it_is_read() {
    let text = ";; a pooler\n[databases]\n; fallback\n* = host=127.0.0.1\n\
        'my db' = host=/run dbname=real pool_size=5\n\n[users]\nme = pool_mode=session\n\
        [peers]\n1 = host=other\n[pgbouncer]\nlisten_addr = 127.0.0.1, ::1\nlisten_port = 0x1932\n\
        auth_type = SCRAM-SHA-256\nauth_file = /etc/users.txt\nadmin_users = a, b\n\
        pool_mode = Transaction\nquery_wait_timeout = 0\nserver_idle_timeout = 1.5\n\
        ignore_startup_parameters = extra_float_digits,options\npeer_id = 1\n";
    let loaded = load_text(text, &[]).unwrap();
    assert_eq!(texts(&loaded.warnings), [""; 0]);
    let Config {
        settings,
        databases,
        autodb,
        users,
        peers,
        ..
    } = loaded.config;
    assert_eq!(settings.listen_addr, ["127.0.0.1", "::1"]);
    assert_eq!(settings.listen_port, 6450);
    assert_eq!(settings.auth_type, AuthType::ScramSha256);
    assert_eq!(settings.admin_users, ["a", "b"]);
    assert_eq!(settings.pool_mode, PoolMode::Transaction);
    assert_eq!(settings.query_wait_timeout, None);
    assert_eq!(
        settings.server_idle_timeout,
        Some(Duration::from_millis(1500))
    );
    assert_eq!(
        settings.ignore_startup_parameters,
        ["extra_float_digits", "options"]
    );
    assert_eq!(settings.peer_id, Some(1));
    assert_eq!(settings.conffile.as_deref(), Some("t.ini"));
    assert_eq!(databases.keys().collect::<Vec<_>>(), ["my db"]);
    assert!(autodb.is_some());
    assert_eq!(users["me"].pool_mode, Some(PoolMode::Session));
    assert_eq!(peers[&1].port, 6432);
}

#[test]
fn lines_in_the_manner_of_pgbouncers_documentation_are_read() {
    let entries = [
        "foodb =",
        "bardb = host=localhost dbname=bazdb",
        "forcedb = host=localhost port=300 user=baz password=foo client_encoding=UTF8 \
         datestyle=ISO",
        "template1 = host=localhost dbname=template1 auth_user=someuser",
        "nondefaultdb = pool_size=50 reserve_pool_size=10",
        "pgb-1.example = host=host1.example.com,host2.example.com load_balance_hosts=disable",
        "local = host=/var/run/postgresql connect_query='SET search_path TO app; SELECT 1'",
        "* = host=testserver",
    ];
    for entry in entries {
        let text = format!("[databases]\n{entry}\n[pgbouncer]\nauth_file = f\n");
        assert_eq!(warnings(&text), [""; 0], "{entry}");
    }
    for line in [
        "auth_query = SELECT usename, passwd FROM pg_shadow WHERE usename=$1",
        "auth_query = SELECT usename, passwd FROM user_search($1)",
        "server_check_query = select 1",
        "server_reset_query =",
        "ignore_startup_parameters = extra_float_digits, options",
        "track_extra_parameters = search_path, IntervalStyle",
        "unix_socket_dir = @pooler",
        "unix_socket_mode = 0770",
        "listen_addr = *",
        "logfile = /var/log/pgbouncer/pgbouncer.log",
        "syslog_facility = LOCAL0",
        "server_tls_sslmode = verify-full",
        "max_prepared_statements = 0",
        "verbose = 2",
    ] {
        assert_eq!(warnings(&clean(line)), [""; 0], "{line}");
    }
}

#[test]
fn all_errors_are_reported_at_once_with_their_lines() {
    let text = "early = 1\n[pgbounce]\nx = 1\n[pgbouncer]\npool_mod = session\nlog_stats = maybe\n\
        nonsense\nzzzzzzzzz = 1\nlisten_port = 70000\nquery_timeout = 'abc'\npool_mode = sesion\n\
        [databases]\npgbouncer = host=a\nd = port=0\n";
    assert_eq!(
        errors(text),
        [
            "t.ini:1: \"early\" stands before the first section",
            "t.ini:2: unknown section \"pgbounce\", did you mean \"pgbouncer\"?",
            "t.ini:5: unknown setting \"pool_mod\", did you mean \"pool_mode\"?",
            "t.ini:6: invalid value \"maybe\" for log_stats: expected 0 or 1",
            "t.ini:7: expected \"name = value\", found no \"=\"",
            "t.ini:8: unknown setting \"zzzzzzzzz\"",
            "t.ini:9: invalid value \"70000\" for listen_port: expected a whole number from 1 to \
             65535",
            "t.ini:10: invalid value \"'abc'\" for query_timeout: expected a number of seconds, \
             0 or more",
            "t.ini:11: invalid value \"sesion\" for pool_mode: expected session, transaction, \
             statement, did you mean \"session\"?",
            "t.ini:13: database name \"pgbouncer\" is reserved",
            "t.ini:14: database \"d\": port: expected a port from 1 to 65535, got \"0\"",
        ]
    );
}

#[test]
fn section_names_are_exact() {
    assert_eq!(
        errors("[ pgbouncer ]"),
        ["t.ini:1: unknown section \" pgbouncer \", did you mean \"pgbouncer\"?"]
    );
    let found = errors("[PgBouncer]");
    assert_eq!(
        found,
        ["t.ini:1: unknown section \"PgBouncer\", did you mean \"pgbouncer\"?"]
    );
}

#[test]
fn the_last_of_equal_names_counts_and_the_same_file_is_warned_about() {
    let text = clean("log_stats=1\nlog_stats=0\n[databases]\nx=host=b\n[users]\nu=\nu=pool_size=1");
    let loaded = load_text(&text, &[]).unwrap();
    assert!(!loaded.config.settings.log_stats);
    let hosts = &loaded.config.databases["x"].hosts;
    assert_eq!(hosts, &[crate::config::Host::Tcp("b".into())]);
    assert_eq!(loaded.config.users["u"].pool_size, Some(1));
    assert_eq!(
        texts(&loaded.warnings),
        [
            "t.ini:6: \"log_stats\" was set before, at line 5; this one counts",
            "t.ini:8: \"x\" was set before, at line 2; this one counts",
            "t.ini:11: \"u\" was set before, at line 10; this one counts",
        ]
    );
}

#[test]
fn an_included_file_may_set_again_without_a_warning() {
    let read = |path: &str| {
        let main = clean("pool_mode=session\n%include more.ini\n");
        let text = if path == "t.ini" {
            main
        } else {
            "pool_mode=transaction\n".to_owned()
        };
        Ok(text.into_bytes())
    };
    let loaded = load(&read, "t.ini", &[]).unwrap();
    assert_eq!(loaded.config.settings.pool_mode, PoolMode::Transaction);
    assert_eq!(loaded.config.origin("pool_mode").to_string(), "more.ini:1");
    assert_eq!(texts(&loaded.warnings), [""; 0]);
}

#[test]
fn a_missing_file_is_an_error() {
    let read = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let found = load(&read, "gone.ini", &[]).unwrap_err();
    assert_eq!(
        texts(&found),
        ["gone.ini: cannot read file \"gone.ini\": entity not found"]
    );
}

#[test]
fn the_environment_lies_over_the_file() {
    let env = [
        ("PGWEIR_POOL_MODE", " transaction "),
        ("PGWEIR_WORKERS", "3"),
        ("PATH", "/bin"),
    ];
    let loaded = load_text(&clean("pool_mode=statement"), &env).unwrap();
    assert_eq!(loaded.config.settings.pool_mode, PoolMode::Transaction);
    assert_eq!(
        loaded.config.origin("pool_mode").to_string(),
        "environment PGWEIR_POOL_MODE"
    );
    assert_eq!(texts(&loaded.warnings), [""; 0]);
}

#[test]
fn every_setting_can_come_from_the_environment() {
    for setting in SETTINGS {
        let Some(raw) = setting.default else { continue };
        let name = format!("PGWEIR_{}", setting.name.to_ascii_uppercase());
        let loaded = load_text(&clean(""), &[(&name, raw)]).unwrap();
        assert_eq!(
            loaded.config.origin(setting.name),
            Origin::Environment(name)
        );
    }
}

#[test]
fn variables_of_a_container_platform_are_warnings_only() {
    let env = [
        ("PGWEIR_PORT_6432_TCP", "tcp://10.0.0.1:6432"),
        ("PGWEIR_LOG", "debug"),
        ("PGWEIR_", "x"),
        ("PGWEIR_POOLMODE", "session"),
    ];
    let loaded = load_text(&clean(""), &env).unwrap();
    assert_eq!(
        texts(&loaded.warnings),
        [
            "environment PGWEIR_PORT_6432_TCP: no setting has this name",
            "environment PGWEIR_LOG: no setting has this name",
            "environment PGWEIR_: no setting has this name",
            "environment PGWEIR_POOLMODE: no setting has this name, did you mean \
             \"PGWEIR_POOL_MODE\"?",
        ]
    );
}

#[test]
fn a_wrong_value_in_the_environment_is_an_error() {
    let found = load_text(&clean(""), &[("PGWEIR_LISTEN_PORT", "tcp://1")]).unwrap_err();
    let expected = "environment PGWEIR_LISTEN_PORT: invalid value \"tcp://1\" for listen_port: \
        expected a whole number";
    assert_eq!(texts(&found), [expected]);
}

#[test]
fn long_values_and_secrets_are_not_repeated() {
    let found = errors(&clean(&format!("listen_port={}", "9".repeat(100))));
    let shown = "9".repeat(60);
    let expected = format!("invalid value \"{shown}...\" for listen_port: expected a whole number");
    assert_eq!(found, [format!("t.ini:5: {expected}")]);
    let found = load_text(&clean(""), &[("PGWEIR_AUTH_LDAP_OPTIONS", "s3\0cret")]).unwrap_err();
    assert!(!texts(&found).concat().contains("s3"), "{found:?}");
}

#[test]
fn settings_without_effect_are_warned_about_once_and_only_if_changed() {
    let silent = "pkt_buf=4096\nsbuf_loopcnt=0x5\nauth_hba_file=\nclient_tls_ciphers=default\n\
        suspend_timeout=10\njob_name=pgbouncer\n";
    assert_eq!(warnings(&clean(silent)), [""; 0]);
    let text = clean("suspend_timeout=3\nauth_hba_file=h\npkt_buf=8192\nservice_name=s\n");
    assert_eq!(
        warnings(&text),
        [
            "t.ini:5: suspend_timeout has no effect: SUSPEND and online restarts went away with \
             PgBouncer 1.26",
            "t.ini:6: auth_hba_file has no effect: auth_type=hba is not built yet",
            "t.ini:7: pkt_buf has no effect: buffers belong to the worker threads and need no \
             tuning",
            "t.ini:8: service_name has no effect: there is no Windows service",
        ]
    );
}

#[test]
fn a_login_that_is_not_built_never_becomes_a_weaker_one() {
    for name in ["cert", "hba", "ldap", "pam", "HBA"] {
        let found = errors(&clean(&format!("auth_type={name}")));
        let name = name.to_ascii_lowercase();
        let expected = format!(
            "t.ini:5: auth_type={name} is not built yet, and a weaker way to log in will not \
             stand in for it"
        );
        assert_eq!(found, [expected]);
    }
}

#[test]
fn client_tls_needs_its_files() {
    assert_eq!(
        errors(&clean("client_tls_sslmode=require")),
        ["t.ini:5: client_tls_sslmode=require needs client_tls_key_file and client_tls_cert_file"]
    );
    let files = "client_tls_key_file=k\nclient_tls_cert_file=c\n";
    assert_eq!(
        errors(&clean(&format!("{files}client_tls_sslmode=verify-full"))),
        ["t.ini:7: client_tls_sslmode=verify-full needs client_tls_ca_file"]
    );
    let loaded = load_text(&clean(&format!("{files}client_tls_sslmode=allow")), &[]).unwrap();
    assert_eq!(loaded.config.settings.client_tls_sslmode, SslMode::Allow);
}

#[test]
fn what_cannot_work_is_warned_about() {
    for (text, expected) in [
        (
            "[databases]\nx=\n",
            "t.ini: neither auth_file nor auth_user is set, nobody can log in",
        ),
        (
            "[pgbouncer]\nauth_file=f",
            "t.ini: there is no database in [databases]",
        ),
        (
            &clean("unix_socket_dir="),
            "t.ini: neither listen_addr nor unix_socket_dir is set, there is nowhere to listen",
        ),
        (
            "[databases]\nok=user=u\nx=host=h\n[pgbouncer]\nauth_type=any",
            "t.ini:3: database \"x\": auth_type=any needs user= here, nobody can use it",
        ),
        (
            &clean("auth_dbname=nope"),
            "t.ini:5: auth_dbname: there is no database \"nope\"",
        ),
        (
            &clean("[databases]\ny=auth_dbname=nope"),
            "t.ini:6: auth_dbname: there is no database \"nope\"",
        ),
        (
            &clean("server_tls_key_file=k"),
            "t.ini:5: server_tls_key_file has no effect without server_tls_cert_file",
        ),
        (
            &clean("server_tls_protocols=tlsv1.1,tlsv1.2"),
            "t.ini:5: server_tls_protocols: versions before tlsv1.2 are not built and are left out",
        ),
        (
            &clean("reserve_pool_size=1\nreserve_pool_timeout=0"),
            "t.ini:6: reserve_pool_timeout=0: the reserve is never used",
        ),
    ] {
        assert_eq!(warnings(text), [expected], "{text}");
    }
    assert_eq!(warnings("[databases]\nx=auth_user=u\n"), [""; 0]);
}

#[test]
fn the_console_is_no_database_for_auth_query() {
    assert_eq!(
        errors(&clean("auth_dbname=pgbouncer")),
        [
            "t.ini:5: invalid value \"pgbouncer\" for auth_dbname: expected a database other \
          than the admin console"
        ]
    );
}

#[test]
fn show_config_has_pgbouncers_rows() {
    let more = "unix_socket_mode=0700\nquery_timeout=1.50\npool_mode=SESSION\nauth_user=u\n";
    let config = load_text(&clean(more), &[]).unwrap().config;
    let rows = config.show();
    let row = |key: &str| {
        let row = rows.iter().find(|row| row.key == key).unwrap();
        (row.value.as_deref(), row.default, row.changeable())
    };
    assert_eq!(row("unix_socket_mode"), (Some("448"), Some("0777"), "no"));
    assert_eq!(row("query_timeout"), (Some("1.5"), Some("0"), "yes"));
    assert_eq!(row("pool_mode"), (Some("session"), Some("session"), "yes"));
    assert_eq!(row("auth_user"), (Some("u"), None, "yes"));
    assert_eq!(row("auth_dbname"), (None, None, "yes"));
    assert_eq!(row("conffile"), (Some("t.ini"), None, "yes"));
    assert_eq!(row("verbose"), (Some("0"), None, "yes"));
    assert_eq!(row("logfile"), (Some(""), Some(""), "yes"));
    assert_eq!(
        row("server_check_query"),
        (Some("<empty>"), Some("<empty>"), "yes")
    );
    assert_eq!(row("workers"), (Some("auto"), Some("auto"), "no"));
    assert!(
        rows.iter()
            .all(|row| row.key != "suspend_timeout" && row.key != "service_name")
    );
}

proptest! {
    #[test]
    fn no_file_panics(text in concat!(
        "(\\[(pgbouncer|databases|users|peers|x)\\]\n|%include t\n|",
        "[a-z_*'\"]{1,9} ?= ?[ -~]{0,20}\n|\\PC{0,10}\n){0,12}",
    )) {
        let outcome = load_text(&text, &[("PGWEIR_X", &text)]);
        if let Err(found) = outcome {
            prop_assert!(found.iter().any(is_error));
        }
    }

    #[test]
    fn no_environment_panics(name in "[A-Z_]{0,12}|\\PC{0,8}", value in "\\PC{0,20}") {
        let name = format!("PGWEIR_{name}");
        let outcome = load_text(&clean(""), &[(&name, &value)]);
        prop_assert!(outcome.is_ok() || settings::find(&name[7..].to_ascii_lowercase()).is_some());
    }
}
