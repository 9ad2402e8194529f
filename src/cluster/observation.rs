//! Sans-IO. What a monitor tells about one host, and what follows from it for others.

use std::time::{Duration, Instant};

use super::view::{HostId, Refused};
use crate::lsn::Lsn;

/// What a server says it is (`pg_is_in_recovery()`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// It takes writes.
    Primary,
    /// It replays.
    Replica,
}

/// One answer of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// What it is.
    pub role: Role,
    /// Its timeline: of the log that a primary writes, or that a replica follows.
    pub timeline: u32,
    /// The number that all copies of one cluster share.
    pub system_id: u64,
    /// Everything up to here is visible there.
    pub shown: Lsn,
    /// Nothing beyond is; see [`super::view::Sample::bound`].
    pub bound: Option<Lsn>,
    /// When its postmaster started, by the server's clock.
    pub started_at: i64,
    /// Number of the monitor's connection. It ends when the server's processes do, so an answer
    /// over the same connection is an answer of the same run.
    pub connection: u64,
    /// When it was asked.
    pub asked_at: Instant,
    /// When the answer was there.
    pub answered_at: Instant,
}

/// Why a host gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// Nobody listens, or the server lets nobody in.
    Refused,
    /// The connection broke; whether the server is still there shows the next attempt.
    Lost,
    /// It did not answer in time.
    TimedOut,
}

/// Whether somebody waits for positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Demand {
    /// Nobody.
    Idle,
    /// A session would read elsewhere if it knew them.
    Wanted,
    /// A session waits for them, and does nothing else.
    Awaited,
}

/// Why a replica answers no reads any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Left {
    /// It did not answer.
    Failed(Failure),
    /// A client could not connect.
    NoConnection,
    /// It is too far behind.
    Lagging,
    /// It follows another timeline than the primary's.
    OtherTimeline,
    /// It is the primary now.
    Promoted,
    /// It says that it is a primary, but is not believed, or belongs to another cluster.
    Refused(Refused),
}

impl Left {
    /// The word for it: a log field and a metric label.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed(Failure::Refused) => "refused",
            Self::Failed(Failure::Lost) => "lost",
            Self::Failed(Failure::TimedOut) => "timeout",
            Self::NoConnection => "no_connection",
            Self::Lagging => "lagging",
            Self::OtherTimeline => "other_timeline",
            Self::Promoted => "promoted",
            Self::Refused(Refused::SecondPrimary) => "second_primary",
            Self::Refused(Refused::OldTimeline) => "old_timeline",
            Self::Refused(Refused::WrongSystem) => "wrong_system",
        }
    }
}

/// Something that happened to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// There is a primary, and it is another one than before, or the first, or on another timeline:
    /// connections that were made before lead elsewhere.
    PrimaryChanged {
        /// The last one.
        from: Option<HostId>,
        /// The new one.
        to: HostId,
        /// Its timeline.
        timeline: u32,
    },
    /// The primary that was lost is there again, on its timeline.
    PrimaryBack {
        /// The primary.
        host: HostId,
    },
    /// The primary does not answer, or is none any more.
    PrimaryLost {
        /// The last one.
        host: HostId,
    },
    /// A replica has left the rotation.
    ReplicaLeft {
        /// The replica.
        host: HostId,
        /// Why.
        why: Left,
    },
    /// A replica answers reads, for the first time or again.
    ReplicaReady {
        /// The replica.
        host: HostId,
    },
    /// A host is refused, though it answers.
    HostRefused {
        /// The host.
        host: HostId,
        /// Why.
        why: Refused,
    },
}

/// What is allowed and how often is asked; the same for all hosts of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Longest time a replica may be behind; `None` is no limit.
    pub max_lag: Option<Duration>,
    /// Most bytes a replica may be behind; `None` is no limit.
    pub max_lag_bytes: Option<u64>,
    /// Time between two questions while nobody waits.
    pub check_period: Duration,
    /// Time between two questions while somebody waits.
    pub fence_interval: Duration,
    /// How long a replica that came back gets less than its share.
    pub slow_start: Duration,
}

impl Default for Policy {
    /// Everything is allowed, and positions are asked for as they are by default.
    fn default() -> Self {
        Self {
            max_lag: None,
            max_lag_bytes: None,
            check_period: Duration::from_secs(1),
            fence_interval: Duration::from_millis(10),
            slow_start: Duration::ZERO,
        }
    }
}
