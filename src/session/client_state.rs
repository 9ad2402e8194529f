//! Sans-IO. One client's side of the conversation, linked to a server or not.

use std::sync::Arc;

use bytes::BytesMut;

use super::owed::{Expect, Local, ParseFor};
use super::params::ParamSet;
use super::prepared::{ClientStatements, Registry};
use super::routed::Routed;
use super::server_state::Upstream;
use crate::protocol::FrameError;

/// Whether named statements are followed from server to server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tracking {
    /// Names go to the server as they are (session pooling, or `max_prepared_statements = 0`).
    Off,
    /// Each server connection holds at most this many (`max_prepared_statements`).
    On {
        /// Statements per server connection, at least 1.
        limit: usize,
    },
}

/// Whether simple queries are allowed (`disable_pqexec`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SimpleQuery {
    /// They are.
    Allowed,
    /// A simple query ends the connection.
    Disallowed,
}

/// What is left of a frame whose head has been dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// Between frames.
    None,
    /// So many bytes go on to the other side.
    Forward(usize),
    /// So many bytes go nowhere.
    Drop(usize),
}

/// Why the client must be disconnected. The client is to blame for all of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The frame's length is impossible or over `max_packet_size`.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The type is none that a client sends.
    #[error("unknown pkt")]
    UnknownMessage {
        /// The type byte.
        tag: u8,
    },
    /// The body is not what its type says.
    #[error("broken {what} packet")]
    Broken {
        /// Name of the message.
        what: &'static str,
    },
    /// `disable_pqexec` is set.
    #[error("PQexec disallowed")]
    SimpleQueryDisallowed,
    /// A statement's or portal's name is longer than [`MAX_NAME`].
    #[error("name of a statement or portal is longer than {MAX_NAME} bytes")]
    NameTooLong,
    /// A named statement is longer than can be kept.
    #[error("prepared statement of {bytes} bytes is too large, at most {limit} can be kept")]
    StatementTooLarge {
        /// Bytes of the `Parse`.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The client holds too many statements.
    #[error("too many prepared statements, a client can hold {limit}")]
    TooManyStatements {
        /// The limit.
        limit: usize,
    },
}

/// Longest name of a statement or portal, in bytes.
pub const MAX_NAME: usize = 32 << 10;

/// What has been counted since it was last taken (`SHOW STATS`): within one link at most, and 2^32 of
/// anything would last for hours there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Queries answered: one for each `ReadyForQuery`.
    pub queries: u32,
    /// Transactions ended.
    pub transactions: u32,
    /// `Parse` messages from the client.
    pub client_parses: u32,
    /// `Parse` messages to servers.
    pub server_parses: u32,
    /// `Bind` messages.
    pub binds: u32,
    /// `Parse` messages for named statements that nothing was sent for.
    pub local_parses: u32,
    /// Times that a named statement was needed on a server that had it.
    pub statement_hits: u32,
    /// Times that it had to be prepared there first.
    pub statement_misses: u32,
}

/// State of one client after its login.
#[derive(Debug)]
pub struct ClientState {
    /// Values of the tracked parameters as the client knows them.
    pub params: Arc<ParamSet>,
    /// Statements that the client has prepared by name.
    pub statements: ClientStatements,
    /// Counted since last taken.
    pub tally: Tally,
    /// Where buffers come from for what is not passed on as it came, in either direction.
    pub lend: fn() -> BytesMut,
    pub(super) registry: Arc<Registry>,
    /// The unnamed statement as long as it waits for its first `Bind`: what its `Parse` said.
    pub(super) unnamed: Option<Box<[u8]>>,
    pub(super) tracking: Tracking,
    pub(super) simple_query: SimpleQuery,
    pub(super) body: Body,
    pub(super) frame_max: usize,
    /// Where the client's statements are routed: what may go, and what is on trial.
    pub routed: Option<Box<Routed>>,
}

impl ClientState {
    /// A client that has just logged in. `frame_max` is `max_packet_size` in bytes.
    pub fn new(
        params: Arc<ParamSet>,
        registry: Arc<Registry>,
        tracking: Tracking,
        simple_query: SimpleQuery,
        frame_max: usize,
    ) -> Self {
        Self {
            params,
            statements: ClientStatements::default(),
            tally: Tally::default(),
            lend: BytesMut::new,
            registry,
            unnamed: None,
            tracking,
            simple_query,
            body: Body::None,
            frame_max,
            routed: None,
        }
    }

    /// Whether the client is between two frames.
    pub fn is_between_frames(&self) -> bool {
        self.body == Body::None
    }

    /// Whether the client is inside a frame that goes to the server.
    pub fn is_mid_forward(&self) -> bool {
        matches!(self.body, Body::Forward(_))
    }

    /// What that means for the server.
    pub(super) fn upstream(&self) -> Upstream {
        if self.is_mid_forward() {
            Upstream::Partial
        } else {
            Upstream::Whole
        }
    }

    /// `out`, with a buffer where it has none yet.
    pub(super) fn with_buffer<'a>(&self, out: &'a mut BytesMut) -> &'a mut BytesMut {
        if out.capacity() == 0 {
            *out = (self.lend)();
        }
        out
    }

    /// Undoes what the client's map learned from messages that an error has taken with it, which come
    /// newest first.
    pub(super) fn undo(&mut self, dropped: Vec<Expect>) {
        for entry in dropped {
            match entry {
                Expect::Parse(ParseFor::Client(binding))
                | Expect::Local(Local::ParseComplete(binding)) => {
                    self.statements.remove(&binding.name);
                }
                Expect::Local(Local::CloseComplete(Some(binding))) => {
                    // There was room for it before.
                    self.statements.insert(binding);
                }
                Expect::Query
                | Expect::Function
                | Expect::Parse(
                    ParseFor::Raw
                    | ParseFor::Injected(_)
                    | ParseFor::Again
                    | ParseFor::Duplicate(_),
                )
                | Expect::Bind(_)
                | Expect::Describe(_)
                | Expect::Execute
                | Expect::Close(_)
                | Expect::Sync
                | Expect::MaybeSync
                | Expect::ProbeSync
                | Expect::Probe
                | Expect::Setup
                | Expect::Begin
                | Expect::CopyEnd
                | Expect::Local(Local::CloseComplete(None)) => {}
            }
        }
    }
}
