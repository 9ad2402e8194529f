//! Sans-IO. Moves a server's bytes to its client, and learns from them what the server still owes.
//!
//! Invariant: a byte that answers the client leaves exactly as it came, except a statement's name in
//! an error; a byte that answers something of ours never leaves.

use std::sync::Arc;

use bytes::BytesMut;

use super::client_state::{Body, ClientState};
use super::from_client::{body_left, put_local, skip};
use super::from_client_statements::NOBODY;
use super::from_server_trial::Refused;
use super::owed::{Expect, ParseFor, Said, SyncSent};
use super::params::{ParamSet, is_settable, setup_sql, with_value};
use super::refusals::UNKNOWN;
use super::server_state::{Deliver, OutOfSync, ServerState, Unnamed};
use crate::protocol::backend::Renamed;
use crate::protocol::{
    HEADER_LEN, Header, TransactionStatus, backend, frame::MAX_FRAME, frontend, peek_header, reply,
};

/// Errors and parameter values above this size are not looked into, in bytes.
const LOOK_INTO_MAX: usize = 64 << 10;

/// Longest tag of a command, in bytes: that of `PostgreSQL`'s own buffer for it.
const COMMAND_TAG_MAX: usize = 64;

/// What must be said to a server before a client's first message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Nothing: the client's messages may go.
    Ready,
    /// Its parameters: the client's messages wait until `is_in_setup` is over.
    Setup,
}

/// Brings the server's parameters in line with the client's.
pub fn link(client: &mut ClientState, server: &mut ServerState, to_server: &mut BytesMut) -> Link {
    server.unnamed = Unnamed::Unknown;
    if Arc::ptr_eq(&client.params, &server.params) {
        return Link::Ready;
    }
    let Some(sql) = setup_sql(&client.params, &server.params) else {
        share(&mut client.params, &mut server.params);
        return Link::Ready;
    };
    server.assume_unreported(&client.params);
    server.sent_closing(Expect::Setup);
    frontend::put_query(to_server, &sql);
    Link::Setup
}

/// Equal sets become one, so that the next comparison is a pointer's. Both sides take the one that
/// more others hold: whoever meets whom, all clients and servers of a pool soon share one.
fn share(one: &mut Arc<ParamSet>, other: &mut Arc<ParamSet>) {
    let weight = |set: &Arc<ParamSet>| (Arc::strong_count(set), Arc::as_ptr(set));
    if weight(one) > weight(other) {
        *other = Arc::clone(one);
    } else {
        *one = Arc::clone(other);
    }
}

/// Sends the `BEGIN` that the client has been told was done; its reply is swallowed.
pub fn begin(server: &mut ServerState, sql: &[u8], to_server: &mut BytesMut) {
    server.sent_closing(Expect::Begin);
    frontend::put_query_bytes(to_server, sql);
}

/// Sends the empty query whose reply shows whether an uncertain `Sync` was answered. A server that
/// may be ignoring everything gets a `Sync` before it: one `ReadyForQuery` is ours then. The client is
/// held to its own `Sync` all the same.
pub fn probe(server: &mut ServerState, to_server: &mut BytesMut) {
    if server.sent_probe() == SyncSent::Yes {
        frontend::put_sync(to_server);
    }
    frontend::put_query(to_server, "");
}

/// Works through `input`; what stays in it is an incomplete frame.
pub fn from_server(
    client: &mut ClientState,
    server: &mut ServerState,
    input: &mut BytesMut,
    to_client: &mut BytesMut,
) -> Result<(), OutOfSync> {
    let mut pump = Pump {
        client,
        server,
        input,
        to_client,
        run: 0,
    };
    let outcome = pump.work();
    pump.flush_run();
    if let Some(calls) = server.calls.as_deref_mut() {
        calls.settle();
    }
    outcome
}

pub(super) struct Pump<'a> {
    pub(super) client: &'a mut ClientState,
    pub(super) server: &'a mut ServerState,
    pub(super) input: &'a mut BytesMut,
    pub(super) to_client: &'a mut BytesMut,
    pub(super) run: usize,
}

impl Pump<'_> {
    fn work(&mut self) -> Result<(), OutOfSync> {
        let routed = self.client.routed.is_some();
        while self.finish_body() {
            if routed {
                self.begin_frame();
            }
            self.answer_locals();
            self.pass_rows();
            let peeked = peek_header(self.rest(), MAX_FRAME);
            let tag = self.rest().first().copied().unwrap_or_default();
            let Some(header) = peeked.map_err(|_| OutOfSync::Malformed { tag })? else {
                break;
            };
            if must_be_whole(header) && self.rest().len() < header.total {
                break;
            }
            self.server.body = match self.frame(header)? {
                Some(Deliver::ToClient) if routed => self.deliver_routed(header),
                Some(Deliver::ToClient) => Body::Forward(header.total),
                Some(Deliver::Nowhere) => Body::Drop(header.total),
                None => Body::None, // taken already
            };
        }
        Ok(())
    }

    pub(super) fn rest(&self) -> &[u8] {
        self.input.split_at(self.run).1
    }

    fn finish_body(&mut self) -> bool {
        let available = self.input.len() - self.run;
        match self.server.body {
            Body::None => true,
            Body::Forward(left) => {
                let now = left.min(available);
                self.run += now;
                self.server.body = body_left(left - now, Body::Forward);
                left <= available
            }
            Body::Drop(left) => {
                let now = left.min(available);
                self.flush_run();
                skip(self.input, now);
                self.server.body = body_left(left - now, Body::Drop);
                left <= available
            }
        }
    }

    pub(super) fn flush_run(&mut self) {
        if self.run == 0 {
            return;
        }
        if self.client.routed.is_some() && self.hold_run() {
            return;
        }
        if self.run == self.input.len() && self.to_client.is_empty() {
            std::mem::swap(self.input, self.to_client);
        } else {
            let out = self.client.with_buffer(self.to_client);
            out.extend_from_slice(self.input.split_at(self.run).0);
            skip(self.input, self.run);
        }
        self.run = 0;
    }

    fn answer_locals(&mut self) {
        while let Some(local) = self.server.owed_mut().pop_local() {
            self.flush_run();
            if self.client.drops_replies() {
                continue;
            }
            if self.client.holds_replies()
                && let Some(routed) = self.client.routed.as_deref_mut()
            {
                put_local(routed.held(), &local);
                continue;
            }
            put_local(self.client.with_buffer(self.to_client), &local);
        }
    }

    /// Rows and copy data that are wholly there, by far the most frequent frames: one look each.
    fn pass_rows(&mut self) {
        if !self.server.expects_rows() {
            return;
        }
        if self.client.routed.is_some() && !self.rows_may_pass() {
            return;
        }
        while let Some(&[b'D' | b'd', a, b, c, d]) = self.rest().first_chunk::<HEADER_LEN>() {
            let declared = u32::from_be_bytes([a, b, c, d]);
            match usize::try_from(declared).map(|length| length.saturating_add(1)) {
                Ok(total) if total >= HEADER_LEN && total <= self.rest().len() => self.run += total,
                Ok(_) | Err(_) => return, // not all there, or wrong
            }
        }
    }

    pub(super) fn body(&self, header: Header) -> &[u8] {
        self.rest()
            .get(HEADER_LEN..header.total)
            .unwrap_or_default()
    }

    /// One frame: where it goes, or `None` where it has been dealt with.
    fn frame(&mut self, header: Header) -> Result<Option<Deliver>, OutOfSync> {
        match header.tag {
            b'D' | b'd' | b'T' => self.server.received(header.tag).map(Some),
            b'Z' => self.ready(header),
            b'E' => self.error(header),
            b'S' => self.parameter(header).map(Some),
            b'C' => self.command_complete(header).map(Some),
            b'A' => Ok(Some(Deliver::ToClient)),
            b'N' => Ok(Some(match self.server.owed().front() {
                Some(Expect::Setup | Expect::Begin) => Deliver::Nowhere,
                Some(_) | None => Deliver::ToClient,
            })),
            b'I' | b's' => {
                let deliver = self.server.received(header.tag)?;
                self.note_paused(header, deliver);
                Ok(Some(deliver))
            }
            tag => self.server.received(tag).map(Some),
        }
    }

    fn ready(&mut self, header: Header) -> Result<Option<Deliver>, OutOfSync> {
        let malformed = OutOfSync::Malformed { tag: header.tag };
        let &[byte] = self.body(header) else {
            return Err(malformed);
        };
        let status = TransactionStatus::from_byte(byte).ok_or(malformed)?;
        let setup = self.server.is_in_setup();
        let ends_query = self.server.calls.is_some()
            && matches!(self.server.owed().front(), Some(Expect::Query));
        let deliver = self.server.ready(status)?;
        if ends_query {
            self.note_query_ended(header);
        }
        if setup {
            self.adopt_parameters();
        }
        let answers = deliver == Deliver::ToClient
            && (self.client.routed.is_none() || self.segment_answered());
        if answers {
            self.client.tally.queries += 1;
            self.client.tally.transactions += u32::from(status == TransactionStatus::Idle);
        }
        Ok(Some(deliver))
    }

    /// After our settings the server's spelling is the right one; the client hears what differs.
    fn adopt_parameters(&mut self) {
        self.flush_run();
        let mut settled = ParamSet::clone(&self.server.params);
        for (name, value) in self.server.params.iter() {
            match self.client.params.value(name) {
                None => settled.remove(name),
                Some(known) if known != value => {
                    reply::parameter_status(self.to_client, name, value);
                }
                Some(_) => {}
            }
        }
        self.server.params = Arc::new(settled);
        self.client.params = Arc::clone(&self.server.params);
    }

    fn parameter(&mut self, header: Header) -> Result<Deliver, OutOfSync> {
        let setup = self.server.is_in_setup();
        if header.total > LOOK_INTO_MAX {
            return Err(OutOfSync::Malformed { tag: header.tag });
        }
        let malformed = |_| OutOfSync::Malformed { tag: header.tag };
        let body = self
            .rest()
            .get(HEADER_LEN..header.total)
            .unwrap_or_default();
        let (name, value) = backend::parameter_status(body).map_err(malformed)?;
        let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value)) else {
            self.server.has_unsettable();
            return Ok(Deliver::ToClient);
        };
        if is_settable(name) {
            let shared = Arc::ptr_eq(&self.client.params, &self.server.params);
            let server = with_value(&self.server.params, name, value);
            if !setup {
                self.client.params = if shared {
                    Arc::clone(&server)
                } else {
                    with_value(&self.client.params, name, value)
                };
            }
            self.server.params = server;
        }
        Ok(if setup {
            Deliver::Nowhere
        } else {
            Deliver::ToClient
        })
    }

    /// `DISCARD ALL` and `DEALLOCATE ALL` take the prepared statements with them; some commands change
    /// parameters, perhaps one that the server does not report.
    fn command_complete(&mut self, header: Header) -> Result<Deliver, OutOfSync> {
        let deliver = self.server.received(header.tag)?;
        self.note_completed(header, deliver);
        let (statements, settings) = match self.body(header) {
            _ if deliver == Deliver::Nowhere => return Ok(deliver), // our own settings
            b"DISCARD ALL\0" => (true, true),
            b"DEALLOCATE ALL\0" => (true, false),
            b"RESET\0" | b"SET\0" => (false, true),
            _ => return Ok(deliver),
        };
        if statements {
            self.client.statements.clear();
            // What was sent behind it will be prepared again when the server gets there.
            for binding in self.server.discarded_statements() {
                self.client.statements.insert(binding);
            }
        }
        if settings {
            self.server.doubt_unreported();
        }
        Ok(deliver)
    }

    fn error(&mut self, header: Header) -> Result<Option<Deliver>, OutOfSync> {
        self.count_error(header);
        let refused = self.refuses_trial(header);
        let renamed = self
            .renamed_error(header)
            .filter(|_| refused == Refused::No);
        let hit = self.hit();
        let dropped = self.server.failed()?;
        if refused == Refused::No && !self.client.drops_replies() {
            self.note_failed(header, hit, &dropped);
        }
        let unnamed = |entry: &Expect| matches!(entry, Expect::Parse(ParseFor::Raw));
        if dropped.iter().any(unnamed) && !self.server.owed().has_raw_parse() {
            self.client.unnamed = None;
        }
        self.client.undo(dropped);
        if let Some(renamed) = renamed {
            self.note_answer(b'E');
            self.flush_run();
            let out = self.client.with_buffer(self.to_client);
            out.extend_from_slice(&renamed);
            skip(self.input, header.total);
            return Ok(None);
        }
        Ok(Some(Deliver::ToClient))
    }

    fn count_error(&mut self, header: Header) {
        let frame = self.rest().get(HEADER_LEN..header.total);
        let code = frame.and_then(|body| backend::problem(body).ok()?.code);
        let class = code.and_then(|code| code.as_str().as_bytes().first_chunk().copied());
        self.server.refusals.add(class.unwrap_or(UNKNOWN));
    }

    /// The error with the client's name of a statement in place of ours, where it names one.
    fn renamed_error(&self, header: Header) -> Option<BytesMut> {
        if header.total > LOOK_INTO_MAX {
            return None;
        }
        let (ours, theirs) = match self.server.owed().front()? {
            Expect::Parse(ParseFor::Client(binding) | ParseFor::Duplicate(binding))
            | Expect::Bind(Said::Ours(binding))
            | Expect::Describe(Said::Ours(binding)) => (binding.statement.name(), &binding.name),
            Expect::Bind(Said::Nobody(name)) | Expect::Describe(Said::Nobody(name)) => {
                (NOBODY.as_bytes(), name)
            }
            Expect::Query
            | Expect::Function
            | Expect::Parse(ParseFor::Raw | ParseFor::Injected(_) | ParseFor::Again)
            | Expect::Bind(Said::AsItIs)
            | Expect::Describe(Said::AsItIs)
            | Expect::Execute
            | Expect::Close(_)
            | Expect::Sync
            | Expect::MaybeSync
            | Expect::ProbeSync
            | Expect::Probe
            | Expect::Setup
            | Expect::Begin
            | Expect::CopyEnd
            | Expect::Local(_) => return None,
        };
        let mut out = BytesMut::new();
        match backend::put_error_with_name(&mut out, header.tag, self.body(header), ours, theirs) {
            Renamed::Yes => Some(out),
            Renamed::No => None,
        }
    }
}

/// Frames whose body must be read. All are small, or not looked into.
fn must_be_whole(header: Header) -> bool {
    match header.tag {
        b'Z' | b'S' | b'E' => header.total <= LOOK_INTO_MAX,
        b'C' => header.total <= HEADER_LEN + COMMAND_TAG_MAX,
        _ => false,
    }
}
