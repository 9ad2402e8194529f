//! Sans-IO. Moves a server's bytes to its client, and learns from them what the server still owes.
//!
//! Invariant: a byte that answers the client leaves exactly as it came, except a statement's name in
//! an error; a byte that answers something of ours never leaves.

use std::sync::Arc;

use bytes::{Buf, BytesMut};

use super::client_state::{Body, ClientState, Tracking};
use super::from_client::{body_left, put_local};
use super::owed::{Expect, ParseFor};
use super::params::{ParamSet, is_settable, setup_sql, with_value};
use super::prepared::PREFIX;
use super::server_state::{Deliver, OutOfSync, ServerState};
use crate::protocol::{
    HEADER_LEN, Header, TransactionStatus, backend, frame::MAX_FRAME, frontend, peek_header, reply,
};

/// Errors and parameter values above this size are not looked into, in bytes.
const LOOK_INTO_MAX: usize = 64 << 10;

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
    if Arc::ptr_eq(&client.params, &server.params) {
        return Link::Ready;
    }
    let Some(sql) = setup_sql(&client.params, &server.params) else {
        client.params = Arc::clone(&server.params); // equal: the next comparison is a pointer's
        return Link::Ready;
    };
    server.sent_closing(Expect::Setup);
    frontend::put_query(to_server, &sql);
    Link::Setup
}

/// Sends the empty query whose reply shows whether an uncertain `Sync` was answered.
pub fn probe(server: &mut ServerState, to_server: &mut BytesMut) {
    server.sent_closing(Expect::Probe);
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
    outcome
}

struct Pump<'a> {
    client: &'a mut ClientState,
    server: &'a mut ServerState,
    input: &'a mut BytesMut,
    to_client: &'a mut BytesMut,
    run: usize,
}

impl Pump<'_> {
    fn work(&mut self) -> Result<(), OutOfSync> {
        while self.finish_body() {
            self.answer_locals();
            let peeked = peek_header(self.rest(), MAX_FRAME);
            let tag = self.rest().first().copied().unwrap_or_default();
            let Some(header) = peeked.map_err(|_| OutOfSync::Malformed { tag })? else {
                break;
            };
            if self.must_be_whole(header) && self.rest().len() < header.total {
                break;
            }
            self.server.body = match self.frame(header)? {
                Some(Deliver::ToClient) => Body::Forward(self.with_alike(header)),
                Some(Deliver::Nowhere) => Body::Drop(header.total),
                None => Body::None, // taken already
            };
        }
        Ok(())
    }

    fn rest(&self) -> &[u8] {
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
                self.input.advance(now);
                self.server.body = body_left(left - now, Body::Drop);
                left <= available
            }
        }
    }

    fn flush_run(&mut self) {
        if self.run == 0 {
            return;
        }
        if self.run == self.input.len() && self.to_client.is_empty() {
            std::mem::swap(self.input, self.to_client);
        } else {
            self.to_client
                .extend_from_slice(self.input.split_at(self.run).0);
            self.input.advance(self.run);
        }
        self.run = 0;
    }

    fn answer_locals(&mut self) {
        while let Some(local) = self.server.owed_mut().pop_local() {
            self.flush_run();
            put_local(self.to_client, &local);
        }
    }

    /// Frames whose body must be read. All are small, or not looked into, or refused by their length.
    fn must_be_whole(&self, header: Header) -> bool {
        match header.tag {
            b'Z' | b'S' | b'E' => header.total <= LOOK_INTO_MAX,
            b'C' => header.total <= HEADER_LEN + b"DEALLOCATE ALL\0".len(),
            _ => false,
        }
    }

    fn body(&self, header: Header) -> &[u8] {
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
                Some(Expect::Setup | Expect::Probe) => Deliver::Nowhere,
                Some(_) | None => Deliver::ToClient,
            })),
            tag => self.server.received(tag).map(Some),
        }
    }

    /// Bytes of this frame and, if it is a row or copy data, of those of its kind right behind it:
    /// from one to the next nothing changes.
    fn with_alike(&self, header: Header) -> usize {
        let mut end = header.total;
        if !matches!(header.tag, b'D' | b'd') {
            return end;
        }
        while let Some(rest) = self.rest().get(end..)
            && let Ok(Some(next)) = peek_header(rest, MAX_FRAME)
            && next.tag == header.tag
        {
            end += next.total;
        }
        end
    }

    fn ready(&mut self, header: Header) -> Result<Option<Deliver>, OutOfSync> {
        let malformed = OutOfSync::Malformed { tag: header.tag };
        let &[byte] = self.body(header) else {
            return Err(malformed);
        };
        let status = TransactionStatus::from_byte(byte).ok_or(malformed)?;
        let setup = self.server.is_in_setup();
        let deliver = self.server.ready(status)?;
        if setup {
            self.adopt_parameters();
        }
        if deliver == Deliver::ToClient {
            self.client.tally.queries += 1;
            self.client.tally.transactions += u64::from(status == TransactionStatus::Idle);
        }
        Ok(Some(deliver))
    }

    /// After our settings the server's spelling is the right one; the client hears what differs. What
    /// the server does not report is what we have set.
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
        for (name, value) in self.client.params.iter() {
            if self.server.params.value(name).is_none() {
                settled.set(name, value);
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
            return Ok(Deliver::ToClient); // not text that could be set again
        };
        if is_settable(name) {
            let shared = Arc::ptr_eq(&self.client.params, &self.server.params);
            let server = with_value(&self.server.params, name, value);
            if !setup {
                self.client.params = match shared {
                    true => Arc::clone(&server),
                    false => with_value(&self.client.params, name, value),
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

    /// `DISCARD ALL` and `DEALLOCATE ALL` take the prepared statements with them.
    fn command_complete(&mut self, header: Header) -> Result<Deliver, OutOfSync> {
        let deliver = self.server.received(header.tag)?;
        let (statements, settings) = match self.body(header) {
            b"DISCARD ALL\0" => (true, true),
            b"DEALLOCATE ALL\0" => (true, false),
            b"RESET\0" => (false, true),
            _ => return Ok(deliver),
        };
        if statements {
            self.client.statements.clear();
            // What was sent behind it will be prepared again when the server gets there.
            for (name, statement) in self.server.restore_pending() {
                self.client.statements.insert(&name, statement);
            }
        }
        if settings {
            self.server.forget_unreported();
        }
        Ok(deliver)
    }

    fn error(&mut self, header: Header) -> Result<Option<Deliver>, OutOfSync> {
        let patched = self.patch_name(header);
        let dropped = self.server.failed()?;
        self.client.undo(dropped);
        if let Some(patched) = patched {
            self.flush_run();
            self.to_client.extend_from_slice(&patched);
            self.input.advance(header.total);
            return Ok(None);
        }
        Ok(Some(Deliver::ToClient))
    }

    /// The error with the client's name of a statement in place of ours.
    fn patch_name(&self, header: Header) -> Option<BytesMut> {
        if self.client.tracking == Tracking::Off || header.total > LOOK_INTO_MAX {
            return None;
        }
        let body = self.body(header);
        let at = memchr::memmem::find(body, PREFIX.as_bytes())?;
        let tail = body.get(at..)?;
        let digits = tail
            .iter()
            .skip(PREFIX.len())
            .take_while(|c| c.is_ascii_digit())
            .count();
        let ours = tail.get(..PREFIX.len() + digits)?;
        let theirs = match self.server.owed().front() {
            Some(Expect::Parse(ParseFor::Duplicate(name))) => Some(&**name),
            Some(Expect::Parse(ParseFor::Client(binding))) => Some(&*binding.name),
            Some(_) | None => self.client.statements.name_of(ours),
        }?;
        let mut out = BytesMut::new();
        backend::put_error_with_name(&mut out, header.tag, body, ours, theirs);
        Some(out)
    }
}
