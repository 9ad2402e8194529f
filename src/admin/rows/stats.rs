//! Sans-IO. `SHOW STATS`, `STATS_TOTALS`, `STATS_AVERAGES` and `TOTALS`.
//!
//! The four tables name the same twelve numbers in four ways, each with `PgBouncer`'s oddities.

use super::columns;
use super::lists::CountRow;
use crate::admin::table::{Column, Value};

/// The twelve numbers. As totals they count since the start; as averages they cover the last
/// `stats_period`: counts and bytes are per second, times are per transaction, query or server
/// assignment. Times are in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Times that a client was given a server connection.
    pub server_assignments: u64,
    /// Transactions.
    pub transactions: u64,
    /// Queries.
    pub queries: u64,
    /// Bytes from clients.
    pub received_bytes: u64,
    /// Bytes to clients.
    pub sent_bytes: u64,
    /// Time in transactions.
    pub transaction_us: u64,
    /// Time in queries.
    pub query_us: u64,
    /// Time that clients waited for a server connection.
    pub wait_us: u64,
    /// Prepared statements that clients made.
    pub client_parses: u64,
    /// Prepared statements that were made on servers.
    pub server_parses: u64,
    /// Bind messages to servers.
    pub binds: u64,
    /// Client logins.
    pub client_logins: u64,
}

impl Counters {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.server_assignments, other.server_assignments),
            (&mut self.transactions, other.transactions),
            (&mut self.queries, other.queries),
            (&mut self.received_bytes, other.received_bytes),
            (&mut self.sent_bytes, other.sent_bytes),
            (&mut self.transaction_us, other.transaction_us),
            (&mut self.query_us, other.query_us),
            (&mut self.wait_us, other.wait_us),
            (&mut self.client_parses, other.client_parses),
            (&mut self.server_parses, other.server_parses),
            (&mut self.binds, other.binds),
            (&mut self.client_logins, other.client_logins),
        ] {
            *mine = mine.saturating_add(theirs);
        }
    }
}

/// Totals and averages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Since the start.
    pub total: Counters,
    /// Over the last `stats_period`.
    pub average: Counters,
}

/// One database, its pools summed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsRow {
    /// Name in `[databases]`; `pgbouncer` for the console.
    pub database: String,
    /// Its numbers.
    pub stats: Stats,
}

fn database(row: &StatsRow) -> Value<'_> {
    (&row.database).into()
}

/// Columns of `SHOW STATS`.
pub const STATS_COLUMNS: &[Column<StatsRow>] = columns! {
    "database" Text database;
    "total_server_assignment_count" Numeric |row| row.stats.total.server_assignments.into();
    "total_xact_count" Numeric |row| row.stats.total.transactions.into();
    "total_query_count" Numeric |row| row.stats.total.queries.into();
    "total_received" Numeric |row| row.stats.total.received_bytes.into();
    "total_sent" Numeric |row| row.stats.total.sent_bytes.into();
    "total_xact_time" Numeric |row| row.stats.total.transaction_us.into();
    "total_query_time" Numeric |row| row.stats.total.query_us.into();
    "total_wait_time" Numeric |row| row.stats.total.wait_us.into();
    "total_client_parse_count" Numeric |row| row.stats.total.client_parses.into();
    "total_server_parse_count" Numeric |row| row.stats.total.server_parses.into();
    "total_bind_count" Numeric |row| row.stats.total.binds.into();
    "total_client_login_count" Numeric |row| row.stats.total.client_logins.into();
    "avg_server_assignment_count" Numeric |row| row.stats.average.server_assignments.into();
    "avg_xact_count" Numeric |row| row.stats.average.transactions.into();
    "avg_query_count" Numeric |row| row.stats.average.queries.into();
    "avg_recv" Numeric |row| row.stats.average.received_bytes.into();
    "avg_sent" Numeric |row| row.stats.average.sent_bytes.into();
    "avg_xact_time" Numeric |row| row.stats.average.transaction_us.into();
    "avg_query_time" Numeric |row| row.stats.average.query_us.into();
    "avg_wait_time" Numeric |row| row.stats.average.wait_us.into();
    "avg_client_parse_count" Numeric |row| row.stats.average.client_parses.into();
    "avg_server_parse_count" Numeric |row| row.stats.average.server_parses.into();
    "avg_bind_count" Numeric |row| row.stats.average.binds.into();
    "avg_client_login_count" Numeric |row| row.stats.average.client_logins.into();
};

/// Columns of `SHOW STATS_TOTALS`.
pub const STATS_TOTALS_COLUMNS: &[Column<StatsRow>] = columns! {
    "database" Text database;
    "server_assignment_count" Numeric |row| row.stats.total.server_assignments.into();
    "xact_count" Numeric |row| row.stats.total.transactions.into();
    "query_count" Numeric |row| row.stats.total.queries.into();
    "bytes_received" Numeric |row| row.stats.total.received_bytes.into();
    "bytes_sent" Numeric |row| row.stats.total.sent_bytes.into();
    "xact_time" Numeric |row| row.stats.total.transaction_us.into();
    "query_time" Numeric |row| row.stats.total.query_us.into();
    "wait_time" Numeric |row| row.stats.total.wait_us.into();
    "client_parse_count" Numeric |row| row.stats.total.client_parses.into();
    "server_parse_count" Numeric |row| row.stats.total.server_parses.into();
    "bind_count" Numeric |row| row.stats.total.binds.into();
    "client_login_count" Numeric |row| row.stats.total.client_logins.into();
};

/// Columns of `SHOW STATS_AVERAGES`; the last four have a prefix that the others lack.
pub const STATS_AVERAGES_COLUMNS: &[Column<StatsRow>] = columns! {
    "database" Text database;
    "server_assignment_count" Numeric |row| row.stats.average.server_assignments.into();
    "xact_count" Numeric |row| row.stats.average.transactions.into();
    "query_count" Numeric |row| row.stats.average.queries.into();
    "bytes_received" Numeric |row| row.stats.average.received_bytes.into();
    "bytes_sent" Numeric |row| row.stats.average.sent_bytes.into();
    "xact_time" Numeric |row| row.stats.average.transaction_us.into();
    "query_time" Numeric |row| row.stats.average.query_us.into();
    "wait_time" Numeric |row| row.stats.average.wait_us.into();
    "avg_client_parse_count" Numeric |row| row.stats.average.client_parses.into();
    "avg_server_parse_count" Numeric |row| row.stats.average.server_parses.into();
    "avg_bind_count" Numeric |row| row.stats.average.binds.into();
    "avg_client_login_count" Numeric |row| row.stats.average.client_logins.into();
};

/// Columns of `SHOW TOTALS`.
pub const TOTALS_COLUMNS: &[Column<CountRow>] = columns! {
    "name" Text |row| row.0.into();
    "value" Numeric |row| row.1.into();
};

impl Stats {
    /// The rows of `SHOW TOTALS`, where `self` covers all databases.
    pub fn totals_rows(&self) -> Vec<CountRow> {
        let Self { total, average } = self;
        vec![
            ("total_server_assignment_count", total.server_assignments),
            ("total_xact_count", total.transactions),
            ("total_query_count", total.queries),
            ("total_client_bytes", total.received_bytes),
            ("total_server_bytes", total.sent_bytes),
            ("total_xact_time", total.transaction_us),
            ("total_query_time", total.query_us),
            ("total_wait_time", total.wait_us),
            ("total_ps_client_parse_count", total.client_parses),
            ("total_ps_server_parse_count", total.server_parses),
            ("total_ps_bind_count", total.binds),
            ("total_client_login_count", total.client_logins),
            ("avg_server_assignment_count", average.server_assignments),
            ("avg_xact_count", average.transactions),
            ("avg_query_count", average.queries),
            ("avg_client_bytes", average.received_bytes),
            ("avg_server_bytes", average.sent_bytes),
            ("avg_xact_time", average.transaction_us),
            ("avg_query_time", average.query_us),
            ("avg_wait_time", average.wait_us),
            ("avg_ps_client_parse_count", average.client_parses),
            ("avg_ps_server_parse_count", average.server_parses),
            ("avg_ps_bind_count", average.binds),
            ("avg_client_login_count", average.client_logins),
        ]
    }
}
