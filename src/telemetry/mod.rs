//! What the process tells the outside about itself: log lines and statistics counters.
//!
//! Not here: who decides what happened. A caller hands over a typed event or bumps a counter; the
//! wording of each log line is in [`events`] and nowhere else, so that lines keep `PgBouncer`'s
//! text, which log parsers rely on. No function here takes a password, a secret or SQL text.

pub mod clock;
pub mod events;
pub mod line;
pub mod log;
pub mod stats;
pub mod syslog;
pub mod throttle;
pub mod writer;

pub use clock::UtcTime;
pub use line::{Format, Level, PeerAddress, Side, Who};
pub use log::{LogHandle, LogSettings, Switch, Switches};
pub use stats::{Averages, Counter, PoolStats, StatsBook, Totals, WorkerStats};
