//! Sans-IO. What every `SHOW` prints: a struct for its row and one list of its columns.
//!
//! Names, order and types are those of `PgBouncer` 1.26; monitoring tools depend on all three. Not
//! here: where the values come from (`host`), their bytes (`table`).

pub mod connection;
pub mod lists;
pub mod pools;
pub mod queries;
pub mod routing;
pub mod stats;

pub use connection::{
    ClientState, ConnectionRow, ConnectionState, Replication, ServerState, SocketBuffers,
};
pub use lists::{
    Changeable, ConfigRow, DnsHostRow, DnsZoneRow, Lists, MemRow, PoolerState, TextRow,
};
pub use pools::{ClientCounts, DatabaseRow, PeerPoolRow, PeerRow, PoolRow, ServerCounts, UserRow};
pub use queries::{QueryRow, QueryView};
pub use routing::{ExplainedRoute, ReplicaRow, RouteRow};
pub use stats::{Counters, Stats, StatsRow};

/// The columns of a table, one line each: name, type, value.
macro_rules! columns {
    ($($name:literal $kind:ident $value:expr;)*) => {
        &[$($crate::admin::table::Column {
            name: $name,
            kind: $crate::protocol::reply::ColumnType::$kind,
            value: $value,
        }),*]
    };
}
use columns;

#[cfg(test)]
mod tests;
