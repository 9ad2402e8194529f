//! Sans-IO. `SET`, `RESET` and `SHOW`.

use std::borrow::Cow;

use super::Command;
use super::body::Body;
use super::names;
use super::transaction::modes;
use super::words::Words;
use crate::sql::lexer::{Kind, Token};

/// The name of a setting, in small letters: settings are found whatever the case.
pub type Name<'a> = Cow<'a, [u8]>;

/// What a setting becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// `DEFAULT`: as after `RESET`.
    Default,
    /// `FROM CURRENT`: as it is.
    Current,
    /// Values, mostly one, without their quotes. Each is one name of a `search_path`, whatever is in it.
    List(Vec<Cow<'a, [u8]>>),
    /// Anything else, as it was written: strings with escapes, intervals, too many values.
    Other(Body<'a>),
}

/// More values than this in a list are not taken apart.
const VALUES_MAX: usize = 64;

/// Whether what follows says that the word before was the setting's name.
fn is_assigned(words: &Words<'_>) -> bool {
    let next = words.peek();
    next.is_some_and(|token| token.is("=") || token.is(".") || token.is_word("to"))
}

/// Takes a word that is no setting's name here.
fn eat_keyword(words: &mut Words<'_>, word: &str) -> bool {
    let mut ahead = words.clone();
    let is_keyword = ahead.eat(word) && !is_assigned(&ahead);
    if is_keyword {
        *words = ahead;
    }
    is_keyword
}

pub fn set<'a>(words: &mut Words<'a>) -> Option<Command<'a>> {
    if eat_keyword(words, "constraints") {
        return Some(Command::SetConstraints);
    }
    if words.eat_all(&["session", "characteristics", "as", "transaction"]) {
        return modes(words).map(Command::SessionCharacteristics);
    }
    let local = eat_keyword(words, "local");
    // `SET SESSION AUTHORIZATION` is the short form of `SET SESSION SESSION AUTHORIZATION`.
    let is_short = words.clone().eat_all(&["session", "authorization"]);
    if !local && !is_short {
        eat_keyword(words, "session");
    }
    if words.eat_all(&["session", "characteristics", "as", "transaction"]) {
        return modes(words).map(Command::SessionCharacteristics);
    }
    if eat_keyword(words, "transaction") {
        if words.eat("snapshot") {
            return Some(Command::SetSnapshot);
        }
        return modes(words).map(Command::SetTransaction);
    }
    if let Some(name) = special(words) {
        let (name, value) = (Cow::Borrowed(name.as_bytes()), value(words));
        return Some(Command::Set { name, value, local });
    }
    let name = setting(words)?;
    let value = if words.eat_all(&["from", "current"]) {
        Value::Current
    } else if words.eat_symbol("=") || words.eat("to") {
        value(words)
    } else {
        return None;
    };
    Some(Command::Set { name, value, local })
}

/// Forms of their own, whose value follows without a sign, and the setting that each is for.
fn special(words: &mut Words<'_>) -> Option<&'static str> {
    if words.eat_all(&["time", "zone"]) {
        return Some("timezone");
    }
    if words.eat_all(&["session", "authorization"]) {
        return Some("session_authorization");
    }
    if words.eat_all(&["xml", "option"]) {
        return Some("xmloption");
    }
    [
        ("role", "role"),
        ("names", "client_encoding"),
        ("schema", "search_path"),
    ]
    .into_iter()
    .find_map(|(word, name)| eat_keyword(words, word).then_some(name))
}

/// A setting's name, with the parts before it: `pgweir.route`.
fn setting<'a>(words: &mut Words<'a>) -> Option<Name<'a>> {
    let mut name = names::setting(words.take()?)?;
    while words.eat_symbol(".") {
        let part = names::setting(words.take()?)?;
        let whole = name.to_mut();
        whole.push(b'.');
        whole.extend_from_slice(&part);
    }
    Some(name)
}

fn value<'a>(words: &mut Words<'a>) -> Value<'a> {
    let whole = words.rest();
    if words.is_done() {
        // `SET NAMES` alone is `SET NAMES DEFAULT`; the others are refused by the server.
        return Value::Default;
    }
    let mut ahead = words.clone();
    if ahead.eat_any(&["default", "local"]) && ahead.is_done() {
        return Value::Default;
    }
    let values = list(words);
    values.map_or(Value::Other(whole), Value::List)
}

fn list<'a>(words: &mut Words<'a>) -> Option<Vec<Cow<'a, [u8]>>> {
    let mut values = Vec::new();
    loop {
        let before = words.rest();
        let token = words.take()?;
        let value = match token.kind {
            Kind::Word => names::small(token.text),
            Kind::Number => Cow::Borrowed(token.text),
            Kind::Quoted => names::name(token)?,
            Kind::Text => names::text(token, before.quoting)?,
            Kind::Operator => number(token, words)?,
            Kind::Space | Kind::Comment | Kind::Param | Kind::Punctuation | Kind::Broken => {
                return None;
            }
        };
        values.push(value);
        if words.is_done() {
            return Some(values);
        }
        if !words.eat_symbol(",") || values.len() >= VALUES_MAX {
            return None;
        }
    }
}

/// A number with a sign.
fn number<'a>(sign: Token<'a>, words: &mut Words<'a>) -> Option<Cow<'a, [u8]>> {
    let number = words.take().filter(|token| token.kind == Kind::Number)?;
    match sign.text {
        b"+" => Some(Cow::Borrowed(number.text)),
        b"-" => Some(Cow::Owned([sign.text, number.text].concat())),
        _ => None,
    }
}

pub fn reset<'a>(words: &mut Words<'a>) -> Option<Command<'a>> {
    named(words, Command::Reset)
}

pub fn show<'a>(words: &mut Words<'a>) -> Option<Command<'a>> {
    named(words, Command::Show)
}

/// With a setting's name, or `ALL`.
fn named<'a>(
    words: &mut Words<'a>,
    command: impl FnOnce(Option<Name<'a>>) -> Command<'a>,
) -> Option<Command<'a>> {
    let forms: [(&[&str], &str); 3] = [
        (&["time", "zone"], "timezone"),
        (&["session", "authorization"], "session_authorization"),
        (
            &["transaction", "isolation", "level"],
            "transaction_isolation",
        ),
    ];
    let form = forms.iter().find(|(form, _)| words.eat_all(form));
    let name = match form {
        Some((_, name)) => Some(Cow::Borrowed(name.as_bytes())),
        None if words.eat("all") => None,
        None => Some(setting(words)?),
    };
    words.is_done().then(|| command(name))
}
