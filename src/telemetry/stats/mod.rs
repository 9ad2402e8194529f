//! Statistics: counters that workers own, their sums, and averages over the last period.
//!
//! Not here: the console's columns (`admin`) and the log line's switch ([`super::log`]).

mod average;
mod book;
mod counters;

pub use average::{Averager, Averages};
pub use book::{DatabaseStats, StatsBook};
pub use counters::{Counter, PoolStats, Totals, WorkerStats};
