//! Sans-IO. Whether a statement is a proven read.
//!
//! Two looks have to agree, and neither alone could call a write a read. The first goes over the
//! tokens (`words`) and finds what cannot be written without a certain word or a certain name. The
//! second parses, and knows every node of the tree that it lets pass (`tree`): what the parser does
//! not accept, and every kind of node that is not listed there, is for the primary.
//!
//! Invariant: the verdict does not depend on the values of constants.

mod plain;
mod tree;
mod words;

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::catalog::Catalog;
use super::command::{Body, Command, CopySource, command, verdict_of};
use super::lexer::{Lexer, Quoting, Token};
use super::statements::Statements;
use super::verdict::{Class, Effect, Reason, Verdict};

/// A longer statement is not looked at.
pub const MAX_PARSED: usize = 64 * 1024;
/// Nor is one with more tokens than this, lists of constants left out: a tree that is as deep as
/// they are many still fits the stack of a thread.
const TOKENS_MAX: usize = 4096;
/// How deep the parser may follow nested expressions and queries. One step takes it up to 30 KB of
/// the 2 MB that a thread has, and twice that where it is not optimised.
const DEPTH_MAX: usize = if cfg!(debug_assertions) { 20 } else { 30 };

/// The verdict on the text of one message: on all its statements together. The reason is that of
/// the first one that is no read. In the name of `EXECUTE` only the one who keeps the prepared
/// statements can decide; it asks for them with [`classify_arguments`].
pub fn classify(sql: &[u8], quoting: Quoting, catalog: &Catalog) -> Verdict {
    let Some(sql) = short_enough(sql) else {
        return too_long(sql, quoting, catalog);
    };
    let verdicts = Statements::new(sql, quoting).map(|one| statement(one, quoting, catalog));
    verdicts.reduce(Verdict::and).unwrap_or(Verdict::READ)
}

/// The verdict on what follows the name in `EXECUTE name (...)`: nothing, or expressions that the
/// server evaluates before it runs the statement.
pub fn classify_arguments(arguments: Body<'_>, catalog: &Catalog) -> Verdict {
    let Body { sql, quoting } = arguments;
    if significant(sql, quoting).next().is_none() {
        return Verdict::READ;
    }
    looks(sql, quoting, catalog, |parser| {
        let list = parser.parse_expr().map_err(|_| Reason::Unparsed)?;
        Ok(tree::judge_expr(&list, catalog))
    })
}

/// One statement.
fn statement(sql: &[u8], quoting: Quoting, catalog: &Catalog) -> Verdict {
    let mut command = command(sql, quoting);
    if let Some(verdict) = verdict_of(&command) {
        return if asks_a_sequence(sql, quoting) {
            verdict.with(Effect::Pins)
        } else {
            verdict
        };
    }
    loop {
        command = match command {
            Command::Query(body) => return query(body, catalog),
            Command::Explain { body, .. }
            | Command::Declare { body, .. }
            | Command::Copy {
                source: CopySource::Query(body),
                ..
            } => body.command(),
            Command::Copy {
                source: CopySource::Table(name),
                ..
            } => return table(name, quoting, catalog),
            Command::Execute { arguments, .. } => {
                let verdict = Verdict::primary(Reason::UnknownStatement);
                return verdict.and(classify_arguments(arguments, catalog));
            }
            // On these the keywords have decided.
            Command::Empty
            | Command::Write(_)
            | Command::Begin(_)
            | Command::SetTransaction(_)
            | Command::SetSnapshot
            | Command::SessionCharacteristics(_)
            | Command::Commit { .. }
            | Command::Rollback { .. }
            | Command::Savepoint
            | Command::Release
            | Command::RollbackTo
            | Command::Prepare { .. }
            | Command::PrepareTransaction
            | Command::CommitPrepared
            | Command::RollbackPrepared
            | Command::Set { .. }
            | Command::SetConstraints
            | Command::Reset(_)
            | Command::Show(_)
            | Command::Deallocate(_)
            | Command::Fetch
            | Command::Close(_)
            | Command::Listen
            | Command::Unlisten
            | Command::Notify
            | Command::Discard(_)
            | Command::Ddl(_)
            | Command::Lock
            | Command::Do(_)
            | Command::Call(_)
            | Command::Utility
            | Command::Unknown => return Verdict::primary(Reason::Unparsed),
        };
    }
}

/// Whether it may ask what a sequence has given in this session. The keywords have looked for locks
/// and temporary tables already; a whole look would be much dearer for every `INSERT`.
fn asks_a_sequence(sql: &[u8], quoting: Quoting) -> bool {
    significant(sql, quoting)
        .filter_map(|token| words::folded(&token))
        .any(|name| matches!(&*name, "currval" | "lastval"))
}

/// A query: `SELECT`, `WITH`, `VALUES`, `TABLE` or a parenthesis.
fn query(body: Body<'_>, catalog: &Catalog) -> Verdict {
    looks(body.sql, body.quoting, catalog, |parser| {
        let query = parser.parse_query().map_err(|_| Reason::Unparsed)?;
        Ok(tree::judge(&query, catalog))
    })
}

/// All rows of a table.
fn table(name: &[u8], quoting: Quoting, catalog: &Catalog) -> Verdict {
    let parts = significant(name, quoting).filter(|token| !token.is("."));
    let parts: Option<Vec<_>> = parts.map(|token| words::folded(&token)).collect();
    match parts.as_deref() {
        Some([name]) => catalog.relation(None, name),
        Some([schema, name] | [_, schema, name]) => catalog.relation(Some(schema), name),
        _ => Verdict::primary(Reason::Unparsed),
    }
}

fn short_enough(sql: &[u8]) -> Option<&[u8]> {
    (sql.len() <= MAX_PARSED).then_some(sql)
}

/// Only what its beginning leaves behind in the session is known.
fn too_long(sql: &[u8], quoting: Quoting, catalog: &Catalog) -> Verdict {
    let beginning = sql.get(..MAX_PARSED).unwrap_or(sql);
    let first_look = words::look(significant(beginning, quoting), catalog);
    Verdict::primary(Reason::TooLong).and(first_look)
}

/// Both looks at what `parse` can read; it has to read all of it.
fn looks(
    sql: &[u8],
    quoting: Quoting,
    catalog: &Catalog,
    parse: impl FnOnce(&mut Parser<'_>) -> Result<Result<(), Reason>, Reason>,
) -> Verdict {
    let first_look = words::look(significant(sql, quoting), catalog).and(catalog.unseen());
    match first_look.class {
        Class::Primary(_) => first_look,
        Class::Read => match second_look(sql, quoting, parse) {
            Ok(()) => Verdict::READ,
            Err(reason) => Verdict::primary(reason),
        },
    }
}

fn second_look(
    sql: &[u8],
    quoting: Quoting,
    parse: impl FnOnce(&mut Parser<'_>) -> Result<Result<(), Reason>, Reason>,
) -> Result<(), Reason> {
    let tokens = plain::tokens(significant(sql, quoting), TOKENS_MAX).ok_or(Reason::Unparsed)?;
    let count = tokens.len();
    let mut parser = Parser::new(&PostgreSqlDialect {})
        .with_recursion_limit(DEPTH_MAX)
        .with_tokens(tokens);
    let judged = parse(&mut parser)?;
    if parser.index() < count {
        return Err(Reason::Unparsed); // something follows that is no part of it
    }
    judged
}

fn significant(sql: &[u8], quoting: Quoting) -> impl Iterator<Item = Token<'_>> {
    Lexer::new(sql, quoting).filter(Token::is_significant)
}

#[cfg(test)]
mod tests;
