//! The container's entrypoint: what it makes of the environment is read by the program's own reader.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails fails its test"
)]

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pgweir::auth::{Secret, userlist};
use pgweir::config::docs::OUR_OWN;
use pgweir::config::settings::{self, SETTINGS};
use pgweir::config::{AuthType, Config, Host, PoolMode, load};

/// A container's file system as far as the entrypoint sees it, with programs that do nothing.
struct Container {
    root: tempfile::TempDir,
}

const EDOBURU: &str = "etc/pgbouncer";
const BITNAMI: &str = "opt/bitnami/pgbouncer/conf";

impl Container {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for dir in [
            EDOBURU,
            BITNAMI,
            "etc/pgweir",
            "opt/bitnami/pgbouncer/tmp",
            "bitnami/pgbouncer/conf",
            "bin",
        ] {
            fs::create_dir_all(root.path().join(dir)).unwrap();
        }
        let container = Self { root };
        container.program("pgweir", "echo started \"$@\"");
        container.program("pgbouncer", "echo started as pgbouncer \"$@\"");
        container.program("pg_isready", "exit 0");
        container
    }

    fn program(&self, name: &str, does: &str) {
        let path = self.path(&format!("bin/{name}"));
        fs::write(&path, format!("#!/bin/sh\n{does}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn run(&self, command: &[&str], environment: &[(&str, &str)]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/entrypoint.sh");
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        Command::new("sh")
            .arg(script)
            .args(command)
            .env_clear()
            .env("PATH", path)
            .env("ENTRYPOINT_ROOT", self.root.path())
            .envs(environment.iter().copied())
            .output()
            .unwrap()
    }

    /// Starts it; gives what was started.
    fn start(&self, command: &[&str], environment: &[(&str, &str)]) -> String {
        let output = self.run(command, environment);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let root = self.root.path().to_str().unwrap();
        String::from_utf8(output.stdout).unwrap().replace(root, "")
    }

    fn config(&self, dir: &str) -> Config {
        let path = self.path(&format!("{dir}/pgbouncer.ini"));
        let read = |path: &str| fs::read(path);
        match load(&read, path.to_str().unwrap(), &[]) {
            Ok(loaded) => loaded.config,
            Err(found) => panic!("{found:#?}\n{}", fs::read_to_string(path).unwrap()),
        }
    }

    fn users(&self, dir: &str) -> String {
        let mut text = String::new();
        let path = self.path(&format!("{dir}/userlist.txt"));
        let mut file = fs::File::open(path).unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    }
}

fn tcp(host: &str) -> Vec<Host> {
    vec![Host::Tcp(host.to_owned())]
}

#[test]
fn a_url_becomes_an_entry_and_a_user() {
    let container = Container::new();
    let started = container.start(
        &[],
        &[
            (
                "DATABASE_URL",
                "postgres://app:se:cr\"t@db.example:5433/shop?sslmode=require",
            ),
            ("POOL_MODE", "transaction"),
            ("POOL_SIZE", "7"),
            ("USER", "somebody"),
        ],
    );
    assert_eq!(started, "started /etc/pgbouncer/pgbouncer.ini\n");
    let config = container.config(EDOBURU);
    let entry = &config.databases["shop"];
    assert_eq!((&entry.hosts, entry.port), (&tcp("db.example"), 5433));
    assert_eq!(entry.auth_user.as_deref(), Some("app"));
    assert_eq!(config.settings.listen_port, 5432);
    assert_eq!(config.settings.auth_type, AuthType::Md5);
    assert_eq!(config.settings.pool_mode, PoolMode::Transaction);
    let list = userlist::parse(container.users(EDOBURU).as_bytes());
    let [user] = &list.entries[..] else {
        panic!("one user expected")
    };
    let Secret::Md5(hash) = user.secret else {
        panic!("an md5 hash expected")
    };
    assert!(hash.matches_password(b"se:cr\"t", b"app"));
}

#[test]
fn several_urls_become_several_entries_and_plain_passwords_stay() {
    let container = Container::new();
    container.start(
        &[],
        &[
            (
                "DATABASE_URLS",
                "postgres://a:x\"y@one/first,postgresql://b:z@[::1]:1/my db,postgres://two",
            ),
            ("AUTH_TYPE", "scram-sha-256"),
        ],
    );
    let config = container.config(EDOBURU);
    assert_eq!(config.databases["first"].hosts, tcp("one"));
    assert_eq!(config.databases["my db"].hosts, tcp("::1"));
    assert_eq!(config.autodb.as_ref().unwrap().hosts, tcp("two"));
    assert_eq!(container.users(EDOBURU), "\"a\" \"x\"\"y\"\n\"b\" \"z\"\n");
}

#[test]
fn single_variables_do_what_a_url_does() {
    let container = Container::new();
    let environment = [
        ("DB_HOST", "db"),
        ("DB_USER", "app"),
        ("DB_PASSWORD", "pw"),
        ("LISTEN_PORT", "6432"),
    ];
    let command = ["/usr/bin/pgbouncer", "/etc/pgbouncer/pgbouncer.ini"];
    let command = [
        &*container.path("bin/pgbouncer").to_string_lossy(),
        command[1],
    ]
    .map(str::to_owned);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let started = container.start(&command, &environment);
    assert_eq!(
        started,
        "started as pgbouncer /etc/pgbouncer/pgbouncer.ini\n"
    );
    let config = container.config(EDOBURU);
    assert_eq!(config.autodb.as_ref().unwrap().hosts, tcp("db"));
    assert_eq!(config.settings.listen_port, 6432);
    // A restart of the same container changes nothing.
    let users = container.users(EDOBURU);
    container.start(
        &[],
        &[
            ("DB_HOST", "other"),
            ("DB_USER", "app"),
            ("DB_PASSWORD", "pw"),
        ],
    );
    assert_eq!(container.users(EDOBURU), users);
    assert_eq!(container.config(EDOBURU), config);
}

#[test]
fn every_setting_of_the_list_is_one_and_is_taken() {
    let script = include_str!("../docker/entrypoint.sh");
    let (_, list) = script.split_once("\nsettings='").unwrap();
    let (list, _) = list.split_once('\'').unwrap();
    let not_taken = "admin_users auth_file auth_type conffile ignore_startup_parameters \
        job_name listen_addr listen_port login_notify_message peer_id pidfile \
        resolv_conf service_name syslog syslog_facility syslog_ident \
        unix_socket_dir user auth_ldap_options client_tls13_ciphers server_tls13_ciphers \
        dns_zone_check_period";
    let mut known: Vec<&str> = list
        .split_whitespace()
        .chain(not_taken.split_whitespace())
        .chain(OUR_OWN)
        .collect();
    known.sort_unstable();
    let mut all: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    all.sort_unstable();
    assert_eq!(known, all, "the entrypoint decides about each setting");

    let container = Container::new();
    let values: Vec<(String, &str)> = list
        .split_whitespace()
        .map(|name| (name, settings::find(name).unwrap().default))
        .filter_map(|(name, value)| Some((name.to_uppercase(), value?)))
        .collect();
    let mut environment: Vec<(&str, &str)> = values
        .iter()
        .map(|(name, value)| (&**name, *value))
        .collect();
    environment.push(("DB_HOST", "db"));
    container.start(&[], &environment);
    assert_eq!(container.config(EDOBURU).settings.listen_addr, ["0.0.0.0"]);
}

#[test]
fn a_mounted_file_is_left_alone() {
    let container = Container::new();
    let file = "[databases]\n* = host=mine\n[pgbouncer]\nauth_type = any\n";
    fs::write(container.path("etc/pgbouncer/pgbouncer.ini"), file).unwrap();
    assert_eq!(
        container.start(&["-v"], &[]),
        "started -v /etc/pgbouncer/pgbouncer.ini\n"
    );
    container.start(&[], &[("DATABASE_URL", "postgres://u:p@other/db")]);
    let after = fs::read_to_string(container.path("etc/pgbouncer/pgbouncer.ini")).unwrap();
    assert_eq!(after, file);
    assert!(container.users(EDOBURU).starts_with("\"u\" \"md5"));
    fs::write(container.path("etc/pgweir/pgweir.ini"), file).unwrap();
    assert_eq!(
        container.start(&[], &[]),
        "started /etc/pgweir/pgweir.ini\n"
    );
}

#[test]
fn what_is_missing_or_would_be_two_settings_is_refused() {
    let container = Container::new();
    for environment in [
        &[][..],
        &[("DB_HOST", "a\nauth_type=any")],
        &[("DB_HOST", "a"), ("POOL_MODE", "session\nauth_type = any")],
        &[
            ("DB_HOST", "a"),
            ("DB_USER", "a\n\"b"),
            ("DB_PASSWORD", "c"),
        ],
        &[("POSTGRESQL_HOST", "a")],
        &[("POSTGRESQL_PASSWORD", "a\nb")],
        &[
            ("POSTGRESQL_PASSWORD", "a"),
            ("PGBOUNCER_CONNECT_QUERY", "a\nb"),
        ],
    ] {
        let container_output = container.run(&[], environment);
        assert!(!container_output.status.success(), "{environment:?}");
        assert!(container_output.stdout.is_empty(), "{environment:?}");
        for dir in [EDOBURU, BITNAMI] {
            fs::remove_file(container.path(&format!("{dir}/pgbouncer.ini"))).ok();
        }
    }
    assert_eq!(container.start(&["echo", "hello"], &[]), "hello\n");
}

#[test]
fn variables_of_the_other_image_are_taken_too() {
    let container = Container::new();
    let secret = container.path("password");
    fs::write(&secret, "it's \"it\"\n").unwrap();
    let started = container.start(
        &["/opt/bitnami/scripts/pgbouncer/run.sh"],
        &[
            ("POSTGRESQL_HOST", "db"),
            ("POSTGRESQL_USERNAME", "app"),
            ("POSTGRESQL_PASSWORD_FILE", secret.to_str().unwrap()),
            ("PGBOUNCER_DATABASE", "shop"),
            ("PGBOUNCER_SET_DATABASE_PASSWORD", "yes"),
            ("PGBOUNCER_PORT", "tcp://10.0.0.1:7777"),
            ("PGBOUNCER_POOL_MODE", "transaction"),
            ("PGBOUNCER_SERVER_RESET_QUERY", "select 'a:b'"),
            ("PGBOUNCER_CONNECT_QUERY", "select 'x'"),
            ("PGBOUNCER_DSN_0", "extra=host=two dbname=x"),
            ("PGBOUNCER_DSN_1", "more=host=three"),
            ("PGBOUNCER_SERVER_TLS_SSLMODE", "prefer"),
            ("PGBOUNCER_USERLIST", "\"b\" \"c\""),
            ("PGBOUNCER_EXTRA_FLAGS", "-v -v"),
        ],
    );
    assert_eq!(started, format!("started -v -v /{BITNAMI}/pgbouncer.ini\n"));
    let config = container.config(BITNAMI);
    let entry = &config.databases["shop"];
    assert_eq!(
        (&entry.hosts, entry.dbname.as_deref()),
        (&tcp("db"), Some("shop"))
    );
    assert_eq!(entry.password.as_ref().unwrap().expose(), "it's \"it\"");
    assert_eq!(entry.connect_query.as_deref(), Some("select 'x'"));
    assert_eq!(config.databases["extra"].hosts, tcp("two"));
    assert_eq!(config.databases["more"].hosts, tcp("three"));
    assert_eq!(config.settings.listen_port, 6432);
    assert_eq!(config.settings.auth_type, AuthType::ScramSha256);
    assert_eq!(
        config.settings.server_reset_query.as_deref(),
        Some("select 'a:b'")
    );
    assert_eq!(
        container.users(BITNAMI),
        "\"app\" \"it's \"\"it\"\"\"\n\"b\" \"c\"\n"
    );
}

#[test]
fn mounted_files_and_scripts_of_the_other_image_are_used() {
    let container = Container::new();
    let mounted = "bitnami/pgbouncer/conf/pgbouncer.ini";
    fs::write(container.path(mounted), "[pgbouncer]\n").unwrap();
    fs::create_dir(container.path("docker-entrypoint-initdb.d")).unwrap();
    let script = container.path("docker-entrypoint-initdb.d/one.sh");
    fs::write(script, "echo script\n").unwrap();
    let environment = [("POSTGRESQL_PASSWORD", "x")];
    let started = format!("started /{mounted}\n");
    assert_eq!(
        container.start(&[], &environment),
        format!("script\n{started}")
    );
    assert_eq!(
        container.start(&[], &environment),
        started,
        "scripts run once"
    );
}

#[test]
fn a_server_that_cannot_be_reached_ends_the_wait() {
    let container = Container::new();
    container.program("pg_isready", "exit 2");
    let environment = [
        ("POSTGRESQL_PASSWORD", "x"),
        ("PGBOUNCER_INIT_MAX_RETRIES", "2"),
        ("PGBOUNCER_INIT_SLEEP_TIME", "0"),
    ];
    let output = container.run(&[], &environment);
    assert!(!output.status.success());
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("no server at postgresql:5432"), "{words}");
    container.program("pg_isready", "exit 1");
    container.start(&[], &environment);
}

#[test]
fn the_health_check_asks_at_the_configured_port() {
    let container = Container::new();
    container.program("pg_isready", "echo \"$@\"");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/healthcheck");
    let asked = |environment: &[(&str, &str)]| {
        let output = Command::new("sh")
            .arg(&script)
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", container.path("bin").display()),
            )
            .env("ENTRYPOINT_ROOT", container.root.path())
            .envs(environment.iter().copied())
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    assert!(asked(&[]).ends_with("--port=6432\n"));
    let file = "[pgbouncer]\nlisten_port = 7000\n";
    fs::write(container.path("etc/pgbouncer/pgbouncer.ini"), file).unwrap();
    assert!(asked(&[]).ends_with("--port=7000\n"));
    assert!(asked(&[("PGWEIR_LISTEN_PORT", "7001")]).ends_with("--port=7001\n"));
}
