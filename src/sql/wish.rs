//! Sans-IO. Where a statement asks to run: `/* pgweir: primary */` before its first keyword.
//!
//! Words after `pgweir:` are `primary`, `replica` and `min_lsn=0/16B6C50`, with spaces or commas between.
//! Comments of both kinds count, and all that stand before the first keyword. `primary` beats
//! `replica`, a higher position a lower one. Not here: granting it (`route`).

use super::lexer::{Kind, Lexer, Quoting};
use crate::lsn::Lsn;

/// Where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The server that takes writes.
    Primary,
    /// One that does not, whatever the statement looks like.
    Replica,
}

/// All that the comments before a statement ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wish {
    /// Where it is to run.
    pub target: Option<Target>,
    /// A server may serve it that has replayed up to here.
    pub min_lsn: Option<u64>,
    /// So many words after `pgweir:` mean nothing to us.
    pub unknown_words: usize,
}

const MARK: &[u8] = b"pgweir:";

/// What the comments at the start of a text ask for; `None` where none of them speaks to us.
pub fn wish(sql: &[u8], quoting: Quoting) -> Option<Wish> {
    // Most texts begin with their keyword.
    if !matches!(
        sql.first()?,
        b'/' | b'-' | b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c
    ) {
        return None;
    }
    let mut found: Option<Wish> = None;
    for token in Lexer::new(sql, quoting).take_while(|token| !token.is_significant()) {
        if token.kind == Kind::Comment
            && let Some(words) = addressed(token.text)
        {
            found.get_or_insert_default().hear(words);
        }
    }
    found
}

/// The words of a comment after our name.
fn addressed(comment: &[u8]) -> Option<&[u8]> {
    let inside = match comment {
        [b'/', b'*', inside @ .., b'*', b'/'] | [b'-', b'-', inside @ ..] => {
            inside.trim_ascii_start()
        }
        _ => return None,
    };
    let (name, words) = inside.split_at_checked(MARK.len())?;
    name.eq_ignore_ascii_case(MARK).then_some(words)
}

impl Wish {
    fn hear(&mut self, words: &[u8]) {
        let is_gap = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | 0x0b);
        for word in words.split(is_gap).filter(|word| !word.is_empty()) {
            if word.eq_ignore_ascii_case(b"primary") {
                self.target = Some(Target::Primary);
            } else if word.eq_ignore_ascii_case(b"replica") {
                self.target = self.target.or(Some(Target::Replica));
            } else if let Some(lsn) = min_lsn(word) {
                self.min_lsn = self.min_lsn.max(Some(lsn));
            } else {
                self.unknown_words += 1;
            }
        }
    }
}

/// Reads `min_lsn=0/16B6C50`.
fn min_lsn(word: &[u8]) -> Option<u64> {
    const KEY: &[u8] = b"min_lsn=";
    let (key, value) = word.split_at_checked(KEY.len())?;
    if !key.eq_ignore_ascii_case(KEY) {
        return None;
    }
    str::from_utf8(value).ok()?.parse().map(|Lsn(lsn)| lsn).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(sql: &str) -> Option<Wish> {
        wish(sql.as_bytes(), Quoting::Standard)
    }

    #[test]
    fn comments_before_the_first_keyword_are_heard() {
        let primary = Wish {
            target: Some(Target::Primary),
            ..Wish::default()
        };
        let replica = Wish {
            target: Some(Target::Replica),
            ..Wish::default()
        };
        for (sql, expected) in [
            ("/* pgweir: primary */ select 1", primary),
            ("/*pgweir:primary*/select 1", primary),
            ("  -- PgWeir: Primary\nselect 1", primary),
            ("-- pgweir: primary", primary),
            (
                "/* other */ -- more\n /* pgweir: replica */ select 1",
                replica,
            ),
            (
                "/* pgweir: replica */ /* pgweir: primary */ select 1",
                primary,
            ),
            (
                "/* pgweir: primary */ /* pgweir: replica */ select 1",
                primary,
            ),
            (
                "/* pgweir: replica, min_lsn=0/16B6C50 */ select 1",
                Wish {
                    min_lsn: Some(0x016B_6C50),
                    ..replica
                },
            ),
            (
                "/* pgweir: min_lsn=1/2 min_lsn=0/ffffffff */ select 1",
                Wish {
                    min_lsn: Some(0x1_0000_0002),
                    ..Wish::default()
                },
            ),
        ] {
            assert_eq!(heard(sql), Some(expected), "{sql}");
        }
    }

    #[test]
    fn nothing_else_is_heard() {
        for sql in [
            "",
            "select 1",
            "select /* pgweir: primary */ 1",
            "/* pgweir primary */ select 1",
            "/* not for pgweir: primary */ select 1",
            "/* /* pgweir: primary */ */ select 1",
            "/* pgweir: primary",
            "'/* pgweir: primary */'",
            "/**/",
            "/*/",
        ] {
            assert_eq!(heard(sql), None, "{sql}");
        }
    }

    #[test]
    fn unknown_words_are_counted() {
        for (sql, count) in [
            ("/* pgweir: */", 0),
            ("/* pgweir: anywhere */", 1),
            (
                "/* pgweir: min_lsn=1, min_lsn=/1 min_lsn=x/1 min_lsn=123456789/0 */",
                4,
            ),
        ] {
            let wish = heard(sql).unwrap();
            assert_eq!(
                (wish.unknown_words, wish.target, wish.min_lsn),
                (count, None, None),
                "{sql}"
            );
        }
    }
}
