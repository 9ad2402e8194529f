//! Sans-IO. What a client's messages mean for the calls under way (`calls`).
//!
//! Invariant: on a server of which nobody wants to know the calls, nothing here looks at a byte.

use std::sync::Arc;

use super::calls::{Bound, Calls};
use super::from_client::Pump;
use super::params::ParamSet;
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

    /// The calls of the server at hand, where somebody wants to know them; the client's parameters; and
    /// what has come behind the header of the frame at hand.
    #[inline]
    fn calls_at_hand(&mut self) -> Option<(&mut Calls, &Arc<ParamSet>, &[u8])> {
        let calls = self.server.as_deref_mut()?.calls.as_deref_mut()?;
        let behind = self.bytes.input.get(self.run + HEADER_LEN..);
        Some((calls, &self.client.params, behind.unwrap_or_default()))
    }

    /// A `Query` is sent.
    pub(super) fn note_query(&mut self, header: Header) {
        if let Some((calls, params, behind)) = self.calls_at_hand() {
            let body = behind.get(..header.body_len());
            calls.query(body.and_then(|body| body.strip_suffix(b"\0")), params);
        }
    }

    /// A `Parse` is sent as it came.
    pub(super) fn note_parse(&mut self, header: Header) {
        let Some((calls, params, behind)) = self.calls_at_hand() else {
            return;
        };
        let whole = behind.get(..header.body_len());
        let readable = whole.filter(|whole| whole.len() <= MAX_READ);
        if let Some(parse) = readable.and_then(|whole| frontend::parse(whole).ok()) {
            calls.parse(parse.name, first_text(parse.rest), params);
        } else if let Some(name) = first_text(behind) {
            calls.parse(name, None, params);
        }
    }

    /// The unnamed statement is prepared again, or closed.
    pub(super) fn note_unnamed(&mut self, rest: Option<&[u8]>) {
        if let Some((calls, params, _)) = self.calls_at_hand() {
            calls.parse(b"", rest.and_then(first_text), params);
        }
    }

    /// A `Bind` is sent as it came.
    pub(super) fn note_raw_bind(&mut self) {
        let Some((calls, params, behind)) = self.calls_at_hand() else {
            return;
        };
        if behind.starts_with(b"\0\0") {
            calls.bind(b"", Bound::Named(b""), params);
        } else if let Ok(head) = frontend::bind_head(behind) {
            calls.bind(head.portal, Bound::Named(head.statement), params);
        }
    }

    /// An `Execute` is sent.
    pub(super) fn note_execute(&mut self, header: Header) {
        if let Some((calls, _, behind)) = self.calls_at_hand() {
            calls.execute(behind.get(..header.body_len()).and_then(first_text));
        }
    }
}

/// The string at the start.
fn first_text(bytes: &[u8]) -> Option<&[u8]> {
    Some(bytes.split_at(zero_at(bytes)?).0)
}
