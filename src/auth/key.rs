//! Sans-IO. 32-byte keys, the SHA-256 functions that make them, and comparison in constant time.

use std::fmt;

use ring::{digest, hmac};
use subtle::ConstantTimeEq;

/// A SHA-256-sized key or digest. It does not show in `Debug` and has no `==`: see [`Key32::matches`].
#[derive(Clone, Copy)]
pub struct Key32([u8; 32]);

impl Key32 {
    /// A key from its bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// From bytes of any length; `None` unless there are exactly 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes. The caller keeps them out of logs.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether both are the same, in a time that does not depend on where they differ.
    pub fn matches(&self, other: &Self) -> bool {
        equal(&self.0, &other.0)
    }

    /// SHA-256 of this key: `StoredKey` of a SCRAM `ClientKey`.
    #[must_use]
    pub fn hashed(&self) -> Self {
        let hash = digest::digest(&digest::SHA256, &self.0);
        Self::from_slice(hash.as_ref()).expect("SHA-256 gives 32 bytes")
    }

    /// HMAC-SHA-256 under this key of the parts, one after the other.
    #[must_use]
    pub fn sign(&self, parts: &[&[u8]]) -> Self {
        SigningKey::new(self).sign(parts)
    }

    /// Byte-wise exclusive or.
    #[must_use]
    pub fn xor(&self, other: &Self) -> Self {
        let mut bytes = self.0;
        for (byte, mask) in bytes.iter_mut().zip(other.0) {
            *byte ^= mask;
        }
        Self(bytes)
    }
}

/// A key that signs often: the part of each signature that depends on the key alone is made once.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// Prepares a key.
    pub fn new(key: &Key32) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key.0))
    }

    /// HMAC-SHA-256 of the parts, one after the other.
    #[must_use]
    pub fn sign(&self, parts: &[&[u8]]) -> Key32 {
        let signature = if let [whole] = parts {
            hmac::sign(&self.0, whole)
        } else {
            let mut context = hmac::Context::with_key(&self.0);
            for part in parts {
                context.update(part);
            }
            context.sign()
        };
        Key32::from_slice(signature.as_ref()).expect("HMAC-SHA-256 gives 32 bytes")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl fmt::Debug for Key32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key32(..)")
    }
}

/// Whether two secrets are equal. Only their lengths can be learned from the time it takes.
pub fn equal(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparison_tells_content_and_length_apart() {
        assert!(equal(b"", b""));
        assert!(equal(b"abc", b"abc"));
        assert!(!equal(b"abc", b"abd"));
        assert!(!equal(b"abc", b"abc\0"));
    }

    #[test]
    fn keys_do_not_show_in_debug() {
        let key = Key32::new([0x41; 32]);
        assert_eq!(format!("{key:?}"), "Key32(..)");
        assert_eq!(format!("{:?}", SigningKey::new(&key)), "SigningKey(..)");
    }

    #[test]
    fn a_signature_depends_on_the_bytes_and_not_on_their_parts() {
        let key = Key32::new([0x41; 32]);
        let whole = key.sign(&[b"one two"]);
        assert!(whole.matches(&key.sign(&[b"one", b" ", b"two"])));
        assert!(whole.matches(&SigningKey::new(&key).sign(&[b"one two"])));
        assert!(!whole.matches(&key.sign(&[b"one", b"two"])));
    }

    #[test]
    fn only_32_bytes_make_a_key() {
        for length in [0, 31, 33, 64] {
            assert!(Key32::from_slice(&vec![0; length]).is_none());
        }
    }
}
