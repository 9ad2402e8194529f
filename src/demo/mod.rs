//! `pgweir demo`: a real `PostgreSQL` primary and replica, pgweir in front, and a table of numbers.
//!
//! [`run()`] is the sequence; [`cluster`] is the harness that starts real servers, which the
//! integration tests use too. Everything here is synchronous: it starts programs and waits for them.
//!
//! Invariants: only 127.0.0.1 and sockets in a directory of our own are served; whatever was
//! started is stopped and deleted again, whichever way the demo ends; no installed server, and no
//! file outside that directory and the cache of fetched binaries, is touched.

pub mod account;
pub mod bench;
pub mod binaries;
pub mod cluster;
pub mod error;
pub mod fetch;
pub mod interrupt;
pub mod latency;
pub mod options;
pub mod pooler;
pub mod process;
pub mod run;
pub mod scratch;
pub mod search;
pub mod stage;
pub mod table;
pub mod version;

pub use error::DemoError;
pub use options::DemoOptions;
pub use run::run;
