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
use super::lexer::{Lexer, Quoting, Token};
use super::verdict::{Class, Reason, Verdict};

/// A longer statement is not looked at.
pub const MAX_PARSED: usize = 64 * 1024;
/// Nor is one with more tokens than this, lists of constants left out: a tree that is as deep as
/// they are many still fits the stack of a thread.
const TOKENS_MAX: usize = 4096;
/// How deep the parser may follow nested expressions and queries.
const DEPTH_MAX: usize = 50;

/// The verdict on one statement that begins like a query: `SELECT`, `WITH`, `VALUES`, `TABLE`, `(`.
pub fn classify_query(sql: &[u8], quoting: Quoting, catalog: &Catalog) -> Verdict {
    let looked_at = sql.get(..MAX_PARSED).unwrap_or(sql);
    let first_look = words::look(significant(looked_at, quoting), catalog);
    if looked_at.len() < sql.len() {
        return Verdict::primary(Reason::TooLong).and(first_look);
    }
    match first_look.class {
        Class::Primary(_) => first_look,
        Class::Read => match parse(sql, quoting, catalog) {
            Ok(()) => Verdict::READ,
            Err(reason) => Verdict::primary(reason),
        },
    }
}

fn significant(sql: &[u8], quoting: Quoting) -> impl Iterator<Item = Token<'_>> {
    Lexer::new(sql, quoting).filter(Token::is_significant)
}

/// The second look.
fn parse(sql: &[u8], quoting: Quoting, catalog: &Catalog) -> Result<(), Reason> {
    let tokens = plain::tokens(significant(sql, quoting), TOKENS_MAX).ok_or(Reason::Unparsed)?;
    let count = tokens.len();
    let mut parser = Parser::new(&PostgreSqlDialect {})
        .with_recursion_limit(DEPTH_MAX)
        .with_tokens(tokens);
    let query = parser.parse_query().map_err(|_| Reason::Unparsed)?;
    if parser.index() < count {
        return Err(Reason::Unparsed); // something follows that is no part of it
    }
    tree::judge(&query, catalog)
}

#[cfg(test)]
mod tests;
