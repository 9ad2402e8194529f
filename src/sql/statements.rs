//! Sans-IO. Cuts the text of a simple query into statements.
//!
//! A semicolon ends one, unless it is inside of parentheses (the actions of a rule) or of a function's
//! body between `BEGIN ATOMIC` and its `END`. In doubt the text is one statement. Statements of nothing
//! but space and comments are left out.

use memchr::memchr;

use super::lexer::{Lexer, Quoting, Token};

/// The statements of a text. Each has the space and the comments around it, and no semicolon.
#[derive(Debug, Clone)]
pub struct Statements<'a> {
    rest: &'a [u8],
    quoting: Quoting,
}

impl<'a> Statements<'a> {
    /// Begins at the start of a text.
    pub fn new(sql: &'a [u8], quoting: Quoting) -> Self {
        Self { rest: sql, quoting }
    }
}

/// Whether there are none, one or more; looks no further than it must.
pub fn count(sql: &[u8], quoting: Quoting) -> usize {
    Statements::new(sql, quoting).count()
}

impl<'a> Iterator for Statements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let sql = self.rest;
            let (statement, rest) = first(sql, self.quoting);
            self.rest = rest;
            let has_any = Lexer::new(statement, self.quoting).next_significant();
            if has_any.is_some() {
                return Some(statement);
            }
        }
        None
    }
}

/// The text up to the first semicolon that counts, and what follows it.
fn first(sql: &[u8], quoting: Quoting) -> (&[u8], &[u8]) {
    if memchr(b';', sql).is_none() {
        return (sql, &[]);
    }
    let mut lexer = Lexer::new(sql, quoting);
    let mut nesting = Nesting::default();
    while let Some(token) = lexer.next_significant() {
        if token.is(";") && nesting.is_top() {
            let rest = lexer.rest();
            let end = sql.len() - rest.len() - token.text.len();
            let statement = sql.get(..end).unwrap_or(sql);
            return (statement, rest);
        }
        nesting.see(&token);
    }
    (sql, &[])
}

/// What a semicolon may be inside of.
#[derive(Default)]
struct Nesting {
    parentheses: usize,
    /// `BEGIN ATOMIC` and each `CASE` in it, which has an `END` too.
    blocks: usize,
    before: Before,
}

/// The last token, as far as it matters.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Before {
    Begin,
    /// `.` or `AS`, after which any word is a name.
    Naming,
    #[default]
    Other,
}

impl Nesting {
    fn is_top(&self) -> bool {
        self.parentheses == 0 && self.blocks == 0
    }

    fn see(&mut self, token: &Token<'_>) {
        let before = std::mem::take(&mut self.before);
        match token.text {
            b"(" => self.parentheses += 1,
            b")" => self.parentheses = self.parentheses.saturating_sub(1),
            b"." => self.before = Before::Naming,
            _ if before == Before::Naming => {}
            _ if token.is_word("as") => self.before = Before::Naming,
            _ if token.is_word("begin") => self.before = Before::Begin,
            _ if before == Before::Begin && token.is_word("atomic") => self.blocks += 1,
            _ if self.blocks == 0 => {}
            _ if token.is_word("case") => self.blocks += 1,
            _ if token.is_word("end") => self.blocks -= 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
