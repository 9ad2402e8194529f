//! Sans-IO. A number for a text but for the numbers in it, found in a fraction of the time that it takes
//! to cut the text into tokens.
//!
//! Invariant: texts with the same shape have the same pieces (`pieces`), but for chance. So what is
//! known of one is true of the other. The opposite does not hold: strings are part of a shape, and
//! so are space, case, and every number behind a double quote, where it may be part of a name.

use super::eight;
use super::fingerprint::Mixer;

/// Bytes that are looked at together.
const BLOCK: usize = 16;

/// What comes behind a block that is not full; so many bytes of it count.
const NUMBER: u64 = 1 << 60;
const DIGITS: u64 = 2 << 60;
const QUOTE: u64 = 3 << 60;
const END: u64 = 4 << 60;

/// The shape of a text, as a number that nobody can aim at who does not know the key.
pub fn shape(sql: &[u8], key: u64) -> u64 {
    let mut mixer = Mixer::new(key);
    let (mut rest, mut last) = (sql, b' ');
    loop {
        while let Some((block, more)) = rest.split_first_chunk::<BLOCK>()
            && !has_digit_or_quote(block)
        {
            mix_block(&mut mixer, block);
            (rest, last) = (more, block[BLOCK - 1]);
        }
        let (before, from) = until_digit_or_quote(&mut mixer, rest);
        let count = before.len() as u64;
        last = before.last().copied().unwrap_or(last);
        match from.first() {
            None => {
                mixer.mix(count, END);
                return mixer.finish();
            }
            Some(b'"') => {
                mixer.mix(count, QUOTE);
                mix_all(&mut mixer, from);
                return mixer.finish();
            }
            Some(_) => {}
        }
        let mut digits = 1;
        while from.get(digits).is_some_and(u8::is_ascii_digit) {
            digits += 1;
        }
        let (number, behind) = from.split_at(digits);
        if is(last, OF_WORD) || behind.first().is_some_and(|next| is(*next, OF_WORD)) {
            mixer.mix(count, DIGITS);
            mix_all(&mut mixer, number);
        } else {
            mixer.mix(count, NUMBER);
        }
        if behind.is_empty() {
            return mixer.finish();
        }
        (rest, last) = (behind, b'0');
    }
}

/// A look at all bytes at once; the compiler makes a few instructions of it.
fn has_digit_or_quote(block: &[u8; BLOCK]) -> bool {
    let special = |any: bool, byte: &u8| any | matches!(byte, b'0'..=b'9' | b'"');
    block.iter().fold(false, special)
}

/// Mixes in what stands before the first digit or quote of the next block, and parts the text there,
/// or behind the block.
#[inline]
fn until_digit_or_quote<'a>(mixer: &mut Mixer, rest: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    let (block, _) = rest.split_at(rest.len().min(BLOCK));
    let mut at = 0;
    while block.get(at).is_some_and(|byte| !is(*byte, DIGIT_OR_QUOTE)) {
        at += 1;
    }
    let (before, from) = rest.split_at(at);
    if !before.is_empty() {
        mix_block(mixer, before);
    }
    (before, from)
}

/// Mixes in no more than a block. Where it is not a whole one, its length has to follow.
fn mix_block(mixer: &mut Mixer, block: &[u8]) {
    let (low, high) = block.split_at(block.len().min(8));
    mixer.mix(eight::load(low), eight::load(high));
}

fn mix_all(mixer: &mut Mixer, text: &[u8]) {
    for part in text.chunks(BLOCK) {
        mix_block(mixer, part);
    }
    mixer.mix(text.len() as u64, END);
}

/// Digits beside such a byte may be part of a longer token than a whole number.
const OF_WORD: u8 = 1;
/// What has to be looked at.
const DIGIT_OR_QUOTE: u8 = 2;

/// Whether a byte is of that kind.
fn is(byte: u8, kind: u8) -> bool {
    const KINDS: [u8; 256] = kinds();
    KINDS[usize::from(byte)] & kind != 0
}

const fn kinds() -> [u8; 256] {
    let mut kinds = [0; 256];
    let mut byte = u8::MAX;
    loop {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.') || !byte.is_ascii() {
            kinds[byte as usize] |= OF_WORD;
        }
        if matches!(byte, b'0'..=b'9' | b'"') {
            kinds[byte as usize] |= DIGIT_OR_QUOTE;
        }
        match byte.checked_sub(1) {
            Some(next) => byte = next,
            None => return kinds,
        }
    }
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
