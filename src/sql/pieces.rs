//! Sans-IO. A text without what does not matter: space, comments, values, a last semicolon.
//!
//! Texts with the same pieces differ in values only, so they do the same: a value is never a piece,
//! but *that* there is one always is. Two kinds of lists become as short as they can be, because their
//! length says nothing: `IN (1, 2)` and `ARRAY[1, 2]` have one value, `VALUES (1, 2), (3, 4)` one row.
//! Argument lists keep their length, for it decides which function is called.
//! The work is linear in the text: what is read ahead is read twice at most.

use std::ops::ControlFlow;

use super::lexer::{Kind, Lexer, Quoting, Token};
use super::telltale::Statement;

/// A part of a text that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A keyword or name without quotes: its case does not matter.
    Word(&'a [u8]),
    /// A name with its quotes.
    Quoted(&'a [u8]),
    /// A value: a number with its sign, a string, `$1`; in lists `NULL`, `TRUE`, `FALSE`, `DEFAULT` too.
    Value,
    /// The value before it is one of the few that matter (`telltale`).
    Telltale,
    /// An operator or punctuation.
    Symbol(&'a [u8]),
    /// What no server reads.
    Broken,
}

/// What stands before a token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing that matters.
    Nothing,
    /// A semicolon, which matters if something follows.
    Semicolon,
    /// Something after which a sign belongs to its number.
    Open,
    /// A dot: what follows is a name, even if it looks like a keyword.
    Dot,
    /// Anything else.
    Other,
}

impl Before {
    fn is_open(self) -> bool {
        match self {
            Self::Nothing | Self::Semicolon | Self::Open => true,
            Self::Dot | Self::Other => false,
        }
    }
}

/// Shows the pieces one after the other to `show`, until that wants no more.
pub fn each<'a>(
    sql: &'a [u8],
    quoting: Quoting,
    show: &mut impl FnMut(Piece<'a>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut lexer = Lexer::new(sql, quoting);
    let (mut before, mut statement) = (Before::Nothing, Statement::Other);
    while let Some(token) = lexer.next_significant() {
        if token.text == b";" {
            if before != Before::Nothing {
                before = Before::Semicolon;
            }
            continue;
        }
        if before == Before::Semicolon {
            show(Piece::Symbol(b";"))?;
        }
        if matches!(before, Before::Nothing | Before::Semicolon) {
            statement = Statement::of(&token);
        }
        before = one(&mut lexer, token, before, show)?;
        if token.kind == Kind::Text && statement.tells(token.text) {
            show(Piece::Telltale)?;
        }
    }
    ControlFlow::Continue(())
}

/// Shows what begins with this token; says what it is for the next one.
fn one<'a>(
    lexer: &mut Lexer<'a>,
    token: Token<'a>,
    before: Before,
    show: &mut impl FnMut(Piece<'a>) -> ControlFlow<()>,
) -> ControlFlow<(), Before> {
    let after = match token.kind {
        Kind::Space | Kind::Comment => return ControlFlow::Continue(before),
        Kind::Word => {
            show(Piece::Word(token.text))?;
            if before != Before::Dot {
                lists(lexer, token, show)?;
            }
            Before::Other
        }
        Kind::Quoted => {
            show(Piece::Quoted(token.text))?;
            Before::Other
        }
        Kind::Text | Kind::Number | Kind::Param => {
            show(Piece::Value)?;
            Before::Other
        }
        Kind::Operator if before.is_open() && signed(lexer, token) => {
            show(Piece::Value)?;
            Before::Other
        }
        Kind::Operator => {
            show(Piece::Symbol(token.text))?;
            Before::Open
        }
        Kind::Punctuation => {
            show(Piece::Symbol(token.text))?;
            match token.text {
                b"." => Before::Dot,
                b"(" | b"[" | b"," => Before::Open,
                _ => Before::Other,
            }
        }
        Kind::Broken => {
            show(Piece::Broken)?;
            Before::Other
        }
    };
    ControlFlow::Continue(after)
}

/// Takes the number that a sign belongs to.
fn signed(lexer: &mut Lexer<'_>, sign: Token<'_>) -> bool {
    if !matches!(sign.text, b"+" | b"-") {
        return false;
    }
    let mut ahead = lexer.clone();
    let is_number = ahead
        .next_significant()
        .is_some_and(|token| token.kind == Kind::Number);
    if is_number {
        *lexer = ahead;
    }
    is_number
}

/// Takes and shortens the list of values that a keyword may have after it.
fn lists<'a>(
    lexer: &mut Lexer<'a>,
    keyword: Token<'a>,
    show: &mut impl FnMut(Piece<'a>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    match keyword.text {
        [b'i' | b'I', b'n' | b'N'] => row(lexer, Ends::Round, Columns::One, show),
        [b'a' | b'A', _, _, _, b'y' | b'Y'] if keyword.is_word("array") => {
            row(lexer, Ends::Square, Columns::One, show)
        }
        [b'v' | b'V', _, _, _, _, b's' | b'S'] if keyword.is_word("values") => {
            row(lexer, Ends::Round, Columns::All, show)
        }
        _ => ControlFlow::Continue(()),
    }
}

#[derive(Clone, Copy)]
enum Ends {
    Round,
    Square,
}

impl Ends {
    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Round => ("(", ")"),
            Self::Square => ("[", "]"),
        }
    }
}

/// How many values of a list are shown, and whether more of the kind may follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Columns {
    One,
    All,
}

/// Takes a list, if it has nothing but values in it, and the rows after it that are as long.
fn row<'a>(
    lexer: &mut Lexer<'a>,
    ends: Ends,
    columns: Columns,
    show: &mut impl FnMut(Piece<'a>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let Some(length) = list(lexer, ends) else {
        return ControlFlow::Continue(());
    };
    let (open, close) = ends.texts();
    show(Piece::Symbol(open.as_bytes()))?;
    show(Piece::Value)?;
    if columns == Columns::All {
        for _ in 1..length {
            show(Piece::Symbol(b","))?;
            show(Piece::Value)?;
        }
    }
    show(Piece::Symbol(close.as_bytes()))?;
    if columns == Columns::All {
        while same_row(lexer, ends, length) {}
    }
    ControlFlow::Continue(())
}

/// Takes a comma and one more row of this length.
fn same_row(lexer: &mut Lexer<'_>, ends: Ends, length: usize) -> bool {
    let mut ahead = lexer.clone();
    let is_more = ahead.next_significant().is_some_and(|token| token.is(","))
        && list(&mut ahead, ends) == Some(length);
    if is_more {
        *lexer = ahead;
    }
    is_more
}

/// Takes a list of values and says how many they were; takes nothing if it is no such list.
fn list(lexer: &mut Lexer<'_>, ends: Ends) -> Option<usize> {
    let (open, close) = ends.texts();
    let mut ahead = lexer.clone();
    let mut token = ahead.next_significant()?;
    if !token.is(open) {
        return None;
    }
    let mut length = 0;
    while !token.is(close) {
        if length > 0 && !token.is(",") {
            return None;
        }
        value(&mut ahead)?;
        length += 1;
        token = ahead.next_significant()?;
    }
    if length == 0 {
        return None;
    }
    *lexer = ahead;
    Some(length)
}

/// Takes a value of a list.
fn value(lexer: &mut Lexer<'_>) -> Option<()> {
    let token = lexer.next_significant()?;
    let is_value = match token.kind {
        Kind::Text | Kind::Number | Kind::Param => true,
        Kind::Operator => signed(lexer, token),
        Kind::Word => ["null", "true", "false", "default"]
            .iter()
            .any(|word| token.is_word(word)),
        Kind::Space | Kind::Comment | Kind::Quoted | Kind::Punctuation | Kind::Broken => false,
    };
    is_value.then_some(())
}
