//! Sans-IO. The entries of `[databases]`, `[users]` and `[peers]`, typed.
//!
//! Not here: reading them (`entries`), which of several values counts (`effective`). In an entry,
//! `None` means that the entry says nothing and the next wider scope decides.

use std::fmt;
use std::time::Duration;

use super::choice::{LoadBalanceHosts, PoolMode, Role};
use super::replicas::ReplicaSpec;

/// Names that clients use for the admin console and that no database may have.
pub const CONSOLE_DATABASES: [&str; 2] = ["pgbouncer", "pgweir"];

/// Highest number of a peer.
pub const PEER_ID_MAX: u16 = 16383;

/// Port of a database whose entry names none.
pub const SERVER_PORT: u16 = 5432;

/// Port of a peer whose entry names none.
pub const PEER_PORT: u16 = 6432;

/// A password as the configuration has it: plain, MD5 or a SCRAM verifier. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the login alone.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Where a server can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A host name or an address.
    Tcp(String),
    /// The directory of a unix socket.
    Unix(String),
    /// A unix socket in the abstract namespace; the name without its leading `@`.
    Abstract(String),
    /// The unix socket in `unix_socket_dir`: the entry names no host.
    DefaultSocket,
}

impl Host {
    /// Reads one host of an entry: `/dir`, `@name`, a name or an address.
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix('@') {
            Some(name) => Self::Abstract(name.to_owned()),
            None if text.starts_with('/') => Self::Unix(text.to_owned()),
            None => Self::Tcp(text.to_owned()),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(text) | Self::Unix(text) => f.write_str(text),
            Self::Abstract(name) => write!(f, "@{name}"),
            Self::DefaultSocket => Ok(()),
        }
    }
}

/// Parameters that the entry puts into the startup message of its server connections.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StartupParameters {
    /// `client_encoding`.
    pub client_encoding: Option<String>,
    /// `datestyle`.
    pub datestyle: Option<String>,
    /// `timezone`.
    pub timezone: Option<String>,
    /// `application_name`.
    pub application_name: Option<String>,
}

impl StartupParameters {
    /// The parameters that are set, by name, in the order in which they are sent.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("client_encoding", &self.client_encoding),
            ("datestyle", &self.datestyle),
            ("timezone", &self.timezone),
            ("application_name", &self.application_name),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.as_deref().map(|value| (name, value)))
    }
}

/// An entry of `[databases]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseSpec {
    /// Name on the server; `None` is the name of the entry.
    pub dbname: Option<String>,
    /// Where the server is; never empty.
    pub hosts: Vec<Host>,
    /// One port for all hosts.
    pub port: u16,
    /// Further hosts of the same cluster, for reads; empty: nothing is routed.
    pub replicas: Vec<ReplicaSpec>,
    /// Where the entry's clients always go.
    pub role: Role,
    /// The entry whose host this one is; `None`: the file names this entry.
    pub derived_from: Option<String>,
    /// User that all clients become on the server ("forced user").
    pub user: Option<String>,
    /// That user's password; `None` is the one in `auth_file`.
    pub password: Option<Secret>,
    /// User who runs `auth_query`.
    pub auth_user: Option<String>,
    /// Query that fetches a user's password.
    pub auth_query: Option<String>,
    /// Entry on which `auth_query` runs.
    pub auth_dbname: Option<String>,
    /// Most server connections per user.
    pub pool_size: Option<usize>,
    /// Server connections that are kept open.
    pub min_pool_size: Option<usize>,
    /// Server connections beyond the pool's size.
    pub reserve_pool_size: Option<usize>,
    /// Most server connections of the database; never 0.
    pub max_db_connections: Option<usize>,
    /// Most client connections of the database; never 0.
    pub max_db_client_connections: Option<usize>,
    /// When server connections go back.
    pub pool_mode: Option<PoolMode>,
    /// Longest wait for a server; zero is no limit.
    pub query_wait_timeout: Option<Duration>,
    /// Age at which a server connection is closed; never zero.
    pub server_lifetime: Option<Duration>,
    /// How a host is picked.
    pub load_balance_hosts: LoadBalanceHosts,
    /// Query that runs on a new server connection.
    pub connect_query: Option<String>,
    /// Parameters for the startup message.
    pub startup: StartupParameters,
}

impl Default for DatabaseSpec {
    fn default() -> Self {
        Self {
            dbname: None,
            hosts: vec![Host::DefaultSocket],
            port: SERVER_PORT,
            replicas: Vec::new(),
            role: Role::Auto,
            derived_from: None,
            user: None,
            password: None,
            auth_user: None,
            auth_query: None,
            auth_dbname: None,
            pool_size: None,
            min_pool_size: None,
            reserve_pool_size: None,
            max_db_connections: None,
            max_db_client_connections: None,
            pool_mode: None,
            query_wait_timeout: None,
            server_lifetime: None,
            load_balance_hosts: LoadBalanceHosts::RoundRobin,
            connect_query: None,
            startup: StartupParameters::default(),
        }
    }
}

impl DatabaseSpec {
    /// Whether server connections made under `self` are wrong under `other`, so that a reload must
    /// close them as they come free. Sizes, limits and times are not among the reasons; neither are
    /// the password and the startup parameters, as in `PgBouncer`. Replicas have entries of their
    /// own, so a change to them does not concern the connections of this one.
    pub fn requires_new_connections(&self, other: &Self) -> bool {
        self.dbname != other.dbname
            || self.hosts != other.hosts
            || self.port != other.port
            || self.user != other.user
            || self.connect_query != other.connect_query
            || self.auth_dbname != other.auth_dbname
            || self.auth_query != other.auth_query
            || self.load_balance_hosts != other.load_balance_hosts
    }
}

/// An entry of `[users]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserSpec {
    /// Most server connections of each of the user's pools.
    pub pool_size: Option<usize>,
    /// Server connections beyond the pool's size.
    pub reserve_pool_size: Option<usize>,
    /// When server connections go back.
    pub pool_mode: Option<PoolMode>,
    /// Most server connections of the user; never 0.
    pub max_user_connections: Option<usize>,
    /// Most client connections of the user; never 0.
    pub max_user_client_connections: Option<usize>,
    /// Longest query; never zero.
    pub query_timeout: Option<Duration>,
    /// Longest wait for a server; zero is no limit.
    pub query_wait_timeout: Option<Duration>,
    /// Longest idling inside a transaction; never zero.
    pub idle_transaction_timeout: Option<Duration>,
    /// Longest transaction; never zero.
    pub transaction_timeout: Option<Duration>,
    /// Longest silence of a client; never zero.
    pub client_idle_timeout: Option<Duration>,
}

/// An entry of `[peers]`: another pooler, to which cancel requests are handed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerSpec {
    /// Where it is; never [`Host::DefaultSocket`].
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// Most connections to it; `None` is `default_pool_size`.
    pub pool_size: Option<usize>,
}
