//! What others may know about one client: the console, a cancel request, an administrator's order.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::SystemTime;

use tokio::sync::Notify;

use super::control::Control;
use crate::ids::ConnId;
use crate::net::Peer;
use crate::protocol::startup::Replication;

/// Where a client is in its life (`SHOW CLIENTS`, column `state`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Logging in.
    Login,
    /// Logged in, without a server.
    Idle,
    /// In a pool's queue.
    Waiting,
    /// With a server.
    Active,
}

/// In the order of their declaration, which is the number of each.
const PHASES: [Phase; 4] = [Phase::Login, Phase::Idle, Phase::Waiting, Phase::Active];

/// Facts that stay as they are, and what its task keeps up to date.
pub struct ClientFacts {
    /// What it was let in as.
    pub card: ClientCard,
    /// Orders from outside.
    pub control: Control,
    /// A cancel request has come for it; only the console listens to this.
    console: Option<Arc<Notify>>,
    phase: AtomicU8,
    server: AtomicU64, // 0: none
    /// When it last sent a request, in microseconds since the process began.
    pub request_us: AtomicU64,
    /// When it began to wait, in microseconds since the process began.
    pub wait_us: AtomicU64,
    /// Statements that it has prepared.
    pub prepared: AtomicU32,
}

/// What is known of a client when it is let in.
#[derive(Debug, Clone)]
pub struct ClientCard {
    /// Its number (`SHOW CLIENTS`, column `id`).
    pub id: ConnId,
    /// Database that it asked for.
    pub database: Arc<str>,
    /// User that it logged in as.
    pub user: Arc<str>,
    /// User of its pool: the forced user, or its own.
    pub pool_user: Arc<str>,
    /// The other end.
    pub peer: Option<Peer>,
    /// Port in the name of the unix socket.
    pub listen_port: u16,
    /// Local address of a TCP connection.
    pub local: Option<SocketAddr>,
    /// When it connected.
    pub connected_at: SystemTime,
    /// TLS version and cipher, empty without TLS.
    pub tls: Box<str>,
    /// `application_name` at login.
    pub application_name: Arc<str>,
    /// Kind of connection.
    pub replication: Replication,
}

impl ClientCard {
    /// Host part of the peer, as the console prints it.
    pub fn peer_host(&self) -> String {
        match self.peer {
            Some(Peer::Tcp(address)) => address.ip().to_string(),
            Some(Peer::Unix { .. }) => "unix".to_owned(),
            None => "unknown".to_owned(),
        }
    }

    /// Port of the peer; 0 where unknown.
    pub fn peer_port(&self) -> u16 {
        match self.peer {
            Some(Peer::Tcp(address)) => address.port(),
            Some(Peer::Unix { .. }) => self.listen_port,
            None => 0,
        }
    }

    /// Process id of the peer on a unix socket.
    pub fn peer_pid(&self) -> Option<i32> {
        match self.peer {
            Some(Peer::Unix { pid, .. }) => pid,
            Some(Peer::Tcp(_)) | None => None,
        }
    }
}

impl ClientFacts {
    /// Facts of a client that is logging in.
    pub fn new(card: ClientCard) -> Self {
        Self {
            card,
            control: Control::default(),
            console: None,
            phase: AtomicU8::new(0),
            server: AtomicU64::new(0),
            request_us: AtomicU64::new(0),
            wait_us: AtomicU64::new(0),
            prepared: AtomicU32::new(0),
        }
    }

    /// Facts of a client of the console, and what it is told by when a cancel request comes for it.
    pub fn of_console(card: ClientCard) -> (Self, Arc<Notify>) {
        let cancelled = Arc::new(Notify::new());
        let facts = Self {
            console: Some(Arc::clone(&cancelled)),
            ..Self::new(card)
        };
        (facts, cancelled)
    }

    /// A cancel request has come for it.
    pub fn cancel(&self) {
        if let Some(console) = &self.console {
            console.notify_waiters();
        }
    }

    /// Where it is in its life.
    pub fn phase(&self) -> Phase {
        let number = usize::from(self.phase.load(Ordering::Relaxed));
        PHASES.get(number).copied().unwrap_or(Phase::Login)
    }

    /// It has come to another part of its life.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// The server that it has. It may have given it back since.
    pub fn server(&self) -> Option<ConnId> {
        match self.server.load(Ordering::Relaxed) {
            0 => None,
            id => Some(ConnId(id)),
        }
    }

    /// It has got a server, or (`None`) is about to give it back.
    pub fn has_server(&self, server: Option<ConnId>) {
        self.server
            .store(server.map_or(0, |id| id.0), Ordering::Relaxed);
    }
}

impl fmt::Debug for ClientFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientFacts")
            .field("card", &self.card)
            .finish_non_exhaustive()
    }
}
