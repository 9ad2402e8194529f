//! The scripts of other languages: each gets the pooler's URL and mode, and does its own checks.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::stage::{Mode, Stage, skip};

/// A whole script has this long. Its checks have limits of their own, which tell more.
const LIMIT: Duration = Duration::from_secs(400);

fn script(language: &str, name: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers");
    tests.join(language).join(name)
}

fn command(program: &OsString) -> Command {
    let mut command = Command::new(program);
    // Nobody's PGHOST decides what is tested.
    command.env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Whether `probe`, which does no more than load a driver, runs.
fn loads(mut probe: Command) -> bool {
    probe.stdin(Stdio::null());
    probe.stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

fn run(mut command: Command, name: &str, mode: Mode) {
    let stage = Stage::start(mode);
    command.arg(stage.url()).arg(mode.name());
    command.env("PGWEIR_TEST_SOCKETS", stage.sockets());
    command.env("PGWEIR_TEST_CA", stage.authority());
    let said = stage.run(command, name, LIMIT);
    assert!(said.trim_end().ends_with(" passed, 0 failed"), "{said}");
}

fn python(module: &str, file: &str, mode: Mode) {
    let interpreter = std::env::var_os("PGWEIR_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let mut probe = command(&interpreter);
    probe.args(["-c", &format!("import {module}")]);
    if !loads(probe) {
        skip(file, &format!("{} has no {module}", interpreter.display()));
        return;
    }
    let mut command = command(&interpreter);
    command.arg(script("python", file));
    run(command, file, mode);
}

fn node(module: &str, file: &str, mode: Mode) {
    let modules = std::env::var_os("PGWEIR_TEST_NODE_PATH").unwrap_or_default();
    let node = || {
        let mut command = command(&"node".into());
        command.env("NODE_PATH", &modules);
        command
    };
    let mut probe = node();
    probe.args(["-e", &format!("require('{module}')")]);
    if !loads(probe) {
        skip(file, &format!("node finds no {module}"));
        return;
    }
    let mut command = node();
    command.arg("--no-deprecation").arg(script("node", file));
    run(command, file, mode);
}

#[test]
fn psycopg_works_in_transaction_mode() {
    python("psycopg, psycopg_pool", "psycopg3.py", Mode::Transaction);
}

#[test]
fn psycopg_works_in_session_mode() {
    python("psycopg, psycopg_pool", "psycopg3.py", Mode::Session);
}

#[test]
fn psycopg2_works_in_transaction_mode() {
    python("psycopg2", "pg2.py", Mode::Transaction);
}

#[test]
fn psycopg2_works_in_session_mode() {
    python("psycopg2", "pg2.py", Mode::Session);
}

#[test]
fn asyncpg_works_in_transaction_mode() {
    python("asyncpg", "asyncpg_driver.py", Mode::Transaction);
}

#[test]
fn asyncpg_works_in_session_mode() {
    python("asyncpg", "asyncpg_driver.py", Mode::Session);
}

#[test]
fn pg8000_works_in_transaction_mode() {
    python("pg8000", "pg8000_driver.py", Mode::Transaction);
}

#[test]
fn pg8000_works_in_session_mode() {
    python("pg8000", "pg8000_driver.py", Mode::Session);
}

#[test]
fn node_postgres_works_in_transaction_mode() {
    node("pg", "pg.js", Mode::Transaction);
}

#[test]
fn node_postgres_works_in_session_mode() {
    node("pg", "pg.js", Mode::Session);
}

#[test]
fn postgres_js_works_in_transaction_mode() {
    node("postgres", "postgresjs.js", Mode::Transaction);
}

#[test]
fn postgres_js_works_in_session_mode() {
    node("postgres", "postgresjs.js", Mode::Session);
}
