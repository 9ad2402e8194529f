//! Sans-IO. `SHOW REPLICAS`, `SHOW ROUTES` and `EXPLAIN ROUTE`: what `PgBouncer` has not.

use super::columns;
use crate::admin::table::Column;

/// One host of an entry with replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaRow {
    /// The entry with replicas.
    pub database: String,
    /// The entry that leads to this host alone.
    pub name: String,
    /// What it is: `primary`, `replica`, `lagging`, `down` and so on.
    pub state: &'static str,
    /// Its timeline; 0 where it is not known.
    pub timeline: u32,
    /// Where it was last seen in the write-ahead log.
    pub position: Option<String>,
    /// Bytes behind the primary.
    pub lag_bytes: Option<u64>,
    /// Microseconds behind the primary.
    pub lag_us: Option<u64>,
    /// Its share of the reads beside that of the others.
    pub weight: u32,
    /// Requests under way.
    pub in_flight: u32,
    /// Their average time in microseconds.
    pub latency_us: u32,
}

/// Columns of `SHOW REPLICAS`.
pub const REPLICA_COLUMNS: &[Column<ReplicaRow>] = columns! {
    "database" Text |row| (&row.database).into();
    "name" Text |row| (&row.name).into();
    "state" Text |row| row.state.into();
    "timeline" Int8 |row| row.timeline.into();
    "position" Text |row| row.position.as_ref().into();
    "lag_bytes" Int8 |row| row.lag_bytes.into();
    "lag_us" Int8 |row| row.lag_us.into();
    "weight" Int8 |row| row.weight.into();
    "in_flight" Int8 |row| row.in_flight.into();
    "latency_us" Int8 |row| row.latency_us.into();
};

/// One statement, whatever its literals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteRow {
    /// The entry with replicas.
    pub database: String,
    /// Number of the statement; the same in all rows of it.
    pub fingerprint: u64,
    /// `read`, or why it is for the primary.
    pub class: &'static str,
    /// Why it went where it went the last time.
    pub reason: Option<&'static str>,
    /// How often it went to the primary.
    pub primary: u64,
    /// How often it went to a replica.
    pub replica: u64,
    /// Of these: how often it ran again elsewhere.
    pub again: u64,
    /// Its text without literals.
    pub query: String,
}

impl RouteRow {
    /// Share of the runs that went to replicas, in per cent.
    fn share(&self) -> u64 {
        let all = self.primary.saturating_add(self.replica);
        self.replica
            .saturating_mul(100)
            .checked_div(all)
            .unwrap_or(0)
    }
}

/// Columns of `SHOW ROUTES`.
pub const ROUTE_COLUMNS: &[Column<RouteRow>] = columns! {
    "database" Text |row| (&row.database).into();
    "fingerprint" Text |row| format!("{:016x}", row.fingerprint).into();
    "class" Text |row| row.class.into();
    "reason" Text |row| row.reason.into();
    "primary" Int8 |row| row.primary.into();
    "replica" Int8 |row| row.replica.into();
    "again" Int8 |row| row.again.into();
    "replica_percent" Int8 |row| row.share().into();
    "query" Text |row| (&row.query).into();
};

/// Where one statement would go now, from a client that has neither written nor read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedRoute {
    /// The entry with replicas.
    pub database: String,
    /// The entry that leads to the host it would go to; `None` where no host is known.
    pub target: Option<String>,
    /// Why.
    pub reason: &'static str,
    /// The statement without literals.
    pub query: String,
}

/// Columns of `EXPLAIN ROUTE`.
pub const EXPLAIN_COLUMNS: &[Column<ExplainedRoute>] = columns! {
    "database" Text |row| (&row.database).into();
    "target" Text |row| row.target.as_ref().into();
    "reason" Text |row| row.reason.into();
    "query" Text |row| (&row.query).into();
};
