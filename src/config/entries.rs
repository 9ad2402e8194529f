//! Sans-IO. Reads one entry of `[databases]`, `[users]` or `[peers]`.
//!
//! Invariant: no diagnostic shows a piece of a password. Where a quote is missing, a piece of a
//! password may look like a key or a value, so nothing is shown that stands behind the first
//! "pass", in whatever case, or behind the first unknown key.

use std::time::Duration;

use super::choice::{LoadBalanceHosts, PoolMode, Role};
use super::connstr::{self, Pair};
use super::diagnostic::{Diagnostic, Origin};
use super::model::{
    CONSOLE_DATABASES, DatabaseSpec, Host, PEER_ID_MAX, PEER_PORT, PeerSpec, Secret, UserSpec,
};
use super::nearest;
use super::replicas::ReplicaSpec;
use super::value;

/// Keys of a database's entry.
pub const DATABASE_KEYS: &[&str] = &[
    "dbname",
    "host",
    "port",
    "replicas",
    "role",
    "user",
    "password",
    "auth_user",
    "auth_query",
    "auth_dbname",
    "pool_size",
    "min_pool_size",
    "reserve_pool_size",
    "reserve_pool",
    "max_db_connections",
    "max_db_client_connections",
    "pool_mode",
    "query_wait_timeout",
    "server_lifetime",
    "load_balance_hosts",
    "connect_query",
    "client_encoding",
    "datestyle",
    "timezone",
    "application_name",
];

/// Keys of a user's entry.
pub const USER_KEYS: &[&str] = &[
    "pool_size",
    "reserve_pool_size",
    "pool_mode",
    "max_user_connections",
    "max_user_client_connections",
    "query_timeout",
    "query_wait_timeout",
    "idle_transaction_timeout",
    "transaction_timeout",
    "client_idle_timeout",
];

/// Keys of a peer's entry.
pub const PEER_KEYS: &[&str] = &["host", "port", "pool_size"];

/// Longest name of a database, in bytes (`PgBouncer`'s limit).
pub const DATABASE_NAME_MAX: usize = 63;
/// Longest name of a user, in bytes (`PgBouncer`'s limit).
pub const USER_NAME_MAX: usize = 127;

/// Collects what is wrong with one entry.
struct Entry<'a> {
    /// `database "x"`, for the front of each text.
    what: String,
    /// From here on, in bytes, nothing of the string is shown.
    quiet_from: usize,
    origin: &'a Origin,
    found: &'a mut Vec<Diagnostic>,
    failed: bool,
}

impl<'a> Entry<'a> {
    fn new(what: String, text: &str, origin: &'a Origin, found: &'a mut Vec<Diagnostic>) -> Self {
        let lower = text.to_ascii_lowercase();
        let quiet_from = lower.find("pass").unwrap_or(text.len());
        Self {
            what,
            quiet_from,
            origin,
            found,
            failed: false,
        }
    }

    fn error(&mut self, text: &str) {
        self.failed = true;
        let text = format!("{}: {text}", self.what);
        self.found.push(Diagnostic::error(self.origin, text));
    }

    fn warning(&mut self, text: &str) {
        let text = format!("{}: {text}", self.what);
        self.found.push(Diagnostic::warning(self.origin, text));
    }

    /// The pairs of the string; none, with an error, when it is broken.
    fn pairs<'t>(&mut self, text: &'t str) -> Vec<Pair<'t>> {
        connstr::pairs(text).unwrap_or_else(|error| {
            self.error(&error.to_string());
            Vec::new()
        })
    }

    fn unknown(&mut self, pair: &Pair<'_>, known: &'static [&'static str]) {
        let hint = nearest::hint(pair.key, known.iter().copied());
        // A key that starts with "pass" is shown when it is a misspelling of a known one.
        let misspelt = pair.offset == self.quiet_from && !hint.is_empty();
        if pair.offset < self.quiet_from || misspelt {
            self.error(&format!("unknown parameter \"{}\"{hint}", pair.key));
        } else {
            let place = "an unknown parameter stands behind the password";
            self.error(&format!(
                "{place} (a value with blanks needs single quotes){hint}"
            ));
        }
        self.quiet_from = self.quiet_from.min(pair.offset);
    }

    fn wrong<T>(&mut self, pair: &Pair<'_>, expected: &str) -> Option<T> {
        let clean = !pair.value.to_ascii_lowercase().contains("pass");
        let shown = if clean && pair.offset < self.quiet_from {
            format!(", got \"{}\"", pair.value)
        } else {
            String::new()
        };
        self.error(&format!("{}: expected {expected}{shown}", pair.key));
        None
    }

    /// A number; less than 0 is "not set", as `PgBouncer` writes its own defaults.
    fn size(&mut self, pair: &Pair<'_>) -> Option<usize> {
        match value::integer(&pair.value).map(i32::try_from) {
            Ok(Ok(number)) => usize::try_from(number).ok(),
            Ok(Err(_)) | Err(_) => self.wrong(pair, "a whole number"),
        }
    }

    /// A number; 0 or less is "not set".
    fn limit(&mut self, pair: &Pair<'_>) -> Option<usize> {
        self.size(pair).filter(|limit| *limit > 0)
    }

    /// Seconds; less than 0 is "not set".
    fn seconds(&mut self, pair: &Pair<'_>) -> Option<Duration> {
        if value::integer(&pair.value).is_ok_and(|number| number < 0) {
            return None;
        }
        match value::seconds(&pair.value, 0) {
            Ok(time) => Some(time),
            Err(_) => self.wrong(pair, "a number of seconds, 0 or more"),
        }
    }

    /// Seconds; 0 or less is "not set".
    fn positive_seconds(&mut self, pair: &Pair<'_>) -> Option<Duration> {
        self.seconds(pair).filter(|time| !time.is_zero())
    }

    fn port(&mut self, pair: &Pair<'_>) -> Option<u16> {
        match value::integer(&pair.value).map(u16::try_from) {
            Ok(Ok(port)) if port > 0 => Some(port),
            Ok(_) | Err(_) => self.wrong(pair, "a port from 1 to 65535"),
        }
    }

    fn pool_mode(&mut self, pair: &Pair<'_>) -> Option<PoolMode> {
        let mode = PoolMode::from_name(&pair.value);
        mode.or_else(|| self.wrong(pair, &PoolMode::NAMES.join(", ")))
    }

    fn load_balance_hosts(&mut self, pair: &Pair<'_>) -> Option<LoadBalanceHosts> {
        let way = LoadBalanceHosts::from_name(&pair.value);
        way.or_else(|| self.wrong(pair, &LoadBalanceHosts::NAMES.join(", ")))
    }

    fn hosts(&mut self, pair: &Pair<'_>) -> Option<Vec<Host>> {
        let hosts = value::list(&pair.value);
        if hosts.is_empty() {
            return self.wrong(pair, "a host");
        }
        if hosts.len() < pair.value.split(',').count() {
            self.warning("host: an empty host of the list is left out");
        }
        Some(hosts.iter().map(|host| Host::parse(host)).collect())
    }

    fn role(&mut self, pair: &Pair<'_>) -> Option<Role> {
        let role = Role::from_name(&pair.value);
        role.or_else(|| self.wrong(pair, &Role::NAMES.join(", ")))
    }

    /// The hosts of `replicas`. The host and the port of the line are known by now.
    fn replicas(&mut self, pair: &Pair<'_>, spec: &DatabaseSpec) -> Vec<ReplicaSpec> {
        let mut replicas: Vec<ReplicaSpec> = Vec::new();
        let texts = value::list(&pair.value);
        if texts.is_empty() {
            self.wrong::<()>(pair, "a host");
            return replicas;
        }
        if texts.len() < pair.value.split(',').count() {
            self.warning("replicas: an empty host of the list is left out");
        }
        for (index, text) in texts.iter().enumerate() {
            let which = self.which_host(pair, index + 1, text);
            let replica = match ReplicaSpec::parse(text, spec.port) {
                Ok(replica) => replica,
                Err(error) => {
                    self.error(&format!("replicas: {which}: {error}"));
                    continue;
                }
            };
            let same =
                |other: &ReplicaSpec| (&other.host, other.port) == (&replica.host, replica.port);
            if replica.port == spec.port && spec.hosts.contains(&replica.host) {
                self.warning(&format!(
                    "replicas: {which} is the line's own host and is left out"
                ));
            } else if replicas.iter().any(same) {
                self.error(&format!(
                    "replicas: {which} is there twice, remove one of the two"
                ));
            } else {
                replicas.push(replica);
            }
        }
        if replicas.is_empty() && !self.failed {
            self.error("replicas: expected a host besides the line's own");
        }
        replicas
    }

    /// Names one host of a list. Its text is left out where it may be a piece of a password.
    fn which_host(&self, pair: &Pair<'_>, number: usize, text: &str) -> String {
        let clean = !text.to_ascii_lowercase().contains("pass");
        if clean && pair.offset < self.quiet_from {
            format!("host {number} (\"{text}\")")
        } else {
            format!("host {number}")
        }
    }

    fn not_console(&mut self, pair: &Pair<'_>) -> Option<String> {
        if CONSOLE_DATABASES.contains(&pair.value.as_str()) {
            return self.wrong(pair, "a database other than the admin console");
        }
        Some(pair.value.clone())
    }

    fn name_at_most(&mut self, name: &str, max: usize) {
        if name.len() > max {
            self.error(&format!("the name is longer than {max} bytes"));
        }
    }
}

/// Reads an entry of `[databases]`; `None` when `found` got an error.
pub fn database(
    name: &str,
    text: &str,
    origin: &Origin,
    found: &mut Vec<Diagnostic>,
) -> Option<DatabaseSpec> {
    if CONSOLE_DATABASES.contains(&name) {
        let text = format!("database name \"{name}\" is reserved");
        found.push(Diagnostic::error(origin, text));
        return None;
    }
    let mut entry = Entry::new(format!("database \"{name}\""), text, origin, found);
    entry.name_at_most(name, DATABASE_NAME_MAX);
    let mut spec = DatabaseSpec::default();
    let mut replicas = None;
    for pair in entry.pairs(text) {
        let own = || Some(pair.value.clone());
        match pair.key {
            "dbname" => spec.dbname = own(),
            "host" => spec.hosts = entry.hosts(&pair).unwrap_or_default(),
            "port" => spec.port = entry.port(&pair).unwrap_or_default(),
            "replicas" => replicas = Some(pair),
            "role" => spec.role = entry.role(&pair).unwrap_or(Role::Auto),
            "user" => spec.user = own(),
            "password" => spec.password = own().map(Secret::new),
            "auth_user" => spec.auth_user = own(),
            "auth_query" => spec.auth_query = own(),
            "auth_dbname" => spec.auth_dbname = entry.not_console(&pair),
            "pool_size" => spec.pool_size = entry.size(&pair),
            "min_pool_size" => spec.min_pool_size = entry.size(&pair),
            "reserve_pool_size" | "reserve_pool" => spec.reserve_pool_size = entry.size(&pair),
            "max_db_connections" => spec.max_db_connections = entry.limit(&pair),
            "max_db_client_connections" => spec.max_db_client_connections = entry.limit(&pair),
            "pool_mode" => spec.pool_mode = entry.pool_mode(&pair),
            "query_wait_timeout" => spec.query_wait_timeout = entry.seconds(&pair),
            "server_lifetime" => spec.server_lifetime = entry.positive_seconds(&pair),
            "load_balance_hosts" => {
                let way = entry.load_balance_hosts(&pair);
                spec.load_balance_hosts = way.unwrap_or(LoadBalanceHosts::RoundRobin);
            }
            "connect_query" => spec.connect_query = own(),
            "client_encoding" => spec.startup.client_encoding = own(),
            "datestyle" => spec.startup.datestyle = own(),
            "timezone" => spec.startup.timezone = own(),
            "application_name" => spec.startup.application_name = own(),
            _ => entry.unknown(&pair, DATABASE_KEYS),
        }
    }
    match replicas {
        Some(_) if name == "*" => {
            entry.error("replicas: the entry needs a name of its own (its hosts get pools by it)");
        }
        Some(pair) => spec.replicas = entry.replicas(&pair, &spec),
        None if spec.role == Role::Replica => {
            entry.error("role=replica needs replicas= with at least one host");
        }
        None => {}
    }
    (!entry.failed).then_some(spec)
}

/// Reads an entry of `[users]`; `None` when `found` got an error.
pub fn user(
    name: &str,
    text: &str,
    origin: &Origin,
    found: &mut Vec<Diagnostic>,
) -> Option<UserSpec> {
    let mut entry = Entry::new(format!("user \"{name}\""), text, origin, found);
    entry.name_at_most(name, USER_NAME_MAX);
    let mut spec = UserSpec::default();
    for pair in entry.pairs(text) {
        match pair.key {
            "pool_size" => spec.pool_size = entry.size(&pair),
            "reserve_pool_size" => spec.reserve_pool_size = entry.size(&pair),
            "pool_mode" => spec.pool_mode = entry.pool_mode(&pair),
            "max_user_connections" => spec.max_user_connections = entry.limit(&pair),
            "max_user_client_connections" => {
                spec.max_user_client_connections = entry.limit(&pair);
            }
            "query_timeout" => spec.query_timeout = entry.positive_seconds(&pair),
            "query_wait_timeout" => spec.query_wait_timeout = entry.seconds(&pair),
            "idle_transaction_timeout" => {
                spec.idle_transaction_timeout = entry.positive_seconds(&pair);
            }
            "transaction_timeout" => spec.transaction_timeout = entry.positive_seconds(&pair),
            "client_idle_timeout" => spec.client_idle_timeout = entry.positive_seconds(&pair),
            _ => entry.unknown(&pair, USER_KEYS),
        }
    }
    (!entry.failed).then_some(spec)
}

/// Reads an entry of `[peers]`; `None` when `found` got an error.
pub fn peer(
    name: &str,
    text: &str,
    origin: &Origin,
    found: &mut Vec<Diagnostic>,
) -> Option<(u16, PeerSpec)> {
    let mut entry = Entry::new(format!("peer \"{name}\""), text, origin, found);
    let id = name
        .parse()
        .ok()
        .filter(|id| (1..=PEER_ID_MAX).contains(id));
    if id.is_none() {
        entry.error(&format!(
            "expected a number from 1 to {PEER_ID_MAX} as the peer's name"
        ));
    }
    let (mut host, mut port, mut pool_size) = (None, PEER_PORT, None);
    let pairs = entry.pairs(text);
    for pair in &pairs {
        match pair.key {
            "host" => host = Some(Host::parse(&pair.value)),
            "port" => port = entry.port(pair).unwrap_or_default(),
            "pool_size" => pool_size = entry.limit(pair),
            _ => entry.unknown(pair, PEER_KEYS),
        }
    }
    if host.is_none() && !entry.failed {
        entry.error("host is missing");
    }
    let (id, host, false) = (id?, host?, entry.failed) else {
        return None;
    };
    Some((
        id,
        PeerSpec {
            host,
            port,
            pool_size,
        },
    ))
}

#[cfg(test)]
mod tests;
