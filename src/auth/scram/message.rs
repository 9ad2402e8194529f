//! Sans-IO. Attributes of a SCRAM message: `x=value`, separated by commas.
//!
//! Invariant: every slice handed out lies inside the message, and the message is within its limit.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{MESSAGE_BYTES_MAX, Malformed, NONCE_BYTES_MAX, SALT_BYTES_MAX, ScramError};
use crate::auth::key::Key32;

/// Reads attributes one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attributes<'a> {
    whole: &'a [u8],
    /// `None` after the last attribute; `Some` of nothing after a trailing comma.
    rest: Option<&'a [u8]>,
}

impl<'a> Attributes<'a> {
    /// Checks the limits of the message.
    pub fn new(message: &'a [u8]) -> Result<Self, ScramError> {
        if message.len() > MESSAGE_BYTES_MAX {
            let length = message.len();
            return Err(ScramError::TooLong { length });
        }
        if message.is_empty() || memchr::memchr(0, message).is_some() {
            return Err(Malformed::Text.into());
        }
        Ok(Self {
            whole: message,
            rest: Some(message),
        })
    }

    /// The bytes up to the next comma, whatever they are; `None` when there are no more.
    pub fn field(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let mut parts = rest.splitn(2, |&byte| byte == b',');
        let field = parts.next();
        self.rest = parts.next();
        field
    }

    /// The value of the next attribute, which must have this name.
    pub fn value(&mut self, name: char) -> Result<&'a [u8], ScramError> {
        match self.any()? {
            (found, value) if found == name => Ok(value),
            // RFC 5802: a mandatory extension comes first and is to be refused by its name.
            ('m', _) => Err(ScramError::Extension),
            _ => Err(Malformed::Expected(name).into()),
        }
    }

    /// Name and value of the next attribute.
    pub fn any(&mut self) -> Result<(char, &'a [u8]), ScramError> {
        match self.field() {
            Some([name, b'=', value @ ..]) if name.is_ascii_alphabetic() => {
                Ok((char::from(*name), value))
            }
            _ => Err(Malformed::Attribute.into()),
        }
    }

    /// Whether the last attribute has been read.
    pub fn at_end(&self) -> bool {
        self.rest.is_none()
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest.unwrap_or_default()
    }

    /// What has been read so far, without the comma behind it.
    pub fn consumed(&self) -> &'a [u8] {
        let end = match self.rest {
            Some(rest) => self.whole.len() - rest.len() - 1,
            None => self.whole.len(),
        };
        self.whole.get(..end).unwrap_or_default()
    }

    /// Demands that nothing follows.
    pub fn finish(self) -> Result<(), ScramError> {
        match self.rest {
            None => Ok(()),
            Some(_) => Err(Malformed::Trailing.into()),
        }
    }
}

/// Checks a nonce: printable ASCII (a comma cannot be in it), neither empty nor too long.
pub(super) fn check_nonce(nonce: &[u8]) -> Result<&[u8], ScramError> {
    let printable = nonce.iter().all(u8::is_ascii_graphic);
    if nonce.is_empty() || nonce.len() > NONCE_BYTES_MAX || !printable {
        return Err(Malformed::Nonce.into());
    }
    Ok(nonce)
}

/// A salt from base64: neither empty nor too long.
pub(super) fn decode_salt(text: &[u8]) -> Result<Vec<u8>, ScramError> {
    let salt = STANDARD.decode(text).unwrap_or_default();
    if salt.is_empty() || salt.len() > SALT_BYTES_MAX {
        return Err(Malformed::Salt.into());
    }
    Ok(salt)
}

/// 32 bytes from base64, or the given complaint.
pub(super) fn decode_key(text: &[u8], otherwise: Malformed) -> Result<Key32, ScramError> {
    // The decoder asks for room for whole groups of three bytes.
    let mut bytes = [0; 33];
    let length = STANDARD.decode_slice(text, &mut bytes).unwrap_or_default();
    let key = bytes.get(..length).and_then(Key32::from_slice);
    key.ok_or(ScramError::Malformed(otherwise))
}

/// Base64 as both sides write it.
pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Appends base64 to a message.
pub(super) fn append_encoded(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + encoded_len(bytes.len()), 0);
    let room = out.get_mut(start..).unwrap_or_default();
    let written = STANDARD.encode_slice(bytes, room);
    debug_assert_eq!(written.ok(), Some(room.len()), "the length is exact");
}

/// Length of base64 with its padding.
pub(super) const fn encoded_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_come_in_order_and_the_end_is_seen() {
        let mut message = Attributes::new(b"r=ab=c,s=,i=1").unwrap();
        assert_eq!(message.value('r'), Ok(&b"ab=c"[..]));
        assert_eq!(message.consumed(), b"r=ab=c");
        assert_eq!(message.rest(), b"s=,i=1");
        assert_eq!(message.value('s'), Ok(&b""[..]));
        assert!(!message.at_end());
        assert!(message.finish().is_err());
        assert_eq!(message.value('i'), Ok(&b"1"[..]));
        assert!(message.at_end());
        assert_eq!(message.consumed(), b"r=ab=c,s=,i=1");
        assert_eq!(message.finish(), Ok(()));
        assert!(message.any().is_err());
    }

    #[test]
    fn misplaced_attributes_are_refused() {
        for (text, error) in [
            (&b"x=1"[..], ScramError::Malformed(Malformed::Expected('r'))),
            (b"m=1,r=x", ScramError::Extension),
            (b"r", ScramError::Malformed(Malformed::Attribute)),
            (b"1=r", ScramError::Malformed(Malformed::Attribute)),
            (b",r=x", ScramError::Malformed(Malformed::Attribute)),
        ] {
            let mut message = Attributes::new(text).unwrap();
            assert_eq!(message.value('r'), Err(error), "{text:?}");
        }
        assert!(Attributes::new(b"").is_err());
        assert!(Attributes::new(b"r=a\0").is_err());
    }

    #[test]
    fn a_trailing_comma_is_not_the_end() {
        let mut message = Attributes::new(b"r=a,").unwrap();
        assert_eq!(message.value('r'), Ok(&b"a"[..]));
        assert!(message.finish().is_err());
    }

    #[test]
    fn lengths_are_limited() {
        assert!(Attributes::new(&vec![b'a'; MESSAGE_BYTES_MAX]).is_ok());
        let length = MESSAGE_BYTES_MAX + 1;
        let error = Attributes::new(&vec![b'a'; length]).unwrap_err();
        assert_eq!(error, ScramError::TooLong { length });
        assert!(check_nonce(&[b'a'; NONCE_BYTES_MAX]).is_ok());
        for nonce in [
            &[b'a'; NONCE_BYTES_MAX + 1][..],
            b"",
            b"a b",
            b"\x7f",
            b"\xff",
        ] {
            assert!(check_nonce(nonce).is_err());
        }
        assert!(decode_salt(encode(&[7; SALT_BYTES_MAX]).as_bytes()).is_ok());
        assert!(decode_salt(encode(&[7; SALT_BYTES_MAX + 1]).as_bytes()).is_err());
        assert!(decode_salt(b"").is_err());
    }
}
