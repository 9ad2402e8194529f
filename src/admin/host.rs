//! What the console needs from the rest of the program: snapshots to show and levers to pull.
//!
//! The composition root implements [`ConsoleHost`]; tests implement it over plain data. Snapshots
//! are taken at once; whatever may take time is a future. The console awaits one command after the
//! other, so a future that waits holds up only its own client.

use std::future::Future;

use super::command::{Command, Scope, ShutdownMode};
use super::rows::{
    ConfigRow, ConnectionRow, DatabaseRow, DnsHostRow, DnsZoneRow, ExplainedRoute, Lists, MemRow,
    PeerPoolRow, PeerRow, PoolRow, PoolerState, QueryRow, ReplicaRow, RouteRow, Stats, StatsRow,
    UserRow,
};
use crate::ids::ConnId;
use crate::protocol::SqlState;

/// What a command is called in the error that it cannot be done to the console's own database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `PAUSE`
    Pause,
    /// `DISABLE`
    Disable,
    /// `ENABLE`
    Enable,
    /// `RECONNECT`
    Reconnect,
    /// `KILL`
    Kill,
    /// `WAIT_CLOSE`
    WaitClose,
}

impl Verb {
    fn phrase(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::Reconnect => "reconnect",
            Self::Kill => "kill",
            Self::WaitClose => "wait in",
        }
    }
}

/// Why a command failed. The client is told the `Display` text, which is `PgBouncer`'s.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConsoleError {
    /// There is no such entry in `[databases]`, nor a database made from `*`.
    #[error("no such database: {0}")]
    NoSuchDatabase(String),
    /// The database is the console itself. Not for `RESUME`, which says
    /// [`Self::DatabaseNotPaused`].
    #[error("cannot {} admin db: {database}", verb.phrase())]
    AdminDatabase {
        /// What was to be done.
        verb: Verb,
        /// `pgbouncer`.
        database: String,
    },
    /// `PAUSE [db]` or `KILL [db]` while the whole pooler is paused, whatever database is named. A
    /// database that is itself paused may be paused again.
    #[error("already paused")]
    AlreadyPaused,
    /// `RESUME` while the pooler is not paused.
    #[error("pooler is not paused")]
    NotPaused,
    /// `RESUME db` of a database that is not paused.
    #[error("database {0} is not paused")]
    DatabaseNotPaused(String),
    /// `RESUME` during `SHUTDOWN WAIT_FOR_...`.
    #[error("pooler is shutting down")]
    ShuttingDown,
    /// `KILL_CLIENT` of a client that is not there.
    #[error("client not found")]
    ClientNotFound,
    /// `SET` of an unknown setting, or to a value that it cannot have.
    #[error("SET failed")]
    SetFailed,
    /// The configuration could not be read or has errors; the log says which.
    #[error("RELOAD failed, see logs for additional details")]
    ReloadFailed,
    /// A waiting `PAUSE` ended because somebody else resumed, or a cancel request came. `PgBouncer`
    /// leaves the waiting client without an answer.
    #[error("canceling statement due to user request")]
    Canceled,
}

impl ConsoleError {
    /// The code that goes with the text.
    pub fn sqlstate(&self) -> SqlState {
        match self {
            Self::ReloadFailed => SqlState::CONFIG_FILE_ERROR,
            Self::Canceled => SqlState::QUERY_CANCELED,
            Self::NoSuchDatabase(_)
            | Self::AdminDatabase { .. }
            | Self::AlreadyPaused
            | Self::NotPaused
            | Self::DatabaseNotPaused(_)
            | Self::ShuttingDown
            | Self::ClientNotFound
            | Self::SetFailed => SqlState::PROTOCOL_VIOLATION,
        }
    }
}

/// What happens on a console, for logs and for the statistics of the database `pgbouncer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleEvent<'a> {
    /// A command is about to run.
    Command(&'a Command),
    /// The client is sent an error with this text.
    Refused(&'a str),
}

/// Outcome of a command that changes something.
pub type Done = Result<(), ConsoleError>;

/// The rest of the program, as the console sees it. `PgBouncer`'s documentation of the console
/// commands says what each does.
///
/// Futures must be safe to drop: the command that was begun stays in force (a dropped
/// [`Self::pause`] leaves the pause standing, as it does when a client disconnects), only the wait
/// ends.
pub trait ConsoleHost {
    /// `SHOW CLIENTS`.
    fn clients(&self) -> Vec<ConnectionRow>;
    /// `SHOW SERVERS`.
    fn servers(&self) -> Vec<ConnectionRow>;
    /// `SHOW POOLS`, sorted by database and user.
    fn pools(&self) -> Vec<PoolRow>;
    /// `SHOW PEER_POOLS`.
    fn peer_pools(&self) -> Vec<PeerPoolRow>;
    /// `SHOW DATABASES`, the console included.
    fn databases(&self) -> Vec<DatabaseRow>;
    /// `SHOW USERS`.
    fn users(&self) -> Vec<UserRow>;
    /// `SHOW PEERS`.
    fn peers(&self) -> Vec<PeerRow>;
    /// `SHOW STATS` and its kin: one row a database, the console included.
    fn stats(&self) -> Vec<StatsRow>;
    /// `SHOW TOTALS`: all databases together. Average times cannot be had from those of the
    /// databases without their weights, so it is asked for apart.
    fn totals(&self) -> Stats;
    /// `SHOW LISTS`.
    fn lists(&self) -> Lists;
    /// `SHOW CONFIG`, in alphabetical order.
    fn config(&self) -> Vec<ConfigRow>;
    /// `SHOW MEM`.
    fn mem(&self) -> Vec<MemRow>;
    /// `SHOW DNS_HOSTS`.
    fn dns_hosts(&self) -> Vec<DnsHostRow>;
    /// `SHOW DNS_ZONES`.
    fn dns_zones(&self) -> Vec<DnsZoneRow>;
    /// `SHOW REPLICAS`: the hosts of entries with replicas.
    fn replicas(&self) -> Vec<ReplicaRow>;
    /// `SHOW ROUTES`: the most frequent statements of such entries.
    fn routes(&self) -> Vec<RouteRow>;
    /// `SHOW QUERIES`, in no order; a row without a text is that of all others.
    fn queries(&self) -> Vec<QueryRow>;
    /// `RESET QUERIES`.
    fn reset_queries(&self);
    /// `EXPLAIN ROUTE sql`.
    fn explain_route(&self, sql: &[u8]) -> Vec<ExplainedRoute>;
    /// `SHOW STATE`.
    fn state(&self) -> PoolerState;

    /// `RELOAD`; fails with [`ConsoleError::ReloadFailed`].
    fn reload(&self) -> impl Future<Output = Done>;
    /// `PAUSE [db]`: ready when all server connections are released and closed.
    fn pause(&self, scope: &Scope) -> impl Future<Output = Done>;
    /// `RESUME [db]`.
    fn resume(&self, scope: &Scope) -> impl Future<Output = Done>;
    /// `DISABLE db`.
    fn disable(&self, database: &str) -> impl Future<Output = Done>;
    /// `ENABLE db`.
    fn enable(&self, database: &str) -> impl Future<Output = Done>;
    /// `RECONNECT [db]`.
    fn reconnect(&self, scope: &Scope) -> impl Future<Output = Done>;
    /// `WAIT_CLOSE [db]`: ready when no server connection is left that is to be closed.
    fn wait_close(&self, scope: &Scope) -> impl Future<Output = Done>;
    /// `KILL [db]`: clients and servers are dropped; the databases stay paused.
    fn kill(&self, scope: &Scope) -> impl Future<Output = Done>;
    /// `KILL_CLIENT id`; fails with [`ConsoleError::ClientNotFound`]. The client may be the one
    /// that asks (at which `PgBouncer` 1.26.1 crashes).
    fn kill_client(&self, client: ConnId) -> impl Future<Output = Done>;
    /// `SET key = value`; fails with [`ConsoleError::SetFailed`]. A setting that needs a restart
    /// is accepted and not changed.
    fn set(&self, key: &str, value: &str) -> impl Future<Output = Done>;
    /// `SHUTDOWN`: begins it and returns at once, also when one is under way already.
    fn shutdown(&self, mode: ShutdownMode) -> impl Future<Output = Done>;

    /// Something happened on a console.
    fn note(&self, event: ConsoleEvent<'_>);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_texts_of_pgbouncer() {
        let admin = |verb| ConsoleError::AdminDatabase {
            verb,
            database: "pgbouncer".to_owned(),
        };
        for (error, code, text) in [
            (
                ConsoleError::NoSuchDatabase("x".into()),
                "08P01",
                "no such database: x",
            ),
            (
                admin(Verb::Pause),
                "08P01",
                "cannot pause admin db: pgbouncer",
            ),
            (
                admin(Verb::Disable),
                "08P01",
                "cannot disable admin db: pgbouncer",
            ),
            (
                admin(Verb::Enable),
                "08P01",
                "cannot enable admin db: pgbouncer",
            ),
            (
                admin(Verb::Reconnect),
                "08P01",
                "cannot reconnect admin db: pgbouncer",
            ),
            (
                admin(Verb::Kill),
                "08P01",
                "cannot kill admin db: pgbouncer",
            ),
            (
                admin(Verb::WaitClose),
                "08P01",
                "cannot wait in admin db: pgbouncer",
            ),
            (ConsoleError::AlreadyPaused, "08P01", "already paused"),
            (ConsoleError::NotPaused, "08P01", "pooler is not paused"),
            (
                ConsoleError::DatabaseNotPaused("x".into()),
                "08P01",
                "database x is not paused",
            ),
            (
                ConsoleError::ShuttingDown,
                "08P01",
                "pooler is shutting down",
            ),
            (ConsoleError::ClientNotFound, "08P01", "client not found"),
            (ConsoleError::SetFailed, "08P01", "SET failed"),
            (
                ConsoleError::ReloadFailed,
                "F0000",
                "RELOAD failed, see logs for additional details",
            ),
            (
                ConsoleError::Canceled,
                "57014",
                "canceling statement due to user request",
            ),
        ] {
            assert_eq!(error.to_string(), text);
            assert_eq!(error.sqlstate().as_str(), code, "{text}");
        }
    }
}
