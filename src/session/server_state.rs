//! Sans-IO. One server connection's side of the conversation.
//!
//! Knows what the server owes, its transaction status, its parameters and its prepared statements.
//! Not here: moving bytes (`from_client`, `from_server`). Invariant: `is_at_rest` only when another
//! client could take the connection and see nothing of this one.

use std::sync::Arc;

use super::calls::Calls;
use super::client_state::Body;
use super::owed::{CloseFor, CopyTail, Expect, MAX_OWED, Owed, ParseFor, SyncSent};
use super::params::ParamSet;
use super::prepared::ServerStatements;
use super::refusals::Refusals;
pub use super::surprise::OutOfSync;
use crate::protocol::TransactionStatus;

/// What happens to a frame from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deliver {
    /// The client gets the original bytes.
    ToClient,
    /// It answers something of ours.
    Nowhere,
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
    /// It has a parameter whose value is not text, and so cannot be set on another server.
    Unsettable,
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

/// Whether the frame that the server is reading has been sent to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upstream {
    /// Between frames.
    Whole,
    /// The rest must come from the client that sent the first part.
    Partial,
}

/// Whose the server's unnamed statement is. It outlives transactions, so a client must never be let
/// near one that another client has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unnamed {
    /// Perhaps that of a client before, perhaps nobody's.
    Unknown,
    /// It will be the client's if the open batch gets that far.
    InBatch,
    /// The client's, or there is none and the client has none either.
    Own,
}

/// Whether our `Flush` is on its way, with which the server must answer all that it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settling {
    No,
    Flushed,
}

/// State of one server connection.
#[derive(Debug)]
pub struct ServerState {
    pub(super) owed: Owed,
    status: TransactionStatus,
    batch: Batch,
    skipping: bool,
    /// A `ReadyForQuery` has been kept back: it is the client's only if another one follows.
    ready_kept: bool,
    /// The first entry has got an answer besides `ReadyForQuery`.
    has_answer: bool,
    copy: CopyIn,
    doubt: Option<Doubt>,
    pub(super) body: Body,
    pub(super) upstream: Upstream,
    pub(super) unnamed: Unnamed,
    pub(super) settling: Settling,
    pub(super) reported: Arc<ParamSet>,
    /// Values of the tracked parameters as the server reported them.
    pub params: Arc<ParamSet>,
    /// Statements that the server holds under our names.
    pub prepared: ServerStatements,
    /// Errors that it has sent since somebody took them.
    pub refusals: Refusals,
    /// Calls under way, where somebody wants to know of them.
    pub(super) calls: Option<Box<Calls>>,
    /// How long the client has waited for this connection, in microseconds.
    pub waited_us: u64,
}

impl ServerState {
    /// A connection that has just logged in.
    pub fn new(params: Arc<ParamSet>) -> Self {
        Self {
            owed: Owed::default(),
            status: TransactionStatus::Idle,
            batch: Batch::Closed,
            skipping: false,
            ready_kept: false,
            has_answer: false,
            copy: CopyIn::None,
            doubt: None,
            body: Body::None,
            upstream: Upstream::Whole,
            unnamed: Unnamed::Own,
            settling: Settling::No,
            reported: Arc::clone(&params),
            params,
            prepared: ServerStatements::default(),
            refusals: Refusals::default(),
            calls: None,
            waited_us: 0,
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
            && self.upstream == Upstream::Whole
    }

    /// Quiet, and outside a transaction block.
    pub fn is_at_rest(&self) -> bool {
        self.is_quiet() && self.status == TransactionStatus::Idle
    }

    /// Outside of a transaction as far as the replies so far say, and nothing is open that more
    /// messages must end. What is under way may begin one.
    pub fn is_outside_transaction(&self) -> bool {
        self.status == TransactionStatus::Idle
            && self.batch == Batch::Closed
            && self.copy == CopyIn::None
    }

    /// Whether the server ignores everything up to the next `Sync`, as far as we know already.
    pub fn is_skipping(&self) -> bool {
        self.skipping
    }

    /// Whether replies are owed that come without another word from the client.
    pub fn will_answer(&self) -> bool {
        !self.owed.is_empty() && self.batch == Batch::Closed && !self.is_copy_in()
    }

    /// Whether the server is reading copy data, as far as we know already.
    pub fn is_copy_in(&self) -> bool {
        matches!(self.copy, CopyIn::Open { .. })
    }

    /// Whether the client's next message must wait for replies to what was sent before.
    pub fn holds_client(&self) -> bool {
        self.is_in_setup()
            || matches!(self.owed.back(), Some(Expect::Setup | Expect::Probe))
            || self.owed.has_maybe_syncs()
            || self.may_lose_count()
            || (self.owed.len() >= MAX_OWED && !self.is_copy_in())
    }

    /// A copy that was begun together with a `Sync` has been ended by the client, and the `Sync` behind
    /// it is sent. Should the copy fail, nobody knows how many of the two are answered; as long as
    /// nothing more is sent, a probe can find out.
    fn may_lose_count(&self) -> bool {
        matches!(self.copy, CopyIn::Ended { syncs: 1.. })
            && matches!(self.owed.back(), Some(Expect::Sync))
    }

    /// Whether a probe must be sent to settle what is owed.
    pub fn needs_probe(&self) -> bool {
        self.owed.is_uncertain() && (self.skipping || self.batch == Batch::Closed)
    }

    /// The probe is sent: with a `Sync` where the server may be waiting for one.
    pub(super) fn sent_probe(&mut self) -> SyncSent {
        let mut sync = SyncSent::NotYet;
        if self.skipping {
            sync = SyncSent::Yes;
            self.owed.push(Expect::ProbeSync);
        }
        self.sent_closing(Expect::Probe);
        sync
    }

    /// A message that ends the implicit transaction is sent: `Query`, `FunctionCall`, `Sync`, ours.
    pub fn sent_closing(&mut self, entry: Expect) {
        self.sent_command();
        self.batch = Batch::Closed;
        self.owed.push(entry);
    }

    /// `Sync` is sent.
    pub fn sent_sync(&mut self) {
        if let CopyIn::Open { syncs } = &mut self.copy {
            *syncs += 1; // ignored for as long as the copy lasts
            return;
        }
        self.skipping = false;
        if self.unnamed == Unnamed::InBatch {
            self.unnamed = Unnamed::Unknown;
        }
        self.sent_closing(Expect::Sync);
    }

    /// A message of the extended protocol is sent.
    pub fn sent_extended(&mut self, entry: Expect) {
        self.sent_command();
        self.batch = Batch::Open;
        self.owed.push(entry);
    }

    /// What is sent now does not belong into a copy: the server gives up where one is open.
    fn sent_command(&mut self) {
        self.settling = Settling::No; // our `Flush` was before it
        if self.is_copy_in() {
            self.doubt = Some(Doubt::StrangeCopy);
        }
    }

    /// The unnamed statement is prepared or closed.
    pub(super) fn sent_unnamed(&mut self) {
        if self.unnamed == Unnamed::Unknown {
            self.unnamed = Unnamed::InBatch;
        }
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

    /// Whether rows are expected, of which any number may come without changing anything.
    pub(super) fn expects_rows(&self) -> bool {
        matches!(self.owed.front(), Some(Expect::Query | Expect::Execute))
    }

    /// A frame other than `ReadyForQuery`, an error or an asynchronous message came.
    pub fn received(&mut self, tag: u8) -> Result<Deliver, OutOfSync> {
        if tag == b'I' && std::mem::take(&mut self.ready_kept) {
            self.owed.drop_maybe_syncs();
            self.owed.pop(); // the `ReadyForQuery` that was kept back is that of our `Sync`
        }
        self.owed.drop_maybe_syncs();
        let Some(front) = self.owed.front() else {
            return Err(OutOfSync::Unexpected {
                tag,
                expected: "nothing",
            });
        };
        match (tag, front) {
            (b'D' | b'd' | b'H' | b'c', Expect::Query | Expect::Execute)
            | (b'T', Expect::Query)
            | (b't', Expect::Describe(_)) => Ok(Deliver::ToClient),
            (b'T' | b'n', Expect::Describe(_))
            | (b's' | b'I', Expect::Execute)
            | (b'2', Expect::Bind(_))
            | (b'3', Expect::Close(CloseFor::Raw)) => Ok(self.answered()),
            (b'C' | b'I', Expect::Query) | (b'V', Expect::Function) => {
                self.copy = CopyIn::None; // one command of the query is over, more may follow
                self.has_answer = true;
                Ok(Deliver::ToClient)
            }
            (b'C', Expect::Execute) => {
                self.copy = CopyIn::None;
                Ok(self.answered())
            }
            (b'1', Expect::Parse(_)) => self.parse_complete(),
            (b'3', Expect::Close(_)) => {
                if matches!(self.owed.pop(), Some(Expect::Close(CloseFor::Stranger))) {
                    self.unnamed = Unnamed::Own;
                }
                Ok(Deliver::Nowhere)
            }
            (b'G', Expect::Query | Expect::Execute) if self.copy == CopyIn::None => {
                Ok(self.copy_in_begins())
            }
            (b'W', Expect::Query | Expect::Execute) => {
                self.doubt = Some(Doubt::CopyBoth);
                Ok(Deliver::ToClient)
            }
            (b'T' | b'D' | b'C' | b'I', Expect::Setup)
            | (b'C', Expect::Begin)
            | (b'I', Expect::Probe) => Ok(Deliver::Nowhere),
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

    fn parse_complete(&mut self) -> Result<Deliver, OutOfSync> {
        match self.owed.pop() {
            Some(Expect::Parse(ParseFor::Injected(statement))) => {
                statement.accept();
                Ok(Deliver::Nowhere)
            }
            Some(Expect::Parse(ParseFor::Client(binding))) => {
                binding.statement.accept();
                Ok(Deliver::ToClient)
            }
            Some(Expect::Parse(ParseFor::Again)) => {
                self.unnamed = Unnamed::Own;
                Ok(Deliver::Nowhere)
            }
            Some(Expect::Parse(ParseFor::Duplicate(_))) => Err(OutOfSync::Unexpected {
                tag: b'1',
                expected: "an error",
            }),
            Some(_) | None => {
                self.unnamed = Unnamed::Own;
                Ok(Deliver::ToClient)
            }
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
        if self.owed.ready_pending() == 0 {
            self.batch = Batch::Open; // the `Sync` that would have ended it is ignored
        }
        Deliver::ToClient
    }

    /// `ReadyForQuery` came.
    pub fn ready(&mut self, status: TransactionStatus) -> Result<Deliver, OutOfSync> {
        let deliver = match self.owed.front() {
            Some(Expect::Sync) => self.answered(),
            Some(Expect::Query) if self.has_answer => {
                self.unnamed = Unnamed::Own; // a simple query drops the unnamed statement
                self.answered()
            }
            Some(Expect::Function) if self.has_answer => self.answered(),
            Some(Expect::Setup | Expect::Begin | Expect::Probe) => {
                self.unnamed = Unnamed::Unknown; // that query was ours, and the client's may be gone
                self.owed.pop();
                Deliver::Nowhere
            }
            Some(Expect::MaybeSync) => self.uncertain_ready(),
            Some(Expect::ProbeSync) if !self.ready_kept => self.uncertain_ready(),
            other => {
                let expected = other.map_or("nothing", Expect::name);
                return Err(OutOfSync::Unexpected {
                    tag: b'Z',
                    expected,
                });
            }
        };
        self.copy = CopyIn::None;
        self.has_answer = false;
        self.status = status;
        Ok(deliver)
    }

    /// One more than the certain ones: a `Sync` that the server had not ignored, or our own.
    fn uncertain_ready(&mut self) -> Deliver {
        if self.owed.has_probe_sync() && !std::mem::replace(&mut self.ready_kept, true) {
            return Deliver::Nowhere; // ours, unless one more follows
        }
        self.skipping = false;
        self.owed.answer_maybe_sync();
        if self.owed.is_empty() || self.owed.is_uncertain() {
            self.batch = Batch::Closed;
        }
        Deliver::ToClient
    }

    /// `ErrorResponse` came: what it takes with it, newest first.
    pub fn failed(&mut self) -> Result<Vec<Expect>, OutOfSync> {
        if !self.owed.is_uncertain() && !self.owed.has_probe_sync() {
            self.owed.drop_maybe_syncs();
        }
        let syncs = match std::mem::replace(&mut self.copy, CopyIn::None) {
            CopyIn::None => 0,
            CopyIn::Open { syncs } | CopyIn::Ended { syncs } => syncs,
        };
        let dropped = match self.owed.front() {
            None | Some(Expect::MaybeSync | Expect::ProbeSync | Expect::Probe) => {
                self.doubt = Some(Doubt::Dying);
                Vec::new()
            }
            Some(Expect::Setup) => return Err(OutOfSync::SetupRefused),
            Some(Expect::Begin) => return Err(OutOfSync::BeginRefused),
            Some(Expect::Query | Expect::Function | Expect::Sync) => {
                self.has_answer = true;
                self.owed.insert_maybe_syncs(1, syncs);
                Vec::new()
            }
            Some(
                Expect::Parse(_)
                | Expect::Bind(_)
                | Expect::Describe(_)
                | Expect::Execute
                | Expect::Close(_)
                | Expect::CopyEnd
                | Expect::Local(_),
            ) => self.failed_batch(syncs),
        };
        if syncs > 0 && self.owed.has_local() {
            return Err(OutOfSync::CopyUncertain);
        }
        Ok(dropped)
    }

    /// The server has a parameter that cannot be carried to another server.
    pub(super) fn has_unsettable(&mut self) {
        self.doubt = Some(Doubt::Unsettable);
    }

    fn failed_batch(&mut self, syncs: usize) -> Vec<Expect> {
        let (dropped, sync) = self.owed.fail_until_sync();
        self.skipping = sync == SyncSent::NotYet;
        self.owed.insert_maybe_syncs(0, syncs);
        self.undo_statements(&dropped);
        dropped
    }
}
