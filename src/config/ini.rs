//! Sans-IO. `PgBouncer`'s ini language: one file's text to its statements, each with its line.
//!
//! Not here: what a name means (`load`), `%include` files (`source`), connect strings (`connstr`).
//! The rules, from `PgBouncer`'s documentation and its behaviour: `[section]`; `;` and `#` start a
//! comment only as the first character of a line; `name = value` with the value up to the end of
//! the line, trailing blanks stripped; `%include FILE`. Names are of `[A-Za-z0-9_.*-]` or quoted.
//! A parse never stops at the first error and never fails as a whole.

use std::sync::Arc;

use super::diagnostic::{Diagnostic, Origin};

/// Most errors reported for one file: a wrong file must not flood the log.
pub const MAX_ERRORS: usize = 100;

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// `[name]`: what follows belongs to this section.
    Section(String),
    /// `name = value`.
    Assign {
        /// The name, without its quotes.
        name: String,
        /// The value, as written; empty when nothing stands behind the `=`.
        value: String,
    },
    /// `%include FILE`.
    Include(String),
}

/// A statement and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The file and line.
    pub origin: Origin,
    /// What it says.
    pub item: Item,
}

/// All that one file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parsed {
    /// The statements, in order.
    pub statements: Vec<Statement>,
    /// The lines that are none. At most [`MAX_ERRORS`] and one more that says so.
    pub diagnostics: Vec<Diagnostic>,
}

/// Why a line is no statement. Never quotes the line: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum LineError {
    #[error("line is not valid UTF-8")]
    NotUtf8,
    #[error("line contains a zero byte")]
    ZeroByte,
    #[error("section has no closing \"]\"")]
    OpenSection,
    #[error("expected \"name = value\", found no \"=\"")]
    NoEquals,
    #[error("expected a name before \"=\"")]
    NoName,
    #[error("name has no closing quote")]
    OpenQuote,
    #[error("name contains a character that needs quotes: write 'name' = value")]
    NeedsQuotes,
    #[error("expected \"=\" after the name")]
    JunkAfterName,
    #[error("%include needs a file name")]
    IncludeWithoutFile,
    #[error("unknown directive, expected \"%include FILE\"")]
    UnknownDirective,
}

/// Reads one file's text. `name` is the file's name in diagnostics.
pub fn parse(name: &str, text: impl AsRef<[u8]>) -> Parsed {
    let file: Arc<str> = Arc::from(name);
    let mut parsed = Parsed::default();
    let text = text.as_ref();
    // Editors on Windows put a byte order mark in front; nothing else could be meant by it.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let origin = Origin::Line {
            file: Arc::clone(&file),
            line: index + 1,
        };
        if let Err(error) = parse_line(line, &origin, &mut parsed.statements) {
            if parsed.diagnostics.len() == MAX_ERRORS {
                let text = "too many errors, the rest of the file is not read";
                parsed.diagnostics.push(Diagnostic::error(&origin, text));
                break;
            }
            let error = Diagnostic::error(&origin, error.to_string());
            parsed.diagnostics.push(error);
        }
    }
    parsed
}

fn parse_line(line: &[u8], origin: &Origin, out: &mut Vec<Statement>) -> Result<(), LineError> {
    let line = line.trim_ascii();
    // Comments may be in any encoding.
    if matches!(line.first(), None | Some(b';' | b'#')) {
        return Ok(());
    }
    if line.contains(&0) {
        return Err(LineError::ZeroByte);
    }
    let mut rest = std::str::from_utf8(line).map_err(|_| LineError::NotUtf8)?;
    // PgBouncer allows a comment, or even a setting, behind "]".
    while let Some(section) = rest.strip_prefix('[') {
        let (name, after) = section.split_once(']').ok_or(LineError::OpenSection)?;
        out.push(Statement {
            origin: origin.clone(),
            item: Item::Section(name.to_owned()),
        });
        rest = after.trim_ascii_start();
    }
    if rest.is_empty() || rest.starts_with([';', '#']) {
        return Ok(());
    }
    let item = match rest.strip_prefix('%') {
        Some(directive) => parse_directive(directive)?,
        None => parse_assign(rest)?,
    };
    out.push(Statement {
        origin: origin.clone(),
        item,
    });
    Ok(())
}

fn parse_directive(directive: &str) -> Result<Item, LineError> {
    let file = directive
        .strip_prefix("include")
        .ok_or(LineError::UnknownDirective)?;
    if file.is_empty() {
        return Err(LineError::IncludeWithoutFile);
    }
    if !file.starts_with(|c: char| c.is_ascii_whitespace()) {
        return Err(LineError::UnknownDirective);
    }
    Ok(Item::Include(file.trim_ascii().to_owned()))
}

fn parse_assign(text: &str) -> Result<Item, LineError> {
    let (name, rest) = match text.chars().next() {
        Some(quote @ ('\'' | '"')) => quoted_name(text, quote)?,
        Some(_) | None => bare_name(text)?,
    };
    let rest = rest.trim_ascii_start();
    let value = match rest.strip_prefix('=') {
        Some(value) => value.trim_ascii().to_owned(),
        None if !rest.contains('=') => return Err(LineError::NoEquals),
        None => return Err(LineError::JunkAfterName),
    };
    Ok(Item::Assign { name, value })
}

/// A name in quotes; the quote itself is written twice.
fn quoted_name(text: &str, quote: char) -> Result<(String, &str), LineError> {
    let mut name = String::new();
    let mut rest = text.strip_prefix(quote).unwrap_or(text);
    loop {
        let (part, after) = rest.split_once(quote).ok_or(LineError::OpenQuote)?;
        name.push_str(part);
        match after.strip_prefix(quote) {
            Some(more) => {
                name.push(quote);
                rest = more;
            }
            None if name.is_empty() => return Err(LineError::NoName),
            None => return Ok((name, after)),
        }
    }
}

/// Whether a name may stand without quotes.
pub fn is_bare_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_name_char)
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '*' | '-')
}

fn bare_name(text: &str) -> Result<(String, &str), LineError> {
    let end = text.find(|c| !is_name_char(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    match rest.chars().next() {
        Some('=') if name.is_empty() => Err(LineError::NoName),
        Some('=') | None => Ok((name.to_owned(), rest)),
        Some(c) if c.is_ascii_whitespace() => Ok((name.to_owned(), rest)),
        Some(_) if text.contains('=') => Err(LineError::NeedsQuotes),
        Some(_) => Err(LineError::NoEquals),
    }
}

#[cfg(test)]
mod tests;
