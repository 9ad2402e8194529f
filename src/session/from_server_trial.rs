//! Sans-IO. Replies to a read on trial: held back until the first row, dropped once it is refused.
//!
//! Which segment is on trial, and what may run again: `routed`.

use super::client_state::Body;
use super::from_client::skip;
use super::from_server::Pump;
use super::routed::{Routed, Until};
use crate::protocol::{Header, backend};

impl Pump<'_> {
    /// The run belongs to a read on trial: it is held back, or goes nowhere. False where it is the
    /// client's.
    pub(super) fn hold_run(&mut self) -> bool {
        let Some(routed) = self.client.routed.as_deref_mut() else {
            return false;
        };
        if routed.drops_replies() {
            skip(self.input, self.run);
        } else if routed.holds_replies() {
            if !routed.hold(self.input.split_at(self.run).0) {
                routed.pass(self.to_client);
            }
            skip(self.input, self.run);
        } else {
            routed.pass(self.to_client);
            return false;
        }
        self.run = 0;
        true
    }

    /// Where the segment before has ended, its replies go to the client before those of the next.
    pub(super) fn begin_frame(&mut self) {
        if let Some(routed) = self.client.routed.as_deref()
            && routed.has_ended()
        {
            self.flush_run();
            if let Some(routed) = self.client.routed.as_deref_mut() {
                routed.begin_segment();
            }
        }
    }

    /// Where a reply goes that is the client's unless its read is refused.
    pub(super) fn deliver_routed(&mut self, header: Header) -> Body {
        if self.client.drops_replies() {
            self.flush_run();
            return Body::Drop(header.total);
        }
        self.note_answer(header.tag);
        Body::Forward(header.total)
    }

    /// Whether rows go on as they come.
    pub(super) fn rows_may_pass(&mut self) -> bool {
        if self.client.drops_replies() {
            return false;
        }
        if matches!(self.rest().first(), Some(b'D' | b'd')) {
            self.note_answer(b'D');
        }
        true
    }

    /// `ReadyForQuery` has come. Whether it is the client's.
    pub(super) fn segment_answered(&mut self) -> bool {
        if self.client.drops_replies() {
            return false;
        }
        self.note_answer(b'Z');
        if let Some(routed) = self.client.routed.as_deref_mut() {
            routed.segment_ended();
        }
        true
    }

    /// From the first row, or the end, the client gets all replies of a segment.
    pub(super) fn note_answer(&mut self, tag: u8) {
        let Some(routed) = self.client.routed.as_deref_mut() else {
            return;
        };
        let passes = match routed.holds_until() {
            None => false,
            Some(Until::Row) => {
                let before_rows = [b'1', b'2', b'3', b'T', b't', b'n', b'N', b'S', b'A'];
                !before_rows.contains(&tag)
            }
            Some(Until::End) => matches!(tag, b'E' | b'Z'),
        };
        if passes {
            routed.pass(self.to_client);
        }
    }

    /// Whether the error is about this server and the read may run again on another.
    pub(super) fn refuses_trial(&mut self, header: Header) -> Refused {
        let is_on_trial = self
            .client
            .routed
            .as_deref()
            .is_some_and(Routed::is_on_trial);
        if !is_on_trial || self.client.drops_replies() {
            return Refused::No;
        }
        let code = backend::problem(self.body(header))
            .ok()
            .and_then(|found| found.code);
        let Some(code) = code else {
            return Refused::No;
        };
        if !self.client.holds_replies() {
            if let Some(routed) = self.client.routed.as_deref_mut() {
                routed.fail_late(code);
            }
            return Refused::No;
        }
        self.flush_run();
        let routed = self.client.routed.as_deref_mut();
        if routed.is_some_and(|routed| routed.refuse(code)) {
            Refused::Yes
        } else {
            Refused::No
        }
    }
}

/// Whether an error is kept from the client because a read will run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Yes,
    No,
}
