//! What the console and the signals can see and do: the levers of the pooler.
//!
//! `tables` and `connections` take snapshots, `change` puts a new configuration into force, `levers`
//! has PAUSE and its kin. Not here: what a command is called and how its answer looks (`admin`).

pub mod change;
mod connections;
mod levers;
mod numbers;
mod queries;
mod routing;
mod source;
mod tables;

#[cfg(test)]
mod tests;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use tokio::sync::watch;

use crate::admin::command::{Command, Scope, ShutdownMode};
use crate::admin::host::{ConsoleEvent, ConsoleHost, Done};
use crate::admin::rows::{
    ConfigRow, ConnectionRow, DatabaseRow, DnsHostRow, DnsZoneRow, ExplainedRoute, Lists, MemRow,
    PeerPoolRow, PeerRow, PoolRow, PoolerState, QueryRow, ReplicaRow, RouteRow, Stats, StatsRow,
    UserRow,
};
use crate::client::visitor::Visitor;
use crate::config::model::CONSOLE_DATABASES;
use crate::ids::ConnId;
use crate::pooler::Pooler;
use crate::pooler::client_facts::ClientFacts;
use crate::telemetry::LogHandle;
use crate::telemetry::events;
use crate::telemetry::stats::{Counter, WorkerStats};

use super::logging::LogFlags;
use super::reload::Source;
use super::shutdown::Shutdown;

pub use change::tell_finding;

/// Name of the console's database and of its user in the tables, whichever of its names was used.
pub const CONSOLE: &str = "pgbouncer";

/// Whether clients of a database of this name talk to the console.
pub fn is_console(database: &str) -> bool {
    CONSOLE_DATABASES.contains(&database)
}

/// What a [`Host`] is made of.
#[derive(Debug)]
pub struct HostParts {
    /// What all workers share.
    pub pooler: Arc<Pooler>,
    /// Where the configuration comes from.
    pub source: Source,
    /// The running log.
    pub log: LogHandle,
    /// What the command line says about the log.
    pub flags: LogFlags,
    /// The way out of the process.
    pub shutdown: Shutdown,
}

#[derive(Debug)]
struct Inner {
    parts: HostParts,
    /// Somebody has resumed: whoever waits for a pause looks whether it still stands.
    resumed: watch::Sender<()>,
    /// One change of the configuration at a time.
    changing: Mutex<()>,
    /// Counters of the console's own database.
    stats: Mutex<WorkerStats>,
}

/// Whose commands the levers obey.
#[derive(Debug, Clone)]
struct Asker {
    facts: Arc<ClientFacts>,
    visitor: Visitor,
}

/// A reference to the levers; clones refer to the same ones.
#[derive(Debug, Clone)]
pub struct Host {
    inner: Arc<Inner>,
    asker: Option<Box<Asker>>,
}

/// The time, on both clocks.
fn clocks() -> (Instant, SystemTime) {
    let now = tokio::time::Instant::now().into_std();
    (now, SystemTime::now())
}

impl Host {
    /// The levers of this process. Once.
    pub fn new(parts: HostParts) -> Self {
        let stats = parts.pooler.stats.pool(CONSOLE, CONSOLE).worker(0);
        let inner = Inner {
            parts,
            resumed: watch::Sender::new(()),
            changing: Mutex::default(),
            stats: Mutex::new(stats),
        };
        Self {
            inner: Arc::new(inner),
            asker: None,
        }
    }

    /// The same levers in the hands of one console client, which the log and `SHOW CLIENTS` tell of.
    #[must_use]
    pub fn asked_by(&self, facts: &Arc<ClientFacts>, visitor: &Visitor) -> Self {
        let asker = Asker {
            facts: Arc::clone(facts),
            visitor: visitor.clone(),
        };
        Self {
            inner: Arc::clone(&self.inner),
            asker: Some(Box::new(asker)),
        }
    }

    /// What all workers share.
    pub fn pooler(&self) -> &Arc<Pooler> {
        &self.inner.parts.pooler
    }

    /// The way out of the process.
    pub fn way_out(&self) -> &Shutdown {
        &self.inner.parts.shutdown
    }

    /// Counts something for the database `pgbouncer` of `SHOW STATS`.
    pub fn count(&self, counter: Counter) {
        let stats = self.inner.stats.lock();
        stats
            .expect("nothing panics under this lock")
            .add(counter, 1);
    }
}

impl ConsoleHost for Host {
    fn clients(&self) -> Vec<ConnectionRow> {
        connections::clients(self.pooler(), clocks())
    }

    fn servers(&self) -> Vec<ConnectionRow> {
        connections::servers(self.pooler(), clocks())
    }

    fn pools(&self) -> Vec<PoolRow> {
        tables::pools(self.pooler(), clocks().0)
    }

    fn peer_pools(&self) -> Vec<PeerPoolRow> {
        // A request to a peer is one short connection of its own: there is nothing to pool.
        Vec::new()
    }

    fn databases(&self) -> Vec<DatabaseRow> {
        tables::databases(self.pooler())
    }

    fn users(&self) -> Vec<UserRow> {
        tables::users(self.pooler())
    }

    fn peers(&self) -> Vec<PeerRow> {
        tables::peers(&self.pooler().config())
    }

    fn stats(&self) -> Vec<StatsRow> {
        tables::stats(self.pooler(), clocks().0)
    }

    fn totals(&self) -> Stats {
        tables::totals(self.pooler(), clocks().0)
    }

    fn lists(&self) -> Lists {
        tables::lists(self.pooler())
    }

    fn config(&self) -> Vec<ConfigRow> {
        tables::config(&self.pooler().config())
    }

    fn mem(&self) -> Vec<MemRow> {
        tables::mem(self.pooler())
    }

    fn dns_hosts(&self) -> Vec<DnsHostRow> {
        tables::dns_hosts(self.pooler())
    }

    fn dns_zones(&self) -> Vec<DnsZoneRow> {
        // The system's resolver shows no zones.
        Vec::new()
    }

    fn replicas(&self) -> Vec<ReplicaRow> {
        routing::replicas(self.pooler())
    }

    fn routes(&self) -> Vec<RouteRow> {
        routing::routes(self.pooler())
    }

    fn queries(&self) -> Vec<QueryRow> {
        queries::queries(self.pooler())
    }

    fn reset_queries(&self) {
        self.pooler().queries.reset();
    }

    fn explain_route(&self, sql: &[u8]) -> Vec<ExplainedRoute> {
        routing::explain(self.pooler(), sql)
    }

    fn state(&self) -> PoolerState {
        tables::state(self.pooler())
    }

    async fn reload(&self) -> Done {
        Self::reload(self).await
    }

    async fn pause(&self, scope: &Scope) -> Done {
        Self::pause(self, scope).await
    }

    async fn resume(&self, scope: &Scope) -> Done {
        Self::resume(self, scope)
    }

    async fn disable(&self, database: &str) -> Done {
        Self::disable(self, database)
    }

    async fn enable(&self, database: &str) -> Done {
        Self::enable(self, database)
    }

    async fn reconnect(&self, scope: &Scope) -> Done {
        Self::reconnect(self, scope)
    }

    async fn wait_close(&self, scope: &Scope) -> Done {
        Self::wait_close(self, scope).await
    }

    async fn kill(&self, scope: &Scope) -> Done {
        Self::kill(self, scope)
    }

    async fn kill_client(&self, client: ConnId) -> Done {
        Self::kill_client(self, client)
    }

    async fn set(&self, key: &str, value: &str) -> Done {
        Self::set(self, key, value).await
    }

    async fn shutdown(&self, mode: ShutdownMode) -> Done {
        Self::shut_down(self, mode);
        Ok(())
    }

    fn note(&self, event: ConsoleEvent<'_>) {
        match event {
            ConsoleEvent::Command(command) => {
                self.count(Counter::Queries);
                self.count(Counter::Transactions);
                if let Some(asker) = &self.asker {
                    let now = self.pooler().micros_since_start(clocks().0);
                    asker.facts.request_us.store(now, Ordering::Relaxed);
                }
                if let Some((word, argument)) = logged(command) {
                    events::console_command(&word, argument);
                }
            }
            ConsoleEvent::Refused(text) => {
                events::console_failed(text);
                if let Some(asker) = &self.asker {
                    events::pooler_error(&asker.visitor.who(), text);
                }
            }
        }
    }
}

/// The commands that the log tells of, in capitals, and the database they are about.
fn logged(command: &Command) -> Option<(String, Option<&str>)> {
    let scoped = |word: &str, scope| {
        let database = match scope {
            &Scope::All => None,
            Scope::Database(name) => Some(name.as_str()),
        };
        Some((word.to_owned(), database))
    };
    match command {
        Command::Show(_)
        | Command::ShowDriverParameter(_)
        | Command::ShowQueries(_)
        | Command::ExplainRoute(_)
        | Command::SetIgnored
        | Command::KillClient(_) => None,
        // Without the value, which may be a secret.
        Command::Set { key, .. } => Some((format!("SET {key}"), None)),
        Command::ResetQueries => Some(("RESET QUERIES".to_owned(), None)),
        Command::Reload => Some(("RELOAD".to_owned(), None)),
        Command::Pause(scope) => scoped("PAUSE", scope),
        Command::Resume(scope) => scoped("RESUME", scope),
        Command::Reconnect(scope) => scoped("RECONNECT", scope),
        Command::Kill(scope) => scoped("KILL", scope),
        Command::WaitClose(scope) => scoped("WAIT_CLOSE", scope),
        Command::Disable(name) => Some(("DISABLE".to_owned(), Some(name))),
        Command::Enable(name) => Some(("ENABLE".to_owned(), Some(name))),
        Command::Shutdown(mode) => {
            let words = match mode {
                ShutdownMode::Immediate => "SHUTDOWN",
                ShutdownMode::WaitForServers => "SHUTDOWN WAIT_FOR_SERVERS",
                ShutdownMode::WaitForClients => "SHUTDOWN WAIT_FOR_CLIENTS",
            };
            Some((words.to_owned(), None))
        }
    }
}
