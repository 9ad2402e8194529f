//! Sans-IO. `BEGIN`, `COMMIT`, `ROLLBACK` and their kin, word for word by the grammar.

use super::Command;
use super::words::Words;

/// What a transaction may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `READ ONLY`.
    ReadOnly,
    /// `READ WRITE`.
    ReadWrite,
}

/// What a transaction sees of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// `READ UNCOMMITTED`, which is `READ COMMITTED` in `PostgreSQL`.
    ReadUncommitted,
    /// `READ COMMITTED`.
    ReadCommitted,
    /// `REPEATABLE READ`.
    RepeatableRead,
    /// `SERIALIZABLE`, which a standby refuses.
    Serializable,
}

/// The modes of a transaction, as far as they are given. The last one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BeginOptions {
    /// `READ ONLY` or `READ WRITE`.
    pub access: Option<Access>,
    /// `ISOLATION LEVEL`.
    pub isolation: Option<Isolation>,
    /// `[NOT] DEFERRABLE`.
    pub deferrable: Option<bool>,
}

impl BeginOptions {
    fn mode(&mut self, words: &mut Words<'_>) -> Option<()> {
        if words.eat_all(&["read", "only"]) {
            self.access = Some(Access::ReadOnly);
        } else if words.eat_all(&["read", "write"]) {
            self.access = Some(Access::ReadWrite);
        } else if words.eat("deferrable") {
            self.deferrable = Some(true);
        } else if words.eat_all(&["not", "deferrable"]) {
            self.deferrable = Some(false);
        } else if words.eat_all(&["isolation", "level"]) {
            self.isolation = Some(isolation(words)?);
        } else {
            return None;
        }
        Some(())
    }
}

fn isolation(words: &mut Words<'_>) -> Option<Isolation> {
    let levels: [(&[&str], _); 4] = [
        (&["read", "uncommitted"], Isolation::ReadUncommitted),
        (&["read", "committed"], Isolation::ReadCommitted),
        (&["repeatable", "read"], Isolation::RepeatableRead),
        (&["serializable"], Isolation::Serializable),
    ];
    let found = levels.iter().find(|(names, _)| words.eat_all(names));
    found.map(|(_, level)| *level)
}

/// At least one mode, and nothing after the last one; commas may stand between.
pub fn modes(words: &mut Words<'_>) -> Option<BeginOptions> {
    let mut options = BeginOptions::default();
    options.mode(words)?;
    while !words.is_done() {
        words.eat_symbol(",");
        options.mode(words)?;
    }
    Some(options)
}

fn modes_or_none(words: &mut Words<'_>) -> Option<BeginOptions> {
    if words.is_done() {
        return Some(BeginOptions::default());
    }
    modes(words)
}

pub fn begin<'a>(words: &mut Words<'a>) -> Option<Command<'a>> {
    words.eat_any(&["work", "transaction"]);
    modes_or_none(words).map(Command::Begin)
}

pub fn start<'a>(words: &mut Words<'a>) -> Option<Command<'a>> {
    if !words.eat("transaction") {
        return None;
    }
    modes_or_none(words).map(Command::Begin)
}

pub fn commit<'a>(words: &mut Words<'a>) -> Option<Command<'a>> {
    if words.eat("prepared") {
        return Some(Command::CommitPrepared);
    }
    end(words)
}

pub fn end<'a>(words: &mut Words<'a>) -> Option<Command<'a>> {
    let chain = chain(words)?;
    Some(Command::Commit { chain })
}

pub fn rollback<'a>(words: &mut Words<'a>) -> Option<Command<'a>> {
    if words.eat("prepared") {
        return Some(Command::RollbackPrepared);
    }
    let mut ahead = words.clone();
    ahead.eat_any(&["work", "transaction"]);
    if ahead.eat("to") {
        return Some(Command::RollbackTo);
    }
    abort(words)
}

pub fn abort<'a>(words: &mut Words<'a>) -> Option<Command<'a>> {
    let chain = chain(words)?;
    Some(Command::Rollback { chain })
}

/// `[WORK | TRANSACTION] [AND [NO] CHAIN]`, and nothing more.
fn chain(words: &mut Words<'_>) -> Option<bool> {
    words.eat_any(&["work", "transaction"]);
    let chain = words.eat_all(&["and", "chain"]);
    if !chain {
        words.eat_all(&["and", "no", "chain"]);
    }
    words.is_done().then_some(chain)
}
