//! Sans-IO. Where strings end.

use memchr::{memchr, memchr2};

use super::line_end;

/// The position after the next such byte.
pub(super) fn find(bytes: &[u8], from: usize, byte: u8) -> Option<usize> {
    Some(from + memchr(byte, bytes.get(from..)?)? + 1)
}

/// The position after the quote that ends what goes on at `from`; two quotes are one inside.
pub(super) fn close(bytes: &[u8], mut from: usize, quote: u8) -> Option<usize> {
    loop {
        from = find(bytes, from, quote)?;
        if bytes.get(from) != Some(&quote) {
            return Some(from);
        }
        from += 1;
    }
}

/// The same for a string in which a backslash escapes the next byte.
pub(super) fn escaped(bytes: &[u8], mut from: usize) -> Option<usize> {
    loop {
        from += memchr2(b'\\', b'\'', bytes.get(from..)?)? + 1;
        let is_escape = bytes.get(from.checked_sub(1)?) == Some(&b'\\');
        if !is_escape && bytes.get(from) != Some(&b'\'') {
            return Some(from);
        }
        from += 1;
    }
}

/// The end of a string and of those that continue it, each ended as `end` says.
pub(super) fn strings(
    bytes: &[u8],
    from: usize,
    end: impl Fn(&[u8], usize) -> Option<usize>,
) -> Option<usize> {
    let mut at = end(bytes, from)?;
    while let Some(inside) = continuation(bytes, at) {
        at = end(bytes, inside)?;
    }
    Some(at)
}

/// Where the inside of a string begins that continues the one before `from`: between them is an end
/// of line, otherwise space and comments of the `--` kind.
fn continuation(bytes: &[u8], from: usize) -> Option<usize> {
    let (mut at, mut is_new_line) = (from, false);
    loop {
        match bytes.get(at)? {
            b' ' | b'\t' | 0x0b | 0x0c => at += 1,
            b'\n' | b'\r' => (at, is_new_line) = (at + 1, true),
            b'-' if bytes.get(at + 1) == Some(&b'-') => at = line_end(bytes, at + 2),
            b'\'' if is_new_line => return Some(at + 1),
            _ => return None,
        }
    }
}
