//! A server connection as its pool keeps it: socket, conversation, unread bytes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::time::Instant;

use bytes::BytesMut;

use super::facts::ServerFacts;
use crate::net::Stream;
use crate::net::buffers::Size;
use crate::net::flow::{Fill, Hope, Outbox, Side, fill, release};
use crate::net::wake_up::WakeUp;
use crate::pool::action::Pooled;
use crate::pool::key::WorkerId;
use crate::protocol::{HEADER_LEN, ReadError, backend, peek_header};
use crate::session::params::{is_settable, with_value};
use crate::session::server_state::ServerState;

/// A logged-in connection to a server.
#[derive(Debug)]
pub struct ServerConn {
    /// The socket.
    pub stream: Stream,
    /// What has been said.
    pub state: ServerState,
    /// Read, but not a whole frame yet.
    pub input: BytesMut,
    /// To be written.
    pub output: Outbox,
    /// For the console and for cancel requests.
    pub facts: Arc<ServerFacts>,
    /// Worker whose reactor the socket is registered with.
    pub home: WorkerId,
    /// When it was connected.
    pub created_at: Instant,
}

/// Largest message that an idle server may send unasked, in bytes.
const HEARD_MAX: usize = 64 << 10;

/// Whether an idle connection can be lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fitness {
    /// It can.
    Fit,
    /// It is dead, or its state is in doubt.
    Unfit,
}

impl Pooled for Box<ServerConn> {
    fn home(&self) -> WorkerId {
        self.home
    }

    fn created_at(&self) -> Instant {
        self.created_at
    }
}

impl ServerConn {
    /// Moves the socket to the current worker. After an error the connection is of no use.
    pub fn rehome(&mut self, worker: WorkerId) -> io::Result<()> {
        self.stream.rehome_here()?;
        self.home = worker;
        Ok(())
    }

    /// Hears what an idle connection's server has said. A changed parameter is taken in, and a
    /// notification is for nobody; anything else, and the end of the connection, makes it unfit.
    ///
    /// Costs no system call while the reactor has seen nothing.
    pub fn hear(&mut self, cx: &mut Context<'_>) -> Fitness {
        loop {
            let mut side = Side {
                stream: &mut self.stream,
                input: &mut self.input,
                output: &mut self.output,
                wake_up: &mut WakeUp::Unknown, // the last time another task may have asked
            };
            match fill(&mut side, Size::Small, Hope::Low, cx) {
                Fill::Pending if self.input.is_empty() => return Fitness::Fit,
                Fill::Pending | Fill::Closed | Fill::Broken(_) => return Fitness::Unfit,
                Fill::Read(_) => {}
            }
            while let Ok(Some(header)) = peek_header(&self.input, HEARD_MAX)
                && self.input.len() >= header.total
            {
                let frame = self.input.split_to(header.total);
                let body = frame.get(HEADER_LEN..).unwrap_or_default();
                match header.tag {
                    b'A' => {}
                    b'S' if self.take_in(body).is_ok() => {}
                    _ => return Fitness::Unfit,
                }
            }
            release(&mut self.input);
        }
    }

    /// A parameter that the server reports outside a client's conversation.
    pub(super) fn take_in(&mut self, body: &[u8]) -> Result<(), ReadError> {
        let (name, value) = backend::parameter_status(body)?;
        if let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value))
            && is_settable(name)
        {
            self.state.params = with_value(&self.state.params, name, value);
        }
        Ok(())
    }

    /// Keeps the numbers for the console up to date.
    pub fn note_prepared(&self) {
        self.facts
            .prepared
            .store(self.state.prepared.len(), Ordering::Relaxed);
    }
}
