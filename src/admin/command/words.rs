//! Sans-IO. Cuts a command into its words.
//!
//! Two forms exist: `word [word]` and `SET word = value` (or `TO` for the equals sign). Limits are
//! those of `PgBouncer`'s buffers and count the characters as typed, quotes included.

/// Bytes of the first word.
pub const COMMAND_MAX: usize = 15;
/// Bytes of the second word and of the key of `SET`: a database name fits.
pub const ARGUMENT_MAX: usize = 63;
/// Bytes of the value of `SET`.
pub const VALUE_MAX: usize = 255;

/// A command cut into words, quotes removed.
#[derive(Debug, PartialEq, Eq)]
pub enum Words {
    /// A word and possibly a second one; empty when it is missing.
    Plain {
        /// First word.
        command: String,
        /// Second word.
        argument: String,
    },
    /// `SET key = value`.
    Set {
        /// The key, not empty.
        key: String,
        /// The value, possibly empty.
        value: String,
    },
}

/// Why a text could not be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordsError {
    /// Not of the two forms.
    Malformed,
    /// A word is longer than its limit.
    TooLong,
    /// `SET "" = ...`.
    EmptyKey,
}

/// A word as typed, and what it means.
struct Word<'a> {
    raw: &'a [u8],
    quote: Option<u8>,
}

impl Word<'_> {
    /// The text inside the quotes, a doubled quote read as one.
    fn text(&self, longest: usize) -> Result<String, WordsError> {
        if self.raw.len() > longest {
            return Err(WordsError::TooLong);
        }
        let Some(quote) = self.quote else {
            return Ok(lossy(self.raw));
        };
        let mut bytes = Vec::with_capacity(self.raw.len());
        let inner = self
            .raw
            .get(1..self.raw.len().saturating_sub(1))
            .unwrap_or_default();
        let mut rest = inner.iter().copied();
        while let Some(byte) = rest.next() {
            bytes.push(byte);
            if byte == quote {
                rest.next();
            }
        }
        Ok(lossy(&bytes))
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Cuts `text` into words.
pub fn split(text: &[u8]) -> Result<Words, WordsError> {
    match split_set(text) {
        Some(Set { key, value }) => {
            let (key, value) = (key.text(ARGUMENT_MAX)?, value.text(VALUE_MAX)?);
            if key.is_empty() {
                return Err(WordsError::EmptyKey);
            }
            Ok(Words::Set { key, value })
        }
        None => split_plain(text),
    }
}

fn split_plain(text: &[u8]) -> Result<Words, WordsError> {
    let (command, rest) = word(skip_blanks(text)).ok_or(WordsError::Malformed)?;
    let next = skip_blanks(rest);
    let is_separated = next.len() < rest.len();
    let (argument, rest) = match word(next) {
        Some((argument, rest)) if is_separated => (Some(argument), rest),
        Some(_) | None => (None, rest),
    };
    if !is_end(rest) {
        return Err(WordsError::Malformed);
    }
    Ok(Words::Plain {
        command: command.text(COMMAND_MAX)?,
        argument: argument.map_or(Ok(String::new()), |argument| argument.text(ARGUMENT_MAX))?,
    })
}

struct Set<'a> {
    key: Word<'a>,
    value: Word<'a>,
}

/// `None` when the text does not have the form of `SET`.
fn split_set(text: &[u8]) -> Option<Set<'_>> {
    let (first, rest) = word(skip_blanks(text))?;
    let next = skip_blanks(rest);
    if !first.raw.eq_ignore_ascii_case(b"set") || next.len() == rest.len() {
        return None;
    }
    let (key, rest) = word(next)?;
    let ([b'=', rest @ ..] | [b't' | b'T', b'o' | b'O', rest @ ..]) = skip_blanks(rest) else {
        return None;
    };
    let rest = skip_blanks(rest);
    let (value, rest) = quoted(rest, b'\'').or_else(|| word(rest))?;
    is_end(rest).then_some(Set { key, value })
}

/// The word at the start of `text`, plain or in double quotes, and what follows it.
fn word(text: &[u8]) -> Option<(Word<'_>, &[u8])> {
    if let Some(found) = quoted(text, b'"') {
        return Some(found);
    }
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let length = text.iter().take_while(|byte| is_word(byte)).count();
    let (raw, rest) = text.split_at_checked(length)?;
    (length > 0).then_some((Word { raw, quote: None }, rest))
}

/// The text in `quote`s at the start of `text`, where a doubled quote stands for itself.
fn quoted(text: &[u8], quote: u8) -> Option<(Word<'_>, &[u8])> {
    let mut at = 1;
    if text.first() != Some(&quote) {
        return None;
    }
    loop {
        match (text.get(at)?, text.get(at + 1)) {
            (&byte, Some(&next)) if byte == quote && next == quote => at += 2,
            (&byte, _) if byte == quote => break,
            _ => at += 1,
        }
    }
    let (raw, rest) = text.split_at_checked(at + 1)?;
    Some((
        Word {
            raw,
            quote: Some(quote),
        },
        rest,
    ))
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let blanks = text.iter().take_while(|byte| is_blank(byte)).count();
    text.get(blanks..).unwrap_or_default()
}

/// Whether nothing is left but blanks and one semicolon.
fn is_end(text: &[u8]) -> bool {
    let text = skip_blanks(text);
    skip_blanks(text.strip_prefix(b";").unwrap_or(text)).is_empty()
}
