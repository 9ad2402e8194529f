//! Sans-IO. What a client's messages mean for the calls under way (`calls`).
//!
//! Invariant: on a server of which nobody wants to know the calls, nothing here looks at a byte.

use super::calls::Bound;
use super::from_client::Pump;
use crate::protocol::reader::zero_at;
use crate::protocol::{HEADER_LEN, Header, frontend};
use crate::queries::MAX_READ;

/// Whether a frame has to come whole before it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    /// It is, or need not be.
    Enough,
    /// More bytes must come.
    More,
}

impl Pump<'_> {
    /// A text that will be read must be there; one that is too long to be read may stream. Without a
    /// server the same holds, whoever follows calls: a server would have nothing to do with a part,
    /// go back, and be asked for again at once.
    pub(super) fn text_is_there(&self, header: Header) -> Whole {
        let server = self.server.as_ref();
        let wanted = server.is_none_or(|server| server.calls.is_some());
        let wanted = wanted && header.body_len() <= MAX_READ;
        if wanted && self.rest().len() < header.total {
            return Whole::More;
        }
        Whole::Enough
    }

    /// A `Query` is sent.
    pub(super) fn note_query(&mut self, header: Header) {
        let Some(calls) = self
            .server
            .as_deref_mut()
            .and_then(|s| s.calls.as_deref_mut())
        else {
            return;
        };
        let at = self.run + HEADER_LEN..self.run + header.total;
        let text = self
            .bytes
            .input
            .get(at)
            .and_then(|body| body.strip_suffix(b"\0"));
        calls.query(text, &self.client.params);
    }

    /// A `Parse` is sent as it came.
    pub(super) fn note_parse(&mut self, header: Header) {
        let Some(calls) = self
            .server
            .as_deref_mut()
            .and_then(|s| s.calls.as_deref_mut())
        else {
            return;
        };
        let body = self
            .bytes
            .input
            .get(self.run + HEADER_LEN..)
            .unwrap_or_default();
        let whole = body.get(..header.body_len());
        let readable = whole.filter(|whole| whole.len() <= MAX_READ);
        if let Some(parse) = readable.and_then(|whole| frontend::parse(whole).ok()) {
            calls.parse(parse.name, first_text(parse.rest), &self.client.params);
        } else if let Some(name) = first_text(body) {
            calls.parse(name, None, &self.client.params);
        }
    }

    /// The unnamed statement is prepared again, or closed.
    pub(super) fn note_unnamed(&mut self, rest: Option<&[u8]>) {
        if let Some(calls) = self
            .server
            .as_deref_mut()
            .and_then(|s| s.calls.as_deref_mut())
        {
            calls.parse(b"", rest.and_then(first_text), &self.client.params);
        }
    }

    /// A `Bind` is sent as it came.
    pub(super) fn note_raw_bind(&mut self) {
        let Some(calls) = self
            .server
            .as_deref_mut()
            .and_then(|s| s.calls.as_deref_mut())
        else {
            return;
        };
        let body = self
            .bytes
            .input
            .get(self.run + HEADER_LEN..)
            .unwrap_or_default();
        if body.starts_with(b"\0\0") {
            calls.bind(b"", Bound::Named(b""), &self.client.params);
        } else if let Ok(head) = frontend::bind_head(body) {
            let bound = Bound::Named(head.statement);
            calls.bind(head.portal, bound, &self.client.params);
        }
    }

    /// An `Execute` is sent.
    pub(super) fn note_execute(&mut self, header: Header) {
        let Some(calls) = self
            .server
            .as_deref_mut()
            .and_then(|s| s.calls.as_deref_mut())
        else {
            return;
        };
        let at = self.run + HEADER_LEN..self.run + header.total;
        calls.execute(self.bytes.input.get(at).and_then(first_text));
    }
}

/// The string at the start.
fn first_text(bytes: &[u8]) -> Option<&[u8]> {
    Some(bytes.split_at(zero_at(bytes)?).0)
}
