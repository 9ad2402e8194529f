//! The demo from beginning to end.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};

use super::account::{Account, AccountError};
use super::bench::{Bench, BenchError, CLIENTS, Login, SCALE, Via, Workload};
use super::binaries::{Binaries, Surroundings};
use super::cluster::{
    Cluster, ClusterError, ClusterOptions, Installation, SCRAM_ON_LOOPBACK, free_port, is_free,
};
use super::fetch::{FetchError, Route, fetch};
use super::interrupt::{Interrupt, SignalWatch};
use super::options::DemoOptions;
use super::pooler::{POOL_SIZE, Pooler, PoolerError, PoolerPlan};
use super::scratch::{Fate, private_dir, private_file};
use super::table::{Row, render, thousands};

/// Starts another pooler in pgweir's place, to compare or to test the demo itself.
const POOLER_VARIABLE: &str = "PGWEIR_DEMO_POOLER";
/// The port that poolers of this kind are expected on.
const USUAL_PORT: u16 = 6432;
/// Name of the demo's user and database.
const NAME: &str = "demo";
/// How often the demo looks whether everything still runs.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);
/// Connections that servers accept: all of pgbench's, the pool's, and some to look around with.
const MAX_CONNECTIONS: u16 = CLIENTS + POOL_SIZE + 40;

/// Why the demo ended early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The user pressed Ctrl-C before it was up. Everything has been cleaned up.
    #[error("interrupted by a signal")]
    Interrupted,
    /// Signals cannot be caught.
    #[error("cannot listen for signals: {0}")]
    Signals(io::Error),
    /// Its own text cannot be printed.
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
    /// Where this program lies is unknown.
    #[error("cannot find the program that is running: {0}")]
    Program(io::Error),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers for a password")]
    Random,
    /// The port asked for is in use.
    #[error("port {0} of 127.0.0.1 is in use, choose another one with --port")]
    PortTaken(u16),
    /// Nobody to run servers as.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The server programs asked for cannot be used.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Servers failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// pgweir failed.
    #[error(transparent)]
    Pooler(#[from] PoolerError),
    /// pgbench failed.
    #[error(transparent)]
    Bench(#[from] BenchError),
}

/// Runs the demo and prints to `out`; returns once everything is stopped and cleaned up.
pub fn run(options: &DemoOptions, out: &mut impl Write) -> Result<(), DemoError> {
    let interrupt = Interrupt::default();
    let watch = SignalWatch::start(interrupt.clone()).map_err(DemoError::Signals)?;
    let outcome = run_until_interrupted(options, &interrupt, out);
    watch.finish();
    match outcome {
        // Whatever the signal made fail first, the signal is the reason.
        Err(_) if interrupt.check().is_err() => Err(DemoError::Interrupted),
        outcome => outcome,
    }
}

fn run_until_interrupted(
    options: &DemoOptions,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<(), DemoError> {
    let port = choose_port(options.port)?;
    let installation = installation(options, interrupt, out)?;
    let mut stage = Stage::set_up(&installation, options, port, out)?;
    let rows = stage.measure(options, out)?;
    stage.report(&rows, out)?;
    if !options.once {
        stage.stay(out)?;
    }
    stage.strike(out)
}

fn choose_port(wanted: Option<u16>) -> Result<u16, DemoError> {
    match wanted {
        Some(port) if is_free(port) => Ok(port),
        Some(port) => Err(DemoError::PortTaken(port)),
        None if is_free(USUAL_PORT) => Ok(USUAL_PORT),
        None => Ok(free_port().map_err(ClusterError::NoPort)?),
    }
}

fn installation(
    options: &DemoOptions,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<Installation, DemoError> {
    let account = Account::choose(options.run_as.as_deref())?;
    let surroundings = Surroundings::from_environment(&account);
    let cache = surroundings.cache.as_deref();
    let binaries = match (options.fetch, Binaries::find(&surroundings, &account)) {
        (Some(route), _) => fetch(&[route], cache, &account, interrupt, out)?,
        (None, Ok(binaries)) => binaries,
        // Whoever names a directory wants that one or none.
        (None, Err(refused)) if surroundings.wanted.is_some() => {
            return Err(ClusterError::NotInstalled { refused }.into());
        }
        (None, Err(refused)) => {
            announce_fetch(&refused, cache, out)?;
            fetch(&Route::ALL, cache, &account, interrupt, out)?
        }
    };
    let version = binaries.version();
    write!(
        out,
        "PostgreSQL {version} from {}",
        binaries.dir().display()
    )?;
    match &account {
        Account::Myself => writeln!(out)?,
        Account::Other { name, .. } => writeln!(out, ", run as user {name}")?,
    }
    Ok(Installation {
        binaries,
        account,
        interrupt: interrupt.clone(),
    })
}

fn announce_fetch(
    refused: &[super::binaries::Unusable],
    cache: Option<&Path>,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "No PostgreSQL server that can be used is installed.")?;
    for unusable in refused {
        writeln!(out, "  {unusable}")?;
    }
    if let Some(cache) = cache {
        writeln!(
            out,
            "Fetching one into {}; nothing is installed.",
            cache.display()
        )?;
    }
    out.flush()
}

/// Everything that runs. Dropping it stops it, the pooler first.
struct Stage<'a> {
    pooler: Option<Pooler>,
    cluster: Cluster,
    installation: &'a Installation,
    login: Login,
    port: u16,
}

impl<'a> Stage<'a> {
    fn set_up(
        installation: &'a Installation,
        options: &DemoOptions,
        port: u16,
        out: &mut dyn Write,
    ) -> Result<Self, DemoError> {
        say(out, "starting a primary and a streaming replica ...")?;
        let cluster_options = ClusterOptions {
            max_connections: MAX_CONNECTIONS,
            hba: vec![SCRAM_ON_LOOPBACK.to_owned()],
            fate: if options.keep {
                Fate::Keep
            } else {
                Fate::Delete
            },
            ..ClusterOptions::default()
        };
        let cluster_options = cluster_options.with_setting("password_encryption", "scram-sha-256");
        let mut cluster = Cluster::start(installation, cluster_options)?;
        let login = Login {
            name: NAME,
            password: random_password()?,
        };
        create_user(&cluster, installation, &login)?;
        let replica = cluster.add_replica()?.port();
        let primary = cluster.primary().port();
        writeln!(out, "  primary  127.0.0.1:{primary}")?;
        writeln!(out, "  replica  127.0.0.1:{replica}")?;
        let program = pooler_program()?;
        let plan = PoolerPlan {
            program: &program,
            account: &installation.account,
            dir: cluster.dir(),
            port,
            primary,
            replica,
            login: &login,
        };
        let pooler = plan.start(&installation.interrupt)?;
        writeln!(out, "  pgweir   127.0.0.1:{port}")?;
        Ok(Self {
            pooler: Some(pooler),
            cluster,
            installation,
            login,
            port,
        })
    }

    fn measure(&self, options: &DemoOptions, out: &mut dyn Write) -> Result<Vec<Row>, DemoError> {
        let dir = self.cluster.dir().join("bench");
        private_dir(&dir, &self.installation.account).map_err(|error| ClusterError::File {
            path: dir.clone(),
            error,
        })?;
        let bench = Bench {
            installation: self.installation,
            server: self.cluster.primary(),
            login: &self.login,
            dir: &dir,
        };
        let seconds = options.duration;
        say(
            out,
            &format!("pgbench: {CLIENTS} clients, {seconds} s for each run ..."),
        )?;
        bench.prepare()?;
        let mut rows = Vec::new();
        for via in Via::ALL {
            for workload in Workload::ALL {
                let port = match via {
                    Via::Direct => self.cluster.primary().port(),
                    Via::Pgweir => self.port,
                };
                let measurement = bench.run(workload, port, Duration::from_secs(seconds.into()))?;
                let tps = thousands(measurement.tps);
                say(
                    out,
                    &format!("  {}, {}: {tps} tps", workload.title(), via.title()),
                )?;
                rows.push(Row {
                    workload,
                    via,
                    measurement,
                });
            }
        }
        self.cluster.wait_for_replicas()?;
        Ok(rows)
    }

    fn report(&self, rows: &[Row], out: &mut dyn Write) -> Result<(), DemoError> {
        write!(out, "\n{}\n", render(rows))?;
        writeln!(
            out,
            "pgweir shares {POOL_SIZE} server connections among {CLIENTS} clients (transaction \
             pooling).\nEverything runs on this one machine, pgbench too (scale {SCALE}, fsync \
             off): an illustration, not a\nbenchmark."
        )?;
        Ok(out.flush()?)
    }

    fn stay(&mut self, out: &mut dyn Write) -> Result<(), DemoError> {
        let psql = self.psql();
        let replica = format!("{NAME}_replica");
        writeln!(out, "\nTry it:")?;
        for (database, what) in [
            (NAME, "the primary, through pgweir"),
            (&replica, "the replica, through pgweir"),
            (
                "pgbouncer",
                "the console: SHOW POOLS; SHOW CLIENTS; SHOW HELP;",
            ),
        ] {
            writeln!(out, "  {psql} {database}   # {what}")?;
        }
        say(out, "\nCtrl-C stops everything and cleans up.")?;
        while self.installation.interrupt.pause(WATCH_INTERVAL).is_ok() {
            if let Some(pooler) = &mut self.pooler {
                pooler.check()?;
            }
            self.cluster.primary_mut().check()?;
            for replica in self.cluster.replicas_mut() {
                replica.check()?;
            }
        }
        writeln!(out)?;
        Ok(())
    }

    /// The command to look around with; the one on the user's `PATH` when there is one.
    fn psql(&self) -> String {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let on_path = std::env::split_paths(&path).any(|dir| dir.join("psql").is_file());
        let binaries = &self.installation.binaries;
        let program = if on_path {
            "psql".to_owned()
        } else {
            let libraries = binaries.library_path().map(|path| libraries_prefix(&path));
            let libraries = libraries.unwrap_or_default();
            format!("{libraries}{}", binaries.dir().join("psql").display())
        };
        let Self { login, port, .. } = self;
        let Login { name, password } = login;
        format!("PGPASSWORD={password} {program} -h 127.0.0.1 -p {port} -U {name}")
    }

    fn strike(mut self, out: &mut dyn Write) -> Result<(), DemoError> {
        say(out, "stopping ...")?;
        if let Some(pooler) = self.pooler.take() {
            pooler.stop()?;
        }
        self.cluster.stop()?;
        let dir = self.cluster.dir().to_owned();
        let fate = self.cluster.fate();
        drop(self.cluster);
        match fate {
            Fate::Keep => say(out, &format!("stopped; kept {}", dir.display()))?,
            Fate::Delete => say(out, "stopped, nothing is left behind")?,
        }
        Ok(())
    }
}

fn say(out: &mut dyn Write, line: &str) -> io::Result<()> {
    writeln!(out, "{line}")?;
    out.flush()
}

fn libraries_prefix(path: &OsString) -> String {
    format!("LD_LIBRARY_PATH={} ", path.to_string_lossy())
}

fn pooler_program() -> Result<PathBuf, DemoError> {
    match std::env::var_os(POOLER_VARIABLE) {
        Some(program) => Ok(PathBuf::from(program)),
        None => std::env::current_exe().map_err(DemoError::Program),
    }
}

/// The demo's user and database. The statements go through a private file: the arguments of a
/// program, and with them the password, can be read by everybody on the machine.
fn create_user(
    cluster: &Cluster,
    installation: &Installation,
    login: &Login,
) -> Result<(), DemoError> {
    let Login { name, password } = login;
    let sql = format!(
        "create role {name} login password '{password}';\ncreate database {name} owner {name};\n"
    );
    let file = cluster.dir().join("user.sql");
    let written = private_file(&file, sql.as_bytes(), &installation.account);
    let removed = written
        .map_err(|error| ClusterError::File {
            path: file.clone(),
            error,
        })
        .and_then(|()| cluster.primary().psql_file("postgres", &file));
    drop(std::fs::remove_file(&file));
    removed?;
    Ok(())
}

/// Twenty-four hexadecimal digits: 96 bits, and nothing that a shell or SQL would have to quote.
fn random_password() -> Result<String, DemoError> {
    let mut bytes = [0; 12];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| DemoError::Random)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn a_port_asked_for_is_taken_or_refused_but_never_replaced() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(matches!(choose_port(Some(port)), Err(DemoError::PortTaken(p)) if p == port));
        let free = free_port().unwrap();
        assert_eq!(choose_port(Some(free)).unwrap(), free);
        assert!(is_free(choose_port(None).unwrap()));
    }

    #[test]
    fn passwords_differ_and_need_no_quotes() {
        let (one, other) = (random_password().unwrap(), random_password().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 24);
        assert!(one.chars().all(|digit| digit.is_ascii_hexdigit()));
    }
}
