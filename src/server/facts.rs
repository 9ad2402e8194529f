//! What others may know about one server connection: the console, a cancel request.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use super::connect::Target;
use crate::ids::ConnId;
use crate::net::Peer;
use crate::pool::key::SlotId;
use crate::protocol::cancel_key;

/// Facts that stay as they are, and a few numbers that its owner keeps up to date.
pub struct ServerFacts {
    /// Its number (`SHOW SERVERS`, column `id`).
    pub id: ConnId,
    /// Name of the database entry.
    pub database: Arc<str>,
    /// User that logged in to the server.
    pub user: Arc<str>,
    /// The other end of the socket.
    pub peer: Option<Peer>,
    /// How it was reached, for a cancel request.
    pub target: Target,
    /// Host part of the peer for the console.
    pub peer_host: String,
    /// Port of the peer, 0 where unknown.
    pub peer_port: u16,
    /// Local address of a TCP connection.
    pub local: Option<std::net::SocketAddr>,
    /// When it was connected.
    pub connected_at: SystemTime,
    /// TLS version and cipher, empty without TLS.
    pub tls: String,
    /// Process id and secret for cancel requests.
    pub key: Vec<u8>,
    /// Its place in the pool, once it has been lent for the first time.
    pub slot: OnceLock<SlotId>,
    /// Client that has it, 0 for none.
    pub link: AtomicU64,
    /// When it last got a request, in microseconds since the process began.
    pub request_us: AtomicU64,
    /// Statements that it has prepared.
    pub prepared: AtomicUsize,
}

impl ServerFacts {
    /// Process id of the backend, 0 where the server gave none.
    pub fn backend_pid(&self) -> i32 {
        cancel_key::process_id(&self.key).unwrap_or_default()
    }

    /// The client that has it.
    pub fn linked_client(&self) -> Option<ConnId> {
        match self.link.load(Ordering::Relaxed) {
            0 => None,
            id => Some(ConnId(id)),
        }
    }
}

impl fmt::Debug for ServerFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the key: it cancels queries.
        f.debug_struct("ServerFacts")
            .field("id", &self.id)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
