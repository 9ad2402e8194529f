//! Sans-IO. What a server still owes, in order.
//!
//! Every message that asks for a reply leaves an entry; every reply is checked against the first one.
//! A counter would do while all goes well; the queue also says *which* reply is missing, what an error
//! takes with it, and which replies are ours and not the client's.
//!
//! ```text
//!   sent:     Parse  Bind  Execute  Sync  |  Query
//!   owed:     [1]    [2]   [C]      [Z]      [.. Z]
//!   received: 1      2     E  ──► takes everything up to the next Sync with it
//! ```
//!
//! Invariant: a reply that does not fit the first entry is an error, never a guess.

use std::collections::VecDeque;
use std::sync::Arc;

use super::prepared::{Binding, Statement};

/// Most entries before the client is not listened to any more: without a bound, a client could fill
/// the memory with messages that pgweir answers itself while its server is busy.
pub const MAX_OWED: usize = 1 << 16;

/// Whose `Parse` it was.
#[derive(Debug)]
pub enum ParseFor {
    /// The client's, forwarded as it came (unnamed, or tracking is off).
    Raw,
    /// The client's, under our name: undone where it fails.
    Client(Arc<Binding>),
    /// Ours, before a statement that this server did not know: the reply is swallowed.
    Injected(Arc<Statement>),
    /// Ours, of the unnamed statement that the client prepared on another server: swallowed.
    Again,
    /// A second `Parse` of this name, which is in use: sent so that the server gives its own error.
    Duplicate(Arc<Binding>),
}

/// Whose `Close` it was.
#[derive(Debug)]
pub enum CloseFor {
    /// The client's, forwarded as it came.
    Raw,
    /// Ours, to keep the server below its limit: the reply is swallowed. `None` where the server has
    /// dropped the statement for another reason since.
    Evicted(Option<Arc<Statement>>),
    /// Ours, of an unnamed statement that may be another client's: the reply is swallowed.
    Stranger,
}

/// Which statement a `Bind` or `Describe` speaks of: an error may name it.
#[derive(Debug)]
pub enum Said {
    /// What the client wrote has been sent.
    AsItIs,
    /// Our name was sent for the client's.
    Ours(Arc<Binding>),
    /// A name that no statement has was sent for this one, which looks like ours.
    Nobody(Box<[u8]>),
}

/// A reply that pgweir gives itself when its turn comes.
#[derive(Debug)]
pub enum Local {
    /// `ParseComplete`: the server has the statement already.
    ParseComplete(Arc<Binding>),
    /// `CloseComplete`: servers keep the statement for others. `None` where the name was unknown.
    CloseComplete(Option<Arc<Binding>>),
}

/// One entry: a message that was sent, and so the reply that must come.
#[derive(Debug)]
pub enum Expect {
    /// A simple query: anything up to `ReadyForQuery`.
    Query,
    /// A function call: its result, then `ReadyForQuery`.
    Function,
    /// `ParseComplete`.
    Parse(ParseFor),
    /// `BindComplete`.
    Bind(Said),
    /// `RowDescription` or `NoData`, behind `ParameterDescription` for a statement.
    Describe(Said),
    /// Rows, then `CommandComplete`, `EmptyQueryResponse` or `PortalSuspended`.
    Execute,
    /// `CloseComplete`.
    Close(CloseFor),
    /// `ReadyForQuery`.
    Sync,
    /// Perhaps `ReadyForQuery`: a `Sync` that the server either read as part of a copy, and ignored, or
    /// read after the copy had failed, and answers. Only the server knows.
    MaybeSync,
    /// A `Sync` of ours behind such `Sync`s, where the server may be waiting for one: swallowed.
    ProbeSync,
    /// An empty query of ours behind such a `Sync`: its reply settles the question, and is swallowed.
    Probe,
    /// Our parameter settings: everything up to `ReadyForQuery` is swallowed.
    Setup,
    /// The client's `BEGIN`, which we have answered already: everything up to `ReadyForQuery` is
    /// swallowed.
    Begin,
    /// `CopyDone` or `CopyFail`: no reply, but it ends a copy that may be about to begin.
    CopyEnd,
    /// Nothing: we answer.
    Local(Local),
}

impl Expect {
    /// Whether the reply ends with `ReadyForQuery`.
    pub fn ends_with_ready(&self) -> bool {
        match self {
            Self::Query
            | Self::Function
            | Self::Sync
            | Self::MaybeSync
            | Self::ProbeSync
            | Self::Probe
            | Self::Setup
            | Self::Begin => true,
            Self::Parse(_)
            | Self::Bind(_)
            | Self::Describe(_)
            | Self::Execute
            | Self::Close(_)
            | Self::CopyEnd
            | Self::Local(_) => false,
        }
    }

    /// Whether the maps of statements have already changed as if this had succeeded.
    fn is_prediction(&self) -> bool {
        match self {
            Self::Parse(ParseFor::Client(_) | ParseFor::Injected(_))
            | Self::Close(CloseFor::Evicted(_))
            | Self::Local(Local::ParseComplete(_) | Local::CloseComplete(Some(_))) => true,
            Self::Query
            | Self::Function
            | Self::Parse(ParseFor::Raw | ParseFor::Again | ParseFor::Duplicate(_))
            | Self::Bind(_)
            | Self::Describe(_)
            | Self::Execute
            | Self::Close(CloseFor::Raw | CloseFor::Stranger)
            | Self::Sync
            | Self::MaybeSync
            | Self::ProbeSync
            | Self::Probe
            | Self::Setup
            | Self::Begin
            | Self::CopyEnd
            | Self::Local(Local::CloseComplete(None)) => false,
        }
    }

    /// The word for logs and tests.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Function => "function call",
            Self::Parse(_) => "parse",
            Self::Bind(_) => "bind",
            Self::Describe(_) => "describe",
            Self::Execute => "execute",
            Self::Close(_) => "close",
            Self::Sync => "sync",
            Self::MaybeSync => "sync inside a copy",
            Self::ProbeSync | Self::Probe => "probe",
            Self::Setup => "parameter setup",
            Self::Begin => "begin",
            Self::CopyEnd => "end of copy",
            Self::Local(_) => "local reply",
        }
    }
}

/// The queue.
#[derive(Debug, Default)]
pub struct Owed {
    queue: VecDeque<Expect>,
    ready_pending: usize,
    uncertain: usize,
    predicted: Predicted,
}

/// Predictions in the queue.
#[derive(Debug, Default)]
struct Predicted {
    /// Before the last `Sync`: they may fail, and what was sent behind that `Sync` will not fail with
    /// them.
    closed: usize,
    /// Behind it.
    open: usize,
}

impl Predicted {
    fn count(&mut self, entry: &Expect) {
        if matches!(entry, Expect::Sync) {
            self.closed += std::mem::take(&mut self.open);
        }
        self.open += usize::from(entry.is_prediction());
    }
}

impl Owed {
    /// Whether nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Entries in the queue.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Replies in the queue that end with `ReadyForQuery`: while there are any, the transaction status
    /// that the next message will meet is not known.
    pub fn ready_pending(&self) -> usize {
        self.ready_pending
    }

    /// Whether there are uncertain `Sync`s, so that nothing more may be sent.
    pub fn has_maybe_syncs(&self) -> bool {
        self.uncertain > 0
    }

    /// Whether what an earlier batch prepares or closes is not known to have worked, so that a message
    /// of the next batch cannot be translated yet.
    pub fn is_unsettled(&self) -> bool {
        self.predicted.closed > 0
    }

    /// The first entry.
    pub fn front(&self) -> Option<&Expect> {
        self.queue.front()
    }

    /// The first entry that a reply other than `ReadyForQuery` can answer.
    pub fn first_certain(&self) -> Option<&Expect> {
        let silent = |entry: &&Expect| matches!(entry, Expect::MaybeSync | Expect::CopyEnd);
        self.queue.iter().find(|entry| !silent(entry))
    }

    /// All entries.
    #[cfg(test)]
    pub fn iter(&self) -> impl Iterator<Item = &Expect> {
        self.queue.iter()
    }

    /// The last entry.
    pub fn back(&self) -> Option<&Expect> {
        self.queue.back()
    }

    /// Adds an entry for a message that is being sent.
    pub fn push(&mut self, entry: Expect) {
        self.ready_pending += usize::from(entry.ends_with_ready());
        self.uncertain += usize::from(matches!(entry, Expect::MaybeSync));
        self.predicted.count(&entry);
        self.queue.push_back(entry);
    }

    /// Takes the first entry out.
    pub fn pop(&mut self) -> Option<Expect> {
        let entry = self.queue.pop_front()?;
        self.ready_pending -= usize::from(entry.ends_with_ready());
        self.uncertain -= usize::from(matches!(entry, Expect::MaybeSync));
        if entry.is_prediction() {
            let Predicted { closed, open } = &mut self.predicted;
            *(if *closed > 0 { closed } else { open }) -= 1;
        }
        Some(entry)
    }

    /// Takes the first entry out where it is a reply of ours whose turn has come. Ends of copies that
    /// never began are dropped on the way: the server ignores those messages.
    pub fn pop_local(&mut self) -> Option<Local> {
        while matches!(self.queue.front(), Some(Expect::CopyEnd)) {
            self.pop();
        }
        if !matches!(self.queue.front(), Some(Expect::Local(_))) {
            return None;
        }
        match self.pop() {
            Some(Expect::Local(local)) => Some(local),
            Some(_) | None => None,
        }
    }

    /// An error in an extended query: everything up to the next `Sync` goes unanswered. Returns what
    /// was dropped, newest first, and whether such a `Sync` is in the queue.
    pub fn fail_until_sync(&mut self) -> (Vec<Expect>, SyncSent) {
        let mut dropped = Vec::new();
        while let Some(front) = self.queue.front() {
            if matches!(front, Expect::Sync) {
                dropped.reverse();
                return (dropped, SyncSent::Yes);
            }
            dropped.extend(self.pop());
        }
        dropped.reverse();
        (dropped, SyncSent::NotYet)
    }

    /// A copy from the client has begun for the first entry: the server ignores every `Sync` up to the
    /// end of the copy. Returns how many it will ignore, and how the copy ends.
    pub fn begin_copy_in(&mut self) -> (usize, CopyTail) {
        let mut ignored = 0;
        while let Some(next) = self.queue.get(1) {
            match next {
                Expect::Sync => ignored += 1,
                Expect::CopyEnd => {
                    self.remove(1);
                    return (ignored, CopyTail::Ended);
                }
                Expect::Query
                | Expect::Function
                | Expect::Parse(_)
                | Expect::Bind(_)
                | Expect::Describe(_)
                | Expect::Execute
                | Expect::Close(_)
                | Expect::MaybeSync
                | Expect::ProbeSync
                | Expect::Probe
                | Expect::Setup
                | Expect::Begin
                | Expect::Local(_) => return (ignored, CopyTail::Strange),
            }
            self.remove(1);
        }
        (ignored, CopyTail::Open)
    }

    /// Takes an entry out of the middle: rare, so the counts are simply made again.
    fn remove(&mut self, at: usize) {
        if let Some(entry) = self.queue.remove(at) {
            self.ready_pending -= usize::from(entry.ends_with_ready());
            self.uncertain -= usize::from(matches!(entry, Expect::MaybeSync));
        }
        self.recount();
    }

    fn recount(&mut self) {
        self.predicted = Predicted::default();
        for entry in &self.queue {
            self.predicted.count(entry);
        }
    }

    /// Puts `count` uncertain `Sync`s at this place.
    pub fn insert_maybe_syncs(&mut self, at: usize, count: usize) {
        for _ in 0..count {
            self.queue
                .insert(at.min(self.queue.len()), Expect::MaybeSync);
        }
        self.ready_pending += count;
        self.uncertain += count;
    }

    /// `ReadyForQuery` came while the first entries are uncertain: either one of them or the certain
    /// `Sync` behind them was answered; as many uncertain ones are left as before in the second view,
    /// and that is the view that loses nothing.
    pub fn answer_maybe_sync(&mut self) {
        let silent = |entry: &&Expect| matches!(entry, Expect::MaybeSync | Expect::CopyEnd);
        let uncertain = self.queue.iter().take_while(silent).count();
        let certain = matches!(self.queue.get(uncertain), Some(Expect::Sync));
        self.remove(if certain { uncertain } else { 0 });
    }

    /// Whether a reply of ours waits in the queue.
    pub fn has_local(&self) -> bool {
        let is_local = |entry: &Expect| matches!(entry, Expect::Local(_));
        self.queue.iter().any(is_local)
    }

    /// Whether a `Parse` is still to come that was forwarded as it is.
    pub fn has_raw_parse(&self) -> bool {
        let is_raw = |entry: &Expect| matches!(entry, Expect::Parse(ParseFor::Raw));
        self.queue.iter().any(is_raw)
    }

    /// Whether a `Sync` of ours is among what a probe has sent.
    pub fn has_probe_sync(&self) -> bool {
        let before_last = self.queue.len().checked_sub(2);
        let entry = before_last.and_then(|at| self.queue.get(at));
        matches!(entry, Some(Expect::ProbeSync))
    }

    /// A reply to something later came: the uncertain `Sync`s in front were ignored by the server.
    pub fn drop_maybe_syncs(&mut self) {
        while matches!(
            self.queue.front(),
            Some(Expect::MaybeSync | Expect::CopyEnd)
        ) {
            self.pop();
        }
    }

    /// The server has dropped all its statements: what the messages behind that will leave. Those
    /// that were to give a statement back in case of an error do so no more.
    pub fn replay_after_discard(&mut self) -> Replay {
        let mut after = Replay::default();
        for entry in &mut self.queue {
            after.pass(entry);
        }
        self.recount();
        after
    }

    /// Whether only uncertain `Sync`s are left, so that a probe must settle what is owed.
    pub fn is_uncertain(&self) -> bool {
        let silent = |entry: &Expect| matches!(entry, Expect::MaybeSync | Expect::CopyEnd);
        self.has_maybe_syncs() && self.queue.iter().all(silent)
    }
}

/// Statements that there will be when everything in the queue has been answered.
#[derive(Debug, Default)]
pub struct Replay {
    /// On the server.
    pub held: Vec<Arc<Statement>>,
    /// Under names of the client.
    pub named: Vec<Arc<Binding>>,
}

impl Replay {
    fn pass(&mut self, entry: &mut Expect) {
        match entry {
            Expect::Parse(ParseFor::Client(binding)) => {
                self.held.push(Arc::clone(&binding.statement));
                self.named.push(Arc::clone(binding));
            }
            Expect::Parse(ParseFor::Injected(statement)) => self.held.push(Arc::clone(statement)),
            Expect::Local(Local::ParseComplete(binding)) => self.named.push(Arc::clone(binding)),
            Expect::Close(CloseFor::Evicted(closed)) => {
                let before = self.held.len();
                self.held
                    .retain(|held| closed.as_ref().is_none_or(|one| one.id() != held.id()));
                if self.held.len() == before {
                    *closed = None;
                }
            }
            Expect::Local(Local::CloseComplete(closed)) => {
                let before = self.named.len();
                self.named
                    .retain(|named| closed.as_ref().is_none_or(|one| one.name != named.name));
                if self.named.len() == before {
                    *closed = None;
                }
            }
            Expect::Query
            | Expect::Function
            | Expect::Parse(ParseFor::Raw | ParseFor::Again | ParseFor::Duplicate(_))
            | Expect::Bind(_)
            | Expect::Describe(_)
            | Expect::Execute
            | Expect::Close(CloseFor::Raw | CloseFor::Stranger)
            | Expect::Sync
            | Expect::MaybeSync
            | Expect::ProbeSync
            | Expect::Probe
            | Expect::Setup
            | Expect::Begin
            | Expect::CopyEnd => {}
        }
    }
}

/// Whether the `Sync` that ends an error's reach has been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncSent {
    /// It is in the queue.
    Yes,
    /// The server ignores everything until the client sends it.
    NotYet,
}

/// What follows the start of a copy in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyTail {
    /// Its end has not been sent yet.
    Open,
    /// Its end was sent already.
    Ended,
    /// Something that does not belong into a copy: the server will complain.
    Strange,
}
