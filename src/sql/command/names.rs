//! Sans-IO. Names and strings as the server understands them.

use std::borrow::Cow;

use crate::sql::lexer::{Kind, Quoting, Token};

/// A longer name is cut by the server: `NAMEDATALEN` without its last byte.
const NAME_MAX: usize = 63;

/// A name; `None` for what is none, and for one with Unicode escapes.
pub fn name(token: Token<'_>) -> Option<Cow<'_, [u8]>> {
    let name = match token.kind {
        Kind::Word => small(token.text),
        Kind::Quoted => undouble(inside(token.text, b'"')?, b'"')?,
        Kind::Space
        | Kind::Comment
        | Kind::Text
        | Kind::Number
        | Kind::Param
        | Kind::Operator
        | Kind::Punctuation
        | Kind::Broken => return None,
    };
    (!name.is_empty()).then(|| cut(name))
}

/// The same in small letters, as settings are looked up.
pub fn setting(token: Token<'_>) -> Option<Cow<'_, [u8]>> {
    let mut name = name(token)?;
    if name.iter().any(u8::is_ascii_uppercase) {
        name.to_mut().make_ascii_lowercase();
    }
    Some(name)
}

/// What a string says; `None` for what is none, and for one with escapes or continuations.
pub fn text(token: Token<'_>, quoting: Quoting) -> Option<Cow<'_, [u8]>> {
    if token.kind != Kind::Text {
        return None;
    }
    let (inside, escapes) = match token.text {
        [b'\'', ..] => (inside(token.text, b'\'')?, quoting == Quoting::Backslash),
        [b'e' | b'E', rest @ ..] => (inside(rest, b'\'')?, true),
        _ => return None,
    };
    if escapes && inside.contains(&b'\\') {
        return None;
    }
    undouble(inside, b'\'')
}

/// A word in small letters.
pub fn small(word: &[u8]) -> Cow<'_, [u8]> {
    if word.iter().any(u8::is_ascii_uppercase) {
        Cow::Owned(word.to_ascii_lowercase())
    } else {
        Cow::Borrowed(word)
    }
}

fn inside(text: &[u8], quote: u8) -> Option<&[u8]> {
    match text {
        [first, inside @ .., last] if *first == quote && *last == quote => Some(inside),
        _ => None,
    }
}

/// Two quotes are one; a single one is none of the text, but begins a continuation.
fn undouble(text: &[u8], quote: u8) -> Option<Cow<'_, [u8]>> {
    if !text.contains(&quote) {
        return Some(Cow::Borrowed(text));
    }
    let mut single = Vec::with_capacity(text.len());
    let mut bytes = text.iter().peekable();
    while let Some(byte) = bytes.next() {
        if *byte == quote {
            bytes.next_if(|next| **next == quote)?;
        }
        single.push(*byte);
    }
    Some(Cow::Owned(single))
}

/// Cuts a name as the server does, in front of a character that does not fit.
fn cut(name: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let Some(next) = name.get(NAME_MAX) else {
        return name;
    };
    let is_inside = |byte: u8| byte & 0xc0 == 0x80;
    let mut end = NAME_MAX;
    if is_inside(*next) && str::from_utf8(&name).is_ok() {
        let before = name
            .iter()
            .take(NAME_MAX)
            .rposition(|byte| !is_inside(*byte));
        end = before.unwrap_or(NAME_MAX);
    }
    match name {
        Cow::Borrowed(name) => Cow::Borrowed(name.get(..end).unwrap_or(name)),
        Cow::Owned(mut name) => {
            name.truncate(end);
            Cow::Owned(name)
        }
    }
}
