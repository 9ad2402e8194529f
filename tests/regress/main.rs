//! SQL scripts must print the same through the pooler as they do without it.
//!
//! The scripts in `sql` beside this file run in `psql`, one after the other: first against the
//! server, then in a fresh database through the pooler. Those whose first line says `session mode
//! only` are left out in transaction mode. `PGWEIR_REGRESS_DIR` names another directory of scripts.
//!
//! `PostgreSQL`'s own regression tests are run through the pooler when `PGWEIR_REGRESS_SOURCE` says
//! where they are: the folder `src/test/regress` of the source of the very version that is installed
//! (the source package of a distribution will do). It must hold `regress.so`, which is `regress.c`
//! compiled with the server's headers (`cc -fPIC -shared -I "$(pg_config --includedir-server)"`),
//! and copies of the server's `refint.so` and `autoinc.so`; the server's account must be able to read
//! all that. `pg_regress` itself comes with the server.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing step is a failing test"
)]

#[path = "../drivers/stage.rs"]
mod stage;

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pgweir::demo::binaries::Tool;
use pgweir::demo::cluster::TRUST_ON_LOOPBACK;
use pgweir::demo::scratch::private_dir;

use stage::{Extras, Mode, NAME, PASSWORD, Stage};

/// One script has this long.
const LIMIT: Duration = Duration::from_secs(120);
/// The whole of `PostgreSQL`'s own suite.
const SUITE_LIMIT: Duration = Duration::from_secs(1800);
/// Words in the first line of a script that needs a server of its own.
const SESSION_ONLY: &str = "session mode only";
/// Lines before a difference that are shown with it.
const CONTEXT: usize = 6;

#[test]
fn scripts_print_the_same_in_session_mode() {
    compare(Mode::Session);
}

#[test]
fn scripts_print_the_same_in_transaction_mode() {
    compare(Mode::Transaction);
}

fn compare(mode: Mode) {
    let stage = Stage::start(mode);
    let scripts = scripts(mode);
    assert!(!scripts.is_empty(), "no scripts were found");
    let run = |port| -> Vec<_> {
        let outputs = scripts.iter().map(|script| psql(&stage, script, port));
        outputs.collect()
    };
    let server = stage.cluster.primary();
    let direct = run(server.port());
    let again = format!("create database {NAME} owner {NAME}");
    for sql in [&format!("drop database {NAME}"), &again] {
        server.psql("postgres", sql).unwrap();
    }
    let pooled = run(stage.port);
    let differences: Vec<_> = scripts
        .iter()
        .zip(direct.iter().zip(&pooled))
        .filter_map(|(script, (direct, pooled))| difference(script, direct, pooled))
        .collect();
    let log = stage.log();
    assert!(
        differences.is_empty(),
        "\n{}\nthe pooler's log ends with\n{log}",
        differences.join("\n")
    );
}

/// The scripts of a directory, by name.
fn scripts(mode: Mode) -> Vec<PathBuf> {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regress/sql");
    let dir = std::env::var_os("PGWEIR_REGRESS_DIR").map_or_else(own, PathBuf::from);
    let entries = fs::read_dir(dir).unwrap();
    let mut scripts: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    scripts.retain(|path| path.extension().is_some_and(|end| end == "sql"));
    scripts.retain(|path| mode == Mode::Session || !is_session_only(path));
    scripts.sort();
    scripts
}

fn is_session_only(path: &Path) -> bool {
    let text = fs::read_to_string(path).unwrap();
    let first = text.lines().next().unwrap_or_default();
    first.contains(SESSION_ONLY)
}

/// What `psql` prints, errors included, while it runs the script.
fn psql(stage: &Stage, script: &Path, port: u16) -> String {
    let installation = &stage.installation;
    let dir = stage.cluster.dir();
    // The account may not be able to read the repository.
    let name = script.file_name().unwrap().to_string_lossy().into_owned();
    let copy = dir.join(&name);
    fs::write(&copy, fs::read(script).unwrap()).unwrap();
    installation.account.own(&copy).unwrap();
    let binaries = &installation.binaries;
    let mut command = binaries.command(Tool::Psql, &installation.account, dir);
    command.args(["-X", "-a", "-f", &name, "-h", "127.0.0.1"]);
    command.args(["-p", &port.to_string(), "-U", NAME, "-d", NAME]);
    command
        .env("PGPASSWORD", PASSWORD)
        .env("PGSSLMODE", "disable");
    let run = format!("{name}-{port}");
    stage.run(command, &run, LIMIT)
}

/// Where two outputs part, if they do.
fn difference(script: &Path, direct: &str, pooled: &str) -> Option<String> {
    if direct == pooled {
        return None;
    }
    let same = direct
        .lines()
        .zip(pooled.lines())
        .take_while(|(direct, pooled)| direct == pooled)
        .count();
    let part = |text: &str| {
        let lines = text.lines().skip(same.saturating_sub(CONTEXT));
        lines.take(2 * CONTEXT).collect::<Vec<_>>().join("\n")
    };
    Some(format!(
        "{} differs from line {same} on; directly:\n{}\nthrough the pooler:\n{}\n",
        script.display(),
        part(direct),
        part(pooled)
    ))
}

#[test]
#[allow(clippy::explicit_write, reason = "`eprintln!` would be captured")]
fn the_server_s_own_suite_passes_in_session_mode() {
    let Some(source) = std::env::var_os("PGWEIR_REGRESS_SOURCE") else {
        let word = "left out: PGWEIR_REGRESS_SOURCE does not name PostgreSQL's own suite";
        writeln!(io::stderr(), "{word}").unwrap();
        return;
    };
    let stage = Stage::with(
        Mode::Session,
        Extras {
            hba: TRUST_ON_LOOPBACK,
            // pg_regress sets these for its sessions, and `reset` in a session goes back to them.
            // Through a pooler it goes back to the server's own values.
            server: &[
                ("datestyle", "Postgres, MDY"),
                ("timezone", "America/Los_Angeles"),
                ("intervalstyle", "postgres_verbose"),
            ],
            // Some tests count sessions, or want that theirs has never used temporary tables.
            pooler: "auth_type = trust\nauth_user = postgres\nauth_dbname = postgres\n\
                     server_lifetime = 0",
            databases: "*",
        },
    );
    let installation = &stage.installation;
    let dir = stage.cluster.dir();
    let out = dir.join("suite");
    private_dir(&out, &installation.account).unwrap();
    let bin = installation.binaries.dir();
    let program = bin.join("../lib/pgxs/src/test/regress/pg_regress");
    let mut command = Command::new(program);
    command.current_dir(&source).env_clear();
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
    installation.account.apply(&mut command);
    let source = Path::new(&source).display();
    command.args([
        "--host=127.0.0.1",
        "--user=postgres",
        "--max-connections=20",
    ]);
    command.arg(format!("--port={}", stage.port));
    command.arg(format!("--inputdir={source}"));
    command.arg(format!("--dlpath={source}"));
    command.arg(format!("--schedule={source}/parallel_schedule"));
    command.arg(format!("--outputdir={}", out.display()));
    command.arg(format!("--bindir={}", bin.display()));
    let said = stage.run(command, "pg_regress", SUITE_LIMIT);
    assert!(said.contains("tests passed"), "{said}");
    writeln!(io::stderr(), "{}", said.trim()).unwrap();
}
