//! The `PostgreSQL` server that all tests share, with their roles and databases.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use pgweir::demo::binaries::Tool;
use pgweir::demo::cluster::{Cluster, ClusterOptions, Installation, Server};

use super::guard::Guard;
use super::wire::Wire;

/// The password of every role that has one.
pub const PASSWORD: &str = "it's a \"secret\"";

/// Who must prove what to the server itself; everybody else is let in.
const HBA: [&str; 4] = [
    "host all scrammed 127.0.0.1/32 scram-sha-256",
    "host all md5ed 127.0.0.1/32 md5",
    "host all all 127.0.0.1/32 trust",
    "local all all trust",
];

/// Roles, and the tables that every database of the tests has.
const ROLES: &str = "\
    set password_encryption = 'scram-sha-256';\
    create role app login; create role other login; create role third login;\
    create role scrammed login password $$it's a \"secret\"$$;\
    create role asker login superuser;\
    create role looked_up login password $$it's a \"secret\"$$;\
    create role expired login password $$it's a \"secret\"$$ valid until '2001-01-01';\
    set password_encryption = 'md5';\
    create role md5ed login password $$it's a \"secret\"$$";

const TABLES: &str = include_str!("tables.sql");

/// Databases made of one template, so that even their tables' numbers are the same.
pub const DATABASES: [&str; 7] = [
    "it",
    "direct",
    "transaction",
    "session",
    "second",
    "third",
    "bench",
];

/// The shared server.
#[derive(Debug)]
pub struct Fixture {
    cluster: Cluster,
    /// Programs, and who runs them.
    pub installation: Installation,
    next: AtomicU32,
    _guard: Guard,
}

impl Fixture {
    /// The one of this process; the first caller starts it.
    pub fn get() -> &'static Self {
        static SHARED: OnceLock<Fixture> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn start() -> Self {
        let installation = Installation::find().unwrap();
        let cluster = Cluster::start(&installation, options()).unwrap();
        let guard = Guard::over(cluster.dir()).unwrap();
        populate(cluster.primary(), &DATABASES);
        Self {
            cluster,
            installation,
            next: AtomicU32::new(0),
            _guard: guard,
        }
    }

    /// The server.
    pub fn server(&self) -> &Server {
        self.cluster.primary()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.server().port()
    }

    /// A connection of the superuser straight to the server.
    pub fn superuser(&self, database: &str) -> Wire {
        Wire::login(self.port(), database, "postgres")
    }

    /// A new role that the server trusts, so that a test can tell its own connections from others'.
    pub fn role(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("role_{number}");
        let sql = format!("create role {name} login");
        self.superuser("postgres").run(&sql);
        name
    }

    /// Process ids of a role's connections.
    pub fn pids(&self, role: &str) -> Vec<String> {
        let sql = format!("select pid from pg_stat_activity where usename = '{role}' order by pid");
        let rows = self.superuser("postgres").query(&sql).rows();
        rows.into_iter().flatten().collect()
    }

    /// Runs psql, and gives what it prints, or its complaint.
    pub fn psql(&self, conninfo: &str, sql: &str) -> Result<String, String> {
        let dir = self.cluster.dir();
        let outcome = self.installation.psql(conninfo, sql, dir);
        outcome.map_err(|error| error.to_string())
    }

    /// A directory that is deleted at the end; the account which runs servers owns it.
    pub fn directory(&self, prefix: &str) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.cluster.dir().join(format!("{prefix}-{number}"));
        pgweir::demo::scratch::private_dir(&path, &self.installation.account).unwrap();
        path
    }

    /// One of the server's programs.
    pub fn tool(&self, tool: Tool) -> Command {
        let Installation {
            binaries, account, ..
        } = &self.installation;
        binaries.command(tool, account, self.cluster.dir())
    }
}

/// Makes the roles, and databases with the tables of the tests.
pub fn populate(server: &Server, databases: &[&str]) {
    server.psql("postgres", ROLES).unwrap();
    server
        .psql("postgres", "create database template_it")
        .unwrap();
    server.psql("template_it", TABLES).unwrap();
    for database in databases {
        let sql = format!("create database {database} template template_it owner app");
        server.psql("postgres", &sql).unwrap();
    }
}

/// Settings of the shared server, also for tests that need a server of their own.
pub fn options() -> ClusterOptions {
    ClusterOptions {
        max_connections: 400,
        hba: HBA.map(str::to_owned).to_vec(),
        templates: Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR"))),
        ..ClusterOptions::default()
    }
}
