//! Everything that a demo runs: the cluster, pgweir in front of it, and pgbench through both ways.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};

use super::bench::{Bench, CLIENTS, Login, Via, Workload};
use super::cluster::{Cluster, ClusterError, ClusterOptions, Installation, SCRAM_ON_LOOPBACK};
use super::error::DemoError;
use super::options::DemoOptions;
use super::pooler::{POOL_SIZE, Pooler, PoolerPlan};
use super::scratch::{Fate, private_dir, private_file};
use super::table::{Row, thousands};

/// Starts another pooler in pgweir's place, to compare or to test the demo itself.
const POOLER_VARIABLE: &str = "PGWEIR_DEMO_POOLER";
/// Name of the demo's user and database.
const NAME: &str = "demo";
/// How often the demo looks whether everything still runs.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);
/// Connections that servers accept: all of pgbench's, the pool's, and some to look around with.
const MAX_CONNECTIONS: u16 = CLIENTS + POOL_SIZE + 40;

/// Everything that runs. Dropping it stops it, the pooler first.
pub(super) struct Stage<'a> {
    pooler: Option<Pooler>,
    cluster: Cluster,
    installation: &'a Installation,
    login: Login,
    port: u16,
}

impl<'a> Stage<'a> {
    /// Starts the servers and pgweir, and makes the demo's user.
    pub(super) fn set_up(
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
        if options.keep {
            say(
                out,
                &format!("  everything is kept in {}", cluster.dir().display()),
            )?;
        }
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

    /// Runs every workload over both ways.
    pub(super) fn measure(
        &self,
        options: &DemoOptions,
        out: &mut dyn Write,
    ) -> Result<Vec<Row>, DemoError> {
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

    /// Says what to try, and stays up until the user stops the demo.
    pub(super) fn stay(&mut self, out: &mut dyn Write) -> Result<(), DemoError> {
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

    /// Stops everything in good order, and cleans up.
    pub(super) fn strike(mut self, out: &mut dyn Write) -> Result<(), DemoError> {
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

/// Prints a line at once, even into a pipe.
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

/// Thirty-two hexadecimal digits, which neither a shell nor SQL would have to quote.
fn random_password() -> Result<String, DemoError> {
    let mut bytes = [0; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| DemoError::Random)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_differ_and_need_no_quotes() {
        let (one, other) = (random_password().unwrap(), random_password().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 32);
        assert!(one.chars().all(|digit| digit.is_ascii_hexdigit()));
    }
}
