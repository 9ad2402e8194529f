//! Sans-IO. `PostgreSQL`'s `md5` passwords: what is stored and what goes over the wire.
//!
//! Stored: `md5` and the hex digest of password and user name together. On the wire: `md5` and the hex
//! digest of that hex digest and the four salt bytes of `AuthenticationMD5Password`.

use std::fmt;

use md5::{Digest, Md5};

use super::key::equal;

/// Bytes of a stored hash and of an answer on the wire: `md5` and 32 hex digits.
pub const MD5_TEXT_LEN: usize = 35;

const PREFIX: &[u8] = b"md5";

/// A stored `md5` secret: the 32 hex digits. Enough to log in with, so it is kept as a secret.
#[derive(Clone, Copy)]
pub struct Md5Hash([u8; 32]);

impl Md5Hash {
    /// What `PostgreSQL` stores for this password of this user.
    pub fn of(password: &[u8], user: &[u8]) -> Self {
        Self(hex_digest(&[password, user]))
    }

    /// From `md5` and 32 lower-case hex digits; `None` for any other text, which `PostgreSQL` takes
    /// for a plain password.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let digits: [u8; 32] = text.strip_prefix(PREFIX)?.try_into().ok()?;
        digits
            .iter()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
            .then_some(Self(digits))
    }

    /// Whether the password of `user` is this one.
    pub fn matches_password(&self, password: &[u8], user: &[u8]) -> bool {
        equal(&self.0, &Self::of(password, user).0)
    }

    /// The answer to `AuthenticationMD5Password` with this salt.
    pub fn answer(&self, salt: [u8; 4]) -> [u8; MD5_TEXT_LEN] {
        let mut answer = [0; MD5_TEXT_LEN];
        let text = PREFIX.iter().copied().chain(hex_digest(&[&self.0, &salt]));
        for (place, byte) in answer.iter_mut().zip(text) {
            *place = byte;
        }
        answer
    }

    /// Whether a client's answer to the given salt proves that it knows this secret.
    pub fn matches_answer(&self, answer: &[u8], salt: [u8; 4]) -> bool {
        equal(&self.answer(salt), answer)
    }
}

impl fmt::Debug for Md5Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Md5Hash(..)")
    }
}

fn hex_digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Md5::new();
    for part in parts {
        hasher.update(part);
    }
    let mut hex = [0; 32];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(hasher.finalize()) {
        for (place, nibble) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
            *place = if nibble < 10 { b'0' } else { b'a' - 10 } + nibble;
        }
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_rfc_1321() {
        for (text, digest) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        ] {
            assert_eq!(hex_digest(&[text.as_bytes()]), digest.as_bytes(), "{text}");
        }
        // 'md5' || md5('bar' || 'foo'), as PostgreSQL stores password bar of user foo.
        let stored = Md5Hash::parse(b"md596948aad3fcae80c08a35c9b5958cd89").unwrap();
        assert!(stored.matches_password(b"bar", b"foo"));
        assert!(!stored.matches_password(b"bar", b"fop"));
    }

    #[test]
    fn an_answer_holds_for_its_salt_only() {
        let stored = Md5Hash::of(b"secret", b"app");
        let answer = Md5Hash::of(b"secret", b"app").answer(*b"abcd");
        assert!(answer.starts_with(b"md5"));
        assert!(stored.matches_answer(&answer, *b"abcd"));
        assert!(!stored.matches_answer(&answer, *b"abce"));
        assert!(!stored.matches_answer(&answer[..34], *b"abcd"));
        assert!(!stored.matches_answer(b"", *b"abcd"));
    }

    #[test]
    fn only_lower_case_hex_of_the_right_length_is_a_hash() {
        for text in [
            "md5",
            "md5900150983cd24fb0d6963f7d28e17f7",
            "md5900150983cd24fb0d6963f7d28e17f722",
            "md5900150983CD24FB0D6963F7D28E17F72",
            "MD5900150983cd24fb0d6963f7d28e17f72",
        ] {
            assert!(Md5Hash::parse(text.as_bytes()).is_none(), "{text}");
        }
        assert!(Md5Hash::parse(b"md5900150983cd24fb0d6963f7d28e17f72").is_some());
    }
}
