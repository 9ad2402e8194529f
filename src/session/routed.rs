//! Sans-IO. What a client may send to the server at hand, and reads on trial there.
//!
//! Where statements are routed, a client's bytes reach a server only when somebody has said that
//! *these* may go to *this* server: the gate. A read on trial is kept until its first row, and so are
//! the replies before that row: should the server refuse it or be lost, the client has seen nothing,
//! and the read runs again elsewhere. Of several statements a later one may be refused, so that their
//! replies are held to the end, as long as they are few.
//!
//! ```text
//!   granted ─► sent ──replies held──► first row: replies pass ──► ReadyForQuery: forgotten
//!                 └─ refused or lost ──► taken back: the bytes stand in the input again
//! ```
//! Invariant: a segment (what one `ReadyForQuery` answers) of which a byte has reached the client
//! never runs again.

use std::sync::Arc;

use bytes::BytesMut;

use super::client_state::{ClientState, Tracking};
use super::kept::Kept;
pub use super::kept::Until;
use super::prepared::Binding;
use crate::protocol::{SqlState, frontend, whole_frames};

/// Most bytes of replies that are held back: one small buffer. More of them, and the read is no longer
/// on trial.
pub const MAX_HELD: usize = 8 << 10;

/// Most bytes of reads that are kept for one client.
pub const MAX_KEPT: usize = 64 << 10;

/// How much of the input may go to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// So many bytes; the next one behind them must be asked for.
    Bytes(usize),
    /// None: what is there, so many bytes, is not enough to say where it may go.
    More(usize),
    /// Nothing until the server is at rest: what comes next is for another server.
    Shut,
}

/// Where the first segment on trial stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replies {
    /// Nothing is on trial: they go to the client as they come.
    Passing,
    /// They are held back.
    Held,
    /// The client has got a part, and gets the rest.
    Begun,
    /// Its end has come; the next one begins with the next frame.
    Ended,
    /// The server has refused it. What else it says is for nobody.
    Refused(SqlState),
}

/// The part of a client's state that only routed clients have.
#[derive(Debug)]
pub struct Routed {
    pub(super) gate: Gate,
    replies: Replies,
    /// What the segments on trial said.
    kept: Kept,
    /// Bytes at its end that had not gone to the server when it refused.
    unsent: usize,
    held: BytesMut,
    /// What was refused too late to run again: its client has got a part.
    refused_late: Option<Box<[u8]>>,
    place: Place,
}

/// What kind of server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Its answers are the last word, as long as it gives any.
    Primary,
    /// The primary may know better.
    Replica,
}

impl Default for Routed {
    fn default() -> Self {
        Self {
            gate: Gate::Bytes(0),
            replies: Replies::Passing,
            kept: Kept::default(),
            unsent: 0,
            held: BytesMut::new(),
            refused_late: None,
            place: Place::Replica,
        }
    }
}

impl Routed {
    /// A link begins: nothing may pass yet.
    pub fn begin(&mut self, place: Place) {
        self.place = place;
        self.gate = Gate::Bytes(0);
        self.forget();
    }

    /// The next `bytes` of the input may go to the server. They are not on trial, and what was is so
    /// no more: it cannot run again before them.
    pub fn grant(&mut self, bytes: usize) {
        if self.is_on_trial() {
            self.kept.clear();
            self.replies = Replies::Passing;
        }
        self.open(bytes);
    }

    fn open(&mut self, bytes: usize) {
        match &mut self.gate {
            Gate::Bytes(before) => *before = before.saturating_add(bytes),
            Gate::More(_) | Gate::Shut => self.gate = Gate::Bytes(bytes),
        }
    }

    /// What is in the input, so many bytes, is not enough to decide.
    pub fn await_more(&mut self, bytes: usize) {
        match self.gate {
            // It may have been asked for more before, and more of it has come.
            Gate::Bytes(0) | Gate::More(_) => self.gate = Gate::More(bytes),
            Gate::Bytes(_) | Gate::Shut => {}
        }
    }

    /// Bytes that were granted and have not gone.
    fn left(&self) -> usize {
        match self.gate {
            Gate::Bytes(left) => left,
            Gate::More(_) => 0,
            Gate::Shut => self.unsent,
        }
    }

    /// Whether bytes that may go have not come: a frame that is dealt with as a whole. Its server
    /// waits for it, or the two would part and meet again for every piece.
    pub fn awaits_granted(&self) -> bool {
        match self.gate {
            Gate::Bytes(left) => left > 0,
            Gate::More(_) | Gate::Shut => false,
        }
    }

    /// So many granted bytes have gone.
    pub(super) fn passed(&mut self, bytes: usize) {
        if let Gate::Bytes(left) = &mut self.gate {
            *left = left.saturating_sub(bytes);
        }
    }

    fn keep(&mut self, segment: &[u8], until: Until, unnamed: Option<&[u8]>) {
        self.kept.push(segment, until, unnamed);
        if self.replies == Replies::Passing {
            self.replies = Replies::Held;
        }
        self.open(segment.len());
    }

    /// Whether one more segment can be kept, and no other one would stand before it.
    fn has_room(&self, bytes: usize) -> bool {
        let closed = matches!(self.gate, Gate::Bytes(0) | Gate::More(_));
        let first = !self.is_on_trial() && closed;
        let next = self.is_on_trial() && self.kept.bytes().len() + bytes <= MAX_KEPT;
        (first || next) && self.gate != Gate::Shut && self.refused().is_none()
    }

    /// What comes next is for another server.
    pub fn shut(&mut self) {
        self.unsent = self.left();
        self.gate = Gate::Shut;
    }

    /// Whether segments are on trial whose end has not come.
    pub fn is_on_trial(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Whether what is on trial may run again should the server be lost now.
    pub fn may_run_again(&self) -> bool {
        match self.replies {
            Replies::Held | Replies::Ended | Replies::Refused(_) => self.is_on_trial(),
            Replies::Passing | Replies::Begun => false,
        }
    }

    /// With which error the server has refused a segment.
    pub fn refused(&self) -> Option<SqlState> {
        match self.replies {
            Replies::Refused(code) => Some(code),
            Replies::Passing | Replies::Held | Replies::Begun | Replies::Ended => None,
        }
    }

    fn forget(&mut self) {
        self.replies = Replies::Passing;
        self.kept.clear();
        self.held = BytesMut::new();
        self.unsent = 0;
    }

    /// Puts what is on trial back before what the client has sent since, and forgets the trial.
    fn take_back(&mut self, input: &mut BytesMut) {
        let unsent = self.left();
        let kept = self.kept.bytes();
        let sent = kept.split_at(kept.len().saturating_sub(unsent)).0;
        let mut again = BytesMut::with_capacity(sent.len() + input.len());
        again.extend_from_slice(sent);
        again.extend_from_slice(input);
        *input = again;
        self.begin(self.place);
    }

    // What the server's replies mean for the trial.

    pub(super) fn holds_replies(&self) -> bool {
        self.replies == Replies::Held
    }

    /// The same, and how long.
    pub(super) fn holds_until(&self) -> Option<Until> {
        self.holds_replies().then(|| self.kept.until())
    }

    pub(super) fn drops_replies(&self) -> bool {
        matches!(self.replies, Replies::Refused(_))
    }

    /// Whether a segment on trial has ended and the next frame is not of it any more.
    pub(super) fn has_ended(&self) -> bool {
        self.replies == Replies::Ended
    }

    /// The replies of the next segment begin.
    pub(super) fn begin_segment(&mut self) {
        self.replies = if self.is_on_trial() {
            Replies::Held
        } else {
            Replies::Passing
        };
    }

    /// Where our own replies go while replies are held.
    pub(super) fn held(&mut self) -> &mut BytesMut {
        &mut self.held
    }

    /// `bytes` are kept from the client for now. Says whether there is room for more of them.
    pub(super) fn hold(&mut self, bytes: &[u8]) -> bool {
        self.held.extend_from_slice(bytes);
        self.held.len() <= MAX_HELD
    }

    /// The client gets an answer: what was held goes first.
    pub(super) fn pass(&mut self, to_client: &mut BytesMut) {
        if self.replies == Replies::Held {
            self.replies = Replies::Begun;
        }
        if !self.held.is_empty() {
            to_client.extend_from_slice(&self.held);
            self.held = BytesMut::new();
        }
    }

    /// `ReadyForQuery` has come for the first segment.
    pub(super) fn segment_ended(&mut self) {
        if matches!(self.replies, Replies::Refused(_)) {
            return;
        }
        if self.is_on_trial() {
            self.kept.pop();
            self.replies = Replies::Ended;
        }
    }

    /// A segment of which the client has got a part, and then an error by which a replica says that it
    /// is no read. It is worth to be remembered: the client will try again.
    pub fn take_refused_late(&mut self) -> Option<Box<[u8]>> {
        self.refused_late.take()
    }

    /// An error has come behind a part of the answer.
    pub(super) fn fail_late(&mut self, code: SqlState) {
        if code.as_str() == "25006" && self.place == Place::Replica && self.is_on_trial() {
            self.refused_late = Some(self.kept.first().into());
        }
    }

    /// An error has come. True where it is no answer for the client: the read will run again.
    pub(super) fn refuse(&mut self, code: SqlState) -> bool {
        if self.replies != Replies::Held || !runs_again_after(code, self.place) {
            return false;
        }
        self.unsent = self.left();
        self.gate = Gate::Shut;
        self.replies = Replies::Refused(code);
        self.held.clear();
        true
    }
}

/// Errors that say something about the server and not about the read: it writes after all, conflicts
/// with recovery, needs what a standby has not (or has not yet), or the server is going down.
/// What it names may be too new for a replica, so that "does not exist" is asked of the primary too.
fn runs_again_after(code: SqlState, place: Place) -> bool {
    let leaving = ["57P01", "57P02", "57P03"]; // admin_shutdown, crash_shutdown, cannot_connect_now
    if place == Place::Primary {
        return leaving.contains(&code.as_str());
    }
    leaving.contains(&code.as_str())
        || matches!(
            code.as_str(),
            "25006" // read_only_sql_transaction: "cannot execute … in a read-only transaction"
            | "55000" // object_not_in_prerequisite_state: "recovery is in progress"
            | "0A000" // feature_not_supported: "cannot access temporary or unlogged relations during recovery"
            | "40001" // serialization_failure: "canceling statement due to conflict with recovery"
            | "40P01" // deadlock_detected: conflict with recovery, with deadlock
            | "57P04" // database_dropped: conflict with recovery
            | "42P01" // undefined_table
            | "42703" // undefined_column
            | "42883" // undefined_function
            | "42704" // undefined_object
            | "3F000" // invalid_schema_name
        )
}

impl ClientState {
    /// A whole segment at the start of what has not been granted may go, on trial. False where it
    /// cannot be kept: nothing has been granted then.
    #[must_use]
    pub fn grant_on_trial(&mut self, segment: &[u8], until: Until) -> bool {
        let Some(routed) = self.routed.as_deref_mut() else {
            return false;
        };
        if !routed.has_room(segment.len()) {
            return false;
        }
        routed.keep(segment, until, self.unnamed.as_deref());
        true
    }

    /// The text behind a statement's name, as far as the client's own words are known.
    pub fn statement_text(&self, name: &[u8]) -> Option<&[u8]> {
        let rest = if name.is_empty() {
            self.unnamed.as_deref()?
        } else {
            self.statements.find(name)?.statement.rest()
        };
        Some(rest.split_at(memchr::memchr(0, rest)?).0)
    }

    /// Whether a statement that the client prepares is found again on another server.
    pub fn statements_follow(&self) -> bool {
        self.tracking != Tracking::Off
    }

    /// Where the client's statements are interned.
    #[cfg(test)]
    pub fn registry(&self) -> &super::prepared::Registry {
        &self.registry
    }

    /// Longest frame that the client may send, in bytes.
    pub fn frame_max(&self) -> usize {
        self.frame_max
    }

    /// Takes what is on trial back into the input, to run again on another server. Names that it
    /// prepares are free again, and those that it closes are not.
    pub fn take_back(&mut self, input: &mut BytesMut) {
        let Some(mut routed) = self.routed.take() else {
            return;
        };
        for (tag, body) in whole_frames(routed.kept.bytes()) {
            let (b'P', Ok(parse)) = (tag, frontend::parse(body)) else {
                continue;
            };
            // One that was in use already stays what it was.
            let bound = self.statements.find(parse.name);
            if bound.is_some_and(|bound| bound.statement.rest() == parse.rest) {
                self.statements.remove(parse.name);
            }
        }
        for binding in routed.kept.names_before() {
            // There was room for it before.
            self.statements.insert(Arc::clone(binding));
        }
        self.unnamed = routed.kept.unnamed_before().map(Box::from);
        routed.take_back(input);
        self.routed = Some(routed);
    }

    /// The client has closed a name of its own. Where that is on trial it may have it again.
    pub(super) fn forget_statement(&mut self, name: &[u8]) -> Option<Arc<Binding>> {
        let gone = self.statements.remove(name)?;
        if let Some(routed) = self.routed.as_deref_mut().filter(|r| r.is_on_trial()) {
            routed.kept.closed(Arc::clone(&gone));
        }
        Some(gone)
    }

    /// Whether replies of the segment at hand are kept from the client.
    pub(super) fn holds_replies(&self) -> bool {
        self.routed.as_ref().is_some_and(|r| r.holds_replies())
    }

    pub(super) fn drops_replies(&self) -> bool {
        self.routed.as_ref().is_some_and(|r| r.drops_replies())
    }
}
