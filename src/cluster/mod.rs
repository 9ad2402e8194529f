//! Sans-IO. Several servers with the same data: who is primary, who lags, and who may answer a read.
//!
//! ```text
//!  monitor ──observed, failed──► Cluster ──► ClusterView ──► choose ◄──► Position
//!                                   └──► Event: log, metrics, pools that lead elsewhere
//! ```
//! Not here: asking the servers (`pooler::monitor`), what a statement is (`sql`), where one statement
//! goes (`route`).

pub mod choice;
pub mod gauge;
mod host;
mod lag;
pub mod observation;
pub mod position;
mod roles;
pub mod roster;
pub mod state;
pub mod view;

pub use crate::lsn::Lsn;
pub use choice::{Chance, Choice, choose};
pub use gauge::Gauge;
pub use observation::{Demand, Event, Failure, Left, Observation, Policy, Role};
pub use position::{MayRead, Position, Scope, SharedWrites};
pub use state::{Cluster, HostSpec, Hosts};
pub use view::{ClusterView, Distance, HostId, HostState, HostView, Lending, Refused, Standing};

#[cfg(test)]
mod simulation;
