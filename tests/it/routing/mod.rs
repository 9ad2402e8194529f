//! Reads on replicas: which statement goes where, and that nobody reads what is stale.
//!
//! The servers are real: a primary and two streaming replicas. Where a statement ran is read from
//! the servers themselves: from their logs (`Stage::runs`), or by a function that says whose it is.

mod alike;
mod discovery;
mod failover;
mod fences;
mod monitor;
mod network;
mod pins;
mod random;
mod stage;
mod traps;
mod wishes;

pub use stage::{Expect, Place, Protocol, Stage};
