//! Sans-IO. One server connection's side of the conversation.
//!
//! Knows what the server owes, its transaction status, its parameters and its prepared statements.
//! Not here: moving bytes (`from_client`, `from_server`). Invariant: `is_at_rest` only when another
//! client could take the connection and see nothing of this one.

use std::sync::Arc;

use super::client_state::Body;
use super::owed::{CloseFor, CopyTail, Expect, Owed, ParseFor, SyncSent};
use super::params::ParamSet;
use super::prepared::{ServerStatements, Statement};
use crate::protocol::TransactionStatus;

/// What happens to a frame from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deliver {
    /// The client gets the original bytes.
    ToClient,
    /// It answers something of ours.
    Nowhere,
}

/// A reply that does not fit what the server owes. The connection must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutOfSync {
    /// The type does not answer the first entry.
    #[error("server sent 0x{tag:02x} while it owed {expected}")]
    Unexpected {
        /// Message type.
        tag: u8,
        /// What was owed.
        expected: &'static str,
    },
    /// The body could not be read.
    #[error("server sent a malformed message of type 0x{tag:02x}")]
    Malformed {
        /// Message type.
        tag: u8,
    },
    /// The server refused our parameter settings.
    #[error("invalid server parameter")]
    SetupRefused,
}

/// Why a connection can never go back to the pool, although the client may go on using it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The server sent an error that nobody had asked for: it is about to close.
    Dying,
    /// A copy in both directions (replication) was started.
    CopyBoth,
    /// Messages were mixed into a copy.
    StrangeCopy,
}

/// Copy from the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CopyIn {
    None,
    /// The server reads copy data; it ignores, or has ignored, so many `Sync`s.
    Open {
        syncs: usize,
    },
    /// The client has ended it, the server has not confirmed yet.
    Ended {
        syncs: usize,
    },
}

/// Whether the server's transaction may hold work that only a `Sync` ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Batch {
    /// The last message sent ended the implicit transaction, or none was sent.
    Closed,
    /// Extended messages were sent without `Sync` yet.
    Open,
}

/// State of one server connection.
#[derive(Debug)]
pub struct ServerState {
    owed: Owed,
    status: TransactionStatus,
    batch: Batch,
    skipping: bool,
    copy: CopyIn,
    doubt: Option<Doubt>,
    pub(super) body: Body,
    reported: Arc<ParamSet>,
    /// Values of the tracked parameters as the server reported them.
    pub params: Arc<ParamSet>,
    /// Statements that the server holds under our names.
    pub prepared: ServerStatements,
}

impl ServerState {
    /// A connection that has just logged in.
    pub fn new(params: Arc<ParamSet>) -> Self {
        Self {
            owed: Owed::default(),
            status: TransactionStatus::Idle,
            batch: Batch::Closed,
            skipping: false,
            copy: CopyIn::None,
            doubt: None,
            body: Body::None,
            reported: Arc::clone(&params),
            params,
            prepared: ServerStatements::default(),
        }
    }

    /// Status of the last `ReadyForQuery`.
    pub fn status(&self) -> TransactionStatus {
        self.status
    }

    /// What is owed.
    pub fn owed(&self) -> &Owed {
        &self.owed
    }

    /// What is owed, to add a reply of ours.
    pub(super) fn owed_mut(&mut self) -> &mut Owed {
        &mut self.owed
    }

    /// Why the connection must not be used again, if so.
    pub fn doubt(&self) -> Option<Doubt> {
        self.doubt
    }

    /// Nothing is owed, no work is open, nothing is doubtful.
    pub fn is_quiet(&self) -> bool {
        self.owed.is_empty()
            && self.batch == Batch::Closed
            && !self.skipping
            && self.copy == CopyIn::None
            && self.doubt.is_none()
            && self.body == Body::None
    }

    /// Quiet, and outside a transaction block.
    pub fn is_at_rest(&self) -> bool {
        self.is_quiet() && self.status == TransactionStatus::Idle
    }

    /// Whether the server ignores everything up to the next `Sync`, as far as we know already.
    pub fn is_skipping(&self) -> bool {
        self.skipping
    }

    /// Whether the server is reading copy data, as far as we know already.
    pub fn is_copy_in(&self) -> bool {
        matches!(self.copy, CopyIn::Open { .. })
    }

    /// Whether our settings are still under way, so that the client's data must wait.
    pub fn is_in_setup(&self) -> bool {
        matches!(self.owed.front(), Some(Expect::Setup))
    }

    /// Whether a probe must be sent to settle what is owed.
    pub fn needs_probe(&self) -> bool {
        self.owed.is_uncertain() && !self.skipping && self.batch == Batch::Closed
    }

    /// A message that ends the implicit transaction is sent: `Query`, `FunctionCall`, `Sync`, ours.
    pub fn sent_closing(&mut self, entry: Expect) {
        if matches!(entry, Expect::Sync) {
            self.skipping = false;
        }
        self.batch = Batch::Closed;
        self.owed.push(entry);
    }

    /// A message of the extended protocol is sent.
    pub fn sent_extended(&mut self, entry: Expect) {
        self.batch = Batch::Open;
        self.owed.push(entry);
    }

    /// `CopyDone` or `CopyFail` is sent.
    pub fn sent_copy_end(&mut self) {
        match self.copy {
            CopyIn::Open { syncs } => self.copy = CopyIn::Ended { syncs },
            CopyIn::None | CopyIn::Ended { .. } if !self.owed.is_empty() => {
                self.owed.push(Expect::CopyEnd);
            }
            CopyIn::None | CopyIn::Ended { .. } => {}
        }
    }

    /// A frame other than `ReadyForQuery`, an error or an asynchronous message came.
    pub fn received(&mut self, tag: u8) -> Result<Deliver, OutOfSync> {
        self.owed.drop_maybe_syncs();
        let Some(front) = self.owed.front() else {
            return Err(OutOfSync::Unexpected {
                tag,
                expected: "nothing",
            });
        };
        match (tag, front) {
            (b'D' | b'd' | b'H' | b'c', Expect::Query | Expect::Execute)
            | (b'T' | b'C' | b'I', Expect::Query)
            | (b't', Expect::Describe)
            | (b'V', Expect::Function) => Ok(Deliver::ToClient),
            (b'T' | b'n', Expect::Describe)
            | (b's' | b'I', Expect::Execute)
            | (b'2', Expect::Bind)
            | (b'3', Expect::Close(CloseFor::Raw)) => Ok(self.answered()),
            (b'C', Expect::Execute) => {
                self.copy = CopyIn::None;
                Ok(self.answered())
            }
            (b'1', Expect::Parse(_)) => Ok(self.parse_complete()),
            (b'3', Expect::Close(CloseFor::Evicted(_))) => {
                self.owed.pop();
                Ok(Deliver::Nowhere)
            }
            (b'G', Expect::Query | Expect::Execute) => Ok(self.copy_in_begins()),
            (b'W', Expect::Query | Expect::Execute) => {
                self.doubt = Some(Doubt::CopyBoth);
                Ok(Deliver::ToClient)
            }
            (b'T' | b'D' | b'C' | b'I', Expect::Setup) | (b'I', Expect::Probe) => {
                Ok(Deliver::Nowhere)
            }
            (_, other) => Err(OutOfSync::Unexpected {
                tag,
                expected: other.name(),
            }),
        }
    }

    fn answered(&mut self) -> Deliver {
        self.owed.pop();
        Deliver::ToClient
    }

    fn parse_complete(&mut self) -> Deliver {
        match self.owed.pop() {
            Some(Expect::Parse(ParseFor::Injected(statement))) => {
                statement.accept();
                Deliver::Nowhere
            }
            Some(Expect::Parse(ParseFor::Client(binding))) => {
                binding.statement.accept();
                Deliver::ToClient
            }
            _ => Deliver::ToClient,
        }
    }

    fn copy_in_begins(&mut self) -> Deliver {
        let (syncs, tail) = self.owed.begin_copy_in();
        self.copy = match tail {
            CopyTail::Open => CopyIn::Open { syncs },
            CopyTail::Ended => CopyIn::Ended { syncs },
            CopyTail::Strange => {
                self.doubt = Some(Doubt::StrangeCopy);
                CopyIn::Open { syncs }
            }
        };
        Deliver::ToClient
    }

    /// `ReadyForQuery` came.
    pub fn ready(&mut self, status: TransactionStatus) -> Result<Deliver, OutOfSync> {
        let deliver = match self.owed.front() {
            Some(Expect::Query | Expect::Function | Expect::Sync) => self.answered(),
            Some(Expect::Setup | Expect::Probe) => {
                self.owed.pop();
                Deliver::Nowhere
            }
            Some(Expect::MaybeSync) => {
                self.owed.answer_maybe_sync();
                self.skipping = false;
                Deliver::ToClient
            }
            other => {
                let expected = other.map_or("nothing", Expect::name);
                return Err(OutOfSync::Unexpected {
                    tag: b'Z',
                    expected,
                });
            }
        };
        self.copy = CopyIn::None;
        self.status = status;
        Ok(deliver)
    }

    /// `ErrorResponse` came: what it takes with it, newest first.
    pub fn failed(&mut self) -> Result<Vec<Expect>, OutOfSync> {
        if !self.owed.is_uncertain() {
            self.owed.drop_maybe_syncs();
        }
        let syncs = match std::mem::replace(&mut self.copy, CopyIn::None) {
            CopyIn::None => 0,
            CopyIn::Open { syncs } | CopyIn::Ended { syncs } => syncs,
        };
        match self.owed.front() {
            None | Some(Expect::MaybeSync) => {
                self.doubt = Some(Doubt::Dying);
                Ok(Vec::new())
            }
            Some(Expect::Setup | Expect::Probe) => Err(OutOfSync::SetupRefused),
            Some(Expect::Query | Expect::Function | Expect::Sync) => {
                self.owed.insert_maybe_syncs(1, syncs);
                Ok(Vec::new())
            }
            Some(
                Expect::Parse(_)
                | Expect::Bind
                | Expect::Describe
                | Expect::Execute
                | Expect::Close(_)
                | Expect::CopyEnd
                | Expect::Local(_),
            ) => Ok(self.failed_batch(syncs)),
        }
    }

    /// The server has dropped all its statements: what was sent behind that will be prepared when it
    /// gets there. Returns the client's names among them.
    pub(super) fn restore_pending(&mut self) -> Vec<(Box<[u8]>, Arc<Statement>)> {
        let mut named = Vec::new();
        self.prepared.clear();
        for (name, statement) in self.owed.pending_parses() {
            self.prepared.restore(Arc::clone(statement));
            named.extend(name.map(|name| (name.into(), Arc::clone(statement))));
        }
        named
    }

    /// The session went back to its defaults: the server says so for what it reports, the rest must
    /// be set again for whoever has set it.
    pub(super) fn forget_unreported(&mut self) {
        let names: Vec<_> = self
            .params
            .iter()
            .map(|(name, _)| name.to_owned())
            .collect();
        let mut left = ParamSet::clone(&self.params);
        for name in names
            .iter()
            .filter(|name| self.reported.value(name).is_none())
        {
            left.remove(name);
        }
        self.params = Arc::new(left);
    }

    /// A reset query has run: `DISCARD ALL` has taken the prepared statements with it.
    pub fn was_reset(&mut self, sql: &str) {
        let words = sql.to_ascii_uppercase();
        if words.contains("DISCARD ALL") || words.contains("DEALLOCATE ALL") {
            self.prepared.clear();
        }
        if words.contains("DISCARD ALL") || words.contains("RESET ALL") {
            self.forget_unreported();
        }
    }

    fn failed_batch(&mut self, syncs: usize) -> Vec<Expect> {
        let (dropped, sync) = self.owed.fail_until_sync();
        self.skipping = sync == SyncSent::NotYet;
        self.owed.insert_maybe_syncs(0, syncs);
        for entry in &dropped {
            match entry {
                Expect::Parse(ParseFor::Injected(statement)) => {
                    self.prepared.forget(statement.id())
                }
                Expect::Parse(ParseFor::Client(binding)) => {
                    self.prepared.forget(binding.statement.id());
                }
                Expect::Close(CloseFor::Evicted(statement)) => {
                    self.prepared.restore(Arc::clone(statement));
                }
                Expect::Query
                | Expect::Function
                | Expect::Parse(ParseFor::Raw | ParseFor::Duplicate(_))
                | Expect::Bind
                | Expect::Describe
                | Expect::Execute
                | Expect::Close(CloseFor::Raw)
                | Expect::Sync
                | Expect::MaybeSync
                | Expect::Probe
                | Expect::Setup
                | Expect::CopyEnd
                | Expect::Local(_) => {}
            }
        }
        dropped
    }
}
