//! Sans-IO. A stored secret of a user, as `pg_authid.rolpassword` and `auth_file` hold it.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::key::{Key32, equal};
use super::md5::Md5Hash;
use super::scram::SALT_BYTES_MAX;

/// Longest password or secret, in bytes (`PgBouncer`'s limit).
pub const PASSWORD_BYTES_MAX: usize = 65535;

/// Why a text cannot be a password or secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Longer than [`PASSWORD_BYTES_MAX`].
    #[error("password of {length} bytes, the limit is {PASSWORD_BYTES_MAX}")]
    TooLong {
        /// Bytes of the text.
        length: usize,
    },
    /// A zero byte, which no protocol message can carry.
    #[error("password with a zero byte")]
    ZeroByte,
}

/// A password in plain text: any bytes but zero, at most [`PASSWORD_BYTES_MAX`] of them. Clones share
/// the one copy.
#[derive(Clone)]
pub struct Password(Arc<[u8]>);

impl Password {
    /// Checks the limits of a password. An empty one is a password that nobody can log in with.
    pub fn new(bytes: &[u8]) -> Result<Self, SecretError> {
        if bytes.len() > PASSWORD_BYTES_MAX {
            return Err(SecretError::TooLong {
                length: bytes.len(),
            });
        }
        if memchr::memchr(0, bytes).is_some() {
            return Err(SecretError::ZeroByte);
        }
        Ok(Self(bytes.into()))
    }

    /// The password. The caller keeps it out of logs.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is empty: the user exists, but no password ever matches.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether both are the same non-empty password.
    pub fn matches(&self, other: &Self) -> bool {
        !self.is_empty() && equal(&self.0, &other.0)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// What is stored to check a user's password with.
#[derive(Debug, Clone)]
pub enum Secret {
    /// The password itself; an empty one never matches. Also for a NULL from `auth_query`.
    Plain(Password),
    /// `md5` and the hex digest of password and user name.
    Md5(Md5Hash),
    /// `SCRAM-SHA-256$…`.
    Scram(Verifier),
}

impl Secret {
    /// Reads a secret; like `PostgreSQL`, whatever is not exactly an md5 hash or a SCRAM verifier is a
    /// plain password.
    pub fn parse(text: &[u8]) -> Result<Self, SecretError> {
        if let Some(hash) = Md5Hash::parse(text) {
            return Ok(Self::Md5(hash));
        }
        let password = Password::new(text)?;
        Ok(Verifier::parse(text).map_or(Self::Plain(password), Self::Scram))
    }
}

/// A SCRAM-SHA-256 verifier: it checks proofs, but does not let its owner make one.
#[derive(Debug, Clone)]
pub struct Verifier {
    /// PBKDF2 rounds.
    pub iterations: NonZeroU32,
    /// Salt, decoded.
    pub salt: Arc<[u8]>,
    /// Hash of the client key.
    pub stored_key: Key32,
    /// What the server signs with.
    pub server_key: Key32,
}

const VERIFIER_PREFIX: &[u8] = b"SCRAM-SHA-256$";

impl Verifier {
    /// Reads `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let rest = std::str::from_utf8(text.strip_prefix(VERIFIER_PREFIX)?).ok()?;
        let (head, keys) = rest.split_once('$')?;
        let (iterations, salt) = head.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let salt = STANDARD.decode(salt).ok()?;
        (salt.len() <= SALT_BYTES_MAX).then_some(())?;
        Some(Self {
            iterations: parse_iterations(iterations)?,
            salt: salt.into(),
            stored_key: decode_key(stored_key)?,
            server_key: decode_key(server_key)?,
        })
    }

    /// Whether both were made of the same password with the same salt and rounds: then the client's
    /// key, won from a login against one, also opens the other (SCRAM pass-through).
    pub fn same_as(&self, other: &Self) -> bool {
        self.iterations == other.iterations
            && self.salt == other.salt
            && self.stored_key.matches(&other.stored_key)
            && self.server_key.matches(&other.server_key)
    }
}

/// Decimal digits without sign, 1 to 2147483647 as `PostgreSQL` stores it.
///
/// No lower limit of ours here: a verifier that is not recognised would count as a plain password.
/// Whoever has to run the rounds checks [`super::scram::ITERATIONS_MAX`].
pub(super) fn parse_iterations(text: &str) -> Option<NonZeroU32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number: NonZeroU32 = digits.then(|| text.parse().ok())??;
    i32::try_from(number.get()).is_ok().then_some(number)
}

fn decode_key(text: &str) -> Option<Key32> {
    Key32::from_slice(&STANDARD.decode(text).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
        WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    #[test]
    fn the_three_kinds_are_told_apart() {
        let scram = Secret::parse(VERIFIER.as_bytes()).unwrap();
        assert!(
            matches!(scram, Secret::Scram(verifier) if verifier.iterations.get() == 4096
            && verifier.salt.len() == 16)
        );
        let md5 = Secret::parse(b"md5900150983cd24fb0d6963f7d28e17f72").unwrap();
        assert!(matches!(md5, Secret::Md5(_)));
        assert!(matches!(Secret::parse(b"hello").unwrap(), Secret::Plain(_)));
        assert!(
            matches!(Secret::parse(b"").unwrap(), Secret::Plain(password) if password.is_empty())
        );
    }

    #[test]
    fn a_broken_verifier_is_a_plain_password() {
        for (from, to) in [
            ("$4096:", "$0:"),
            ("$4096:", "$-1:"),
            ("$4096:", "$+1:"),
            ("$4096:", "$:"),
            ("$4096:", "$2147483648:"),
            ("$4096:", "$99999999999999999999:"),
            ("SCRAM-SHA-256", "SCRAM-SHA-1"),
            ("gQ==$", "gQ=$"),
            ("4qY=:", "4qY="),
            ("2dU=", "2dU=x"),
            ("WG5d", ""),
        ] {
            let text = VERIFIER.replacen(from, to, 1);
            assert_ne!(text, VERIFIER);
            let secret = Secret::parse(text.as_bytes()).unwrap();
            assert!(matches!(secret, Secret::Plain(_)), "{text}");
        }
    }

    #[test]
    fn no_truncation_of_a_verifier_is_a_verifier() {
        for cut in 0..VERIFIER.len() {
            assert!(Verifier::parse(&VERIFIER.as_bytes()[..cut]).is_none());
        }
    }

    #[test]
    fn limits_of_passwords_hold() {
        assert!(Password::new(&vec![b'a'; PASSWORD_BYTES_MAX]).is_ok());
        let long = Secret::parse(&vec![b'a'; PASSWORD_BYTES_MAX + 1]);
        assert_eq!(long.unwrap_err(), SecretError::TooLong { length: 65536 });
        assert_eq!(Password::new(b"a\0b").unwrap_err(), SecretError::ZeroByte);
    }

    #[test]
    fn secrets_do_not_show_in_debug() {
        for text in [VERIFIER, "md5900150983cd24fb0d6963f7d28e17f72", "hunter2"] {
            let shown = format!("{:?}", Secret::parse(text.as_bytes()).unwrap());
            assert!(
                !shown.contains("hunter2") && !shown.contains("9001") && !shown.contains("WG5d")
            );
        }
    }

    #[test]
    fn an_empty_password_matches_nothing() {
        let empty = Password::new(b"").unwrap();
        assert!(!empty.matches(&empty));
        assert!(
            Password::new(b"x")
                .unwrap()
                .matches(&Password::new(b"x").unwrap())
        );
    }
}
