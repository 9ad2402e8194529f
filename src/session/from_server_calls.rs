//! Sans-IO. What a server's replies mean for the calls under way (`calls`).

use std::sync::Arc;
use std::time::Instant;

use super::calls::{Calls, LinkStart, Slow};
use super::from_server::Pump;
use super::owed::Expect;
use super::params::ParamSet;
use super::server_state::{Deliver, ServerState};
use crate::protocol::{HEADER_LEN, Header};

/// What an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hit {
    /// A `Query`, whose `ReadyForQuery` still comes.
    Query,
    /// Messages up to the next `Sync`, or nothing that is a call.
    Batch,
}

fn is_call(entry: &Expect) -> bool {
    matches!(entry, Expect::Query | Expect::Execute)
}

impl Pump<'_> {
    /// `CommandComplete` came.
    pub(super) fn note_completed(&mut self, header: Header, deliver: Deliver) {
        if self.server.calls.is_none()
            || deliver != Deliver::ToClient
            || self.client.drops_replies()
        {
            return;
        }
        let behind = self.behind(header);
        let body = self.input.split_at(self.run).1;
        let body = body.get(HEADER_LEN..header.total).unwrap_or_default();
        if let Some(calls) = self.server.calls.as_deref_mut() {
            calls.completed(body, behind);
        }
    }

    /// `EmptyQueryResponse` or `PortalSuspended` came.
    pub(super) fn note_paused(&mut self, header: Header, deliver: Deliver) {
        if self.server.calls.is_none()
            || deliver != Deliver::ToClient
            || self.client.drops_replies()
        {
            return;
        }
        let behind = self.behind(header);
        if let Some(calls) = self.server.calls.as_deref_mut() {
            calls.paused(behind);
        }
    }

    /// `ReadyForQuery` came for a `Query`.
    pub(super) fn note_query_ended(&mut self, header: Header) {
        if self.client.drops_replies() {
            return;
        }
        let behind = self.behind(header);
        if let Some(calls) = self.server.calls.as_deref_mut() {
            calls.query_ended(behind);
        }
    }

    /// What an error that has just come is about.
    pub(super) fn hit(&self) -> Hit {
        match self.server.owed().first_certain() {
            Some(Expect::Query) => Hit::Query,
            Some(_) | None => Hit::Batch,
        }
    }

    /// An error came for the client, and has taken this with it.
    pub(super) fn note_failed(&mut self, header: Header, hit: Hit, dropped: &[Expect]) {
        let behind = self.behind(header);
        let Some(calls) = self.server.calls.as_deref_mut() else {
            return;
        };
        match hit {
            Hit::Query => calls.query_failed(),
            Hit::Batch => {
                let calls_dropped = dropped.iter().filter(|entry| is_call(entry)).count();
                calls.batch_failed(calls_dropped, behind);
            }
        }
    }

    /// How many bytes have come behind the frame.
    fn behind(&self, header: Header) -> usize {
        self.rest().len().saturating_sub(header.total)
    }
}

impl ServerState {
    /// A link begins in which calls are followed.
    pub fn begin_calls(&mut self, start: &LinkStart<'_>, params: &Arc<ParamSet>, now: Instant) {
        let waited_us = std::mem::take(&mut self.waited_us);
        let make = || Box::new(Calls::new(start, params, now));
        self.calls
            .get_or_insert_with(make)
            .begin(start, waited_us, now);
    }

    /// A link begins in which nobody wants to know of calls.
    pub fn ignore_calls(&mut self) {
        self.calls = None;
    }

    /// Whether somebody wants to know of calls, so that the time must be told.
    pub fn follows_calls(&self) -> bool {
        self.calls.is_some()
    }

    /// The time at which the client's next bytes are sent on.
    pub fn tell_time(&mut self, now: Instant) {
        if let Some(calls) = self.calls.as_deref_mut() {
            calls.tell(now);
        }
    }

    /// What must hold between two messages: each entry that is a call has its call, and no other has.
    #[cfg(test)]
    pub(super) fn check_calls(&self) {
        if let Some(calls) = self.calls.as_deref() {
            let owed = self.owed().iter().filter(|entry| is_call(entry)).count();
            assert_eq!(calls.under_way(), owed, "{:?}", self.owed());
        }
    }

    /// So many bytes have come from the server at this time.
    pub fn heard(&mut self, now: Instant, bytes: u64) {
        if let Some(calls) = self.calls.as_deref_mut() {
            calls.heard(now, bytes);
        }
    }

    /// The link is over; calls that were not answered will not be.
    pub fn end_calls(&mut self, now: Instant) {
        if let Some(calls) = self.calls.as_deref_mut() {
            calls.abandon(now);
        }
    }

    /// The link is over, and what was not answered runs again elsewhere.
    pub fn take_calls_back(&mut self) {
        if let Some(calls) = self.calls.as_deref_mut() {
            calls.take_back();
        }
    }

    /// Whether slow calls wait to be logged.
    pub fn has_slow_calls(&self) -> bool {
        self.calls.as_ref().is_some_and(|calls| calls.has_slow())
    }

    /// The slow calls since they were last taken.
    pub fn take_slow_calls(&mut self) -> Vec<Slow> {
        self.calls
            .as_deref_mut()
            .map(Calls::take_slow)
            .unwrap_or_default()
    }
}
