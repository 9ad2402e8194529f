//! `pgweir`: a connection-pooling proxy for `PostgreSQL`, a drop-in replacement for `PgBouncer`.
//!
//! `ARCHITECTURE.md` at the root of the repository is the map: the words, the life of a connection,
//! the layers (imports point down only) and the invariants.

pub mod cli;
pub mod ids;
pub mod process;
pub mod protocol;
pub mod telemetry;
