//! Sans-IO. What kind of statement it is, by its leading keywords alone.
//!
//! One statement is read, as `Statements` cuts them; semicolons around it do no harm. Where `pgweir` itself
//! may answer (`BEGIN`) the whole statement is read by `PostgreSQL`'s grammar; elsewhere only as far as
//! it matters, for a statement that the server refuses does nothing anywhere. Names are as the server
//! understands them: in small letters or without their quotes, and cut to its length.
//! Not here: what a query does (`classify`).

mod body;
mod ddl;
mod names;
mod portal;
mod setting;
mod transaction;
mod verdict;
mod words;

use std::borrow::Cow;

pub use body::{Body, CopyPlace, CopySource, Direction};
pub use ddl::{Ddl, Temporary};
pub use setting::{Name, Value};
pub use transaction::{Access, BeginOptions, Isolation};
pub use verdict::{effects_of, verdict_of};

use super::lexer::{Kind, Quoting, Token};
use words::Words;

/// What `DISCARD` throws away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discard {
    /// All that a session has.
    All,
    /// Cached plans.
    Plans,
    /// What sequences have given.
    Sequences,
    /// Temporary tables.
    Temp,
}

/// One of a session's named things, or all of the kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which<'a> {
    /// Every one.
    All,
    /// This one.
    Named(Cow<'a, [u8]>),
}

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command<'a> {
    /// Nothing but space and comments.
    Empty,
    /// `SELECT`, `WITH`, `VALUES`, `TABLE` or a parenthesis: may read, write or lock.
    Query(Body<'a>),
    /// `INSERT`, `UPDATE`, `DELETE`, `MERGE`, `TRUNCATE`.
    Write(Body<'a>),
    /// `BEGIN` or `START TRANSACTION`.
    Begin(BeginOptions),
    /// `SET TRANSACTION`.
    SetTransaction(BeginOptions),
    /// `SET TRANSACTION SNAPSHOT`.
    SetSnapshot,
    /// `SET SESSION CHARACTERISTICS AS TRANSACTION`.
    SessionCharacteristics(BeginOptions),
    /// `COMMIT` or `END`.
    Commit {
        /// Whether the next transaction begins at once.
        chain: bool,
    },
    /// `ROLLBACK` or `ABORT`.
    Rollback {
        /// Whether the next transaction begins at once.
        chain: bool,
    },
    /// `SAVEPOINT`.
    Savepoint,
    /// `RELEASE`.
    Release,
    /// `ROLLBACK TO`.
    RollbackTo,
    /// `PREPARE TRANSACTION`.
    PrepareTransaction,
    /// `COMMIT PREPARED`.
    CommitPrepared,
    /// `ROLLBACK PREPARED`.
    RollbackPrepared,
    /// `SET`, also in its forms without an equals sign.
    Set {
        /// Of the setting, in small letters: `search_path`, `pgweir.route`.
        name: Name<'a>,
        /// What it becomes.
        value: Value<'a>,
        /// Whether only for this transaction.
        local: bool,
    },
    /// `SET CONSTRAINTS`.
    SetConstraints,
    /// `RESET`; `None` for `ALL`.
    Reset(Option<Name<'a>>),
    /// `SHOW`; `None` for `ALL`.
    Show(Option<Name<'a>>),
    /// `PREPARE name AS`.
    Prepare {
        /// Of the statement.
        name: Cow<'a, [u8]>,
        /// The statement.
        body: Body<'a>,
    },
    /// `EXECUTE`.
    Execute {
        /// Of the statement.
        name: Cow<'a, [u8]>,
        /// What stands after the name: nothing, or expressions in parentheses.
        arguments: Body<'a>,
    },
    /// `DEALLOCATE`.
    Deallocate(Which<'a>),
    /// `DECLARE ... CURSOR FOR`.
    Declare {
        /// Whether the cursor outlives its transaction.
        hold: bool,
        /// The query.
        body: Body<'a>,
    },
    /// `FETCH` or `MOVE`.
    Fetch,
    /// `CLOSE`.
    Close(Which<'a>),
    /// `LISTEN`.
    Listen,
    /// `UNLISTEN`.
    Unlisten,
    /// `NOTIFY`.
    Notify,
    /// `DISCARD`.
    Discard(Discard),
    /// `COPY`.
    Copy {
        /// Into the table or out of it.
        direction: Direction,
        /// The table or query.
        source: CopySource<'a>,
        /// What is at the other end.
        place: CopyPlace,
    },
    /// `EXPLAIN`.
    Explain {
        /// Whether the statement is run too. True in doubt.
        analyze: bool,
        /// The statement.
        body: Body<'a>,
    },
    /// `CREATE`, `ALTER`, `DROP`, `GRANT`, `COMMENT` and what else changes the schema.
    Ddl(Ddl<'a>),
    /// `LOCK TABLE`.
    Lock,
    /// `DO`: code in a string.
    Do(Body<'a>),
    /// `CALL`.
    Call(Body<'a>),
    /// `VACUUM`, `ANALYZE`, `CHECKPOINT`, `CLUSTER`, `REINDEX`, `LOAD` and the like.
    Utility,
    /// A keyword that we do not know, or one that goes on as no grammar we know does.
    Unknown,
}

/// The longest keyword that a statement begins with has so many letters.
const KEYWORD_MAX: usize = 10;

/// What kind of statement this is.
pub fn command(sql: &[u8], quoting: Quoting) -> Command<'_> {
    let mut words = Words::new(sql, quoting);
    loop {
        let whole = words.rest();
        return match words.take() {
            None => Command::Empty,
            Some(first) if first.is(";") => continue,
            Some(first) if first.is("(") => Command::Query(whole),
            Some(first) => keyword(first, whole, &mut words).unwrap_or(Command::Unknown),
        };
    }
}

fn keyword<'a>(first: Token<'a>, whole: Body<'a>, words: &mut Words<'a>) -> Option<Command<'a>> {
    let mut small = [0; KEYWORD_MAX];
    let small = small.get_mut(..first.text.len())?;
    if first.kind != Kind::Word {
        return None;
    }
    small.copy_from_slice(first.text);
    small.make_ascii_lowercase();
    match &*small {
        b"select" | b"with" | b"values" | b"table" => Some(Command::Query(whole)),
        b"insert" | b"update" | b"delete" | b"merge" | b"truncate" => Some(Command::Write(whole)),
        b"begin" => transaction::begin(words),
        b"start" => transaction::start(words),
        b"commit" => transaction::commit(words),
        b"end" => transaction::end(words),
        b"rollback" => transaction::rollback(words),
        b"abort" => transaction::abort(words),
        b"savepoint" => Some(Command::Savepoint),
        b"release" => Some(Command::Release),
        b"set" => setting::set(words),
        b"reset" => setting::reset(words),
        b"show" => setting::show(words),
        b"prepare" => portal::prepare(words),
        b"execute" => portal::execute(words),
        b"deallocate" => Some(portal::deallocate(words)),
        b"declare" => portal::declare(words),
        b"fetch" | b"move" => Some(Command::Fetch),
        b"close" => Some(portal::close(words)),
        b"listen" => Some(Command::Listen),
        b"unlisten" => Some(Command::Unlisten),
        b"notify" => Some(Command::Notify),
        b"discard" => portal::discard(words),
        b"copy" => body::copy(words),
        b"explain" => body::explain(words),
        b"create" | b"alter" | b"drop" | b"grant" | b"revoke" | b"comment" | b"security"
        | b"import" | b"reassign" | b"refresh" => Some(Command::Ddl(ddl::ddl(first, whole, words))),
        b"lock" => Some(Command::Lock),
        b"do" => Some(Command::Do(whole)),
        b"call" => Some(Command::Call(whole)),
        b"vacuum" | b"analyze" | b"analyse" | b"cluster" | b"reindex" | b"checkpoint" | b"load"
        | b"repack" | b"wait" => Some(Command::Utility),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
