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

use super::prepared::Statement;

/// A client's name and the statement behind it, kept until the server has answered.
#[derive(Debug)]
pub struct Binding {
    /// The client's name of the statement.
    pub name: Box<[u8]>,
    /// The statement.
    pub statement: Arc<Statement>,
}

/// Whose `Parse` it was.
#[derive(Debug)]
pub enum ParseFor {
    /// The client's, forwarded as it came (unnamed, or tracking is off).
    Raw,
    /// The client's, under our name: undone where it fails.
    Client(Box<Binding>),
    /// Ours, before a statement that this server did not know: the reply is swallowed.
    Injected(Arc<Statement>),
    /// A second `Parse` of this name, which is in use: sent so that the server gives its own error.
    Duplicate(Box<[u8]>),
}

/// Whose `Close` it was.
#[derive(Debug)]
pub enum CloseFor {
    /// The client's, forwarded as it came.
    Raw,
    /// Ours, to keep the server below its limit: the reply is swallowed.
    Evicted(Arc<Statement>),
}

/// A reply that pgweir gives itself when its turn comes.
#[derive(Debug)]
pub enum Local {
    /// `ParseComplete`: the server has the statement already.
    ParseComplete(Box<Binding>),
    /// `CloseComplete`: servers keep the statement for others. `None` where the name was unknown.
    CloseComplete(Option<Box<Binding>>),
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
    Bind,
    /// `RowDescription` or `NoData`, behind `ParameterDescription` for a statement.
    Describe,
    /// Rows, then `CommandComplete`, `EmptyQueryResponse` or `PortalSuspended`.
    Execute,
    /// `CloseComplete`.
    Close(CloseFor),
    /// `ReadyForQuery`.
    Sync,
    /// Perhaps `ReadyForQuery`: a `Sync` that the server either read as part of a copy, and ignored, or
    /// read after the copy had failed, and answers. Only the server knows.
    MaybeSync,
    /// An empty query of ours behind such a `Sync`: its reply settles the question, and is swallowed.
    Probe,
    /// Our parameter settings: everything up to `ReadyForQuery` is swallowed.
    Setup,
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
            | Self::Probe
            | Self::Setup => true,
            Self::Parse(_)
            | Self::Bind
            | Self::Describe
            | Self::Execute
            | Self::Close(_)
            | Self::CopyEnd
            | Self::Local(_) => false,
        }
    }

    /// The word for logs and tests.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Function => "function call",
            Self::Parse(_) => "parse",
            Self::Bind => "bind",
            Self::Describe => "describe",
            Self::Execute => "execute",
            Self::Close(_) => "close",
            Self::Sync => "sync",
            Self::MaybeSync => "sync inside a copy",
            Self::Probe => "probe",
            Self::Setup => "parameter setup",
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

    /// The first entry.
    pub fn front(&self) -> Option<&Expect> {
        self.queue.front()
    }

    /// Adds an entry for a message that is being sent.
    pub fn push(&mut self, entry: Expect) {
        self.ready_pending += usize::from(entry.ends_with_ready());
        self.queue.push_back(entry);
    }

    /// Takes the first entry out.
    pub fn pop(&mut self) -> Option<Expect> {
        let entry = self.queue.pop_front()?;
        self.ready_pending -= usize::from(entry.ends_with_ready());
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
                | Expect::Bind
                | Expect::Describe
                | Expect::Execute
                | Expect::Close(_)
                | Expect::MaybeSync
                | Expect::Probe
                | Expect::Setup
                | Expect::Local(_) => return (ignored, CopyTail::Strange),
            }
            self.remove(1);
        }
        (ignored, CopyTail::Open)
    }

    fn remove(&mut self, at: usize) {
        if let Some(entry) = self.queue.remove(at) {
            self.ready_pending -= usize::from(entry.ends_with_ready());
        }
    }

    /// Puts `count` uncertain `Sync`s at this place.
    pub fn insert_maybe_syncs(&mut self, at: usize, count: usize) {
        for _ in 0..count {
            self.queue
                .insert(at.min(self.queue.len()), Expect::MaybeSync);
            self.ready_pending += 1;
        }
    }

    /// `ReadyForQuery` came while the first entries are uncertain: either one of them or the certain
    /// `Sync` behind them was answered; as many uncertain ones are left as before in the second view,
    /// and that is the view that loses nothing.
    pub fn answer_maybe_sync(&mut self) {
        let uncertain = self
            .queue
            .iter()
            .take_while(|e| matches!(e, Expect::MaybeSync))
            .count();
        let certain = matches!(self.queue.get(uncertain), Some(Expect::Sync));
        self.remove(if certain { uncertain } else { 0 });
    }

    /// A reply to something later came: the uncertain `Sync`s in front were ignored by the server.
    pub fn drop_maybe_syncs(&mut self) {
        while matches!(self.queue.front(), Some(Expect::MaybeSync)) {
            self.pop();
        }
    }

    /// What messages that are still unanswered will have prepared, oldest first: for the client under a
    /// name, for the server.
    pub fn pending_parses(&self) -> impl Iterator<Item = (Option<&[u8]>, &Arc<Statement>)> {
        self.queue.iter().filter_map(|entry| match entry {
            Expect::Parse(ParseFor::Client(binding))
            | Expect::Local(Local::ParseComplete(binding)) => {
                Some((Some(&*binding.name), &binding.statement))
            }
            Expect::Parse(ParseFor::Injected(statement)) => Some((None, statement)),
            Expect::Query
            | Expect::Function
            | Expect::Parse(ParseFor::Raw | ParseFor::Duplicate(_))
            | Expect::Bind
            | Expect::Describe
            | Expect::Execute
            | Expect::Close(_)
            | Expect::Sync
            | Expect::MaybeSync
            | Expect::Probe
            | Expect::Setup
            | Expect::CopyEnd
            | Expect::Local(Local::CloseComplete(_)) => None,
        })
    }

    /// Whether only uncertain `Sync`s are left, so that a probe must settle what is owed.
    pub fn is_uncertain(&self) -> bool {
        !self.is_empty()
            && self
                .queue
                .iter()
                .all(|entry| matches!(entry, Expect::MaybeSync))
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
