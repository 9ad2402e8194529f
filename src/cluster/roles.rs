//! Sans-IO. Which of the servers that say they are the primary is believed.
//!
//! Invariant: a new primary has the system identifier of the last one and no older timeline; of two
//! the higher timeline wins, and where that does not decide, the one that is known or nobody.

use super::view::{HostId, Refused};

/// A server that says that it takes writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) host: HostId,
    pub(super) timeline: u32,
    pub(super) system_id: u64,
}

/// Whether the last primary is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Office {
    /// It is.
    Held,
    /// It was lost.
    Empty,
}

/// Who the last primary was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reign {
    pub(super) holder: HostId,
    pub(super) office: Office,
    pub(super) timeline: u32,
    pub(super) system_id: u64,
}

/// What the claims are judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standards {
    /// The last primary.
    pub(super) last: Option<Reign>,
    /// The system identifier of this cluster, if it is certain.
    pub(super) system_id: Option<u64>,
    /// The newest timeline that any host of the cluster is on.
    pub(super) newest: u32,
    /// The host that the configuration names first.
    pub(super) declared: HostId,
}

impl Standards {
    /// Why this claim cannot count, whatever the others are.
    pub(super) fn refuses(&self, claim: &Claim) -> Option<Refused> {
        if self.system_id != Some(claim.system_id) {
            return Some(Refused::WrongSystem);
        }
        let oldest = match self.last {
            // It stays until its successor has been seen, even if a replica went over already.
            Some(last) if last.holder == claim.host && last.office == Office::Held => last.timeline,
            Some(last) => last.timeline.max(self.newest),
            None => self.newest,
        };
        (claim.timeline < oldest).then_some(Refused::OldTimeline)
    }

    /// The primary, if one of the claims is beyond doubt.
    pub(super) fn elect(&self, claims: &[Claim]) -> Option<Claim> {
        let valid = || claims.iter().filter(|claim| self.refuses(claim).is_none());
        let newest = valid().map(|claim| claim.timeline).max()?;
        let best = || valid().filter(|claim| claim.timeline == newest);
        let known = self.last.map_or(self.declared, |last| last.holder);
        let only = || best().next().filter(|_| best().count() == 1);
        best()
            .find(|claim| claim.host == known)
            .or_else(only)
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: u64 = 7;

    fn claim(host: u16, timeline: u32) -> Claim {
        Claim {
            host: HostId(host),
            timeline,
            system_id: SYSTEM,
        }
    }

    fn after(holder: u16, timeline: u32, office: Office) -> Standards {
        let last = Reign {
            holder: HostId(holder),
            office,
            timeline,
            system_id: SYSTEM,
        };
        Standards {
            last: Some(last),
            system_id: Some(SYSTEM),
            newest: timeline,
            declared: HostId(0),
        }
    }

    fn elected(standards: Standards, claims: &[Claim]) -> Option<u16> {
        standards.elect(claims).map(|claim| claim.host.0)
    }

    #[test]
    fn the_higher_timeline_wins() {
        let held = after(0, 1, Office::Held);
        assert_eq!(elected(held, &[claim(0, 1), claim(1, 2)]), Some(1));
        assert_eq!(elected(held, &[claim(2, 3), claim(1, 2)]), Some(2));
    }

    #[test]
    fn of_equal_timelines_the_known_primary_stays() {
        for office in [Office::Held, Office::Empty] {
            let standards = after(1, 2, office);
            assert_eq!(elected(standards, &[claim(0, 2), claim(1, 2)]), Some(1));
        }
    }

    #[test]
    fn an_older_timeline_is_never_accepted() {
        assert_eq!(elected(after(1, 2, Office::Empty), &[claim(0, 1)]), None);
        let mut replica_went_over = after(0, 1, Office::Empty);
        replica_went_over.newest = 2;
        assert_eq!(elected(replica_went_over, &[claim(0, 1)]), None);
        replica_went_over.last = None;
        assert_eq!(elected(replica_went_over, &[claim(0, 1)]), None);
    }

    #[test]
    fn the_primary_stays_until_its_successor_is_seen() {
        let mut held = after(0, 1, Office::Held);
        held.newest = 2;
        assert_eq!(elected(held, &[claim(0, 1)]), Some(0));
        assert_eq!(elected(held, &[claim(0, 1), claim(1, 2)]), Some(1));
    }

    #[test]
    fn equal_strangers_are_no_primary() {
        let standards = after(0, 1, Office::Empty);
        assert_eq!(elected(standards, &[claim(1, 2), claim(2, 2)]), None);
        assert_eq!(elected(standards, &[claim(2, 2)]), Some(2));
    }

    #[test]
    fn at_the_start_the_declared_primary_is_preferred() {
        let mut first = after(0, 1, Office::Empty);
        first.last = None;
        assert_eq!(elected(first, &[claim(1, 1), claim(0, 1)]), Some(0));
        assert_eq!(elected(first, &[claim(1, 2), claim(0, 1)]), Some(1));
    }

    #[test]
    fn another_cluster_is_no_primary() {
        let stranger = Claim {
            system_id: SYSTEM + 1,
            ..claim(1, 9)
        };
        let standards = after(0, 1, Office::Empty);
        assert_eq!(elected(standards, &[stranger]), None);
        assert_eq!(standards.refuses(&stranger), Some(Refused::WrongSystem));
    }
}
