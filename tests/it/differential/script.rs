//! What a client says, and how long it listens in between.

use crate::support::message::{self, Frame};

/// One step of a script.
#[derive(Debug, Clone)]
pub enum Step {
    /// All of these bytes at once.
    Send(Vec<u8>),
    /// The same in pieces of this size.
    SendInPieces(Vec<u8>, usize),
    /// Read up to this many `ReadyForQuery`.
    Ready(usize),
    /// Read up to a frame of this tag.
    Tag(u8),
    /// Read until the connection is closed.
    Closed,
}

/// Where a script must give the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// In transaction pools and in session pools.
    Everywhere,
    /// In session pools, and in transaction pools that follow prepared statements.
    Tracked,
    /// In session pools only: it relies on state that belongs to one server connection.
    Session,
}

/// A session.
#[derive(Debug, Clone)]
pub struct Script {
    /// What it is about, for messages.
    pub name: String,
    /// Where it must work.
    pub scope: Scope,
    /// The steps.
    pub steps: Vec<Step>,
}

/// A script without steps.
pub fn script(name: impl Into<String>) -> Script {
    Script {
        name: name.into(),
        scope: Scope::Everywhere,
        steps: Vec::new(),
    }
}

impl Script {
    /// For session pools only.
    pub fn session_only(mut self) -> Self {
        self.scope = Scope::Session;
        self
    }

    /// Not for transaction pools with `max_prepared_statements = 0`.
    pub fn tracked_only(mut self) -> Self {
        self.scope = Scope::Tracked;
        self
    }

    /// Sends messages in one piece.
    pub fn send(mut self, messages: &[Vec<u8>]) -> Self {
        self.steps.push(Step::Send(messages.concat()));
        self
    }

    /// Reads up to `count` times `ReadyForQuery`.
    pub fn ready(mut self, count: usize) -> Self {
        self.steps.push(Step::Ready(count));
        self
    }

    /// Reads up to a frame of this tag.
    pub fn tag(mut self, tag: u8) -> Self {
        self.steps.push(Step::Tag(tag));
        self
    }

    /// Reads to the end of the connection.
    pub fn closed(mut self) -> Self {
        self.steps.push(Step::Closed);
        self
    }

    /// Sends messages that are answered by one `ReadyForQuery`.
    pub fn say(self, messages: &[Vec<u8>]) -> Self {
        self.send(messages).ready(1)
    }

    /// Runs a simple query.
    pub fn query(self, sql: &str) -> Self {
        self.say(&[message::query(sql)])
    }

    /// The same script, its messages cut into pieces of `size` bytes.
    pub fn in_pieces(&self, size: usize) -> Self {
        let cut = |step: &Step| match step {
            Step::Send(bytes) => Step::SendInPieces(bytes.clone(), size),
            other => other.clone(),
        };
        Self {
            name: format!("{} in pieces of {size}", self.name),
            scope: self.scope,
            steps: self.steps.iter().map(cut).collect(),
        }
    }

    /// Whether it names no statement, so that a pool that follows no names can play it.
    pub fn is_unnamed(&self) -> bool {
        let sent = self.steps.iter().map(|step| match step {
            Step::Send(bytes) | Step::SendInPieces(bytes, _) => bytes.as_slice(),
            Step::Ready(_) | Step::Tag(_) | Step::Closed => &[],
        });
        let mut frames = sent.flat_map(split);
        frames.all(|frame| match frame.tag {
            b'P' => frame.body[0] == 0,
            b'B' => frame.body.split(|byte| *byte == 0).nth(1) == Some(&[]),
            b'D' | b'C' if frame.body[0] == b'S' => frame.body[1] == 0,
            _ => true,
        })
    }
}

/// The messages in some bytes.
fn split(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(5) {
        let length = u32::from_be_bytes(head[1..].try_into().unwrap());
        let (body, more) = rest.split_at(usize::try_from(length).unwrap() - 4);
        let (tag, body) = (head[0], body.to_vec());
        frames.push(Frame { tag, body });
        bytes = more;
    }
    frames
}
