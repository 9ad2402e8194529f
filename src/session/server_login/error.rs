//! Sans-IO. Why a login to a server failed, whose fault it is and what waiting clients are told.

use super::{Refusal, STARTUP_BYTES_MAX};
use crate::auth::scram::ScramError;
use crate::protocol::reply::Report;
use crate::protocol::{FrameError, ReadError, Severity, SqlState};
use crate::session::client_login::{Blame, ErrorCodes};

/// Why a login to a server failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerLoginError {
    /// The server said no.
    #[error("{0}")]
    Refused(Refusal),
    /// The stored secret does not fit the method that the server asks for.
    #[error("server login failed: wrong password type")]
    WrongSecretType,
    /// A method that pgweir does not speak.
    #[error("server asks for unsupported authentication method {name}")]
    UnsupportedMethod {
        /// Its name.
        name: &'static str,
    },
    /// The SCRAM exchange failed.
    #[error(transparent)]
    Scram(#[from] ScramError),
    /// A frame that has no place here.
    #[error("unexpected message of type 0x{tag:02x} during server login")]
    OutOfOrder {
        /// The frame's type.
        tag: u8,
    },
    /// A frame that cannot be read.
    #[error("malformed message of type 0x{tag:02x} during server login: {error}")]
    Malformed {
        /// The frame's type.
        tag: u8,
        /// What is wrong with its body.
        error: ReadError,
    },
    /// A frame with a header that cannot be right.
    #[error("broken frame during server login: {0}")]
    Frame(#[from] FrameError),
    /// The server makes us keep more than a login needs.
    #[error("server sends too much during login: limit of {limit} {what} exceeded")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
    /// The transaction status of a fresh connection is not idle.
    #[error("server is inside a transaction after login")]
    NotIdle,
    /// A cancel key outside 4 to 256 bytes.
    #[error("server gives a cancel key of {length} bytes, expected 4 to 256")]
    BadKey {
        /// Its bytes, without the process id.
        length: usize,
    },
    /// A name or value of ours that no startup packet can carry.
    #[error("startup parameter with a zero byte or without a name")]
    BadParameter,
    /// Our startup packet would be longer than a server reads.
    #[error("startup packet of {length} bytes, the limit is {STARTUP_BYTES_MAX}")]
    StartupTooLong {
        /// Bytes of the packet.
        length: usize,
    },
    /// The connection broke or was closed.
    #[error("server connection lost during login: {0}")]
    Lost(std::io::ErrorKind),
    /// The machine gave no random bytes.
    #[error("no random bytes")]
    NoRandom,
    /// The thread that derives keys did not finish.
    #[error("derivation of keys was aborted")]
    KeysAborted,
}

impl ServerLoginError {
    /// Who is to blame.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Refused(_)
            | Self::UnsupportedMethod { .. }
            | Self::Scram(_)
            | Self::OutOfOrder { .. }
            | Self::Malformed { .. }
            | Self::Frame(_)
            | Self::TooMuch { .. }
            | Self::NotIdle
            | Self::BadKey { .. }
            | Self::Lost(_) => Blame::Server,
            Self::BadParameter | Self::StartupTooLong { .. } => Blame::Client,
            Self::WrongSecretType | Self::NoRandom | Self::KeysAborted => Blame::Pooler,
        }
    }

    /// What waiting clients are told: the server's own words where it refused.
    pub fn report(&self, codes: ErrorCodes) -> Report {
        if let Self::Refused(refusal) = self {
            let code = refusal.code.unwrap_or(SqlState::PROTOCOL_VIOLATION);
            return Report::new(Severity::Fatal, code, refusal.message.clone());
        }
        let code = match codes {
            ErrorCodes::PgBouncer => SqlState::PROTOCOL_VIOLATION,
            ErrorCodes::Postgres => SqlState::CONNECTION_FAILURE,
        };
        let mut text = self.to_string();
        if !matches!(self, Self::WrongSecretType) {
            text.insert_str(0, "server login failed: ");
        }
        Report::new(Severity::Fatal, code, text)
    }
}
