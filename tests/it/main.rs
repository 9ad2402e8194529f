//! pgweir, started as its users start it, in front of a real `PostgreSQL`.
//!
//! One program for all of these tests, so that it is linked once and shares one server. A test
//! starts its own pgweir; what it needs is in `support`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failing step is a failing test"
)]

mod console;
mod differential;
mod hostile;
mod http;
mod pgbench;
mod pooling;
mod queries;
mod routing;
mod support;
