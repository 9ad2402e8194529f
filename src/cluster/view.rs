//! Sans-IO. What is known of a cluster at one moment, for clients to read without a lock.
//!
//! A view never changes; each observation makes a new one. Not here: how it comes about (`state`).
//! Invariant: within one epoch of a host its positions never go back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::gauge::Gauge;
use crate::lsn::Lsn;

/// A host of a cluster: its number, which nobody else gets when it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub u16);

/// No host.
pub const NOWHERE: HostId = HostId(u16::MAX);

/// How many samples of a host a view holds.
pub const SAMPLES: usize = 16;

/// Where a host was, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When it was asked: the host was there after this time, and before now.
    pub asked_at: Instant,
    /// Everything up to here is visible there: a primary's end of its log, what a replica replayed.
    pub shown: Lsn,
    /// Nothing after this is visible there: as `shown` for a primary; what a replica has received,
    /// because a transaction can be seen a moment before its record counts as replayed. `None`
    /// where that is not known.
    pub bound: Option<Lsn>,
}

/// The last samples of one epoch of a host, the oldest first.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    ring: Vec<Sample>,
}

impl Samples {
    /// One more; the oldest leaves.
    pub(super) fn push(&mut self, sample: Sample) {
        if self.ring.len() == SAMPLES {
            self.ring.remove(0);
        }
        self.ring.push(sample);
    }

    pub(super) fn clear(&mut self) {
        self.ring.clear();
    }

    /// The newest.
    pub fn last(&self) -> Option<&Sample> {
        self.ring.last()
    }

    /// Whether one of them was asked for later than that.
    pub fn is_after(&self, time: Instant) -> bool {
        self.last().is_some_and(|sample| sample.asked_at > time)
    }

    /// Upper bound of what was visible at that time: of the samples asked for later, the oldest.
    pub fn bound_after(&self, time: Instant) -> Option<Lsn> {
        let mut later = self.ring.iter().filter(|sample| sample.asked_at > time);
        later.find_map(|sample| sample.bound)
    }
}

/// How a replica stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It may answer reads.
    Ready,
    /// It is further behind than `replica_max_lag` or `replica_max_lag_bytes` allow.
    Lagging,
    /// It does not follow the primary's timeline, as far as we know.
    OtherTimeline,
}

/// Why a server that says it is a primary, or belongs to the cluster, is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refused {
    /// There is another primary with a newer timeline, or one that was known before.
    SecondPrimary,
    /// Its timeline is older than that of the last primary.
    OldTimeline,
    /// It is the server of another cluster: its system identifier differs.
    WrongSystem,
}

/// What a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostState {
    /// It has not been asked yet.
    Unknown,
    /// The primary.
    Primary,
    /// A standby.
    Replica(Standing),
    /// It answers, but is not used.
    Refused(Refused),
    /// It did not answer.
    Down,
}

impl HostState {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Unknown,
        Self::Primary,
        Self::Replica(Standing::Ready),
        Self::Replica(Standing::Lagging),
        Self::Replica(Standing::OtherTimeline),
        Self::Refused(Refused::SecondPrimary),
        Self::Refused(Refused::OldTimeline),
        Self::Refused(Refused::WrongSystem),
        Self::Down,
    ];

    /// The word for it, as `SHOW REPLICAS` has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Primary => "primary",
            Self::Replica(Standing::Ready) => "replica",
            Self::Replica(Standing::Lagging) => "lagging",
            Self::Replica(Standing::OtherTimeline) => "other_timeline",
            Self::Refused(Refused::SecondPrimary) => "second_primary",
            Self::Refused(Refused::OldTimeline) => "old_timeline",
            Self::Refused(Refused::WrongSystem) => "wrong_system",
            Self::Down => "down",
        }
    }
}

/// Whether a host stands where pgweir does (`availability_zone`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Distance {
    /// In the same zone, or zones are not configured.
    Near,
    /// In another one.
    Far,
}

/// Whether connections to a host are lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lending {
    /// They are.
    Open,
    /// Not now: the console has paused its entry.
    Paused,
}

/// How far a replica is behind the primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// In bytes of the log.
    pub bytes: u64,
    /// In time: how long ago the primary was where the replica is, by our own clock.
    pub time: Duration,
}

/// One host.
#[derive(Debug, Clone)]
pub struct HostView {
    /// Its number.
    pub id: HostId,
    /// The database entry that leads to it alone: `app@HOST:PORT`.
    pub name: Arc<str>,
    /// What it is.
    pub state: HostState,
    /// Changes whenever it may have forgotten something: a restart, another role, another timeline. No
    /// two hosts ever have the same.
    pub epoch: u32,
    /// Its timeline, as far as it is known; 0 where it is not.
    pub timeline: u32,
    /// Its last samples, all of this epoch.
    pub samples: Samples,
    /// How far it is behind; of a replica only.
    pub lag: Option<Lag>,
    /// Since when it answers reads again, and so how large its share is; `None` after the start.
    pub back_since: Option<Instant>,
    /// Its share of the load, compared with the others'.
    pub weight: u32,
    /// Where it is.
    pub distance: Distance,
    /// Whether anybody gets a connection there.
    pub lending: Lending,
    /// Load and speed.
    pub gauge: Arc<Gauge>,
}

impl HostView {
    /// Whether it may answer reads that are not behind.
    pub fn is_ready(&self) -> bool {
        self.state == HostState::Replica(Standing::Ready) && self.lending == Lending::Open
    }

    /// Where it was last seen: a lower bound of what is visible there.
    pub fn position(&self) -> Option<Lsn> {
        self.samples.last().map(|sample| sample.shown)
    }

    /// Whether its samples are positions of the cluster's own history.
    pub(super) fn is_of_the_cluster(&self) -> bool {
        match self.state {
            HostState::Primary | HostState::Replica(Standing::Ready | Standing::Lagging) => true,
            HostState::Replica(Standing::OtherTimeline)
            | HostState::Refused(_)
            | HostState::Unknown
            | HostState::Down => false,
        }
    }
}

/// A cluster at one moment.
#[derive(Debug, Clone, Default)]
pub struct ClusterView {
    /// Who is primary; `None` while that is not known.
    pub primary: Option<HostId>,
    /// All hosts, the declared primary first.
    pub hosts: Vec<HostView>,
    /// The timeline of the primary, or of the last one.
    pub timeline: u32,
    /// A position at which this timeline had begun already: what survived from older timelines is
    /// not beyond it.
    pub timeline_begun: Lsn,
    /// Grows with each view.
    pub generation: u64,
    /// How long a host that came back gets less than its share.
    pub slow_start: Duration,
}

impl ClusterView {
    /// One host.
    pub fn host(&self, id: HostId) -> Option<&HostView> {
        // Its place, as long as none has gone.
        let place = self.hosts.get(usize::from(id.0));
        place
            .filter(|host| host.id == id)
            .or_else(|| self.hosts.iter().find(|host| host.id == id))
    }

    /// The primary, while it is known.
    pub fn primary_host(&self) -> Option<&HostView> {
        self.primary.and_then(|id| self.host(id))
    }

    /// The host that a database entry leads to.
    pub fn named(&self, name: &str) -> Option<&HostView> {
        self.hosts.iter().find(|host| &*host.name == name)
    }
}
