//! Sans-IO. Connect strings of `[databases]`, `[users]` and `[peers]`: `key=value` pairs.
//!
//! Blanks separate pairs and may stand around `=`. A value with blanks is put in single quotes,
//! where `''` is one quote. Empty values are errors. Errors give a column and never a piece of the
//! string, which may be a piece of a password.

/// One `key=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The key as written.
    pub key: &'a str,
    /// The value without its quotes. Never empty.
    pub value: String,
    /// Where the key starts, in bytes from the start of the string.
    pub offset: usize,
}

/// Why a string is not a row of pairs. Columns are counted in characters from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnStrError {
    /// A word without `=`.
    #[error("expected key=value at column {0} (a value with blanks needs single quotes)")]
    NoEquals(usize),
    /// `=` without a word.
    #[error("expected a key before \"=\" at column {0}")]
    NoKey(usize),
    /// `key=` with nothing behind, or `key=''`.
    #[error("the key at column {0} has an empty value")]
    EmptyValue(usize),
    /// A quote that is never closed.
    #[error("the quote at column {0} is not closed (a quote inside is written twice)")]
    OpenQuote(usize),
    /// Text right behind a closing quote.
    #[error(
        "expected a blank after the closing quote at column {0} (a quote inside is written twice)"
    )]
    JunkAfterQuote(usize),
}

/// Cuts a connect string into its pairs.
pub fn pairs(text: &str) -> Result<Vec<Pair<'_>>, ConnStrError> {
    let mut out = Vec::new();
    let mut rest = skip_blanks(text);
    while !rest.is_empty() {
        let (pair, after) = pair(text, rest)?;
        out.push(pair);
        rest = skip_blanks(after);
    }
    Ok(out)
}

fn pair<'a>(whole: &'a str, text: &'a str) -> Result<(Pair<'a>, &'a str), ConnStrError> {
    let column = column_of(whole, text);
    let end = text.find(|c| c == '=' || is_blank(c)).unwrap_or(text.len());
    let (key, rest) = text.split_at(end);
    let value = skip_blanks(rest)
        .strip_prefix('=')
        .ok_or(ConnStrError::NoEquals(column))?;
    if key.is_empty() {
        return Err(ConnStrError::NoKey(column));
    }
    let value = skip_blanks(value);
    let (value, rest) = if let Some(inner) = value.strip_prefix('\'') {
        unquote(whole, inner)?
    } else {
        let end = value.find(is_blank).unwrap_or(value.len());
        let (value, rest) = value.split_at(end);
        (value.to_owned(), rest)
    };
    if value.is_empty() {
        return Err(ConnStrError::EmptyValue(column));
    }
    let offset = whole.len() - text.len();
    Ok((Pair { key, value, offset }, rest))
}

/// Reads up to the closing quote; `text` starts behind the opening one.
fn unquote<'a>(whole: &str, text: &'a str) -> Result<(String, &'a str), ConnStrError> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let Some((part, after)) = rest.split_once('\'') else {
            return Err(ConnStrError::OpenQuote(column_of(whole, text) - 1));
        };
        value.push_str(part);
        match after.strip_prefix('\'') {
            Some(more) => {
                value.push('\'');
                rest = more;
            }
            None if after.is_empty() || after.starts_with(is_blank) => return Ok((value, after)),
            None => return Err(ConnStrError::JunkAfterQuote(column_of(whole, after) - 1)),
        }
    }
}

/// Writes a value so that it reads back the same.
pub fn quote(value: &str) -> String {
    if value.is_empty() || value.contains(|c| c == '\'' || is_blank(c)) {
        format!("'{}'", value.replace('\'', "''"))
    } else {
        value.to_owned()
    }
}

fn is_blank(c: char) -> bool {
    c.is_ascii_whitespace()
}

fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches(is_blank)
}

/// Column of `part`, which is the tail of `whole`.
fn column_of(whole: &str, part: &str) -> usize {
    let before = whole.len() - part.len();
    whole.get(..before).unwrap_or(whole).chars().count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, ConnStrError> {
        let own = |pair: Pair<'_>| (pair.key.to_owned(), pair.value);
        pairs(text).map(|pairs| pairs.into_iter().map(own).collect())
    }

    #[test]
    fn pairs_are_cut_as_pgbouncer_cuts_them() {
        for (text, expected) in [
            ("", vec![]),
            ("   ", vec![]),
            ("host=a", vec![("host", "a")]),
            ("host=a port=1", vec![("host", "a"), ("port", "1")]),
            (
                "  host  =  a\tport = 1 ",
                vec![("host", "a"), ("port", "1")],
            ),
            ("password='it''s'", vec![("password", "it's")]),
            ("password=''''", vec![("password", "'")]),
            ("q='a = b c' d=e", vec![("q", "a = b c"), ("d", "e")]),
            ("password=a=b;c#d", vec![("password", "a=b;c#d")]),
            ("password=it's", vec![("password", "it's")]),
            ("password= user=x", vec![("password", "user=x")]),
        ] {
            let expected = expected.iter().map(|(k, v)| ((*k).into(), (*v).into()));
            assert_eq!(read(text), Ok(expected.collect()), "{text}");
        }
    }

    #[test]
    fn broken_strings_give_the_column() {
        for (text, expected) in [
            ("host", ConnStrError::NoEquals(1)),
            ("host=a ; comment", ConnStrError::NoEquals(8)),
            ("é=1 host", ConnStrError::NoEquals(5)),
            ("host=a =b", ConnStrError::NoKey(8)),
            ("host=", ConnStrError::EmptyValue(1)),
            ("port=1 host=''", ConnStrError::EmptyValue(8)),
            ("host='a", ConnStrError::OpenQuote(6)),
            ("host='a''", ConnStrError::OpenQuote(6)),
            ("host='a b'port=1", ConnStrError::JunkAfterQuote(10)),
        ] {
            assert_eq!(read(text), Err(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_string_panics(text in "\\PC*|[a-c =']{0,12}") {
            let outcome = pairs(&text);
            if let Ok(pairs) = outcome {
                prop_assert!(pairs.iter().all(|pair| !pair.value.is_empty()));
            }
        }

        #[test]
        fn quoted_values_read_back(values in proptest::collection::vec("[^\0\n]{1,8}", 0..5)) {
            let text: Vec<String> = values.iter().map(|v| format!("k={}", quote(v))).collect();
            let text = text.join(" ");
            let read = pairs(&text).unwrap().into_iter().map(|pair| pair.value);
            let read: Vec<String> = read.collect();
            prop_assert_eq!(read, values);
        }
    }
}
