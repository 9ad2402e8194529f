//! Sans-IO. Normal form of a password before SCRAM uses it (RFC 4013), as `PostgreSQL` does it.

use std::borrow::Cow;

/// The password's bytes in their `SASLprep` form.
///
/// `PostgreSQL` falls back to the raw bytes when a password is not UTF-8, holds prohibited characters
/// or would become empty: such passwords must go on working, so both sides skip the preparation.
pub fn prepare(password: &[u8]) -> Cow<'_, [u8]> {
    let Ok(text) = std::str::from_utf8(password) else {
        return Cow::Borrowed(password);
    };
    match stringprep::saslprep(text) {
        Ok(Cow::Owned(prepared)) if !prepared.is_empty() => Cow::Owned(prepared.into_bytes()),
        Ok(_) | Err(_) => Cow::Borrowed(password),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_prepared_or_left_as_they_are() {
        for (raw, prepared) in [
            // Examples of RFC 4013, section 3.
            (&b"I\xc2\xadX"[..], &b"IX"[..]),
            (b"user", b"user"),
            (b"USER", b"USER"),
            (b"\xc2\xaa", b"a"),
            (b"\xe2\x85\xa8", b"IX"),
            // Prohibited character, broken bidirectional text: raw.
            (b"\x07", b"\x07"),
            (b"\xd8\xa71", b"\xd8\xa71"),
            // Not UTF-8: raw. Only characters that map to nothing: raw.
            (b"caf\xe9", b"caf\xe9"),
            (b"\xc2\xad", b"\xc2\xad"),
            (b"", b""),
            // A no-break space becomes a space.
            (b"a\xc2\xa0b", b"a b"),
        ] {
            assert_eq!(prepare(raw), prepared, "{raw:?}");
        }
    }
}
