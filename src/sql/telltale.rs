//! Sans-IO. The few values that matter: strings that are code, and settings that are schemas.
//!
//! Everything else that is said of a statement is the same whatever its values are. These two kinds
//! are looked at in one place, so that the verdict and the fingerprint cannot disagree about them.

use super::lexer::Token;

/// Statements in which a value can matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statement {
    /// `DO`: a string in it is code, which may do anything.
    Code,
    /// `SET`: temporary things may come to be made by names that look like any other.
    Setting,
    /// Any other: none matters.
    Other,
}

impl Statement {
    /// The statement that begins with this token.
    pub fn of(first: &Token<'_>) -> Self {
        match first.text.len() {
            2 if first.is_word("do") => Self::Code,
            3 if first.is_word("set") => Self::Setting,
            _ => Self::Other,
        }
    }

    /// Whether this string, with or without its quotes, speaks of what only one session has: temporary
    /// things, advisory locks, notifications. Words that look like it are believed.
    pub fn tells(self, string: &[u8]) -> bool {
        let words: &[&[u8]] = match self {
            Self::Code => &[b"temp", b"advisory", b"listen"],
            Self::Setting => &[b"pg_temp"],
            Self::Other => &[],
        };
        let has = |word: &[u8]| {
            let mut windows = string.windows(word.len());
            windows.any(|window| window.eq_ignore_ascii_case(word))
        };
        words.iter().any(|word| has(word))
    }
}
