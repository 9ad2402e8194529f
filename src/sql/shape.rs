//! Sans-IO. A number for a text but for the numbers in it, found in a fraction of the time that it takes
//! to cut the text into tokens.
//!
//! Invariant: texts with the same shape have the same pieces (`pieces`), but for chance. So what is
//! known of one is true of the other. The opposite does not hold: strings are part of a shape, and
//! so are space, case, and every number behind a double quote, where it may be part of a name.

use super::eight;
use super::fingerprint::Mixer;

/// Marks of what is mixed in: up to eight bytes, a number that stands alone, all behind a quote.
const BYTES: u64 = 1 << 60;
const NUMBER: u64 = 2 << 60;
const QUOTED: u64 = 3 << 60;

/// The shape of a text, as a number that nobody can aim at who does not know the key.
pub fn shape(sql: &[u8], key: u64) -> u64 {
    let mut mixer = Mixer::new(key);
    let (mut rest, mut last) = (sql, b' ');
    while !rest.is_empty() {
        let length = rest.len().min(8);
        let bytes = eight::load(rest);
        let special = eight::digits_and_quotes(bytes);
        if special == 0 {
            mixer.mix(bytes, BYTES | length as u64);
            last = rest.get(length - 1).copied().unwrap_or(last);
            rest = rest.get(length..).unwrap_or_default();
            continue;
        }
        let at = (special.trailing_zeros() / 8) as usize;
        let (before, from) = rest.split_at(at.min(rest.len()));
        if !before.is_empty() {
            mixer.mix(eight::load(before), BYTES | at as u64);
            last = before.last().copied().unwrap_or(last);
        }
        if from.first() == Some(&b'"') {
            mix_all(&mut mixer, from);
            break;
        }
        let digits = from.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, behind) = from.split_at(digits);
        if is_of_word(last) || behind.first().is_some_and(|next| is_of_word(*next)) {
            for part in number.chunks(8) {
                mixer.mix(eight::load(part), BYTES | part.len() as u64);
            }
        } else {
            mixer.mix(0, NUMBER);
        }
        last = b'0';
        rest = behind;
    }
    mixer.finish()
}

fn mix_all(mixer: &mut Mixer, text: &[u8]) {
    mixer.mix(0, QUOTED);
    for part in text.chunks(8) {
        mixer.mix(eight::load(part), BYTES | part.len() as u64);
    }
}

/// Whether digits beside this byte may be part of a longer token than a whole number.
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.') || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::fingerprint;
    use crate::sql::lexer::Quoting;

    fn same(one: &str, other: &str) -> bool {
        shape(one.as_bytes(), 7) == shape(other.as_bytes(), 7)
    }

    #[test]
    fn numbers_that_stand_alone_are_no_part_of_a_shape() {
        for (one, other) in [
            (
                "select a from b where c = 1",
                "select a from b where c = 123456789",
            ),
            ("1", "22"),
            ("select -1, +2, (3)", "select -10, +20, (30)"),
            ("values (1,2),(3,4)", "values (11,2),(3,44444444444444)"),
        ] {
            assert!(same(one, other), "{one} | {other}");
        }
    }

    #[test]
    fn everything_else_is() {
        for (one, other) in [
            ("select a1", "select a2"),
            ("select $1", "select $2"),
            ("select 1.5", "select 1.6"),
            ("select 1e5", "select 1e6"),
            ("select 1", "select  1"),
            ("select 1", "select a"),
            ("select 1", "select 1 1"),
            ("select \"a 1\"", "select \"a 2\""),
            ("select 'a'", "select 'b'"),
            ("", "1"),
            ("abcdefgh", "abcdefgh\0"),
        ] {
            assert!(!same(one, other), "{one} | {other}");
        }
    }

    #[test]
    fn another_key_is_another_shape() {
        assert_ne!(shape(b"select 1", 7), shape(b"select 1", 8));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(4000))]

        /// Whatever stands around them, other digits change nothing where the shape says so.
        #[test]
        fn texts_of_one_shape_have_one_fingerprint(
            text in "([a-zE ]{0,3}|[0-9]{1,4}|['\"$\\\\./*(),;:=+-]|--|/\\*|\\*/|\\$a\\$|U&'|x'|in \\(|\n){0,30}",
            digits in "[0-9]{1,12}",
        ) {
            let mut digits = digits.bytes().cycle();
            let mut other = String::new();
            let mut within = false;
            for c in text.chars() {
                if !c.is_ascii_digit() {
                    other.push(c);
                    within = false;
                } else if !within {
                    // Another number, and another length of it.
                    let length = 1 + usize::from(digits.next().unwrap_or(b'0') - b'0') % 5;
                    other.extend(digits.by_ref().take(length).map(char::from));
                    within = true;
                }
            }
            for quoting in [Quoting::Standard, Quoting::Backslash] {
                if same(&text, &other) {
                    let (one, two) = (text.as_bytes(), other.as_bytes());
                    proptest::prop_assert_eq!(
                        fingerprint(one, quoting, 3), fingerprint(two, quoting, 3),
                        "{} | {}", text, other
                    );
                }
            }
        }
    }
}
