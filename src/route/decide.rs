//! Sans-IO. Where one segment goes, and why.

use std::time::Instant;

use super::why::Why;
use crate::cluster::choice::{Chance, Choice, choose};
use crate::cluster::position::{Position, Scope};
use crate::cluster::view::{ClusterView, HostId};
use crate::config::Role;
use crate::sql::{Class, Effects, Verdict};

/// Where a segment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// To whoever is primary.
    Primary,
    /// To this replica.
    Replica(HostId),
}

/// Where, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Where.
    pub target: Target,
    /// Why.
    pub why: Why,
    /// The replica would do if it were known to have, or had, replayed enough: worth asking for
    /// positions, and worth a wait (`fence_wait`).
    pub outlook: Outlook,
}

/// Whether a moment later a replica may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// Nothing to wait for.
    Settled,
    /// Once positions have been asked for.
    Pending,
}

/// What a client has asked for in so many words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preference {
    /// Nothing: what the statement is decides.
    #[default]
    Auto,
    /// The primary.
    Primary,
    /// A replica.
    Replica,
}

/// All that a decision depends on, besides where the session stands.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What the segment is.
    pub verdict: Verdict,
    /// What the client wants: its comment, or else its setting.
    pub preference: Preference,
    /// What the database entry says.
    pub role: Role,
    /// Whether a replica has refused the segment, or was lost with it.
    pub attempt: Attempt,
    /// The servers.
    pub view: &'a ClusterView,
    /// Whose writes it must show.
    pub scope: Scope,
    /// The time.
    pub now: Instant,
    /// By chance.
    pub chance: Chance,
}

/// How often a segment has been tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// Not yet.
    First,
    /// On a server that refused it or is gone.
    Again,
}

/// Decides. `position` is only asked, and learns what the view says of it.
pub fn decide(case: &Case<'_>, position: &mut Position) -> Decision {
    match case.role {
        Role::Primary => return primary(Why::Role),
        Role::Replica => return replica(case, position, Why::Role),
        Role::Auto => {}
    }
    match (case.attempt, case.preference, case.verdict.class) {
        (Attempt::Again, _, _) => primary(Why::Again),
        (Attempt::First, Preference::Primary, _) => primary(Why::Wish),
        (Attempt::First, Preference::Replica, _) if case.verdict.effects == Effects::NONE => {
            replica(case, position, Why::Wish)
        }
        (Attempt::First, Preference::Auto | Preference::Replica, Class::Primary(reason)) => {
            primary(Why::Class(reason))
        }
        (Attempt::First, Preference::Auto | Preference::Replica, Class::Read) => {
            replica(case, position, Why::Read)
        }
    }
}

fn primary(why: Why) -> Decision {
    Decision {
        target: Target::Primary,
        why,
        outlook: Outlook::Settled,
    }
}

fn replica(case: &Case<'_>, position: &mut Position, why: Why) -> Decision {
    if case.attempt == Attempt::Again {
        return primary(Why::Again);
    }
    let choice = choose(case.view, position, case.scope, case.now, case.chance);
    let (target, why, outlook) = match choice {
        Choice::Replica(host) => (Target::Replica(host), why, Outlook::Settled),
        Choice::Stay { host, .. } => (Target::Replica(host), why, Outlook::Pending),
        Choice::Unknown => (Target::Primary, Why::PositionUnknown, Outlook::Pending),
        Choice::Behind => (Target::Primary, Why::Behind, Outlook::Pending),
        Choice::NoReplica => (Target::Primary, Why::NoReplica, Outlook::Settled),
    };
    Decision {
        target,
        why,
        outlook,
    }
}
