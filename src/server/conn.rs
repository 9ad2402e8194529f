//! A server connection as its pool keeps it: socket, conversation, unread bytes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::BytesMut;

use super::facts::ServerFacts;
use crate::net::Stream;
use crate::net::flow::Outbox;
use crate::pool::{Pooled, WorkerId};
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

impl Pooled for Box<ServerConn> {
    fn home(&self) -> WorkerId {
        self.home
    }

    fn created_at(&self) -> Instant {
        self.created_at
    }
}

impl ServerConn {
    /// Moves the socket to the current worker, unless it is there.
    pub fn rehome(self: Box<Self>, worker: WorkerId) -> io::Result<Box<Self>> {
        if self.home == worker {
            return Ok(self);
        }
        let conn = *self;
        let stream = conn.stream.rehome()?;
        Ok(Box::new(Self {
            stream,
            home: worker,
            ..conn
        }))
    }

    /// Keeps the numbers for the console up to date.
    pub fn note_prepared(&self) {
        self.facts
            .prepared
            .store(self.state.prepared.len(), Ordering::Relaxed);
    }
}
