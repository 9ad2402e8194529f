//! Sans-IO. Statements about what a session has by name: prepared statements and cursors.

use std::borrow::Cow;

use super::words::Words;
use super::{Command, Discard, Which};

pub fn prepare<'a>(words: &mut Words<'a>) -> Option<Command<'a>> {
    let mut ahead = words.clone();
    if ahead.eat("transaction") && ahead.eat_value() {
        return Some(Command::PrepareTransaction);
    }
    let name = words.name()?;
    if words.eat_symbol("(") {
        words.take_closing()?;
    }
    if !words.eat("as") {
        return None;
    }
    let body = words.rest();
    Some(Command::Prepare { name, body })
}

pub fn execute<'a>(words: &mut Words<'a>) -> Option<Command<'a>> {
    let name = words.name()?;
    let arguments = words.rest();
    Some(Command::Execute { name, arguments })
}

pub fn deallocate<'a>(words: &mut Words<'a>) -> Command<'a> {
    // `DEALLOCATE prepare` is about a statement of that name.
    let mut ahead = words.clone();
    if ahead.eat("prepare") && !ahead.is_done() {
        *words = ahead;
    }
    Command::Deallocate(which(words))
}

pub fn close<'a>(words: &mut Words<'a>) -> Command<'a> {
    Command::Close(which(words))
}

fn which<'a>(words: &mut Words<'a>) -> Which<'a> {
    if words.eat("all") {
        return Which::All;
    }
    // A name with escapes is one that we do not know.
    Which::Named(words.name().unwrap_or(Cow::Borrowed(b"")))
}

pub fn declare<'a>(words: &mut Words<'a>) -> Option<Command<'a>> {
    // The name, which may be any.
    words.take()?;
    let options = ["binary", "asensitive", "insensitive", "no", "scroll"];
    while words.eat_any(&options) {}
    if !words.eat("cursor") {
        return None;
    }
    let hold = words.eat_all(&["with", "hold"]);
    if !hold {
        words.eat_all(&["without", "hold"]);
    }
    if !words.eat("for") {
        return None;
    }
    let body = words.rest();
    Some(Command::Declare { hold, body })
}

pub fn discard<'a>(words: &mut Words<'a>) -> Option<Command<'a>> {
    let kinds = [
        ("all", Discard::All),
        ("plans", Discard::Plans),
        ("sequences", Discard::Sequences),
        ("temp", Discard::Temp),
        ("temporary", Discard::Temp),
    ];
    let found = kinds.into_iter().find(|(word, _)| words.eat(word));
    found
        .filter(|_| words.is_done())
        .map(|(_, kind)| Command::Discard(kind))
}
