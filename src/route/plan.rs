//! Sans-IO. From what a client has sent to where it goes.
//!
//! ```text
//!   input ──look_ahead──► segment ──answered here?──► (nothing to send)
//!                            └──in a transaction?──► where that is
//!                                    └──decide──► primary or a replica, on trial or not
//! ```

use std::time::Instant;

use bytes::BytesMut;

use super::cache::Reading;
use super::decide::{Attempt, Case, Decision, Outlook, Preference, Target, decide};
use super::segment::{Ahead, Alone, Extent, Protocol, Segment, look_ahead};
use super::session::{HoldBegin, Own, Session, is_read_only};
use super::why::Why;
use crate::cluster::choice::Chance;
use crate::cluster::position::{Position, Scope};
use crate::cluster::{ClusterView, Lsn};
use crate::config::{Role, RouteMode};
use crate::session::client_state::ClientState;
use crate::session::routed::Until;
use crate::sql::command::{Access, Command, command};
use crate::sql::lexer::Quoting;
use crate::sql::wish::{self, wish};
use crate::sql::{Class, Effect, Reason, Verdict};

/// What the configuration says.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// `route_mode`
    pub mode: RouteMode,
    /// `role` of the entry.
    pub role: Role,
    /// Whether a `BEGIN` may be answered before a server has.
    pub hold: HoldBegin,
}

/// Where the server at hand stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// There is none.
    Unlinked,
    /// At the end of a transaction, or it will be when it has answered what it was sent.
    Between(Target),
    /// Inside one.
    InTransaction(Target),
    /// The client keeps it, whatever comes.
    Pinned(Target),
}

/// All that a plan depends on besides the client's bytes.
#[derive(Debug)]
pub struct Desk<'a> {
    /// The client.
    pub session: &'a mut Session,
    /// What the configuration says.
    pub rules: Rules,
    /// What a transaction may do that does not say so itself.
    pub access: Access,
    /// The servers.
    pub view: &'a ClusterView,
    /// Whose writes must be seen.
    pub scope: Scope,
    /// The server at hand.
    pub standing: Standing,
    /// Whether pgweir may answer without a server.
    pub alone: Alone,
    /// Whether the decision is counted.
    pub counting: Counting,
    /// Whether the segment at the start has failed on a server.
    pub attempt: Attempt,
    /// The time.
    pub now: Instant,
    /// By chance.
    pub chance: Chance,
}

/// How a decision is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// Once, as it is the first on its segment.
    Once,
    /// In place of that one, on the same segment.
    Instead(Decision),
    /// Not at all: the segment is looked at for another reason.
    Not,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// More bytes are needed.
    More,
    /// The session deals with it without a server.
    Own,
    /// So many bytes of the input have been answered here.
    Answered(usize),
    /// It will be answered here once it is known where the session stands.
    Later,
    /// So many bytes that go wherever the others before them went.
    Loose(usize),
    /// A segment for that server.
    Go(Journey),
}

/// A segment and where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Journey {
    /// Where.
    pub decision: Decision,
    /// Bytes of it.
    pub bytes: usize,
    /// Whether it can run again elsewhere.
    pub trial: Trial,
    /// What it is.
    pub verdict: Verdict,
}

/// Whether a segment can run again elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// It can: a read, whole, and outside of a transaction.
    Yes(Until),
    /// It cannot.
    No,
}

/// Looks at the start of `input`. Answers of ours go to `out`.
pub fn plan(
    input: &[u8],
    client: &ClientState,
    reading: &mut Reading<'_>,
    desk: &mut Desk<'_>,
    out: &mut BytesMut,
) -> Plan {
    reading.begin();
    let begun = desk.session.has_begun();
    let alone = if begun {
        Alone::NeedsServer
    } else {
        desk.alone
    };
    let segment = match look_ahead(input, client, alone, reading) {
        Ahead::More => return Plan::More,
        Ahead::Own | Ahead::Loose(_) if begun && input.first() != Some(&b'X') => {
            return Plan::Go(Journey::after_begin(input.len())); // the reply must say that it is open
        }
        Ahead::Own => return Plan::Own,
        Ahead::Loose(bytes) => return Plan::Loose(bytes),
        Ahead::Segment(segment) => segment,
    };
    let wished = segment.first.and_then(|sql| wish(sql, reading.quoting));
    if let Some(lsn) = wished.and_then(|wish| wish.min_lsn) {
        desk.session.position.raise(Lsn(lsn));
    }
    match desk.controls(&segment, client, reading.quoting, out) {
        Own::Answered => return Plan::Answered(segment.bytes),
        Own::Later => return Plan::Later,
        Own::Not => {}
    }
    let preference = match wished.and_then(|wish| wish.target) {
        Some(wish::Target::Primary) => Preference::Primary,
        Some(wish::Target::Replica) => Preference::Replica,
        None => desk.session.preference(),
    };
    let part = desk.part_of(&segment);
    let verdict = match part {
        Part::BeginsReading if is_savepoint(&segment, reading.quoting) => Verdict::READ,
        Part::Alone | Part::BeginsReading if desk.session.is_bound_to_primary() => {
            segment.verdict.and(Verdict::primary(Reason::Setting))
        }
        Part::Alone | Part::BeginsReading | Part::Begins | Part::Inside(..) => segment.verdict,
    };
    let mut decision = desk.decision(verdict, part, preference);
    match desk.counting {
        Counting::Once => reading.cache.note(decision),
        Counting::Instead(before) => {
            reading.cache.take_back(before);
            reading.cache.note(decision);
        }
        Counting::Not => {}
    }
    if desk.rules.mode == RouteMode::Observe {
        decision.target = Target::Primary;
    }
    Plan::Go(Journey {
        decision,
        bytes: segment.bytes,
        trial: trial_of(&segment, part, decision, desk.rules.role),
        verdict: segment.verdict,
    })
}

/// Which part of a transaction a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// A transaction of its own.
    Alone,
    /// The beginning of one that only reads.
    BeginsReading,
    /// The beginning of one that may write.
    Begins,
    /// It goes where it is already, and for that reason.
    Inside(Target, Why),
}

fn trial_of(segment: &Segment<'_>, part: Part, decision: Decision, role: Role) -> Trial {
    // Where an entry is for replicas alone, a write is refused there and not done elsewhere.
    let wished = decision.target != Target::Primary && role != Role::Replica;
    let is_read = segment.verdict.class == Class::Read || wished;
    if part != Part::Alone || segment.extent != Extent::Whole || !is_read {
        return Trial::No;
    }
    // A primary refuses no read.
    let several = decision.target != Target::Primary && segment.may_be_several();
    Trial::Yes(if several { Until::End } else { Until::Row })
}

/// A savepoint alone: it says nothing about where a transaction must run.
fn is_savepoint(segment: &Segment<'_>, quoting: Quoting) -> bool {
    segment.protocol == Protocol::Simple
        && segment
            .first
            .filter(|sql| !sql.contains(&b';'))
            .is_some_and(|sql| matches!(command(sql, quoting), Command::Savepoint))
}

impl Desk<'_> {
    /// Commands about the transaction or about settings: some are answered here, some are noted.
    fn controls(
        &mut self,
        segment: &Segment<'_>,
        client: &ClientState,
        quoting: Quoting,
        out: &mut BytesMut,
    ) -> Own {
        let Some(sql) = segment.first else {
            return Own::Not;
        };
        let class = segment.verdict.class;
        match class {
            Class::Primary(Reason::TransactionControl | Reason::Setting | Reason::SessionState) => {
            }
            Class::Primary(_) | Class::Read => return Own::Not,
        }
        let command = command(sql, quoting);
        if self.standing == Standing::Unlinked && segment.protocol == Protocol::Simple {
            let view = self.view;
            let lsn = |position: &mut Position| position.lsn(view);
            let hold = self.rules.hold;
            match self.session.answer((sql, &command), hold, lsn, out) {
                Own::Not => {}
                outcome @ (Own::Answered | Own::Later) => return outcome,
            }
        }
        // Inside of a transaction nobody sees whether it is for that alone.
        let is_query = matches!(command, Command::Query(_));
        let inside =
            matches!(self.standing, Standing::InTransaction(_)) || self.session.has_begun();
        if !(is_query && inside) {
            self.session.note(&command, &client.params);
        }
        Own::Not
    }

    fn part_of(&self, segment: &Segment<'_>) -> Part {
        match self.standing {
            Standing::InTransaction(target) => return Part::Inside(target, Why::Transaction),
            Standing::Pinned(target) => return Part::Inside(target, Why::Pinned),
            Standing::Unlinked | Standing::Between(_) => {}
        }
        let reads = match segment.begins {
            Some(options) => is_read_only(options, self.access),
            None if self.session.has_begun() => self.session.has_begun_read_only(self.access),
            None => return Part::Alone,
        };
        if reads {
            Part::BeginsReading
        } else {
            Part::Begins
        }
    }

    fn decision(&mut self, verdict: Verdict, part: Part, preference: Preference) -> Decision {
        let undecided = preference == Preference::Auto && self.rules.role == Role::Auto;
        let settled = |target, why| Decision {
            target,
            why,
            outlook: Outlook::Settled,
        };
        match part {
            Part::Inside(target, why) => return settled(target, why),
            Part::Begins if undecided => return settled(Target::Primary, Why::Transaction),
            Part::Begins | Part::BeginsReading | Part::Alone => {}
        }
        let case = Case {
            verdict,
            preference,
            role: self.rules.role,
            attempt: self.attempt,
            view: self.view,
            scope: self.scope,
            now: self.now,
            chance: self.chance,
        };
        decide(&case, &mut self.session.position)
    }
}

impl Journey {
    /// Something that is no statement, behind a `BEGIN` that has not been sent.
    fn after_begin(bytes: usize) -> Self {
        Self {
            decision: Decision {
                target: Target::Primary,
                why: Why::Transaction,
                outlook: Outlook::Settled,
            },
            bytes,
            trial: Trial::No,
            verdict: Verdict::primary(Reason::TransactionControl),
        }
    }

    /// Whether it may change what others see.
    pub fn may_write(&self) -> bool {
        self.verdict.class != Class::Read
    }

    /// Whether the server must be asked afterwards what the client has left there.
    pub fn may_pin(&self) -> bool {
        self.verdict.effects.has(Effect::Pins) || self.verdict.effects.has(Effect::Unpins)
    }
}

#[cfg(test)]
mod tests;
