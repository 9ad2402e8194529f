//! The process around the pooler: background, pid file, user, descriptor limit, signals, service
//! manager.
//!
//! Not here: what a signal leads to inside the pooler; [`shutdown`] only decides what is asked for.

pub mod daemon;
pub mod identity;
pub mod limits;
pub mod pid_file;
pub mod shutdown;
pub mod signals;
pub mod systemd;
pub mod usage;

pub use daemon::{DaemonError, Readiness};
pub use identity::IdentityError;
pub use pid_file::{PidFile, PidFileError};
pub use shutdown::{Activity, ShutdownState, Signal, Stop, Verdict};
pub use signals::Signals;
