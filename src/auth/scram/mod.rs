//! Sans-IO. SCRAM-SHA-256 (RFC 5802, RFC 7677) as `PostgreSQL` speaks it, both sides.
//!
//! ```text
//! client                               server
//! ClientStart  --- client-first --->   ServerStart
//! AwaitServerFirst <-- server-first -- AwaitClientFinal
//! (AwaitKeys)  --- client-final --->   (AwaitServerKeys)
//! AwaitServerFinal <-- server-final -- Verified
//! ```
//!
//! Each state is a type whose method consumes it, so no message can be taken twice or out of order.
//! The two states in brackets wait for keys of a password: that costs milliseconds of CPU, so the
//! shell runs [`KeyRequest::derive`] away from the event loop. Channel binding is not offered.
//!
//! Every message is limited to [`MESSAGE_BYTES_MAX`] before it is read (CVE-2026-6665 of `PgBouncer`
//! and its kin were unchecked copies of peers' attributes).

pub mod client;
pub mod keys;
mod message;
pub mod server;

#[cfg(test)]
mod tests;

use std::num::NonZeroU32;

pub use self::keys::{KeyCache, KeyRequest, ProcessKey, ScramKeys};

/// Name of the only mechanism that is offered and accepted.
pub const MECHANISM: &str = "SCRAM-SHA-256";

/// Longest SCRAM message that is read, in bytes. Real ones have about 100.
pub const MESSAGE_BYTES_MAX: usize = 4096;

/// Longest nonce that is accepted from a peer, in bytes.
pub const NONCE_BYTES_MAX: usize = 512;

/// Longest salt that is accepted, in decoded bytes.
pub const SALT_BYTES_MAX: usize = 1024;

/// Random bytes of a nonce of ours, before base64.
pub const NONCE_RANDOM_BYTES: usize = 18;

/// Most PBKDF2 rounds that pgweir runs (`PgBouncer` 1.26): a hostile server must not make it burn CPU.
pub const ITERATIONS_MAX: NonZeroU32 = NonZeroU32::new(1_000_000).expect("not zero");

/// Why an exchange failed. Nothing a peer sent is in it but an error word of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// The message is longer than [`MESSAGE_BYTES_MAX`].
    #[error("SCRAM message of {length} bytes, the limit is {MESSAGE_BYTES_MAX}")]
    TooLong {
        /// Bytes of the message.
        length: usize,
    },
    /// An attribute is missing, misplaced or not as the grammar has it.
    #[error("malformed SCRAM message: {0}")]
    Malformed(Malformed),
    /// The client wants channel binding, which was not offered.
    #[error("client requires SCRAM channel binding, but it is not supported")]
    ChannelBinding,
    /// The client wants to act as another user.
    #[error("client uses authorization identity, but it is not supported")]
    AuthorizationIdentity,
    /// A mandatory extension (`m=`).
    #[error("peer requires an unsupported SCRAM extension")]
    Extension,
    /// The peer's nonce is not the one of this exchange.
    #[error("SCRAM nonce does not match")]
    Nonce,
    /// The channel binding data of client-final differ from the header of client-first.
    #[error("unexpected SCRAM channel-binding attribute in client-final-message")]
    BindingMismatch,
    /// The server wants more PBKDF2 rounds than [`ITERATIONS_MAX`].
    #[error("SCRAM iteration count above {ITERATIONS_MAX}")]
    TooManyIterations,
    /// The client's proof is wrong, or nobody can log in as this user by SCRAM.
    #[error("SCRAM proof does not match")]
    WrongProof,
    /// The server did not prove that it knows the user's secret.
    #[error("incorrect SCRAM server signature")]
    WrongSignature,
    /// The server ended the exchange with an error word.
    #[error("SCRAM exchange refused by server: {word}")]
    Refused {
        /// `e=` attribute: letters, digits and hyphens only, at most 64 of them.
        word: String,
    },
}

/// Which part of a message is not as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The message is empty or has a zero byte.
    #[error("empty or with a zero byte")]
    Text,
    /// The GS2 header of client-first.
    #[error("bad header")]
    Header,
    /// The attribute of this name is not where it must be.
    #[error("attribute \"{0}\" expected")]
    Expected(char),
    /// An attribute that is no letter and `=`.
    #[error("attribute expected")]
    Attribute,
    /// The nonce is empty, too long or not printable.
    #[error("bad nonce")]
    Nonce,
    /// The salt is not base64, empty or too long.
    #[error("bad salt")]
    Salt,
    /// The iteration count is not a positive number.
    #[error("bad iteration count")]
    Iterations,
    /// The proof is not base64 of 32 bytes.
    #[error("malformed proof in client-final-message")]
    Proof,
    /// The signature is not base64 of 32 bytes.
    #[error("malformed signature in server-final-message")]
    Signature,
    /// Something follows the last attribute.
    #[error("garbage at end of message")]
    Trailing,
}

impl From<Malformed> for ScramError {
    fn from(what: Malformed) -> Self {
        Self::Malformed(what)
    }
}
