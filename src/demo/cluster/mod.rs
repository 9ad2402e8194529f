//! Starts real `PostgreSQL`: a primary and streaming replicas, in a directory of their own.
//!
//! Made for many at once: every cluster has its own directory and ports. Servers answer on
//! 127.0.0.1 and on Unix sockets in that directory, where the superuser `postgres` needs no
//! password; nobody but the directory's owner gets there.
//!
//! Dropping a [`Cluster`] stops its servers and deletes the directory; that a `Drop` waits here is
//! deliberate, see [`super::scratch::Scratch`].
//!
//! ```no_run
//! use pgweir::demo::cluster::{Cluster, ClusterOptions, Installation};
//!
//! let installation = Installation::find()?;
//! let mut cluster = Cluster::start(&installation, ClusterOptions::default())?;
//! cluster.add_replica()?;
//! cluster.primary().psql("postgres", "create table greeting as select 'hello' as word")?;
//! cluster.wait_for_replicas()?;
//! let word = cluster.replicas()[0].psql("postgres", "select word from greeting")?;
//! assert_eq!(word, "hello");
//! # Ok::<(), pgweir::demo::cluster::ClusterError>(())
//! ```

mod port;
mod server;
mod settings;
mod template;

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use super::account::{Account, AccountError};
use super::binaries::{Binaries, Tool, Unusable};
use super::interrupt::{Deadline, Interrupt, Interrupted};
use super::process::{self, ProcessError};
use super::scratch::{Fate, Scratch};
use super::search::Surroundings;

pub use port::{free_port, is_free};
pub use server::Server;
pub use settings::{ClusterOptions, SCRAM_ON_LOOPBACK, TRUST_ON_LOOPBACK, TlsFiles};

/// The longest that one `psql` call may take.
const PSQL_LIMIT: Duration = Duration::from_secs(120);
/// The longest that a copy of a primary may take.
const BASEBACKUP_LIMIT: Duration = Duration::from_secs(300);
/// The longest that a replica may lag in [`Cluster::wait_for_replicas`].
const CATCH_UP_LIMIT: Duration = Duration::from_secs(60);
/// How often a replica's position is asked for.
const CATCH_UP_POLL: Duration = Duration::from_millis(20);

/// What went wrong with a cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No usable server is installed.
    #[error("no usable PostgreSQL server found{}", reasons(.refused))]
    NotInstalled {
        /// Directories that were looked at, and what is wrong with them.
        refused: Vec<Unusable>,
    },
    /// Nobody to run servers as.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A file or directory could not be made.
    #[error("cannot prepare {}: {error}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// A program failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A server ended by itself, while it started or later.
    #[error("{server} ended ({status}): {log}")]
    Died {
        /// Its name in the cluster.
        server: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// A server did not accept connections in time.
    #[error("{server} accepts no connections after {} s: {log}", .limit.as_secs())]
    NotReady {
        /// Its name in the cluster.
        server: String,
        /// The time it had.
        limit: Duration,
        /// The end of its log.
        log: String,
    },
    /// Every port that was tried is in use.
    #[error("no free TCP port found on 127.0.0.1: {0}")]
    NoPort(io::Error),
    /// A replica did not become a primary.
    #[error("{server} was not promoted")]
    NotPromoted {
        /// Its name in the cluster.
        server: String,
    },
    /// A replica lags.
    #[error("{server} has not replayed up to {position} within {} s", CATCH_UP_LIMIT.as_secs())]
    Lagging {
        /// Its name in the cluster.
        server: String,
        /// The primary's position in the write-ahead log.
        position: String,
    },
    /// The user pressed Ctrl-C meanwhile.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

fn reasons(refused: &[Unusable]) -> String {
    let reasons = refused.iter().map(|unusable| format!("; {unusable}"));
    reasons.collect()
}

/// Shorthand for the error of a failed file operation on `path`.
fn file_error(path: &Path) -> impl FnOnce(io::Error) -> ClusterError {
    let path = path.to_owned();
    move |error| ClusterError::File { path, error }
}

/// The programs to run, who runs them, and what ends waiting for them.
#[derive(Debug, Clone)]
pub struct Installation {
    /// The programs.
    pub binaries: Binaries,
    /// Who runs them.
    pub account: Account,
    /// Ends every wait when raised.
    pub interrupt: Interrupt,
}

impl Installation {
    /// What is installed here, for tests: an unprivileged account, and never interrupted.
    pub fn find() -> Result<Self, ClusterError> {
        let account = Account::choose(None)?;
        let surroundings = Surroundings::from_environment(&account);
        let binaries = Binaries::find(&surroundings, &account)
            .map_err(|refused| ClusterError::NotInstalled { refused })?;
        Ok(Self {
            binaries,
            account,
            interrupt: Interrupt::never(),
        })
    }

    /// Runs `sql` over the connection that `conninfo` describes; rows come unaligned, columns
    /// separated by `|`, without the last line's end. The first error ends it.
    pub fn psql(&self, conninfo: &str, sql: &str, cwd: &Path) -> Result<String, ClusterError> {
        self.run_psql(conninfo, ["-c".as_ref(), sql.as_ref()], cwd)
    }

    fn run_psql(
        &self,
        conninfo: &str,
        input: [&OsStr; 2],
        cwd: &Path,
    ) -> Result<String, ClusterError> {
        let mut command = self.binaries.command(Tool::Psql, &self.account, cwd);
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
        command.args(["-d", conninfo]).args(input);
        let output = process::run(command, PSQL_LIMIT, &self.interrupt)?;
        Ok(output.stdout.trim_end_matches('\n').to_owned())
    }
}

/// What the servers of one cluster share.
#[derive(Debug)]
struct Site {
    installation: Installation,
    options: ClusterOptions,
    scratch: Scratch,
}

/// A primary, and replicas that stream from it.
#[derive(Debug)]
pub struct Cluster {
    // Dropped in this order: replicas, primary, then the directory with the last reference to it.
    replicas: Vec<Server>,
    primary: Server,
    site: Arc<Site>,
}

impl Cluster {
    /// Makes a directory and a database in it, and starts the primary.
    pub fn start(
        installation: &Installation,
        options: ClusterOptions,
    ) -> Result<Self, ClusterError> {
        let parent = settings::parent(&options);
        let scratch = Scratch::new(&parent, settings::PREFIX, &installation.account);
        let mut scratch = scratch.map_err(file_error(&parent))?;
        scratch.set_fate(options.fate);
        let site = Arc::new(Site {
            installation: installation.clone(),
            options,
            scratch,
        });
        let data = site.scratch.path().join("primary");
        template::make_data_dir(&site, &data)?;
        settings::write(&site, &data)?;
        let mut primary = Server::new(&site, "primary")?;
        primary.start()?;
        Ok(Self {
            replicas: Vec::new(),
            primary,
            site,
        })
    }

    /// The directory that everything lies in, with one log file for each server.
    pub fn dir(&self) -> &Path {
        self.site.scratch.path()
    }

    /// The server that was started first. It stays in this place after a failover.
    pub fn primary(&self) -> &Server {
        &self.primary
    }

    /// The same, to stop or start it.
    pub fn primary_mut(&mut self) -> &mut Server {
        &mut self.primary
    }

    /// The servers that were started as replicas, oldest first.
    pub fn replicas(&self) -> &[Server] {
        &self.replicas
    }

    /// The same, to promote, stop or start them.
    pub fn replicas_mut(&mut self) -> &mut [Server] {
        &mut self.replicas
    }

    /// Copies the primary and starts the copy as its streaming replica, with a slot of its own.
    pub fn add_replica(&mut self) -> Result<&mut Server, ClusterError> {
        let name = format!("replica{}", self.replicas.len() + 1);
        let Installation {
            binaries,
            account,
            interrupt,
        } = &self.site.installation;
        let data = self.dir().join(&name);
        let source = format!(
            "{} application_name={name}",
            self.primary.socket_conninfo("postgres")
        );
        let mut command = binaries.command(Tool::PgBasebackup, account, self.dir());
        command.arg("-D").arg(&data).args(["-d", &source]);
        command.args(["-R", "-C", "-S", &name, "-X", "stream", "-c", "fast", "-N"]);
        process::run(command, BASEBACKUP_LIMIT, interrupt)?;
        let mut replica = Server::new(&self.site, &name)?;
        replica.start()?;
        self.replicas.push(replica);
        Ok(self
            .replicas
            .last_mut()
            .expect("it was pushed a line above"))
    }

    /// Waits until every running replica has replayed what the primary has written by now.
    pub fn wait_for_replicas(&self) -> Result<(), ClusterError> {
        let position = self
            .primary
            .psql("postgres", "select pg_current_wal_lsn()")?;
        let replayed = format!("select pg_last_wal_replay_lsn() >= '{position}'::pg_lsn");
        for replica in self.replicas.iter().filter(|replica| replica.is_running()) {
            let deadline = Deadline::after(CATCH_UP_LIMIT);
            while replica.psql("postgres", &replayed)? != "t" {
                if deadline.passed() {
                    let server = replica.name().to_owned();
                    return Err(ClusterError::Lagging { server, position });
                }
                self.site.installation.interrupt.pause(CATCH_UP_POLL)?;
            }
        }
        Ok(())
    }

    /// Stops every server in good order, replicas first; the directory stays until the drop.
    pub fn stop(&mut self) -> Result<(), ClusterError> {
        for replica in &mut self.replicas {
            replica.stop()?;
        }
        self.primary.stop()
    }

    /// Whether the directory is to be deleted with the cluster or kept.
    pub fn fate(&self) -> Fate {
        self.site.options.fate
    }
}
