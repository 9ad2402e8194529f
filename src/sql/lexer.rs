//! Sans-IO. Cuts SQL into tokens as `PostgreSQL`'s own scanner does.
//!
//! Any bytes are accepted, and the tokens cover every byte once and in order. The encoding is not
//! known: a byte of 0x80 and above belongs to an identifier, which holds for every encoding whose
//! characters of several bytes have no ASCII byte in them (`can_read`). Where versions of
//! `PostgreSQL` differ, the reading is taken that one of them accepts: what a server refuses to read
//! it does not run either. Not here: what the tokens mean.

mod number;
mod strings;

use memchr::memchr2;

use super::eight;
use number::number;
use strings::{close, escaped, find, strings};

/// How a backslash in a plain string is read: the setting `standard_conforming_strings`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Quoting {
    /// It is a character like any other: `on`.
    #[default]
    Standard,
    /// It escapes the next one: `off`.
    Backslash,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Spaces, tabs, ends of lines.
    Space,
    /// `-- to the end of the line`, without that end, or `/* nested */`.
    Comment,
    /// A keyword or a name without quotes.
    Word,
    /// `"a name"` or `U&"one with escapes"`.
    Quoted,
    /// `'a string'`, one with a prefix (`E B X N U&`), or `$$one$$`, with all its continuations.
    Text,
    /// `1`, `.5`, `1e-3`, `0x1F`, `1_000`. A sign is an operator.
    Number,
    /// `$1`.
    Param,
    /// `+`, `<>`, `->>`, `=>`.
    Operator,
    /// `( ) [ ] , ; . : :: := ..`
    Punctuation,
    /// A byte that begins nothing, or a string, name or comment without an end: no server runs it.
    Broken,
}

/// A piece of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// All its bytes.
    pub text: &'a [u8],
}

impl Token<'_> {
    /// Whether it means something to the grammar.
    pub fn is_significant(&self) -> bool {
        !matches!(self.kind, Kind::Space | Kind::Comment)
    }

    /// Whether it is this keyword, given in lower case.
    pub fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word.as_bytes())
    }

    /// Whether it is this punctuation or operator.
    pub fn is(&self, symbol: &str) -> bool {
        matches!(self.kind, Kind::Punctuation | Kind::Operator) && self.text == symbol.as_bytes()
    }
}

/// What a byte can begin.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Space,
    Letter,
    /// A letter that may belong to a string: `E''`, `B''`, `X''`, `N''`, `U&''`.
    Prefix,
    Digit,
    Operator,
    Single,
    Dot,
    Colon,
    Dollar,
    Quote,
    DoubleQuote,
    Junk,
}

static CLASSES: [Class; 256] = {
    let mut classes = [Class::Junk; 256];
    let mut byte = 0_u8;
    loop {
        classes[byte as usize] = match byte {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => Class::Space,
            b'b' | b'e' | b'n' | b'u' | b'x' | b'B' | b'E' | b'N' | b'U' | b'X' => Class::Prefix,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => Class::Letter,
            b'0'..=b'9' => Class::Digit,
            b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'+' | b'-' | b'*'
            | b'/' | b'%' | b'<' | b'>' | b'=' => Class::Operator,
            b'(' | b')' | b'[' | b']' | b',' | b';' => Class::Single,
            b'.' => Class::Dot,
            b':' => Class::Colon,
            b'$' => Class::Dollar,
            b'\'' => Class::Quote,
            b'"' => Class::DoubleQuote,
            _ => Class::Junk,
        };
        if byte == u8::MAX {
            break classes;
        }
        byte += 1;
    }
};

fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

/// An operator of this many bytes is refused: `NAMEDATALEN`.
const OPERATOR_TOO_LONG: usize = 64;

/// The tokens of a text.
#[derive(Debug, Clone)]
pub struct Lexer<'a> {
    rest: &'a [u8],
    quoting: Quoting,
    /// So many of the next bytes are known to be operators by themselves, so that a long row of
    /// signs is looked at once and not once for each.
    signs: usize,
}

impl<'a> Lexer<'a> {
    /// Begins at the start of a text.
    pub fn new(sql: &'a [u8], quoting: Quoting) -> Self {
        Self {
            rest: sql,
            quoting,
            signs: 0,
        }
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How strings are read.
    pub fn quoting(&self) -> Quoting {
        self.quoting
    }

    /// The next token that is neither space nor comment.
    #[inline]
    pub fn next_significant(&mut self) -> Option<Token<'a>> {
        loop {
            let (first, rest) = self.rest.split_first()?;
            let class = class(*first);
            if class == Class::Space {
                self.rest = rest;
                continue;
            }
            let token = self.cut(*first, class);
            if token.kind != Kind::Comment {
                return Some(token);
            }
        }
    }

    /// What follows from the next such token on.
    pub fn rest_significant(&self) -> &'a [u8] {
        let mut ahead = self.clone();
        loop {
            let rest = ahead.rest;
            match rest.first().map(|first| class(*first)) {
                Some(Class::Space | Class::Operator) => {}
                _ => return rest,
            }
            if ahead.next().is_none_or(|token| token.is_significant()) {
                return rest;
            }
        }
    }

    /// The token that begins with this byte.
    #[inline]
    fn cut(&mut self, first: u8, class: Class) -> Token<'a> {
        let bytes = self.rest;
        let second = bytes.get(1);
        let (kind, length) = match (class, second) {
            (Class::Space, _) => (Kind::Space, run(bytes, 1, |class| class == Class::Space)),
            (Class::Prefix, Some(b'\'' | b'&')) => self.long(first, class),
            (Class::Letter | Class::Prefix, _) => (Kind::Word, identifier(bytes)),
            (Class::Single, _) | (Class::Dot, Some(b'a'..=b'z' | b'A'..=b'Z' | b'*' | b'"')) => {
                (Kind::Punctuation, 1)
            }
            (
                Class::Digit
                | Class::Operator
                | Class::Dot
                | Class::Colon
                | Class::Dollar
                | Class::Quote
                | Class::DoubleQuote
                | Class::Junk,
                _,
            ) => self.long(first, class),
        };
        let halves = bytes.split_at_checked(length);
        let (text, rest) = halves.unwrap_or((bytes, &[]));
        self.rest = rest;
        Token { kind, text }
    }

    /// Kind and length of what takes longer to tell: apart, so that the rest is quick.
    #[inline(never)]
    fn long(&mut self, first: u8, class: Class) -> (Kind, usize) {
        let bytes = self.rest;
        match class {
            Class::Space | Class::Letter | Class::Single | Class::Junk => (Kind::Broken, 1),
            Class::Prefix => self.prefixed(first),
            Class::Digit => (Kind::Number, number(bytes)),
            Class::Operator => self.operator(first),
            Class::Dot => match bytes.get(1) {
                Some(b'0'..=b'9') => (Kind::Number, number(bytes)),
                Some(b'.') => (Kind::Punctuation, 2),
                _ => (Kind::Punctuation, 1),
            },
            Class::Colon => match bytes.get(1) {
                Some(b':' | b'=') => (Kind::Punctuation, 2),
                _ => (Kind::Punctuation, 1),
            },
            Class::Dollar => dollar(bytes),
            Class::Quote => ended(Kind::Text, self.string(1), bytes),
            Class::DoubleQuote => ended(Kind::Quoted, close(bytes, 1, b'"'), bytes),
        }
    }

    /// A word, or a string or name with a letter before it.
    #[cold]
    fn prefixed(&self, first: u8) -> (Kind, usize) {
        let bytes = self.rest;
        match (first, bytes.get(1), bytes.get(2)) {
            (b'e' | b'E', Some(b'\''), _) => {
                let end = strings(bytes, 2, escaped);
                ended(Kind::Text, end, bytes)
            }
            (b'b' | b'B' | b'x' | b'X', Some(b'\''), _) => {
                let end = strings(bytes, 2, |bytes, from| find(bytes, from, b'\''));
                ended(Kind::Text, end, bytes)
            }
            (b'n' | b'N', Some(b'\''), _) => ended(Kind::Text, self.string(2), bytes),
            (b'u' | b'U', Some(b'&'), Some(b'\'')) => {
                let end = strings(bytes, 3, |bytes, from| close(bytes, from, b'\''));
                // Such strings are refused where a backslash escapes.
                match self.quoting {
                    Quoting::Standard => ended(Kind::Text, end, bytes),
                    Quoting::Backslash => ended(Kind::Broken, end, bytes),
                }
            }
            (b'u' | b'U', Some(b'&'), Some(b'"')) => {
                ended(Kind::Quoted, close(bytes, 3, b'"'), bytes)
            }
            _ => (Kind::Word, identifier(bytes)),
        }
    }

    /// The end of a plain string whose inside begins at `from`.
    fn string(&self, from: usize) -> Option<usize> {
        match self.quoting {
            Quoting::Standard => strings(self.rest, from, |bytes, from| close(bytes, from, b'\'')),
            Quoting::Backslash => strings(self.rest, from, escaped),
        }
    }

    /// An operator, or a comment, which begins with what could be one.
    fn operator(&mut self, first: u8) -> (Kind, usize) {
        let bytes = self.rest;
        let second = bytes.get(1);
        if starts_comment(first, second) {
            return match first {
                b'-' => (Kind::Comment, line_end(bytes, 2)),
                _ => ended(Kind::Comment, block_comment(bytes), bytes),
            };
        }
        // Most of them have one byte.
        if second.is_none_or(|second| class(*second) != Class::Operator) {
            self.signs = 0;
            return (Kind::Operator, 1);
        }
        if let Some(left) = self.signs.checked_sub(1) {
            self.signs = left;
            return (Kind::Operator, 1);
        }
        let (length, signs) = operator(bytes);
        self.signs = signs;
        if length < OPERATOR_TOO_LONG {
            (Kind::Operator, length)
        } else {
            (Kind::Broken, length)
        }
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    #[inline]
    fn next(&mut self) -> Option<Token<'a>> {
        let first = *self.rest.first()?;
        Some(self.cut(first, class(first)))
    }
}

/// A thing that needs an end: without one it is the whole rest, and broken.
fn ended(kind: Kind, end: Option<usize>, bytes: &[u8]) -> (Kind, usize) {
    end.map_or((Kind::Broken, bytes.len()), |end| (kind, end))
}

/// Where a run of bytes of some classes ends that lasts at least until `from`.
fn run(bytes: &[u8], from: usize, is_in: impl Fn(Class) -> bool) -> usize {
    let tail = bytes.get(from..).unwrap_or_default();
    let length = tail.iter().position(|byte| !is_in(class(*byte)));
    from + length.unwrap_or(tail.len())
}

/// Length of the name that the bytes begin with.
#[inline]
fn identifier(bytes: &[u8]) -> usize {
    let end = letters(bytes, 0);
    if bytes.get(end) == Some(&b'$') {
        dollars(bytes, end)
    } else {
        end
    }
}

/// The end of a name that goes on with a dollar.
#[cold]
fn dollars(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at) == Some(&b'$') {
        at = letters(bytes, at + 1);
    }
    at
}

/// The end of letters, digits and underscores.
#[inline]
fn letters(bytes: &[u8], mut at: usize) -> usize {
    let mut rest = bytes.get(at..).unwrap_or_default();
    while let Some((first, more)) = rest.split_first_chunk() {
        let length = eight::name_length(u64::from_le_bytes(*first));
        at += length;
        if length < 8 {
            return at;
        }
        rest = more;
    }
    run(bytes, at, |class| {
        matches!(class, Class::Letter | Class::Prefix | Class::Digit)
    })
}

fn line_end(bytes: &[u8], from: usize) -> usize {
    let tail = bytes.get(from..).unwrap_or_default();
    from + memchr2(b'\n', b'\r', tail).unwrap_or(tail.len())
}

fn starts_comment(first: u8, second: Option<&u8>) -> bool {
    matches!((first, second), (b'-', Some(b'-')) | (b'/', Some(b'*')))
}

/// The end of a comment that may have others inside.
#[cold]
fn block_comment(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (2, 1_usize);
    while depth > 0 {
        at += memchr2(b'*', b'/', bytes.get(at..)?)?;
        match (bytes.get(at)?, bytes.get(at + 1)) {
            (b'/', Some(b'*')) => (at, depth) = (at + 2, depth + 1),
            (b'*', Some(b'/')) => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    Some(at)
}

/// Length of the operator, and how many signs after it are operators by themselves: one of several
/// bytes ends with `+` or `-` only if it has a byte that no operator of the SQL standard has.
fn operator(bytes: &[u8]) -> (usize, usize) {
    let (mut length, mut has_special) = (0, false);
    while let Some(byte) = bytes.get(length) {
        let begins_comment = length > 0 && starts_comment(*byte, bytes.get(length + 1));
        if class(*byte) != Class::Operator || begins_comment {
            break;
        }
        has_special |= !matches!(byte, b'+' | b'-' | b'*' | b'/' | b'<' | b'>' | b'=');
        length += 1;
    }
    if has_special {
        return (length, 0);
    }
    let all = bytes.get(..length).unwrap_or_default();
    let is_sign = |byte: &&u8| matches!(byte, b'+' | b'-');
    let signs = all.iter().skip(1).rev().take_while(is_sign).count();
    (length - signs, signs)
}

/// `$1`, `$tag$ anything $tag$`, or a dollar that is nothing.
#[inline(never)]
fn dollar(bytes: &[u8]) -> (Kind, usize) {
    let tag_end = match bytes.get(1).map(|byte| class(*byte)) {
        Some(Class::Digit) => {
            return (Kind::Param, run(bytes, 2, |class| class == Class::Digit));
        }
        Some(Class::Letter | Class::Prefix) => letters(bytes, 2),
        _ => 1,
    };
    if bytes.get(tag_end) != Some(&b'$') {
        return (Kind::Broken, 1);
    }
    let delimiter = bytes.get(..=tag_end).unwrap_or_default();
    let mut at = delimiter.len();
    loop {
        // The position after a dollar, which is the first byte of the delimiter.
        let Some(next) = find(bytes, at, b'$') else {
            return (Kind::Broken, bytes.len());
        };
        if bytes
            .get(next - 1..)
            .is_some_and(|tail| tail.starts_with(delimiter))
        {
            return (Kind::Text, next - 1 + delimiter.len());
        }
        at = next;
    }
}

#[cfg(test)]
pub(super) mod tests;
