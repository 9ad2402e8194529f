//! Everything a client can be sent away for, in `PgBouncer`'s words.

use std::io;
use std::sync::Arc;

use super::timing::Overdue;
use crate::pool::Refusal;
use crate::pooler::admission::Full;
use crate::pooler::control::Leave;
use crate::protocol::reply::Report;
use crate::protocol::startup::StartupError;
use crate::protocol::{FrameError, Severity, SqlState};
use crate::route::wishes::BadWish;
use crate::session::client_login::{ErrorCodes, LoginError};
use crate::session::client_state::ClientError;
use crate::telemetry::stats::Happening;

/// Why a client's connection ends with an error. `Display` is what the client and the log read.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The startup packet.
    #[error(transparent)]
    Startup(#[from] StartupError),
    /// A startup parameter of ours has a value that means nothing.
    #[error(transparent)]
    Wish(#[from] BadWish),
    /// The proof of who it is.
    #[error("{}", .0.report(ErrorCodes::PgBouncer).message)]
    Login(#[from] LoginError),
    /// A frame of the login.
    #[error("bad packet")]
    LoginFrame(#[from] FrameError),
    /// A limit on clients.
    #[error(transparent)]
    Full(#[from] Full),
    /// The console is for others.
    #[error("not allowed")]
    NotAllowed,
    /// `[databases]` has no such entry.
    #[error("no such database: {0}")]
    NoSuchDatabase(Arc<str>),
    /// DISABLE.
    #[error("database \"{0}\" is disabled")]
    Disabled(Arc<str>),
    /// `auth_query` found nobody.
    #[error("no such user")]
    NoSuchUser,
    /// `auth_query` could not be run, or `auth_type=any` without a forced user.
    #[error("bouncer config error")]
    Config,
    /// Something that is not built.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    /// The process stops.
    #[error("pooler is shutting down")]
    ShuttingDown,
    /// `client_login_timeout`.
    #[error("client_login_timeout")]
    LoginTimeout,
    /// `client_login_timeout`, while no server answered.
    #[error("client_login_timeout (server down)")]
    ServerDown,
    /// The pool said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The client broke the protocol.
    #[error(transparent)]
    Protocol(#[from] ClientError),
    /// The server is gone, or speaks nonsense.
    #[error("server conn crashed?")]
    ServerCrashed,
    /// The server refused the client's parameters.
    #[error("invalid server parameter")]
    InvalidParameter,
    /// A transaction block in statement pooling.
    #[error("transaction blocks not allowed in statement pooling mode")]
    BlockInStatementMode,
    /// A timeout.
    #[error(transparent)]
    Overdue(#[from] Overdue),
    /// An order from outside.
    #[error(transparent)]
    Leave(#[from] Leave),
    /// `server_fast_close`
    #[error("database configuration changed")]
    ConfigurationChanged,
    /// The machine gave no random bytes.
    #[error("bouncer resources exhaustion")]
    Exhausted,
    /// The connection broke: nobody is left to be told.
    #[error("client connection lost: {0}")]
    Lost(#[source] io::Error),
    /// The client closed its connection without a word.
    #[error("client unexpected eof")]
    Eof,
}

impl Fault {
    /// What the client is sent; `None` where nobody would read it.
    pub fn report(&self, codes: ErrorCodes) -> Option<Report> {
        let code = match (self, codes) {
            (Self::Lost(_) | Self::Eof | Self::Leave(Leave::Shutdown), _) => return None,
            (Self::Login(error), _) => return Some(error.report(codes)),
            (Self::Refused(refusal @ Refusal::Rejected { .. }), _) => refusal.code(),
            (_, ErrorCodes::PgBouncer) => SqlState::PROTOCOL_VIOLATION,
            (_, ErrorCodes::Postgres) => self.postgres_code(),
        };
        Some(Report::new(Severity::Fatal, code, self.to_string()))
    }

    /// What a login that it ends counts as.
    pub fn refusal(&self) -> Happening {
        match self {
            Self::Startup(_)
            | Self::LoginFrame(_)
            | Self::Protocol(_)
            | Self::Wish(_)
            | Self::Unsupported(_) => Happening::RefusedStartup,
            Self::Login(_) | Self::NoSuchUser => Happening::RefusedProof,
            Self::Full(_) => Happening::RefusedFull,
            Self::NotAllowed => Happening::RefusedRight,
            Self::NoSuchDatabase(_) | Self::Disabled(_) => Happening::RefusedDatabase,
            Self::ShuttingDown => Happening::RefusedStopping,
            Self::LoginTimeout => Happening::RefusedTimeout,
            Self::ServerDown | Self::Refused(_) | Self::ServerCrashed => Happening::RefusedServer,
            Self::Lost(_) | Self::Eof => Happening::RefusedLost,
            Self::Config
            | Self::InvalidParameter
            | Self::BlockInStatementMode
            | Self::Overdue(_)
            | Self::Leave(_)
            | Self::ConfigurationChanged
            | Self::Exhausted => Happening::RefusedOther,
        }
    }

    /// What the end of a client that it sends away counts as.
    pub fn departure(&self) -> Happening {
        match self {
            Self::Lost(_) | Self::Eof => Happening::LeftLost,
            Self::Refused(Refusal::QueryWaitTimeout) => Happening::LeftWait,
            Self::Refused(_) | Self::ServerDown => Happening::LeftNoServer,
            Self::ServerCrashed => Happening::LeftServerCrashed,
            Self::Overdue(_) | Self::LoginTimeout => Happening::LeftTimeout,
            Self::Leave(_) | Self::ConfigurationChanged | Self::ShuttingDown => {
                Happening::LeftKilled
            }
            Self::Protocol(_) | Self::LoginFrame(_) | Self::Startup(_) => Happening::LeftProtocol,
            Self::Login(_)
            | Self::Full(_)
            | Self::NotAllowed
            | Self::NoSuchDatabase(_)
            | Self::Disabled(_)
            | Self::NoSuchUser
            | Self::Config
            | Self::Wish(_)
            | Self::Unsupported(_)
            | Self::InvalidParameter
            | Self::BlockInStatementMode
            | Self::Exhausted => Happening::LeftOther,
        }
    }

    fn postgres_code(&self) -> SqlState {
        match self {
            Self::Startup(_) | Self::LoginFrame(_) | Self::Protocol(_) => {
                SqlState::PROTOCOL_VIOLATION
            }
            Self::Wish(_) => SqlState::INVALID_PARAMETER_VALUE,
            Self::Full(_) => SqlState::TOO_MANY_CONNECTIONS,
            Self::NotAllowed | Self::NoSuchUser | Self::Login(_) => SqlState::INVALID_AUTHORIZATION,
            Self::NoSuchDatabase(_) => SqlState::NO_SUCH_DATABASE,
            Self::Disabled(_) | Self::ShuttingDown => SqlState::CANNOT_CONNECT_NOW,
            Self::Config | Self::ConfigurationChanged => SqlState::CONFIG_FILE_ERROR,
            Self::Unsupported(_) | Self::BlockInStatementMode | Self::InvalidParameter => {
                SqlState::FEATURE_NOT_SUPPORTED
            }
            Self::Leave(_) => SqlState::ADMIN_SHUTDOWN,
            Self::Overdue(Overdue::IdleTransaction) => SqlState::IDLE_IN_TRANSACTION_TIMEOUT,
            Self::Overdue(_) => SqlState::QUERY_CANCELED,
            Self::Refused(Refusal::QueryWaitTimeout) | Self::Exhausted => {
                SqlState::TOO_MANY_CONNECTIONS
            }
            Self::Refused(_)
            | Self::ServerCrashed
            | Self::ServerDown
            | Self::LoginTimeout
            | Self::Lost(_)
            | Self::Eof => SqlState::CONNECTION_FAILURE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_pgbouncers_unless_postgres_is_asked_for() {
        let fault = Fault::Full(Full::Total);
        let code = |codes| fault.report(codes).map(|report| report.code);
        assert_eq!(
            code(ErrorCodes::PgBouncer),
            Some(SqlState::PROTOCOL_VIOLATION)
        );
        assert_eq!(
            code(ErrorCodes::Postgres),
            Some(SqlState::TOO_MANY_CONNECTIONS)
        );
    }

    #[test]
    fn a_servers_refusal_keeps_its_code_and_words() {
        let fault = Fault::Refused(Refusal::Rejected {
            code: SqlState::NO_SUCH_DATABASE,
            message: "database \"x\" does not exist".into(),
        });
        let report = fault
            .report(ErrorCodes::PgBouncer)
            .expect("the client is told");
        assert_eq!(report.code, SqlState::NO_SUCH_DATABASE);
        assert_eq!(report.message, "database \"x\" does not exist");
    }

    #[test]
    fn nobody_is_told_of_a_lost_connection() {
        assert!(Fault::Eof.report(ErrorCodes::PgBouncer).is_none());
    }
}
