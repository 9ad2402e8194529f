//! Sans-IO. A client's messages about prepared statements: `Parse`, `Bind`, `Describe`, `Close`.
//!
//! A name of the client's becomes ours, and a statement that the server at hand does not have is
//! prepared there first. The maps of statements change when a message is sent, as if it had worked;
//! an error undoes that (`ServerState::failed`, `ClientState::undo`). Invariant: a message is
//! translated only when everything that an *earlier* batch was to change is known to have worked,
//! because the errors of one batch do not stop the next.

use std::sync::Arc;

use bytes::{Buf, BufMut};

use super::calls::Bound;
use super::client_state::{Body, ClientError, MAX_NAME, Tracking};
use super::from_client::{FromClient, Next, Pump, body_left};
use super::from_client_calls::Whole;
use super::owed::{CloseFor, Expect, Local, ParseFor, Said};
use super::prepared::{Binding, MAX_PARSE, MAX_PER_CLIENT, PREFIX, Room, Statement};
use super::server_state::Settling;
use crate::protocol::frontend::{self, Target};
use crate::protocol::{HEADER_LEN, Header, ReadError, TransactionStatus};

/// What a client's name of a statement stands for.
enum Meant {
    /// The unnamed statement, or one that we know nothing of: the server's own answer, or error.
    AsItIs,
    /// One that the client prepared: the server knows it under our name.
    Ours(Arc<Binding>),
    /// Nothing, but it looks like one of our names: it must not reach another client's statement.
    Guessed(Box<[u8]>),
}

/// What a `Describe` or `Close` is about.
enum About {
    /// A portal, or what the server has the right words for.
    Other,
    /// The unnamed statement.
    Unnamed,
    /// A statement with a name.
    Named(Meant),
}

impl About {
    fn is_named(&self) -> bool {
        matches!(self, Self::Named(_))
    }
}

/// A name of ours that no statement ever has: they are numbered from one.
pub(super) const NOBODY: &str = "PGWEIR_0";

impl Pump<'_> {
    /// Whether the frame's first string is empty; `None` while that byte has not come.
    fn first_string_is_empty(&self, header: Header) -> Option<bool> {
        let end = header.total.min(self.rest().len());
        self.rest()
            .get(HEADER_LEN..end)?
            .first()
            .map(|byte| *byte == 0)
    }

    /// Whether the frame must wait until an earlier batch has been answered.
    fn is_unsettled(&self) -> bool {
        self.server
            .as_ref()
            .is_some_and(|s| s.owed().is_unsettled() && !s.is_copy_in())
    }

    pub(super) fn parse(&mut self, header: Header) -> Result<Next, ClientError> {
        let Some(unnamed) = self.first_string_is_empty(header) else {
            return wait_for_more(header, HEADER_LEN, "Parse");
        };
        let Tracking::On { limit } = self.client.tracking else {
            return Ok(self.parse_raw(header));
        };
        if unnamed {
            return Ok(self.parse_unnamed(header));
        }
        if header.total > MAX_PARSE {
            let (bytes, limit) = (header.total, MAX_PARSE);
            return Err(ClientError::StatementTooLarge { bytes, limit });
        }
        let Some(body) = self.whole(header) else {
            return Ok(Next::Stop(FromClient::Drained));
        };
        let broken = |_: ReadError| ClientError::Broken { what: "Parse" };
        let view = frontend::parse(body).map_err(broken)?;
        if self.is_unsettled() {
            return Ok(Next::Stop(FromClient::Wait));
        }
        let Some(existing) = self.client.statements.find(view.name).cloned() else {
            let statement = self.client.registry.intern(view.rest);
            let name = view.name.into();
            return self.parse_named(header, Binding { name, statement }, limit);
        };
        Ok(self.parse_duplicate(header, &existing, limit))
    }

    pub(super) fn parse_raw(&mut self, header: Header) -> Next {
        if self.text_is_there(header) == Whole::More {
            return Next::Stop(FromClient::Drained);
        }
        let next = self.extended(header, Expect::Parse(ParseFor::Raw));
        if matches!(next, Next::Frame) {
            self.note_parse(header);
            self.client.tally.client_parses += 1;
            self.client.tally.server_parses += 1;
        }
        next
    }

    fn parse_named(
        &mut self,
        header: Header,
        binding: Binding,
        limit: usize,
    ) -> Result<Next, ClientError> {
        let statement = Arc::clone(&binding.statement);
        let answer_here = match &self.server {
            None => statement.is_accepted(),
            Some(server) => {
                statement.is_accepted()
                    && server.prepared.has(statement.id())
                    && server.status() != TransactionStatus::Failed
                    && server.owed().ready_pending() == 0
            }
        };
        if self.server.is_none() && !answer_here {
            return Ok(Next::Stop(FromClient::NeedServer));
        }
        let binding = Arc::new(binding);
        if self.client.statements.insert(Arc::clone(&binding)) == Room::Full {
            return Err(ClientError::TooManyStatements {
                limit: MAX_PER_CLIENT,
            });
        }
        self.client.tally.client_parses += 1;
        self.take_frame(header);
        if answer_here {
            self.client.tally.local_parses += 1;
            self.answer(Local::ParseComplete(binding));
            return Ok(Next::Frame);
        }
        self.close_if_held(&statement);
        self.send_parse(&statement, ParseFor::Client(binding), limit);
        Ok(Next::Frame)
    }

    /// A second `Parse` under a name in use: the server must have the first, and then refuses. Where
    /// it did not refuse, it would hold another text under our name, so nothing is left to chance:
    /// everything before it must have been answered.
    fn parse_duplicate(&mut self, header: Header, existing: &Arc<Binding>, limit: usize) -> Next {
        let Some(server) = self.server.as_mut() else {
            return Next::Stop(FromClient::NeedServer);
        };
        if !server.owed().is_empty() && !server.is_copy_in() {
            let before = std::mem::replace(&mut server.settling, Settling::Flushed);
            self.flush_run();
            if before == Settling::No {
                self.out().put_slice(frontend::FLUSH);
            }
            return Next::Stop(FromClient::Wait);
        }
        self.client.tally.client_parses += 1;
        self.ensure(&existing.statement, limit);
        self.flush_run();
        let frame = self.bytes.input.split_to(header.total);
        if let Some(server) = self.server.as_mut()
            && let Ok(wanted) = frontend::parse(frame.split_at(HEADER_LEN).1)
        {
            server.sent_extended(Expect::Parse(ParseFor::Duplicate(Arc::clone(existing))));
            let ours = existing.statement.name();
            frontend::put_parse(self.out(), ours, wanted.rest);
        }
        Next::Frame
    }

    pub(super) fn bind(&mut self, header: Header) -> Result<Next, ClientError> {
        let Tracking::On { limit } = self.client.tracking else {
            return Ok(match self.text_is_there(header) {
                Whole::Enough => self.bind_raw(header),
                Whole::More => Next::Stop(FromClient::Drained),
            });
        };
        let available = header.total.min(self.rest().len());
        let Some(body) = self.rest().get(HEADER_LEN..available) else {
            return Ok(Next::Stop(FromClient::Drained));
        };
        let Ok(head) = frontend::bind_head(body) else {
            return wait_for_more(header, available, "Bind");
        };
        // Not before its names have come: a server would have nothing to do with half of them, go
        // back, and be asked for again at once.
        if self.server.is_none() {
            return Ok(Next::Stop(FromClient::NeedServer));
        }
        let length = head.length;
        let name = head.statement;
        if name.is_empty() {
            return Ok(self.bind_unnamed(header));
        }
        if self.is_unsettled() {
            return Ok(Next::Stop(FromClient::Wait));
        }
        match self.meant(name) {
            Meant::AsItIs => return Ok(self.bind_raw(header)),
            Meant::Ours(binding) => {
                self.ensure(&binding.statement, limit);
                self.put_renamed_bind(header, length, Said::Ours(binding));
            }
            Meant::Guessed(name) => self.put_renamed_bind(header, length, Said::Nobody(name)),
        }
        self.client.tally.binds += 1;
        Ok(Next::Frame)
    }

    pub(super) fn bind_raw(&mut self, header: Header) -> Next {
        let next = self.extended(header, Expect::Bind(Said::AsItIs));
        if matches!(next, Next::Frame) {
            self.note_raw_bind();
            self.client.tally.binds += 1;
        }
        next
    }

    fn put_renamed_bind(&mut self, header: Header, head_length: usize, said: Said) {
        self.flush_run();
        let ours = match &said {
            Said::Ours(binding) => binding.statement.name(),
            Said::AsItIs | Said::Nobody(_) => NOBODY.as_bytes(),
        };
        let body = self.bytes.input.split_at(HEADER_LEN).1;
        if let Ok(head) = frontend::bind_head(body) {
            if let Some(calls) = self.server.as_mut().and_then(|s| s.calls.as_deref_mut()) {
                let bound = match &said {
                    Said::Ours(binding) => Bound::Known(&binding.statement),
                    Said::AsItIs | Said::Nobody(_) => Bound::Named(NOBODY.as_bytes()),
                };
                calls.bind(head.portal, bound, &self.client.params);
            }
            let out = self.client.with_buffer(self.bytes.to_server);
            frontend::put_bind_head(out, head, ours, header.body_len());
        }
        self.bytes.input.advance(HEADER_LEN + head_length);
        self.client.body = body_left(header.body_len() - head_length, Body::Forward);
        if let Some(server) = self.server.as_mut() {
            server.sent_extended(Expect::Bind(said));
        }
    }

    pub(super) fn describe(&mut self, header: Header) -> Result<Next, ClientError> {
        let Some(about) = self.about(header, "Describe")? else {
            return wait_for_more(header, self.rest().len(), "Describe");
        };
        if self.server.is_none() {
            return Ok(Next::Stop(FromClient::NeedServer));
        }
        let Tracking::On { limit } = self.client.tracking else {
            return Ok(self.extended(header, Expect::Describe(Said::AsItIs)));
        };
        if about.is_named() && self.is_unsettled() {
            return Ok(Next::Stop(FromClient::Wait));
        }
        let said = match about {
            About::Other | About::Named(Meant::AsItIs) => Said::AsItIs,
            About::Unnamed => {
                if let Some(wait) = self.own_unnamed() {
                    return Ok(wait);
                }
                Said::AsItIs
            }
            About::Named(Meant::Ours(binding)) => {
                self.take_frame(header);
                self.ensure(&binding.statement, limit);
                frontend::put_describe_statement(self.out(), binding.statement.name());
                return Ok(self.described(Said::Ours(binding)));
            }
            About::Named(Meant::Guessed(name)) => {
                self.take_frame(header);
                frontend::put_describe_statement(self.out(), NOBODY.as_bytes());
                return Ok(self.described(Said::Nobody(name)));
            }
        };
        Ok(self.extended(header, Expect::Describe(said)))
    }

    fn described(&mut self, said: Said) -> Next {
        if let Some(server) = self.server.as_mut() {
            server.sent_extended(Expect::Describe(said));
        }
        Next::Frame
    }

    pub(super) fn close(&mut self, header: Header) -> Result<Next, ClientError> {
        let Some(about) = self.about(header, "Close")? else {
            return wait_for_more(header, self.rest().len(), "Close");
        };
        if about.is_named() && self.is_unsettled() {
            return Ok(Next::Stop(FromClient::Wait));
        }
        let binding = match about {
            // What we do not know by its name was made by SQL PREPARE.
            About::Other | About::Named(Meant::AsItIs) => return Ok(self.close_raw(header)),
            About::Unnamed => {
                let next = self.close_raw(header);
                if matches!(next, Next::Frame) {
                    self.client.unnamed = None;
                }
                return Ok(next);
            }
            About::Named(Meant::Guessed(_)) => None,
            // Servers keep the statement for the other clients; only the name goes.
            About::Named(Meant::Ours(binding)) => self.client.forget_statement(&binding.name),
        };
        self.take_frame(header);
        self.answer(Local::CloseComplete(binding));
        Ok(Next::Frame)
    }

    /// A portal, the unnamed statement, or any name while tracking is off. Without a server there is
    /// nothing left to close, but something may be wrong with the message.
    fn close_raw(&mut self, header: Header) -> Next {
        let is_known = self
            .whole(header)
            .is_some_and(|body| matches!(frontend::named(body), Ok(Some(_))));
        if self.server.is_some() || !is_known {
            return self.extended(header, Expect::Close(CloseFor::Raw));
        }
        self.take_frame(header);
        self.answer(Local::CloseComplete(None));
        Next::Frame
    }

    /// Reads a `Describe` or `Close`; `None` while a part of it has not come.
    fn about(&self, header: Header, what: &'static str) -> Result<Option<About>, ClientError> {
        let Some(body) = self.whole(header) else {
            return Ok(None);
        };
        let view = frontend::named(body).map_err(|_| ClientError::Broken { what })?;
        Ok(Some(match view {
            Some(view) if view.target == Target::Statement && view.name.is_empty() => {
                About::Unnamed
            }
            Some(view)
                if view.target == Target::Statement && self.client.tracking != Tracking::Off =>
            {
                About::Named(self.meant(view.name))
            }
            Some(_) | None => About::Other,
        }))
    }

    /// Which statement a client's name means.
    fn meant(&self, name: &[u8]) -> Meant {
        match self.client.statements.find(name) {
            Some(binding) => Meant::Ours(Arc::clone(binding)),
            None if name.starts_with(PREFIX.as_bytes()) => Meant::Guessed(name.into()),
            None => Meant::AsItIs,
        }
    }

    /// Makes sure that the server has the statement before it is used.
    fn ensure(&mut self, statement: &Arc<Statement>, limit: usize) {
        let held = self
            .server
            .as_mut()
            .is_some_and(|s| s.prepared.touch(statement.id()));
        if held {
            self.client.tally.statement_hits += 1;
        } else {
            self.client.tally.statement_misses += 1;
            self.send_parse(statement, ParseFor::Injected(Arc::clone(statement)), limit);
        }
    }

    /// A server that holds the statement must be made to parse it again, so that the reply is its own.
    fn close_if_held(&mut self, statement: &Arc<Statement>) {
        if self
            .server
            .as_ref()
            .is_some_and(|s| s.prepared.has(statement.id()))
        {
            self.send_close(statement);
        }
    }

    fn send_close(&mut self, statement: &Arc<Statement>) {
        if let Some(server) = self.server.as_mut() {
            server.prepared.forget(statement.id());
            let evicted = Some(Arc::clone(statement));
            server.sent_extended(Expect::Close(CloseFor::Evicted(evicted)));
            self.flush_run();
            frontend::put_close_statement(self.out(), statement.name());
        }
    }

    fn send_parse(&mut self, statement: &Arc<Statement>, whose: ParseFor, limit: usize) {
        if let Some(server) = self.server.as_mut() {
            server.prepared.add(Arc::clone(statement));
        }
        while let Some(oldest) = self
            .server
            .as_mut()
            .and_then(|server| server.prepared.pop_over(limit))
        {
            self.send_close(&oldest);
        }
        if let Some(server) = self.server.as_mut() {
            server.sent_extended(Expect::Parse(whose));
        }
        self.client.tally.server_parses += 1;
        self.flush_run();
        frontend::put_parse(self.out(), statement.name(), statement.rest());
    }
}

/// A head that is not complete: either more bytes come, or it is broken, or its names are too long.
fn wait_for_more(
    header: Header,
    available: usize,
    what: &'static str,
) -> Result<Next, ClientError> {
    if header.body_len() == 0 || (available >= header.total && header.total > HEADER_LEN) {
        return Err(ClientError::Broken { what });
    }
    if available > HEADER_LEN + 2 * MAX_NAME {
        return Err(ClientError::NameTooLong);
    }
    Ok(Next::Stop(FromClient::Drained))
}
