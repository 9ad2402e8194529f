//! One pgweir process of one test, with an ini file of its own.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::signal::Signal;
use pgweir::demo::account::Account;
use pgweir::demo::cluster::free_port;
use pgweir::demo::process::{Process, ProcessError, tail};
use pgweir::demo::scratch::private_file;

use super::fixture::Fixture;
use super::message::ssl_request;
use super::wait::{LIMIT, eventually, until};
use super::wire::{Login, Wire};

/// What the ini file says: defaults that suit most tests, and what the test adds.
#[derive(Debug, Clone)]
pub struct Setup {
    databases: Vec<String>,
    settings: Vec<(String, String)>,
    users: Vec<(String, String)>,
    more: String,
}

impl Setup {
    /// Transaction pooling, everybody trusted, the database `it` of the shared server, and the users
    /// `app`, `other`, `third`, `admin` (console) and `stats` (console, reading).
    pub fn new() -> Self {
        let users = ["app", "other", "third", "postgres", "admin", "stats"];
        let settings = [
            ("listen_addr", "127.0.0.1"),
            ("unix_socket_dir", ""),
            ("auth_type", "trust"),
            ("admin_users", "admin"),
            ("stats_users", "stats"),
            ("pool_mode", "transaction"),
            // Whatever the machine has: what goes from worker to worker has its own ways to be wrong.
            ("workers", "2"),
        ];
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            databases: Vec::new(),
            settings: settings.map(owned).to_vec(),
            users: users.map(|user| owned((user, "secret"))).to_vec(),
            more: String::new(),
        }
        .database("it", "")
    }

    /// An entry of `[databases]` on the shared server; `more` is appended to its connect string.
    pub fn database(self, name: &str, more: &str) -> Self {
        let port = Fixture::get().port();
        self.entry(&format!("{name} = host=127.0.0.1 port={port} {more}"))
    }

    /// A whole line of `[databases]`, which replaces an earlier one of the same name.
    pub fn entry(mut self, line: &str) -> Self {
        let name = |line: &str| line.split('=').next().map(|name| name.trim().to_owned());
        self.databases.retain(|known| name(known) != name(line));
        self.databases.push(line.to_owned());
        self
    }

    /// A setting, which replaces an earlier one of the same name.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "numbers and texts read alike"
    )]
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_string()));
        self
    }

    /// A line of the `auth_file`, which replaces an earlier one of the same name.
    pub fn user(mut self, name: &str, secret: &str) -> Self {
        self.users.retain(|(known, _)| known != name);
        self.users.push((name.to_owned(), secret.to_owned()));
        self
    }

    /// An `auth_file` without this name.
    pub fn without_user(mut self, name: &str) -> Self {
        self.users.retain(|(known, _)| known != name);
        self
    }

    /// Further sections.
    pub fn section(mut self, text: &str) -> Self {
        self.more.push_str(text);
        self.more.push('\n');
        self
    }

    /// The database `it`, used on the server as `role`.
    pub fn forced(self, role: &str, more: &str) -> Self {
        self.database("it", &format!("user={role} {more}"))
    }

    /// Starts pgweir and waits until it serves.
    pub fn start(&self) -> Weir {
        const TRIES: usize = 3;
        let mut tries = 0;
        loop {
            let mut weir = Weir::spawn(self);
            if weir.serves() {
                return weir;
            }
            tries += 1;
            // Another process can take the port between the choice and the start.
            let taken = weir.log().contains("ddress already in use");
            assert!(
                taken && tries < TRIES,
                "pgweir did not start:\n{}",
                weir.log()
            );
        }
    }

    fn ini(&self, port: u16, dir: &Path) -> String {
        let mut text = String::from("[databases]\n");
        let mut line = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        self.databases.iter().for_each(|database| line(database));
        line("[pgbouncer]");
        line(&format!("listen_port = {port}"));
        line(&format!("auth_file = {}", dir.join("users.txt").display()));
        for (name, value) in &self.settings {
            line(&format!(
                "{name} = {}",
                value.replace("{dir}", &dir.display().to_string())
            ));
        }
        line(&self.more);
        text
    }

    fn users(&self) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let users = self.users.iter();
        let lines = users.map(|(name, secret)| format!("{} {}", quoted(name), quoted(secret)));
        lines.collect::<Vec<_>>().join("\n") + "\n"
    }
}

/// A running pgweir. Dropping it stops it, and fails the test if a thread of it has panicked.
#[derive(Debug)]
pub struct Weir {
    process: Process,
    dir: PathBuf,
    port: u16,
}

impl Weir {
    fn spawn(setup: &Setup) -> Self {
        let fixture = Fixture::get();
        let dir = fixture.directory("weir");
        let port = free_port().unwrap();
        write(&dir.join("weir.ini"), &setup.ini(port, &dir));
        write(&dir.join("users.txt"), &setup.users());
        write(&dir.join("weir.log"), "");
        let mut command = Command::new(program());
        command.arg(dir.join("weir.ini")).current_dir(&dir);
        command.env_remove("NOTIFY_SOCKET").env_remove("LISTEN_FDS");
        fixture.installation.account.apply(&mut command);
        let log = dir.join("weir.log");
        let process = Process::start(command, "pgweir", &log, Signal::SIGQUIT).unwrap();
        write(&dir.join("pid"), &process.id().to_string());
        Self { process, dir, port }
    }

    /// What a pgweir logs that must not start.
    pub fn refused(setup: &Setup) -> String {
        let mut weir = Self::spawn(setup);
        assert!(!weir.serves(), "it has started:\n{}", weir.log());
        weir.log()
    }

    /// Waits until it serves; false when it has ended instead.
    fn serves(&mut self) -> bool {
        eventually("pgweir serves", || {
            if self.process.ended().unwrap().is_some() {
                return Some(false);
            }
            self.answers().ok().map(|()| true)
        })
    }

    /// Asks for TLS and reads the answer, whatever it is: a port that is open says only that one
    /// of the sockets is, an answer that all are.
    fn answers(&self) -> io::Result<()> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(&ssl_request())?;
        stream.read_exact(&mut [0])
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The directory of its files, which it may write to.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Everything that it has logged.
    pub fn log(&self) -> String {
        let log = fs::read(self.dir.join("weir.log")).unwrap();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Waits until it has logged these words.
    pub fn until_logged(&self, words: &str) {
        until(&format!("{words:?} in the log"), || {
            self.log().contains(words)
        });
    }

    /// Replaces its files; the old ones count until it reloads.
    pub fn rewrite(&self, setup: &Setup) {
        write(&self.dir.join("weir.ini"), &setup.ini(self.port, &self.dir));
        write(&self.dir.join("users.txt"), &setup.users());
    }

    /// Sends it a signal.
    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal).unwrap();
    }

    /// Whether it runs.
    pub fn is_alive(&mut self) -> bool {
        self.process.ended().unwrap().is_none()
    }

    /// Waits until it has ended by itself.
    pub fn until_ended(&mut self) -> ExitStatus {
        eventually("pgweir ends", || self.process.ended().unwrap())
    }

    /// How to log in.
    pub fn login<'a>(&self, database: &'a str, user: &'a str) -> Login<'a> {
        Login::new(self.port, database, user)
    }

    /// A client that is let in without a password.
    pub fn client(&self, database: &str, user: &str) -> Wire {
        Wire::login(self.port, database, user)
    }

    /// A client of the database `it`.
    pub fn app(&self) -> Wire {
        self.client("it", "app")
    }

    /// A column of one row of a console table; the row is found by its columns' values.
    pub fn shown(&self, table: &str, row: &[(&str, &str)], column: &str) -> Option<String> {
        let answer = self.console().query(&format!("show {table}"));
        let names = answer.names();
        let at = |name: &str| {
            let found = names.iter().position(|known| known == name);
            found.unwrap_or_else(|| panic!("{table} has no column {name}: {names:?}"))
        };
        let mut rows = answer.rows().into_iter();
        let wanted =
            |values: &Vec<String>| row.iter().all(|(name, value)| values[at(name)] == *value);
        rows.find(wanted).map(|values| values[at(column)].clone())
    }

    /// Waits until so many clients of the database `it` wait for a server.
    pub fn until_waiting(&self, clients: usize) {
        let clients = clients.to_string();
        until(&format!("{clients} clients wait"), || {
            self.shown("pools", &[("database", "it")], "cl_waiting")
                .as_ref()
                == Some(&clients)
        });
    }

    /// The console, with all rights.
    pub fn console(&self) -> Wire {
        self.client("pgbouncer", "admin")
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        let steps = [
            (Signal::SIGQUIT, Duration::from_secs(5)),
            (Signal::SIGKILL, Duration::from_secs(5)),
        ];
        let stopped = self.process.stop(&steps);
        let log = self.log();
        drop(fs::remove_dir_all(&self.dir));
        if std::thread::panicking() {
            eprintln!("pgweir's log:\n{}", tail(&log));
            return;
        }
        stopped.unwrap();
        assert!(!log.contains("panicked"), "pgweir panicked:\n{log}");
    }
}

fn write(path: &Path, content: &str) {
    let account = &Fixture::get().installation.account;
    private_file(path, content.as_bytes(), account).unwrap();
}

/// The program under test, where the account that runs it can reach it.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let built = PathBuf::from(env!("CARGO_BIN_EXE_pgweir"));
        let account = &Fixture::get().installation.account;
        if runs(&built, account) {
            return built;
        }
        // It may lie in root's home, which the account cannot enter.
        let copy = Fixture::get().directory("program").join("pgweir");
        fs::copy(&built, &copy).unwrap();
        account.own(&copy).unwrap();
        copy
    })
}

fn runs(program: &Path, account: &Account) -> bool {
    let mut command = Command::new(program);
    command.arg("--version");
    account.apply(&mut command);
    let never = pgweir::demo::interrupt::Interrupt::never();
    match pgweir::demo::process::run(command, Duration::from_secs(20), &never) {
        Err(ProcessError::Start { error, .. }) => error.kind() != ErrorKind::PermissionDenied,
        outcome => outcome.is_ok(),
    }
}
