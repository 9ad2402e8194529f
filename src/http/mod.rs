//! The HTTP side (`http_listen`): metrics for Prometheus, health, and the console's tables as JSON.
//!
//! It runs on a thread of its own, so that nothing it does can hold up a client of the proxy. What it
//! shows comes from [`source::Source`], as snapshots. Invariants: nothing here changes anything; no
//! answer has a secret; connections, their headers, their time and the number of series are bounded.

pub mod exposition;
pub mod guard;
pub mod own;
pub mod pgbouncer;
pub mod pools;
pub mod routes;
pub mod seats;
pub mod server;
pub mod source;
pub mod tables;

pub use guard::{Credentials, Guard, Reach};
pub use routes::{Served, router};
pub use server::{Door, DoorError, DoorOptions};
pub use source::{ClientKind, Limits, Readiness, Source};
