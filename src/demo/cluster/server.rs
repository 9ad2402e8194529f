//! One `PostgreSQL` server of a cluster, and what can be done to it.
//!
//! ```text
//! stopped ──start──► running ──stop──► stopped
//!                       │ └──kill_hard─► stopped (needs recovery)
//!                       └──promote──► running (as a primary)
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::super::binaries::Tool;
use super::super::interrupt::Deadline;
use super::super::process::{self, Process, StopStep};
use super::{ClusterError, Site, free_port};

/// How long a server has until it accepts connections, recovery included.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How often its state is read from its pid file.
const START_POLL: Duration = Duration::from_millis(5);
/// Ports that are tried for the first start.
const PORT_TRIES: usize = 10;
/// Pause before a port that was just in use is tried again.
const SAME_PORT_PAUSE: Duration = Duration::from_millis(100);
/// The line of `postmaster.pid` which says what the server is doing.
const STATUS_LINE: usize = 7;

/// Fast shutdown: sessions are ended, and a checkpoint is written; then less politely.
const FAST: [StopStep; 3] = [
    (Signal::SIGINT, Duration::from_secs(30)),
    (Signal::SIGQUIT, Duration::from_secs(5)),
    (Signal::SIGKILL, Duration::from_secs(10)),
];
const HARD: [StopStep; 1] = [(Signal::SIGKILL, Duration::from_secs(10))];

/// A server; dropping it stops it at once (immediate shutdown).
#[derive(Debug)]
pub struct Server {
    name: String,
    data: PathBuf,
    log: PathBuf,
    port: u16,
    process: Option<Process>,
    site: Arc<Site>,
}

impl Server {
    /// A stopped server over the data directory `name` of the cluster.
    pub(super) fn new(site: &Arc<Site>, name: &str) -> Result<Self, ClusterError> {
        let dir = site.scratch.path();
        Ok(Self {
            name: name.to_owned(),
            data: dir.join(name),
            log: dir.join(format!("{name}.log")),
            port: free_port().map_err(ClusterError::NoPort)?,
            process: None,
            site: Arc::clone(site),
        })
    }

    /// Its name in the cluster: `primary`, `replica1`, ...
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its port, on 127.0.0.1 and as part of its socket's name. It stays the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of its Unix socket.
    pub fn socket_dir(&self) -> &Path {
        self.site.scratch.path()
    }

    /// Its data directory.
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// The file that it writes its log to.
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// Whether it has been started and not stopped. A server that crashed counts as running.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// How to connect over TCP, in libpq's words.
    pub fn conninfo(&self, database: &str, user: &str) -> String {
        format!(
            "host=127.0.0.1 port={} dbname={database} user={user}",
            self.port
        )
    }

    /// How to connect as the superuser over the Unix socket, in libpq's words.
    pub fn socket_conninfo(&self, database: &str) -> String {
        let dir = self.socket_dir().display();
        format!(
            "host={dir} port={} dbname={database} user=postgres",
            self.port
        )
    }

    /// Runs `sql` as the superuser; see [`super::Installation::psql`].
    pub fn psql(&self, database: &str, sql: &str) -> Result<String, ClusterError> {
        let conninfo = self.socket_conninfo(database);
        self.site
            .installation
            .psql(&conninfo, sql, self.socket_dir())
    }

    /// Runs the statements in the file `sql` as the superuser, one transaction each.
    pub fn psql_file(&self, database: &str, sql: &Path) -> Result<String, ClusterError> {
        let conninfo = self.socket_conninfo(database);
        let input = ["-f".as_ref(), sql.as_os_str()];
        self.site
            .installation
            .run_psql(&conninfo, input, self.socket_dir())
    }

    /// Starts it and waits until it accepts connections; nothing happens when it is running.
    pub fn start(&mut self) -> Result<(), ClusterError> {
        if self.process.is_some() {
            return Ok(());
        }
        let first_start = !self.log.exists();
        let deadline = Deadline::after(START_LIMIT);
        let mut tries = 0;
        loop {
            let before = self.read_log().len();
            let error = match self.start_once(deadline) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            self.process = None;
            tries += 1;
            let log = self.read_log();
            let obstacle = log.get(before..).and_then(Obstacle::in_log);
            match obstacle {
                Some(Obstacle::PortTaken) if first_start && tries < PORT_TRIES => {
                    self.port = free_port().map_err(ClusterError::NoPort)?;
                }
                Some(_) if !first_start && !deadline.passed() => {
                    self.site.installation.interrupt.pause(SAME_PORT_PAUSE)?;
                }
                Some(_) | None => return Err(error),
            }
        }
    }

    fn start_once(&mut self, deadline: Deadline) -> Result<(), ClusterError> {
        let installation = &self.site.installation;
        let cwd = self.socket_dir();
        let mut command = installation
            .binaries
            .command(Tool::Postgres, &installation.account, cwd);
        command
            .arg("-D")
            .arg(&self.data)
            .args(["-p", &self.port.to_string()]);
        let process = Process::start(command, &self.name, &self.log, Signal::SIGQUIT)?;
        self.wait_until_ready(process, deadline)
    }

    fn wait_until_ready(
        &mut self,
        process: Process,
        deadline: Deadline,
    ) -> Result<(), ClusterError> {
        let process = self.process.insert(process);
        let pid_file = self.data.join("postmaster.pid");
        let server = self.name.clone();
        loop {
            let content = fs::read_to_string(&pid_file).unwrap_or_default();
            if says_ready(&content, process.id()) {
                return Ok(());
            }
            if let Some(status) = process.ended()? {
                let log = process::tail(&self.read_log());
                return Err(ClusterError::Died {
                    server,
                    status,
                    log,
                });
            }
            if deadline.passed() {
                let log = process::tail(&self.read_log());
                let limit = START_LIMIT;
                return Err(ClusterError::NotReady { server, limit, log });
            }
            self.site.installation.interrupt.pause(START_POLL)?;
        }
    }

    /// Stops it in good order (fast shutdown); nothing happens when it is stopped.
    pub fn stop(&mut self) -> Result<(), ClusterError> {
        self.stop_by(&FAST)
    }

    /// Kills it, as a crash would. Its sessions end when they notice.
    pub fn kill_hard(&mut self) -> Result<(), ClusterError> {
        self.stop_by(&HARD)
    }

    fn stop_by(&mut self, steps: &[StopStep]) -> Result<(), ClusterError> {
        if let Some(mut process) = self.process.take() {
            process.stop(steps)?;
        }
        Ok(())
    }

    /// Stops it in good order and starts it again on the same port.
    pub fn restart(&mut self) -> Result<(), ClusterError> {
        self.stop()?;
        self.start()
    }

    /// Makes a replica a primary, and waits until it is one.
    pub fn promote(&mut self) -> Result<(), ClusterError> {
        match self.psql("postgres", "select pg_promote()")?.as_str() {
            "t" => Ok(()),
            _ => Err(ClusterError::NotPromoted {
                server: self.name.clone(),
            }),
        }
    }

    /// Fails when the server has ended by itself.
    pub fn check(&mut self) -> Result<(), ClusterError> {
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        match process.ended()? {
            None => Ok(()),
            Some(status) => Err(ClusterError::Died {
                server: self.name.clone(),
                status,
                log: process::tail(&self.read_log()),
            }),
        }
    }

    fn read_log(&self) -> String {
        let log = fs::read(&self.log).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(Vec::new()),
            _ => Err(error),
        });
        String::from_utf8_lossy(&log.unwrap_or_default()).into_owned()
    }
}

/// What a `postmaster.pid` says about the process `id`.
fn says_ready(pid_file: &str, id: u32) -> bool {
    let mut lines = pid_file.lines();
    let same_process = lines.next().and_then(|line| line.parse().ok()) == Some(id);
    let status = lines.nth(STATUS_LINE - 1).map(str::trim_end);
    same_process && status == Some("ready")
}

/// A passing reason for which a server does not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Obstacle {
    /// Somebody else listens on its port.
    PortTaken,
    /// Sessions of its killed predecessor have not ended yet.
    OldSessions,
}

impl Obstacle {
    fn in_log(log: &str) -> Option<Self> {
        if log.contains("Address already in use") {
            Some(Self::PortTaken)
        } else if log.contains("pre-existing shared memory block") {
            Some(Self::OldSessions)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_process_s_ready_counts() {
        let file = |pid: u32, status: &str| {
            format!("{pid}\n/data\n1700000000\n5432\n/tmp\n127.0.0.1\n 1 2\n{status}\n")
        };
        assert!(says_ready(&file(42, "ready   "), 42));
        assert!(!says_ready(&file(41, "ready   "), 42));
        for status in ["starting", "standby ", "stopping", ""] {
            assert!(!says_ready(&file(42, status), 42), "{status:?}");
        }
        assert!(!says_ready("42\n", 42));
        assert!(!says_ready("", 42));
    }

    #[test]
    fn passing_obstacles_are_told_from_real_ones() {
        let taken = "LOG:  could not bind IPv4 address \"127.0.0.1\": Address already in use";
        assert_eq!(Obstacle::in_log(taken), Some(Obstacle::PortTaken));
        let shm = "FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use";
        assert_eq!(Obstacle::in_log(shm), Some(Obstacle::OldSessions));
        let wrong = "FATAL:  unrecognized configuration parameter \"nope\"";
        assert_eq!(Obstacle::in_log(wrong), None);
    }
}
