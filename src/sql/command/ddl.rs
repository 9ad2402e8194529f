//! Sans-IO. What changes the schema, and what of that matters to later statements.

use super::body::Body;
use super::words::Words;
use crate::sql::lexer::{Kind, Token};

/// How long a new temporary thing stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temporary {
    /// Until the transaction ends: `ON COMMIT DROP`.
    Transaction,
    /// Until the session ends.
    Session,
}

/// A change of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ddl<'a> {
    /// Its text.
    pub body: Body<'a>,
    /// Whether there may be other functions afterwards, or others may be found by a name; or
    /// relations that are not the same on every server.
    pub changes_functions: bool,
    /// Whether it takes something away.
    pub removes: bool,
    /// Whether it stores what a query gives: `CREATE TABLE AS`, a materialized view.
    pub stores: bool,
    /// What it makes is temporary.
    pub temporary: Option<Temporary>,
}

/// What stands between `CREATE` and the kind of thing that is created.
const ADJECTIVES: [&str; 13] = [
    "or",
    "replace",
    "local",
    "global",
    "temp",
    "temporary",
    "unlogged",
    "recursive",
    "materialized",
    "unique",
    "foreign",
    "event",
    "constraint",
];

/// Things which no function comes or goes with, nor anything else that is not the same on every
/// server.
const INERT: [&str; 19] = [
    "table",
    "index",
    "statistics",
    "policy",
    "publication",
    "subscription",
    "role",
    "user",
    "group",
    "tablespace",
    "server",
    "data",
    "collation",
    "conversion",
    "text",
    "trigger",
    "database",
    "system",
    "access",
];

/// Reads on after the keyword `first`.
pub fn ddl<'a>(first: Token<'a>, body: Body<'a>, words: &mut Words<'a>) -> Ddl<'a> {
    let is = |word: &str| first.is_word(word);
    let mut ddl = Ddl {
        body,
        changes_functions: false,
        removes: is("drop"),
        stores: false,
        temporary: None,
    };
    if is("comment") || is("security") || is("refresh") {
        return ddl;
    }
    if !is("create") && !is("alter") && !is("drop") {
        ddl.changes_functions = true;
        return ddl;
    }
    let mut adjectives = Adjectives::default();
    let mut object = words.take();
    while object.is_some_and(|token| adjectives.see(&token)) {
        object = words.take();
    }
    let object_is = |word: &str| object.is_some_and(|token| token.is_word(word));
    let is_of_session = adjectives.temporary && (object_is("view") || object_is("sequence"));
    let is_inert = is_of_session || INERT.iter().any(|word| object_is(word));
    ddl.changes_functions = !is_inert || adjectives.is_of_its_server;
    let scan = Scan::of(words);
    ddl.changes_functions |= scan.has(Mark::Cascade);
    if is("create") {
        let has_query = object_is("table") || adjectives.materialized;
        ddl.stores = has_query && (scan.has(Mark::Query) || adjectives.materialized);
        if adjectives.temporary || scan.has(Mark::TemporarySchema) {
            ddl.temporary = Some(if scan.has(Mark::OnCommitDrop) {
                Temporary::Transaction
            } else {
                Temporary::Session
            });
        }
    }
    ddl
}

#[derive(Default)]
struct Adjectives {
    temporary: bool,
    materialized: bool,
    /// Unlogged or foreign.
    is_of_its_server: bool,
}

impl Adjectives {
    fn see(&mut self, token: &Token<'_>) -> bool {
        self.temporary |= token.is_word("temp") || token.is_word("temporary");
        self.materialized |= token.is_word("materialized");
        self.is_of_its_server |= token.is_word("unlogged") || token.is_word("foreign");
        ADJECTIVES.iter().any(|word| token.is_word(word))
    }
}

/// What the rest of a statement has in it.
#[derive(Default)]
struct Scan {
    marks: Vec<Mark>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// `CASCADE`.
    Cascade,
    /// `AS` outside of parentheses.
    Query,
    /// `ON COMMIT DROP` outside of parentheses.
    OnCommitDrop,
    /// The schema of temporary things.
    TemporarySchema,
}

impl Scan {
    fn of(words: &mut Words<'_>) -> Self {
        let mut scan = Self::default();
        let mut depth = 0_usize;
        while let Some(token) = words.take() {
            match token.text {
                b"(" => depth += 1,
                b")" => depth = depth.saturating_sub(1),
                _ if names_temporary_schema(&token) => scan.mark(Mark::TemporarySchema),
                _ if token.is_word("cascade") => scan.mark(Mark::Cascade),
                _ if depth > 0 => {}
                _ if token.is_word("as") => scan.mark(Mark::Query),
                _ if token.is_word("on") && words.eat_all(&["commit", "drop"]) => {
                    scan.mark(Mark::OnCommitDrop);
                }
                _ => {}
            }
        }
        scan
    }

    fn mark(&mut self, mark: Mark) {
        if !self.has(mark) {
            self.marks.push(mark);
        }
    }

    fn has(&self, mark: Mark) -> bool {
        self.marks.contains(&mark)
    }
}

/// Whether it is `pg_temp`, or the real name of that schema, which has a number after it.
fn names_temporary_schema(token: &Token<'_>) -> bool {
    const SCHEMA: &[u8] = b"pg_temp";
    let ((Kind::Word, name) | (Kind::Quoted, [b'"', name @ ..])) = (token.kind, token.text) else {
        return false;
    };
    let start = name.get(..SCHEMA.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(SCHEMA))
}
