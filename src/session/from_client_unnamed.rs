//! Sans-IO. A client's unnamed statement, which outlives its transaction and so its server.
//!
//! Invariant: a `Bind` never meets the unnamed statement of another client.

use super::from_client::{FromClient, Next, Pump};
use super::owed::{CloseFor, Expect, ParseFor};
use super::server_state::Unnamed;
use crate::protocol::{Header, frontend};

/// Largest `Parse` of an unnamed statement that is kept until its first `Bind`, in bytes.
const MAX_UNNAMED: usize = 16 << 10;

impl Pump<'_> {
    /// The unnamed statement. Where its `Bind` does not follow at once, the client may be on another
    /// server by then, so that what it said is kept.
    pub(super) fn parse_unnamed(&mut self, header: Header) -> Next {
        let mut kept = None;
        if header.total <= MAX_UNNAMED {
            let Some(body) = self.whole(header) else {
                return Next::Stop(FromClient::Drained);
            };
            let bind_follows = self.rest().get(header.total) == Some(&b'B');
            kept = body.get(1..).filter(|_| !bind_follows).map(Box::from);
        }
        let next = self.parse_raw(header);
        if matches!(next, Next::Frame) {
            self.client.unnamed = kept;
            if let Some(server) = self.server.as_mut() {
                server.sent_unnamed();
            }
        }
        next
    }

    pub(super) fn bind_unnamed(&mut self, header: Header) -> Next {
        if let Some(wait) = self.own_unnamed() {
            return wait;
        }
        self.client.unnamed = None;
        self.bind_raw(header)
    }

    /// Before the unnamed statement is used: the server may have that of another client.
    pub(super) fn own_unnamed(&mut self) -> Option<Next> {
        let server = self.server.as_mut()?;
        if server.unnamed != Unnamed::Unknown {
            return None;
        }
        if server.owed().ready_pending() > 0 && !server.is_copy_in() {
            return Some(Next::Stop(FromClient::Wait)); // it may be in one of those batches
        }
        server.sent_unnamed();
        if let Some(rest) = self.client.unnamed.take() {
            server.sent_extended(Expect::Parse(ParseFor::Again));
            self.client.tally.server_parses += 1;
            self.flush_run();
            frontend::put_parse(self.out(), b"", &rest);
            self.note_unnamed(Some(&rest));
            self.client.unnamed = Some(rest);
        } else {
            server.sent_extended(Expect::Close(CloseFor::Stranger));
            self.flush_run();
            self.note_unnamed(None);
            frontend::put_close_statement(self.out(), b"");
        }
        None
    }
}
