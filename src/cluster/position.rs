//! Sans-IO. What a session has written and seen, and which host is not older than that.
//!
//! One mechanism for reading one's own writes and for reads that never go back in time:
//!
//! ```text
//!  touched(host) ──► pending: on this host, until then ──sample asked later──► floor
//!                        │ same host, same epoch: may be read        other host: shown >= floor
//! ```
//! A statement costs no question: the first position of the host that is *asked for* after the
//! statement has ended is an upper bound of all that it wrote or saw. The primary's does as well,
//! for any host: no replica shows what the primary has not, and what of an older timeline survived
//! a promotion lies before everything that the new primary says.
//!
//! What went before the last touch needs no record of its own: a host may only be touched where it
//! shows all of that, and so any later position of it is beyond.
//!
//! Invariant: `Yes` only where all that this session wrote or saw, and the cluster has not lost, is
//! visible.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::view::{ClusterView, HostId, NOWHERE};
use crate::lsn::Lsn;

/// Of no timeline: a floor that was set from outside, which no promotion lowers.
const GIVEN: u32 = u32::MAX;

/// Whether a session may read on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MayRead {
    /// It may.
    Yes,
    /// The host has not replayed yet what the session has written or seen.
    Behind,
    /// Where the session stands is not known before somebody asks for positions.
    Unknown,
    /// The host answers no reads.
    NotServing,
}

/// Whose writes a read must show (`fence_scope`).
#[derive(Debug, Clone, Copy)]
pub enum Scope {
    /// Nobody's: any ready host may be read.
    Off,
    /// Those of the session itself.
    Session,
    /// Those of others too, of whom the last to write before the read was asked for did so then.
    Shared(Option<Instant>),
}

/// When sessions of one user or one database wrote last.
#[derive(Debug)]
pub struct SharedWrites {
    base: Instant,
    /// Nanoseconds after `base`, plus one; 0 before the first write.
    last: AtomicU64,
}

impl SharedWrites {
    /// No write yet.
    pub fn new(now: Instant) -> Self {
        Self {
            base: now,
            last: AtomicU64::new(0),
        }
    }

    /// A statement that may have written has ended. To be called before its client is told.
    pub fn wrote(&self, now: Instant) {
        let since = now.saturating_duration_since(self.base).as_nanos();
        let since = u64::try_from(since).unwrap_or(u64::MAX - 1);
        self.last
            .fetch_max(since.saturating_add(1), Ordering::AcqRel);
    }

    /// When the last of them ended: a read that is asked for now must show all of them.
    pub fn last(&self) -> Option<Instant> {
        let last = self.last.load(Ordering::Acquire).checked_sub(1)?;
        self.base.checked_add(Duration::from_nanos(last))
    }
}

/// What is known of the last touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Touch {
    /// There was none.
    #[default]
    None,
    /// It ended then.
    Ended(Instant),
    /// It wrote and saw nothing beyond this.
    Bounded(Lsn),
}

/// What one session has written and seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Everything that was written or seen before the last touch, as far as it is known.
    floor: Lsn,
    touch: Touch,
    /// The epoch of `host` at the last touch.
    epoch: u32,
    /// The timeline of `floor` and of the bound, or [`GIVEN`].
    timeline: u32,
    /// The host of the last touch, or [`NOWHERE`].
    host: HostId,
}

impl Default for Position {
    fn default() -> Self {
        Self {
            floor: Lsn::default(),
            touch: Touch::None,
            epoch: 0,
            timeline: 0,
            host: NOWHERE,
        }
    }
}

impl Position {
    /// A statement on a host has ended, in whatever way. The host was the primary, or
    /// [`Self::may_read`] had said `Yes`; `epoch` is that of the view which said so.
    pub fn touched(&mut self, host: HostId, epoch: u32, now: Instant) {
        if let Touch::Bounded(bound) = self.touch
            && (self.host, self.epoch) != (host, epoch)
        {
            self.floor = self.floor.max(bound);
        }
        self.touch = Touch::Ended(now);
        self.host = host;
        self.epoch = epoch;
    }

    /// A statement has ended on a host that was not asked for: a replica that the client insisted
    /// on, whatever it shows.
    pub fn strayed(&mut self, now: Instant) {
        // What was seen there and whatever was pending before: only the primary bounds both.
        self.touched(NOWHERE, 0, now);
    }

    /// The session must see everything up to here (`SET pgweir.min_lsn`).
    pub fn raise(&mut self, lsn: Lsn) {
        if lsn > self.floor {
            self.floor = lsn;
            self.timeline = GIVEN;
        }
    }

    /// Forgets what was written and seen (`RESET pgweir.min_lsn`, `DISCARD ALL`).
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Everything up to here must be shown to it, as far as that is known.
    pub fn floor(&self) -> Lsn {
        self.floor
    }

    /// The last host that was touched, for reads that stay where they are.
    pub fn last_host(&self) -> Option<HostId> {
        (self.host != NOWHERE).then_some(self.host)
    }

    /// Whether the session may read on a host.
    ///
    /// To be asked again, with the view of then, when the connection is in hand: the host may have
    /// come back at an older position while the session waited for it.
    pub fn may_read(&mut self, view: &ClusterView, host: HostId, scope: Scope) -> MayRead {
        if view.primary == Some(host) {
            return MayRead::Yes;
        }
        let Some(target) = view.host(host).filter(|target| target.is_ready()) else {
            return MayRead::NotServing;
        };
        let shared = match scope {
            Scope::Off => return MayRead::Yes,
            Scope::Session => None,
            Scope::Shared(last) => last,
        };
        self.follow(view);
        let mut floor = self.floor;
        if (self.host, self.epoch) != (target.id, target.epoch) {
            self.settle(view);
            match self.touch {
                Touch::None => {}
                Touch::Ended(_) => return MayRead::Unknown,
                Touch::Bounded(bound) => floor = floor.max(bound),
            }
        }
        match shared.map(|time| bound_of_primary(view, time)) {
            None => {}
            Some(Some(bound)) => floor = floor.max(bound),
            Some(None) => return MayRead::Unknown,
        }
        if target.position().is_some_and(|shown| shown >= floor) {
            MayRead::Yes
        } else {
            MayRead::Behind
        }
    }

    /// An upper bound of what was written and seen (`SHOW pgweir.lsn`); `None` where it is not
    /// known before somebody asks for positions.
    pub fn lsn(&mut self, view: &ClusterView) -> Option<Lsn> {
        self.follow(view);
        self.settle(view);
        match self.touch {
            Touch::None => Some(self.floor),
            Touch::Bounded(bound) => Some(self.floor.max(bound)),
            Touch::Ended(_) => None,
        }
    }

    /// After a promotion what lay beyond the place where the new timeline began is lost, and must
    /// not be waited for.
    fn follow(&mut self, view: &ClusterView) {
        if self.timeline < view.timeline {
            self.floor = self.floor.min(view.timeline_begun);
            if let Touch::Bounded(bound) = &mut self.touch {
                *bound = view.timeline_begun.min(*bound);
            }
            self.timeline = view.timeline;
        }
    }

    /// Finds the bound of the last touch, where one is known. The first that is found stays: later
    /// ones are further away.
    fn settle(&mut self, view: &ClusterView) {
        let Touch::Ended(since) = self.touch else {
            return;
        };
        let found = view.host(self.host);
        let same = found.filter(|host| host.epoch == self.epoch && host.is_of_the_cluster());
        let bound = match same {
            Some(host) if host.samples.is_after(since) => host
                .samples
                .bound_after(since)
                .or_else(|| bound_of_primary(view, since)),
            // Its own answer may tell yet that it has gone to a newer timeline.
            Some(_) => None,
            // What it showed may be of a timeline whose primary is not known yet.
            None if found.is_some_and(|host| host.timeline > view.timeline) => None,
            None => bound_of_primary(view, since),
        };
        if let Some(bound) = bound {
            self.touch = Touch::Bounded(bound);
        }
    }
}

fn bound_of_primary(view: &ClusterView, time: Instant) -> Option<Lsn> {
    view.primary_host()?.samples.bound_after(time)
}

#[cfg(test)]
mod tests;
