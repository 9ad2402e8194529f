//! Sans-IO. Numbers that name connections.
//!
//! One process-wide increasing sequence over clients and servers together, as `PgBouncer` prints
//! them in the `id` column of `SHOW CLIENTS` and `SHOW SERVERS`.

use std::fmt;

/// Identity of one client or server connection, unique for the life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
