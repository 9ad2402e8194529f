//! A real server and the pooler in front of it, for whole client programs to be run against.
//!
//! The pooler is this package's pgweir; `PGWEIR_TEST_POOLER` names another program that takes the
//! same settings, to see how that one behaves.
#![allow(dead_code, reason = "each test program uses its part")]

use std::fs;
use std::io::{self, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use pgweir::demo::cluster::{Cluster, ClusterOptions, Installation, SCRAM_ON_LOOPBACK, free_port};
use pgweir::demo::interrupt::{Deadline, Interrupt};
use pgweir::demo::process::{Process, ProcessError};
use pgweir::demo::scratch::private_file;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// Name of the user and of its database.
pub const NAME: &str = "app";
/// The user's password; it needs no quoting in a URL.
pub const PASSWORD: &str = "s3cret-weir";

const LISTEN_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);

/// When the pooler gives servers back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// After each transaction.
    Transaction,
    /// When the client leaves.
    Session,
}

impl Mode {
    /// The word for it in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::Session => "session",
        }
    }

    /// Few servers where clients can share them; else one for each client of the busiest test.
    fn pool_size(self) -> u16 {
        match self {
            Self::Transaction => 4,
            Self::Session => 60,
        }
    }
}

/// The servers, the pooler, and the certificate's authority.
#[derive(Debug)]
pub struct Stage {
    // Dropped in this order: the pooler before its servers.
    pooler: Process,
    /// The servers.
    pub cluster: Cluster,
    /// The programs.
    pub installation: Installation,
    /// The pooler's port.
    pub port: u16,
    /// The pooler's mode.
    pub mode: Mode,
}

/// What a stage has beyond the usual.
#[derive(Debug, Clone, Copy)]
pub struct Extras<'a> {
    /// A rule of the server's `pg_hba.conf`.
    pub hba: &'a str,
    /// Settings of the server.
    pub server: &'a [(&'a str, &'a str)],
    /// Lines of the pooler's settings.
    pub pooler: &'a str,
    /// Databases that the pooler serves under their own name; `*` for all.
    pub databases: &'a str,
}

impl Default for Extras<'_> {
    fn default() -> Self {
        Self {
            hba: SCRAM_ON_LOOPBACK,
            server: &[],
            pooler: "",
            databases: NAME,
        }
    }
}

impl Stage {
    /// Starts everything.
    pub fn start(mode: Mode) -> Self {
        Self::with(mode, Extras::default())
    }

    /// Starts everything, with extras.
    pub fn with(mode: Mode, extras: Extras<'_>) -> Self {
        let installation = Installation::find().unwrap();
        let mut options = ClusterOptions {
            max_connections: 120,
            hba: vec![extras.hba.to_owned()],
            templates: Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR"))),
            ..ClusterOptions::default()
        }
        .with_setting("password_encryption", "scram-sha-256")
        .with_setting("max_prepared_transactions", "10");
        for (name, value) in extras.server {
            options = options.with_setting(name, value);
        }
        let cluster = Cluster::start(&installation, options).unwrap();
        let primary = cluster.primary();
        // A superuser, since the tests look at other sessions.
        let role = format!("create role {NAME} superuser login password '{PASSWORD}'");
        primary.psql("postgres", &role).unwrap();
        let database = format!("create database {NAME} owner {NAME}");
        primary.psql("postgres", &database).unwrap();
        let port = free_port().unwrap();
        let ini = write_files(&installation, &cluster, (mode, port), extras);
        let pooler = start_pooler(&installation, &cluster, &ini, port);
        Self {
            pooler,
            cluster,
            installation,
            port,
            mode,
        }
    }

    /// How to connect through the pooler.
    pub fn url(&self) -> String {
        let port = self.port;
        format!("postgresql://{NAME}:{PASSWORD}@127.0.0.1:{port}/{NAME}")
    }

    /// The directory of the pooler's unix socket.
    pub fn sockets(&self) -> &Path {
        self.cluster.dir()
    }

    /// The certificate of the authority that signed the pooler's.
    pub fn authority(&self) -> PathBuf {
        self.cluster.dir().join("authority.pem")
    }

    /// The end of the pooler's log.
    pub fn log(&self) -> String {
        let log = fs::read(log_file(&self.cluster)).unwrap_or_default();
        pgweir::demo::process::tail(&String::from_utf8_lossy(&log))
    }

    /// Runs a client program to its end, at most `limit`. Gives what it wrote, or fails with that.
    pub fn run(&self, mut command: Command, name: &str, limit: Duration) -> String {
        let said = self.cluster.dir().join(format!("{name}.out"));
        command.env("HOME", self.cluster.dir());
        let mut program = Process::start(command, name, &said, Signal::SIGKILL).unwrap();
        let deadline = Deadline::after(limit);
        let status = loop {
            match program.ended().unwrap() {
                Some(status) => break Some(status),
                None if deadline.passed() => break None,
                None => Interrupt::never().pause(POLL).unwrap(),
            }
        };
        let said = String::from_utf8_lossy(&fs::read(&said).unwrap()).into_owned();
        let how = match status {
            Some(status) if status.success() => return said,
            Some(status) => format!("failed ({status})"),
            None => format!("did not end within {} s", limit.as_secs()),
        };
        let mode = self.mode.name();
        let log = self.log();
        panic!("{name} {how} in {mode} mode:\n{said}\n--- the pooler's log ends with\n{log}");
    }
}

/// Says at once, past the capturing of output, that something is left out. In CI it is an error.
#[allow(clippy::explicit_write, reason = "`eprintln!` would be captured")]
pub fn skip(what: &str, reason: &str) {
    let line = format!("skipped: {what}: {reason}");
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "nothing may be {line}"
    );
    writeln!(io::stderr(), "{line}").unwrap();
}

fn log_file(cluster: &Cluster) -> PathBuf {
    cluster.dir().join("pooler.log")
}

fn write_files(
    installation: &Installation,
    cluster: &Cluster,
    (mode, port): (Mode, u16),
    extras: Extras<'_>,
) -> PathBuf {
    let dir = cluster.dir();
    let write = |name: &str, content: &str| {
        private_file(&dir.join(name), content.as_bytes(), &installation.account).unwrap();
    };
    let (authority, certificate, key) = certificates();
    write("authority.pem", &authority);
    write("pooler.crt", &certificate);
    write("pooler.key", &key);
    write("users.txt", &format!("\"{NAME}\" \"{PASSWORD}\"\n"));
    let server = cluster.primary().port();
    let size = mode.pool_size();
    let mode = mode.name();
    let dir_name = dir.display();
    let Extras {
        pooler: more,
        databases,
        ..
    } = extras;
    let ini = format!(
        "[databases]\n\
         {databases} = host=127.0.0.1 port={server}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir = {dir_name}\n\
         auth_type = scram-sha-256\n\
         auth_file = {dir_name}/users.txt\n\
         admin_users = {NAME}\n\
         pool_mode = {mode}\n\
         default_pool_size = {size}\n\
         max_client_conn = 500\n\
         workers = 2\n\
         client_tls_sslmode = prefer\n\
         client_tls_cert_file = {dir_name}/pooler.crt\n\
         client_tls_key_file = {dir_name}/pooler.key\n\
         {more}\n"
    );
    write("pooler.ini", &ini);
    dir.join("pooler.ini")
}

/// An authority, and a certificate for this machine that it has signed, with its key.
fn certificates() -> (String, String, String) {
    // Two names: else the certificate would look as if it had signed itself.
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority
        .distinguished_name
        .push(DnType::CommonName, "authority of a pgweir test");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_key = KeyPair::generate().unwrap();
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut params = CertificateParams::new(names).unwrap();
    params
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    (authority_pem, certificate.pem(), key.serialize_pem())
}

fn start_pooler(installation: &Installation, cluster: &Cluster, ini: &Path, port: u16) -> Process {
    let program = match std::env::var_os("PGWEIR_TEST_POOLER") {
        Some(program) => PathBuf::from(program),
        None => PathBuf::from(env!("CARGO_BIN_EXE_pgweir")),
    };
    let log = log_file(cluster);
    let spawn = |program: &Path| {
        let mut command = Command::new(program);
        command.arg(ini).current_dir(cluster.dir());
        installation.account.apply(&mut command);
        Process::start(command, "the pooler", &log, Signal::SIGQUIT)
    };
    let mut pooler = match spawn(&program) {
        // It may lie in a directory that only root may enter.
        Err(ProcessError::Start { error, .. })
            if error.kind() == io::ErrorKind::PermissionDenied =>
        {
            let copy = cluster.dir().join("pooler");
            fs::copy(&program, &copy).unwrap();
            installation.account.own(&copy).unwrap();
            spawn(&copy).unwrap()
        }
        outcome => outcome.unwrap(),
    };
    let deadline = Deadline::after(LISTEN_LIMIT);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = pooler.ended().unwrap();
        let log = fs::read_to_string(&log).unwrap_or_default();
        assert!(ended.is_none(), "the pooler has ended: {log}");
        assert!(!deadline.passed(), "the pooler does not listen: {log}");
        Interrupt::never().pause(POLL).unwrap();
    }
    pooler
}
