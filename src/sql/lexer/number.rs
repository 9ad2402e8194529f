//! Sans-IO. How long a number is.

use super::{Class, class, run};

/// The end of digits, between which may be single underscores.
fn digits(bytes: &[u8], mut at: usize, is_digit: impl Fn(u8) -> bool) -> usize {
    let has = |at: usize| bytes.get(at).is_some_and(|byte| is_digit(*byte));
    loop {
        if has(at) {
            at += 1;
        } else if bytes.get(at) == Some(&b'_') && has(at + 1) {
            at += 2;
        } else {
            return at;
        }
    }
}

/// Length of a number: what is no part of one by any version's rules begins the next token.
pub(super) fn number(bytes: &[u8]) -> usize {
    let end = run(bytes, 1, |class| class == Class::Digit);
    let is_plain = bytes.get(end).is_none_or(|byte| {
        let class = class(*byte);
        class != Class::Dot && class != Class::Letter && class != Class::Prefix
    });
    if is_plain && bytes.first() != Some(&b'.') {
        return end;
    }
    let decimal = |byte: u8| byte.is_ascii_digit();
    let based = match (bytes.first(), bytes.get(1)) {
        (Some(b'0'), Some(b'x' | b'X')) => digits(bytes, 2, |byte| byte.is_ascii_hexdigit()),
        (Some(b'0'), Some(b'o' | b'O')) => digits(bytes, 2, |byte| matches!(byte, b'0'..=b'7')),
        (Some(b'0'), Some(b'b' | b'B')) => digits(bytes, 2, |byte| matches!(byte, b'0' | b'1')),
        _ => 0,
    };
    if based > 2 {
        return based;
    }
    let mut end = match bytes.first() {
        Some(b'.') => 0,
        _ => digits(bytes, 1, decimal),
    };
    // `1..2` is a range of two numbers.
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1) != Some(&b'.') {
        end = match bytes.get(end + 1) {
            Some(b'0'..=b'9') => digits(bytes, end + 2, decimal),
            _ => end + 1,
        };
    }
    if let Some(b'e' | b'E') = bytes.get(end) {
        let signed = matches!(bytes.get(end + 1), Some(b'+' | b'-'));
        let from = end + 1 + usize::from(signed);
        if bytes.get(from).is_some_and(u8::is_ascii_digit) {
            return digits(bytes, from + 1, decimal);
        }
    }
    end
}
