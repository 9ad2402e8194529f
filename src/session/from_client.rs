//! Sans-IO. Moves a client's bytes towards its server: forwards, renames, answers, or asks for a server.
//!
//! Runs of frames that need no care go on as they came, in one piece. Not here: statements
//! (`from_client_statements`), which server (`client`), what comes back (`from_server`).

use bytes::{Buf, BytesMut};

use super::client_state::{Body, ClientError, ClientState, SimpleQuery};
use super::from_client_calls::Whole;
use super::owed::{Expect, Local};
use super::routed::Gate;
use super::server_state::ServerState;
use crate::protocol::{HEADER_LEN, Header, TransactionStatus, peek_header, reply};

/// What the client's bytes have led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FromClient {
    /// Everything that could be done is done; more bytes are needed.
    Drained,
    /// The next frame must wait for replies to what was sent before it; it is still in the input.
    Wait,
    /// The next frame needs a server; it is still in the input.
    NeedServer,
    /// Somebody must say whether the next frame may go to this server; it is still in the input.
    Gate,
    /// The client said goodbye.
    Terminated,
}

/// Where the bytes are.
#[derive(Debug)]
pub struct ClientBytes<'a> {
    /// What the client sent; what stays in it has not been dealt with.
    pub input: &'a mut BytesMut,
    /// What goes to the server.
    pub to_server: &'a mut BytesMut,
    /// Replies of ours to the client.
    pub to_client: &'a mut BytesMut,
}

/// Works through `bytes.input`. Without a `server`, only what pgweir can answer itself is answered.
pub fn from_client(
    client: &mut ClientState,
    server: Option<&mut ServerState>,
    bytes: ClientBytes<'_>,
) -> Result<FromClient, ClientError> {
    if client.routed.is_none() || server.is_none() {
        return ungated(client, server, bytes);
    }
    gated(client, server, bytes)
}

/// The client's statements are routed: no more than what was granted goes to this server.
fn gated(
    client: &mut ClientState,
    server: Option<&mut ServerState>,
    bytes: ClientBytes<'_>,
) -> Result<FromClient, ClientError> {
    let leaves = client.is_between_frames() && bytes.input.first() == Some(&b'X');
    let granted = match client.routed.as_deref().map(|routed| routed.gate) {
        Some(Gate::Bytes(granted)) if !leaves => granted,
        Some(Gate::More(seen)) if !leaves && bytes.input.len() <= seen => {
            return Ok(FromClient::Drained);
        }
        Some(Gate::More(_)) if !leaves => 0,
        Some(Gate::Shut) if !leaves => {
            // What has gone before has begun a transaction: what comes next cannot be for another.
            let inside = server.is_some_and(|s| s.is_quiet() && !s.is_at_rest());
            return Ok(if inside {
                FromClient::Gate
            } else {
                FromClient::Wait
            });
        }
        Some(Gate::Bytes(_) | Gate::More(_) | Gate::Shut) | None => {
            return ungated(client, server, bytes);
        }
    };
    if granted == 0 {
        return Ok(if bytes.input.is_empty() {
            FromClient::Drained
        } else {
            FromClient::Gate
        });
    }
    let ClientBytes {
        input,
        to_server,
        to_client,
    } = bytes;
    // What is behind the gate is put aside. As a rule that is nothing.
    let behind = input.get(granted..).filter(|behind| !behind.is_empty());
    let behind = behind.map(BytesMut::from);
    input.truncate(granted);
    let before = input.len();
    let reborrowed = ClientBytes {
        input: &mut *input,
        to_server,
        to_client,
    };
    let outcome = ungated(client, server, reborrowed);
    let passed = before - input.len();
    if let Some(routed) = client.routed.as_deref_mut() {
        routed.passed(passed);
    }
    let Some(behind) = behind else {
        return outcome;
    };
    input.extend_from_slice(&behind);
    match outcome {
        Ok(FromClient::Drained) => Ok(FromClient::Gate),
        outcome => outcome,
    }
}

#[inline]
fn ungated(
    client: &mut ClientState,
    server: Option<&mut ServerState>,
    bytes: ClientBytes<'_>,
) -> Result<FromClient, ClientError> {
    let mut pump = Pump {
        client,
        server,
        bytes,
        run: 0,
    };
    let outcome = pump.work();
    pump.flush_run();
    if let Some(server) = pump.server {
        server.upstream = pump.client.upstream();
    }
    outcome
}

/// What to do after one frame.
pub(super) enum Next {
    Frame,
    Stop(FromClient),
}

/// One call's work.
pub(super) struct Pump<'a> {
    pub(super) client: &'a mut ClientState,
    pub(super) server: Option<&'a mut ServerState>,
    pub(super) bytes: ClientBytes<'a>,
    /// Bytes at the start of the input that go on as they are.
    pub(super) run: usize,
}

impl Pump<'_> {
    fn work(&mut self) -> Result<FromClient, ClientError> {
        loop {
            if !self.finish_body() {
                return Ok(FromClient::Drained);
            }
            let Some(header) = peek_header(self.rest(), self.client.frame_max)? else {
                return Ok(FromClient::Drained);
            };
            if self.must_wait(header) {
                return Ok(FromClient::Wait);
            }
            if let Next::Stop(outcome) = self.frame(header)? {
                return Ok(outcome);
            }
        }
    }

    /// A goodbye waits for replies that are sure to come: what was asked for is done, as `PostgreSQL`
    /// does it, and not thrown away with the connection.
    fn must_wait(&self, header: Header) -> bool {
        self.server.as_ref().is_some_and(|server| match header.tag {
            b'X' => server.will_answer(),
            _ => server.holds_client(),
        })
    }

    /// The input behind the run.
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.input.split_at(self.run).1
    }

    /// Deals with what has arrived of a frame's body. False where more must come.
    fn finish_body(&mut self) -> bool {
        let available = self.rest().len();
        match self.client.body {
            Body::None => true,
            Body::Forward(left) => {
                let now = left.min(available);
                self.run += now;
                self.client.body = body_left(left - now, Body::Forward);
                left <= available
            }
            Body::Drop(left) => {
                let now = left.min(available);
                self.flush_run();
                skip(self.bytes.input, now);
                self.client.body = body_left(left - now, Body::Drop);
                left <= available
            }
        }
    }

    /// Sends the run on. Where it is the whole input and nothing waits before it, no byte is copied.
    pub(super) fn flush_run(&mut self) {
        if self.run == 0 {
            return;
        }
        if self.run == self.bytes.input.len() && self.bytes.to_server.is_empty() {
            std::mem::swap(self.bytes.input, self.bytes.to_server);
        } else {
            let out = self.client.with_buffer(self.bytes.to_server);
            out.extend_from_slice(self.bytes.input.split_at(self.run).0);
            skip(self.bytes.input, self.run);
        }
        self.run = 0;
    }

    /// Where messages to the server are written that are not the client's own bytes.
    pub(super) fn out(&mut self) -> &mut BytesMut {
        self.client.with_buffer(self.bytes.to_server)
    }

    /// Where our own replies go: behind those that are held back, if any are.
    fn reply(&mut self) -> &mut BytesMut {
        if self.server.is_some() && self.client.holds_replies() {
            let routed = self.client.routed.as_deref_mut();
            return routed.expect("only it holds replies").held();
        }
        self.client.with_buffer(self.bytes.to_client)
    }

    fn frame(&mut self, header: Header) -> Result<Next, ClientError> {
        let skipping = self
            .server
            .as_ref()
            .is_some_and(|server| server.is_skipping());
        match header.tag {
            b'X' => return Ok(Next::Stop(FromClient::Terminated)),
            b'S' => self.sync(header),
            b'Q' | b'F' | b'P' | b'B' | b'D' | b'E' | b'C' | b'H' | b'd' | b'c' | b'f'
                if skipping =>
            {
                // The server would ignore it until the next Sync.
                self.client.body = Body::Drop(header.total);
            }
            b'Q' => return self.query(header),
            b'F' => return Ok(self.closing(header, Expect::Function)),
            b'P' => return self.parse(header),
            b'B' => return self.bind(header),
            b'D' => return self.describe(header),
            b'C' => return self.close(header),
            b'E' => return Ok(self.execute(header)),
            b'H' | b'd' => self.forward_or_drop(header),
            b'c' | b'f' => {
                if let Some(server) = self.server.as_mut() {
                    server.sent_copy_end();
                }
                self.forward_or_drop(header);
            }
            tag => return Err(ClientError::UnknownMessage { tag }),
        }
        Ok(Next::Frame)
    }

    fn forward(&mut self, header: Header) {
        self.client.body = Body::Forward(header.total);
    }

    /// Copy data and `Flush` without a server come late, after an error: the server would ignore them.
    fn forward_or_drop(&mut self, header: Header) {
        self.client.body = match self.server {
            Some(_) => Body::Forward(header.total),
            None => Body::Drop(header.total),
        };
    }

    /// A message that `ReadyForQuery` answers.
    fn closing(&mut self, header: Header, entry: Expect) -> Next {
        let Some(server) = self.server.as_mut() else {
            return Next::Stop(FromClient::NeedServer);
        };
        server.sent_closing(entry);
        self.forward(header);
        Next::Frame
    }

    fn query(&mut self, header: Header) -> Result<Next, ClientError> {
        if self.client.simple_query == SimpleQuery::Disallowed {
            return Err(ClientError::SimpleQueryDisallowed);
        }
        if self.text_is_there(header) == Whole::More {
            return Ok(Next::Stop(FromClient::Drained));
        }
        let next = self.closing(header, Expect::Query);
        if matches!(next, Next::Frame) {
            self.client.unnamed = None; // a simple query drops the unnamed statement
            self.note_query(header);
        }
        Ok(next)
    }

    fn execute(&mut self, header: Header) -> Next {
        if self.text_is_there(header) == Whole::More {
            return Next::Stop(FromClient::Drained);
        }
        let next = self.extended(header, Expect::Execute);
        if matches!(next, Next::Frame) {
            self.note_execute(header);
        }
        next
    }

    pub(super) fn extended(&mut self, header: Header, entry: Expect) -> Next {
        let Some(server) = self.server.as_mut() else {
            return Next::Stop(FromClient::NeedServer);
        };
        server.sent_extended(entry);
        self.forward(header);
        Next::Frame
    }

    fn sync(&mut self, header: Header) {
        match self.server.as_mut() {
            None => {
                self.client.body = Body::Drop(header.total);
                reply::ready_for_query(self.reply(), TransactionStatus::Idle);
            }
            Some(server) => {
                server.sent_sync();
                self.forward(header);
            }
        }
    }

    /// Takes a whole frame out of the input, after sending on what stands before it.
    pub(super) fn take_frame(&mut self, header: Header) {
        self.flush_run();
        skip(self.bytes.input, header.total);
    }

    /// Our own reply: at once where nothing is owed before it and no frame is half sent.
    pub(super) fn answer(&mut self, local: Local) {
        match self.server.as_mut() {
            Some(server) if !server.owed().is_empty() || server.body != Body::None => {
                server.owed_mut().push(Expect::Local(local));
            }
            Some(_) | None => put_local(self.reply(), &local),
        }
    }

    /// The frame's body where all of it is there.
    pub(super) fn whole(&self, header: Header) -> Option<&[u8]> {
        self.rest().get(HEADER_LEN..header.total)
    }
}

/// Takes bytes off an input. One that is emptied keeps its whole buffer.
#[inline]
pub fn skip(input: &mut BytesMut, count: usize) {
    if count == input.len() {
        input.clear();
    } else {
        input.advance(count);
    }
}

/// Writes a reply of ours.
pub(super) fn put_local(out: &mut BytesMut, local: &Local) {
    match local {
        Local::ParseComplete(_) => reply::parse_complete(out),
        Local::CloseComplete(_) => reply::close_complete(out),
    }
}

pub(super) fn body_left(left: usize, body: fn(usize) -> Body) -> Body {
    if left == 0 { Body::None } else { body(left) }
}
