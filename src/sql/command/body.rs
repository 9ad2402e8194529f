//! Sans-IO. Statements with another one inside: `COPY` and `EXPLAIN`.

use super::words::Words;
use super::{Command, command};
use crate::sql::lexer::{Kind, Quoting};

/// A statement inside of another one, or what follows a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body<'a> {
    /// Its text.
    pub sql: &'a [u8],
    /// How strings in it are read.
    pub quoting: Quoting,
}

impl<'a> Body<'a> {
    /// What kind of statement it is.
    pub fn command(self) -> Command<'a> {
        command(self.sql, self.quoting)
    }
}

/// Which way `COPY` goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// `FROM`: rows go into the table.
    From,
    /// `TO`: rows are read.
    To,
}

/// What `COPY` is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopySource<'a> {
    /// A table: its name as it was written.
    Table(&'a [u8]),
    /// A query in parentheses, without them.
    Query(Body<'a>),
}

/// What is at the other end of a `COPY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyPlace {
    /// The client.
    Client,
    /// A file of the server.
    File,
    /// A program that the server starts.
    Program,
}

pub fn copy<'a>(words: &mut Words<'a>) -> Option<Command<'a>> {
    let before = words.rest();
    let source = if words.eat_symbol("(") {
        let sql = words.take_closing()?;
        let quoting = before.quoting;
        CopySource::Query(Body { sql, quoting })
    } else {
        CopySource::Table(table(words)?)
    };
    let direction = if words.eat("to") {
        Direction::To
    } else if words.eat("from") {
        Direction::From
    } else {
        return None;
    };
    // The server takes `TO STDIN` and `FROM STDOUT` as well.
    let place = if words.eat_any(&["stdin", "stdout"]) {
        CopyPlace::Client
    } else if words.eat("program") {
        CopyPlace::Program
    } else {
        CopyPlace::File
    };
    Some(Command::Copy {
        direction,
        source,
        place,
    })
}

/// A table's name and the list of columns after it, which is left out.
fn table<'a>(words: &mut Words<'a>) -> Option<&'a [u8]> {
    // An old option. A table may have that name.
    let mut ahead = words.clone();
    let is_name = |words: &Words<'_>| {
        let next = words.peek();
        next.is_some_and(|token| {
            let ends = token.is_word("from") || token.is_word("to");
            matches!(token.kind, Kind::Word | Kind::Quoted) && !ends
        })
    };
    if ahead.eat("binary") && is_name(&ahead) {
        *words = ahead;
    }
    let before = words.rest();
    loop {
        if !is_name(words) {
            return None;
        }
        words.take()?;
        if !words.eat_symbol(".") {
            break;
        }
    }
    let name = words.since(before);
    if words.eat_symbol("(") {
        words.take_closing()?;
    }
    Some(name)
}

pub fn explain<'a>(words: &mut Words<'a>) -> Option<Command<'a>> {
    let mut ahead = words.clone();
    let mut analyze = false;
    if ahead.eat_symbol("(") && !starts_query(&ahead) {
        analyze = options(&mut ahead)?;
        *words = ahead;
    } else {
        analyze |= words.eat_any(&["analyze", "analyse"]);
        words.eat("verbose");
    }
    let body = words.rest();
    Some(Command::Explain { analyze, body })
}

/// Whether what follows an opening parenthesis is a query and no option.
fn starts_query(words: &Words<'_>) -> bool {
    let keywords = ["select", "values", "with", "table"];
    let next = words.peek();
    next.is_some_and(|token| token.is("(") || keywords.iter().any(|word| token.is_word(word)))
}

/// Reads options to the closing parenthesis: whether the statement is run. The last one counts.
fn options(words: &mut Words<'_>) -> Option<bool> {
    let mut analyze = false;
    loop {
        let name = words.take()?;
        let is_analyze = name.is_word("analyze") || name.is_word("analyse");
        let mut is_on = true;
        let mut token = words.take()?;
        while !token.is(",") && !token.is(")") {
            let off = ["off", "false", "'off'", "'false'"];
            let is_off = off
                .iter()
                .any(|word| token.text.eq_ignore_ascii_case(word.as_bytes()));
            is_on = !(is_off || token.text == b"0");
            token = words.take()?;
        }
        if is_analyze {
            analyze = is_on;
        }
        if token.is(")") {
            return Some(analyze);
        }
    }
}
