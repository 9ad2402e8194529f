//! Runs pgbench, and counts the server connections that it takes meanwhile.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::binaries::Tool;
use super::cluster::{ClusterError, Installation, Server};
use super::latency::{Latencies, latency_us, transactions_per_second};
use super::process::{self, Process, ProcessError};
use super::scratch::private_file;

/// pgbench's size of the data: 100,000 accounts each.
pub const SCALE: u16 = 5;
/// Clients at once, in every run.
pub const CLIENTS: u16 = 64;
/// More threads than this bring a load generator nothing at these rates.
const THREADS_MAX: usize = 4;
/// What a run may take beyond its nominal length.
const RUN_SLACK: Duration = Duration::from_secs(60);
const INIT_LIMIT: Duration = Duration::from_secs(300);
/// Time between two counts of server connections, in psql's words.
const SAMPLE_SECONDS: &str = "0.25";

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// One select by primary key in each transaction.
    ReadOnly,
    /// Five statements in each transaction, with row locks.
    ReadWrite,
}

impl Workload {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 2] = [Self::ReadOnly, Self::ReadWrite];

    /// What the table calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::ReadOnly => "read only (select by key)",
            Self::ReadWrite => "read/write (like TPC-B)",
        }
    }

    fn script(self) -> &'static str {
        match self {
            Self::ReadOnly => "select-only",
            Self::ReadWrite => "tpcb-like",
        }
    }
}

/// Which way clients reach the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Straight to `PostgreSQL`.
    Direct,
    /// Through pgweir.
    Pgweir,
}

impl Via {
    /// Both. The direct runs come first: afterwards, pgweir's idle connections would be counted.
    pub const ALL: [Self; 2] = [Self::Direct, Self::Pgweir];

    /// What the table calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Pgweir => "pgweir",
        }
    }
}

/// The user and database that are used, and the user's password.
#[derive(Clone)]
pub struct Login {
    /// Name of both the user and the database.
    pub name: &'static str,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What came out of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// Transactions per second.
    pub tps: f64,
    /// The median latency of a transaction.
    pub p50: Duration,
    /// The latency which one in a hundred transactions exceeds.
    pub p99: Duration,
    /// The most server connections at once.
    pub server_connections: u32,
}

/// What went wrong with a run.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A program failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The cluster failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A file could not be read or written.
    #[error("cannot use {}: {error}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// pgbench's report has no rate in it.
    #[error("pgbench reported no rate: {report}")]
    NoRate {
        /// The end of the report.
        report: String,
    },
    /// No transaction was logged.
    #[error("pgbench logged no transaction")]
    NoTransactions,
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> BenchError {
    let path = path.to_owned();
    move |error| BenchError::File { path, error }
}

/// A place to run pgbench in, and the server whose connections are counted.
#[derive(Debug)]
pub struct Bench<'a> {
    /// The programs.
    pub installation: &'a Installation,
    /// The server behind every run.
    pub server: &'a Server,
    /// Who pgbench logs in as.
    pub login: &'a Login,
    /// A directory for logs, which the account that runs pgbench may write to.
    pub dir: &'a Path,
}

impl Bench<'_> {
    /// Makes pgbench's tables in the server.
    pub fn prepare(&self) -> Result<(), BenchError> {
        let mut command = self.pgbench(self.server.port());
        command.args(["-i", "-q", "-s", &SCALE.to_string()]);
        process::run(command, INIT_LIMIT, &self.installation.interrupt)?;
        Ok(())
    }

    /// Runs `workload` for `length` against `port` of 127.0.0.1.
    pub fn run(
        &self,
        workload: Workload,
        port: u16,
        length: Duration,
    ) -> Result<Measurement, BenchError> {
        let sampler = Sampler::start(self)?;
        let clients = CLIENTS.to_string();
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = threads.min(THREADS_MAX).to_string();
        let seconds = length.as_secs().to_string();
        let log_prefix = self.dir.join("transactions");
        let mut command = self.pgbench(port);
        command.args(["-n", "-b", workload.script()]);
        command.args(["-c", &clients, "-j", &threads, "-T", &seconds, "-l"]);
        command.arg("--log-prefix").arg(&log_prefix);
        let interrupt = &self.installation.interrupt;
        let output = process::run(command, length + RUN_SLACK, interrupt)?;
        let server_connections = sampler.finish()?;
        let mut latencies =
            take_latencies(self.dir, "transactions.").map_err(file_error(self.dir))?;
        let tps = transactions_per_second(&output.stdout).ok_or_else(|| BenchError::NoRate {
            report: process::tail(&output.stdout),
        })?;
        let mut percentile = |percent| {
            let latency = latencies.percentile(percent);
            latency.ok_or(BenchError::NoTransactions)
        };
        Ok(Measurement {
            tps,
            p50: percentile(50)?,
            p99: percentile(99)?,
            server_connections,
        })
    }

    fn pgbench(&self, port: u16) -> std::process::Command {
        let Installation {
            binaries, account, ..
        } = self.installation;
        let mut command = binaries.command(Tool::Pgbench, account, self.dir);
        command.env("PGPASSWORD", &self.login.password);
        command.env("PGDATABASE", self.login.name);
        command.args([
            "-h",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-U",
            self.login.name,
        ]);
        command
    }
}

/// Reads and deletes pgbench's transaction logs: one file for each of its threads.
fn take_latencies(dir: &Path, prefix: &str) -> io::Result<Latencies> {
    let mut latencies = Latencies::default();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(prefix) {
            continue;
        }
        for line in BufReader::new(File::open(entry.path())?).lines() {
            if let Some(us) = latency_us(&line?) {
                latencies.add(us);
            }
        }
        fs::remove_file(entry.path())?;
    }
    Ok(latencies)
}

/// A psql that counts the user's connections in `pg_stat_activity` again and again.
#[derive(Debug)]
struct Sampler {
    process: Process,
    counts: PathBuf,
}

impl Sampler {
    fn start(bench: &Bench<'_>) -> Result<Self, BenchError> {
        let Installation {
            binaries, account, ..
        } = bench.installation;
        let script = bench.dir.join("count.sql");
        let sql = format!(
            "select count(*) from pg_stat_activity where usename = '{}' \\watch {SAMPLE_SECONDS}\n",
            bench.login.name
        );
        private_file(&script, sql.as_bytes(), account).map_err(file_error(&script))?;
        let counts = bench.dir.join("counts.log");
        private_file(&counts, b"", account).map_err(file_error(&counts))?;
        let mut command = binaries.command(Tool::Psql, account, bench.dir);
        command.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-d",
            &bench.server.socket_conninfo("postgres"),
        ]);
        command.arg("-f").arg(&script);
        // Not SIGQUIT, which psql ignores.
        let process = Process::start(command, "psql", &counts, Signal::SIGTERM)?;
        Ok(Self { process, counts })
    }

    /// Stops counting and gives the highest count.
    fn finish(mut self) -> Result<u32, BenchError> {
        self.process
            .stop(&[(Signal::SIGTERM, Duration::from_secs(5))])?;
        let counts = fs::read_to_string(&self.counts).map_err(file_error(&self.counts))?;
        Ok(highest_count(&counts))
    }
}

/// psql writes the time between the counts; lines that are no number are passed over.
fn highest_count(counts: &str) -> u32 {
    let numbers = counts.lines().filter_map(|line| line.trim().parse().ok());
    numbers.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::account::Account;
    use crate::demo::scratch::Scratch;

    #[test]
    fn the_highest_count_is_found_between_titles() {
        let text = "Sat Nov 22 04:00:00 2026 (every 0.25s)\n\n3\n\n16\n\n7\n";
        assert_eq!(highest_count(text), 16);
        assert_eq!(highest_count(""), 0);
    }

    #[test]
    fn logs_of_all_threads_are_read_once() {
        let dir = Scratch::new(&std::env::temp_dir(), "pgweir-bench-", &Account::Myself).unwrap();
        fs::write(
            dir.path().join("transactions.12"),
            "0 0 10 0 1 2\n0 1 30 0 1 2\n",
        )
        .unwrap();
        fs::write(dir.path().join("transactions.12.1"), "1 0 20 0 1 2\n").unwrap();
        fs::write(dir.path().join("primary.log"), "0 0 99 0 1 2\n").unwrap();
        let mut latencies = take_latencies(dir.path(), "transactions.").unwrap();
        assert_eq!(latencies.percentile(100), Some(Duration::from_micros(30)));
        assert_eq!(latencies.percentile(50), Some(Duration::from_micros(20)));
        let mut again = take_latencies(dir.path(), "transactions.").unwrap();
        assert_eq!(again.percentile(50), None);
    }

    #[test]
    fn a_password_is_not_printed() {
        let login = Login {
            name: "demo",
            password: "secret".to_owned(),
        };
        assert!(!format!("{login:?}").contains("secret"));
    }
}
