//! Sans-IO. Why a client was not let in, whose fault it is and what the client is told.

use crate::auth::scram::ScramError;
use crate::protocol::reply::Report;
use crate::protocol::{ReadError, Severity, SqlState};

/// Whose fault an error is: decides the log level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The client's.
    Client,
    /// The server's.
    Server,
    /// Ours: the configuration or the machine.
    Pooler,
}

/// Which SQLSTATE codes clients are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCodes {
    /// 08P01 for everything.
    PgBouncer,
    /// The code that `PostgreSQL` has for the situation.
    Postgres,
}

/// Why a client was not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The method is trust, and the user does not exist.
    #[error("unknown user with method trust")]
    UnknownUser,
    /// Wrong password, or a user that cannot pass with any.
    #[error("password does not match, or user is unknown")]
    WrongPassword,
    /// The client sent no password.
    #[error("empty password")]
    EmptyPassword,
    /// The SCRAM exchange failed.
    #[error(transparent)]
    Scram(#[from] ScramError),
    /// The client chose a SASL mechanism that was not offered.
    #[error("client chose a sasl mechanism that was not offered")]
    Mechanism,
    /// A startup packet in place of a proof.
    #[error("second startup packet")]
    StartupAgain,
    /// A message other than a password message.
    #[error("message of type 0x{tag:02x} instead of a password message")]
    Unexpected {
        /// The message's type.
        tag: u8,
    },
    /// The message is longer than any proof.
    #[error("authentication message of {length} bytes, the limit is {limit}")]
    TooLong {
        /// Bytes of its body.
        length: usize,
        /// Bytes allowed in this state.
        limit: usize,
        /// What the client was asked for: each has its own text.
        asked: Asked,
    },
    /// The message cannot be read.
    #[error("malformed authentication message: {0}")]
    Malformed(#[from] ReadError),
}

/// What a client was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A password, plain or as md5 answer.
    Password,
    /// A SASL message.
    Sasl,
}

impl LoginError {
    /// The client is to blame for all of them.
    pub fn blame(&self) -> Blame {
        Blame::Client
    }

    /// What the client is told, in `PgBouncer`'s words.
    ///
    /// `PgBouncer` closes without a word on `bad packet`; to say it harms nobody.
    pub fn report(&self, codes: ErrorCodes) -> Report {
        let (text, postgres) = self.told();
        let code = match codes {
            ErrorCodes::PgBouncer => SqlState::PROTOCOL_VIOLATION,
            ErrorCodes::Postgres => postgres,
        };
        Report::new(Severity::Fatal, code, text)
    }

    fn told(&self) -> (&'static str, SqlState) {
        use SqlState as Code;
        const SASL_FAILED: &str = "SASL authentication failed";
        const PASSWORD_FAILED: &str = "password authentication failed";
        match self {
            Self::UnknownUser => (
                "\"trust\" authentication failed",
                Code::INVALID_AUTHORIZATION,
            ),
            // Too many rounds: a stored verifier that pgweir will not check a plain password against.
            Self::WrongPassword | Self::Scram(ScramError::TooManyIterations) => {
                (PASSWORD_FAILED, Code::INVALID_PASSWORD)
            }
            Self::EmptyPassword => ("empty password returned by client", Code::INVALID_PASSWORD),
            Self::Scram(ScramError::WrongProof) => (SASL_FAILED, Code::INVALID_PASSWORD),
            Self::Scram(_) => (SASL_FAILED, Code::PROTOCOL_VIOLATION),
            Self::Mechanism => (
                "client selected an invalid SASL authentication mechanism",
                Code::PROTOCOL_VIOLATION,
            ),
            Self::StartupAgain => ("client re-sent startup pkt", Code::PROTOCOL_VIOLATION),
            Self::TooLong { asked, .. } => match asked {
                Asked::Password => (PASSWORD_FAILED, Code::INVALID_PASSWORD),
                Asked::Sasl => (SASL_FAILED, Code::PROTOCOL_VIOLATION),
            },
            Self::Unexpected { .. } | Self::Malformed(_) => {
                ("bad packet", Code::PROTOCOL_VIOLATION)
            }
        }
    }
}
