//! Statistics: counters that workers own, their sums, and averages over the last period.
//!
//! Not here: the console's columns (`admin`) and the log line's switch ([`super::log`]).

mod average;
mod book;
mod connects;
mod counters;
pub mod errors;
pub mod happenings;
pub mod times;

pub use average::{Averager, Averages};
pub use book::{DatabaseStats, PoolTotals, StatsBook};
pub use connects::{Connect, ConnectCounts, Connects, DatabaseConnects};
pub use counters::{Counter, PoolStats, Totals, WorkerStats};
pub use errors::{Errors, ErrorsRead};
pub use happenings::{Happening, Happenings};
pub use times::{Distribution, ServerRole, Times, TimesRead};
