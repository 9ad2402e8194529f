//! `pgweir`: a connection-pooling proxy for `PostgreSQL`, a drop-in replacement for `PgBouncer`.
//!
//! `ARCHITECTURE.md` at the root of the repository is the map: the words, the life of a connection,
//! the layers (imports point down only) and the invariants.

pub mod admin;
pub mod app;
pub mod auth;
pub mod cli;
pub mod client;
pub mod cluster;
pub mod config;
pub mod demo;
pub mod http;
pub mod ids;
pub mod lsn;
pub mod net;
pub mod pool;
pub mod pooler;
pub mod process;
pub mod protocol;
pub mod queries;
pub mod route;
pub mod server;
pub mod session;
pub mod sql;
pub mod telemetry;
pub mod version;
