//! pgweir in front of the cluster: its settings, and its process.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::account::Account;
use super::bench::Login;
use super::interrupt::{Deadline, Interrupt, Interrupted};
use super::process::{self, Process, ProcessError, StopStep};
use super::scratch::private_file;

/// Server connections for each database: a quarter of the clients that pgbench brings.
pub const POOL_SIZE: u16 = 16;
const START_LIMIT: Duration = Duration::from_secs(15);
const START_POLL: Duration = Duration::from_millis(10);
/// The longest that a connection to our own machine may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// First let running queries end, then do not.
const STOP: [StopStep; 3] = [
    (Signal::SIGINT, Duration::from_secs(3)),
    (Signal::SIGQUIT, Duration::from_secs(2)),
    (Signal::SIGKILL, Duration::from_secs(10)),
];

/// What went wrong with the pooler.
#[derive(Debug, thiserror::Error)]
pub enum PoolerError {
    /// A file could not be written.
    #[error("cannot prepare {}: {error}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// It could not be started or stopped.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It ended by itself.
    #[error("pgweir ended ({status}): {log}")]
    Died {
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// It did not listen in time.
    #[error("pgweir does not listen on port {port} after {} s: {log}", START_LIMIT.as_secs())]
    NotListening {
        /// Its port.
        port: u16,
        /// The end of its log.
        log: String,
    },
    /// The user pressed Ctrl-C meanwhile.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> PoolerError {
    let path = path.to_owned();
    move |error| PoolerError::File { path, error }
}

/// What the pooler is set up with.
#[derive(Debug, Clone)]
pub struct PoolerPlan<'a> {
    /// The program: pgweir itself, or something that takes the same file.
    pub program: &'a Path,
    /// Who runs it.
    pub account: &'a Account,
    /// A directory for its files, which that account may enter.
    pub dir: &'a Path,
    /// The port it listens on, on 127.0.0.1.
    pub port: u16,
    /// The primary's port.
    pub primary: u16,
    /// The replica's port.
    pub replica: u16,
    /// The one user, who may use the console too.
    pub login: &'a Login,
}

impl PoolerPlan<'_> {
    fn ini(&self) -> String {
        let Self {
            port,
            primary,
            replica,
            ..
        } = self;
        let name = self.login.name;
        let users = self.users_file();
        let users = users.display();
        format!(
            "; Written by `pgweir demo`.\n\
             [databases]\n\
             {name} = host=127.0.0.1 port={primary} dbname={name}\n\
             {name}_replica = host=127.0.0.1 port={replica} dbname={name}\n\
             \n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             auth_type = scram-sha-256\n\
             auth_file = {users}\n\
             admin_users = {name}\n\
             pool_mode = transaction\n\
             default_pool_size = {POOL_SIZE}\n\
             max_client_conn = 1000\n"
        )
    }

    fn users(&self) -> String {
        format!("\"{}\" \"{}\"\n", self.login.name, self.login.password)
    }

    /// The file of its settings.
    pub fn ini_file(&self) -> PathBuf {
        self.dir.join("pgbouncer.ini")
    }

    fn users_file(&self) -> PathBuf {
        self.dir.join("userlist.txt")
    }

    fn log_file(&self) -> PathBuf {
        self.dir.join("pgweir.log")
    }

    /// Writes its files, starts it, and waits until it listens.
    pub fn start(&self, interrupt: &Interrupt) -> Result<Pooler, PoolerError> {
        let files = [
            (self.ini_file(), self.ini()),
            (self.users_file(), self.users()),
        ];
        for (path, content) in files {
            let written = private_file(&path, content.as_bytes(), self.account);
            written.map_err(file_error(&path))?;
        }
        let process = match self.spawn(self.program) {
            Err(ProcessError::Start { error, .. })
                if error.kind() == io::ErrorKind::PermissionDenied =>
            {
                self.spawn(&self.copied_program()?)?
            }
            outcome => outcome?,
        };
        let mut pooler = Pooler {
            process,
            log: self.log_file(),
        };
        pooler.wait_until_listening(self.port, interrupt)?;
        Ok(pooler)
    }

    fn spawn(&self, program: &Path) -> Result<Process, ProcessError> {
        let mut command = Command::new(program);
        command.arg(self.ini_file()).current_dir(self.dir);
        self.account.apply(&mut command);
        Process::start(command, "pgweir", &self.log_file(), Signal::SIGQUIT)
    }

    /// The program may lie in root's home, which the account cannot enter.
    fn copied_program(&self) -> Result<PathBuf, PoolerError> {
        let copy = self.dir.join("pgweir");
        fs::copy(self.program, &copy).map_err(file_error(&copy))?;
        self.account.own(&copy).map_err(file_error(&copy))?;
        Ok(copy)
    }
}

/// A running pooler; dropping it stops it.
#[derive(Debug)]
pub struct Pooler {
    process: Process,
    log: PathBuf,
}

impl Pooler {
    fn wait_until_listening(
        &mut self,
        port: u16,
        interrupt: &Interrupt,
    ) -> Result<(), PoolerError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let deadline = Deadline::after(START_LIMIT);
        loop {
            self.check()?;
            if TcpStream::connect_timeout(&address, CONNECT_LIMIT).is_ok() {
                return Ok(());
            }
            if deadline.passed() {
                let log = self.log_end();
                return Err(PoolerError::NotListening { port, log });
            }
            interrupt.pause(START_POLL)?;
        }
    }

    /// Fails when it has ended by itself.
    pub fn check(&mut self) -> Result<(), PoolerError> {
        match self.process.ended()? {
            None => Ok(()),
            Some(status) => Err(PoolerError::Died {
                status,
                log: self.log_end(),
            }),
        }
    }

    /// Stops it.
    pub fn stop(mut self) -> Result<(), PoolerError> {
        self.process.stop(&STOP)?;
        Ok(())
    }

    fn log_end(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        process::tail(&String::from_utf8_lossy(&log))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::scratch::Scratch;

    fn login() -> Login {
        Login {
            name: "demo",
            password: "0123abcd".to_owned(),
        }
    }

    fn plan<'a>(program: &'a Path, dir: &'a Path, login: &'a Login) -> PoolerPlan<'a> {
        PoolerPlan {
            program,
            account: &Account::Myself,
            dir,
            port: 6432,
            primary: 20_001,
            replica: 20_002,
            login,
        }
    }

    #[test]
    fn both_servers_and_the_users_file_are_in_the_settings() {
        let login = login();
        let plan = plan(Path::new("/bin/false"), Path::new("/tmp/demo"), &login);
        let ini = plan.ini();
        for line in [
            "demo = host=127.0.0.1 port=20001 dbname=demo",
            "demo_replica = host=127.0.0.1 port=20002 dbname=demo",
            "listen_port = 6432",
            "auth_file = /tmp/demo/userlist.txt",
        ] {
            assert!(ini.lines().any(|found| found == line), "{line} in {ini}");
        }
        assert!(!ini.contains(&login.password));
        assert_eq!(plan.users(), "\"demo\" \"0123abcd\"\n");
    }

    #[test]
    fn a_pooler_that_ends_at_once_is_reported_with_its_words() {
        let dir = Scratch::new(&std::env::temp_dir(), "pgweir-pooler-", &Account::Myself).unwrap();
        let program = dir.path().join("pooler.sh");
        fs::write(&program, "#!/bin/sh\necho cannot read $1 >&2\nexit 1\n").unwrap();
        fs::set_permissions(
            &program,
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        let login = login();
        let mut plan = plan(&program, dir.path(), &login);
        plan.port = crate::demo::cluster::free_port().unwrap();
        let error = plan.start(&Interrupt::never()).unwrap_err().to_string();
        assert!(
            error.contains("pgweir ended (exit status: 1): cannot read /"),
            "{error}"
        );
    }
}
