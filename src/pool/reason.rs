//! Sans-IO. Why a connection is closed and why a client is refused, in `PgBouncer`'s words.
//!
//! One enum feeds log, metric and test alike; tools that read logs look for these texts.

use std::sync::Arc;
use std::time::Duration;

use crate::protocol::SqlState;

/// Shortest pause before another attempt where there was no primary.
const NO_PRIMARY_RETRY: Duration = Duration::from_millis(100);

/// Why a server connection is closed. `Display` is what the log says after `closing because: `.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Why {
    /// Idle for `server_idle_timeout`.
    #[error("server idle timeout")]
    IdleTimeout,
    /// Older than `server_lifetime`.
    #[error("server lifetime over")]
    LifetimeOver,
    /// Made room for another pool of its database.
    #[error("evicted for max_db_connections")]
    EvictedForMaxDbConnections,
    /// Made room for another pool of its user.
    #[error("evicted for max_user_connections")]
    EvictedForMaxUserConnections,
    /// Made room for a dedicated connection of its own pool.
    #[error("evicted for pool_size")]
    EvictedForPoolSize,
    /// The pool's size was lowered.
    #[error("too many servers in the pool")]
    TooManyInPool,
    /// Returned after RECONNECT or a changed database entry.
    #[error("close_needed")]
    CloseNeeded,
    /// Idle when RECONNECT or a changed database entry came.
    #[error("database configuration changed")]
    ConfigurationChanged,
    /// PAUSE, or a shutdown that waits for servers.
    #[error("pause mode")]
    Paused,
    /// The database was killed or is no longer in the configuration.
    #[error("database removed")]
    DatabaseRemoved,
    /// A lease was dropped without a verdict: its state is unknown.
    #[error("lease dropped")]
    LeaseDropped,
    /// The check before reuse failed (`server_check_query`).
    #[error("test query failed")]
    CheckFailed,
    /// `server_reset_query` failed.
    #[error("reset query failed")]
    ResetFailed,
    /// The server closed the connection or broke off.
    #[error("server conn crashed?")]
    Crashed,
    /// A reason of the conversation, in its own words.
    #[error("{0}")]
    Conversation(&'static str),
}

/// Why a waiting client does not get a connection. `Display` is the text of the client's error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The wait reached its deadline (`query_wait_timeout`).
    #[error("query_wait_timeout")]
    QueryWaitTimeout,
    /// Shutting down, waiting for servers.
    #[error("server shutting down")]
    ShuttingDown,
    /// No connection is open and none could be made lately.
    #[error("server login has been failing, cached error: {error} (server_login_retry)")]
    LoginFailed {
        /// What the last attempt said.
        error: Arc<str>,
    },
    /// The server refused the login; its own words are relayed.
    #[error("{message}")]
    Rejected {
        /// The server's SQLSTATE.
        code: SqlState,
        /// The server's message.
        message: Arc<str>,
    },
    /// The database was killed or is no longer in the configuration.
    #[error("database removed")]
    DatabaseRemoved,
}

impl Refusal {
    /// The SQLSTATE of the client's error: the server's own, or `PgBouncer`'s one for all.
    pub fn code(&self) -> SqlState {
        match self {
            Self::Rejected { code, .. } => *code,
            Self::QueryWaitTimeout
            | Self::ShuttingDown
            | Self::LoginFailed { .. }
            | Self::DatabaseRemoved => SqlState::PROTOCOL_VIOLATION,
        }
    }
}

/// Why a connection could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenFailure {
    /// The server was not reached or did not answer in time; the text is `connect failed`,
    /// `server DNS lookup failed`, `connect timeout` and the like.
    #[error("{0}")]
    Unreachable(Arc<str>),
    /// The server answered the login with an error.
    #[error("{message}")]
    Rejected {
        /// Its SQLSTATE.
        code: SqlState,
        /// Its message.
        message: Arc<str>,
    },
    /// The entry has several hosts, and none of them is the primary for the moment: clients wait.
    #[error("no primary")]
    NoPrimary,
}

/// Whether a failure is told to clients that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// It is, where the pool has no connection.
    Refuse,
    /// They wait on, up to their own limits.
    Wait,
}

impl OpenFailure {
    /// What a pool's clients do after it.
    pub(super) fn patience(&self) -> Patience {
        match self {
            Self::Unreachable(_) | Self::Rejected { .. } => Patience::Refuse,
            Self::NoPrimary => Patience::Wait,
        }
    }

    /// When the next attempt is worth it, where `server_login_retry` is that long. Whoever opens
    /// connections has waited for a primary already.
    pub(super) fn retry_after(&self, login_retry: Duration) -> Duration {
        match self {
            Self::Unreachable(_) | Self::Rejected { .. } => login_retry,
            Self::NoPrimary => login_retry.min(NO_PRIMARY_RETRY),
        }
    }
    /// What every waiter of a pool without connections is told, where the server's answer is
    /// final. A server that only starts up (57P03) may answer differently soon.
    pub(super) fn final_answer(&self) -> Option<Refusal> {
        match self {
            Self::Unreachable(_) | Self::NoPrimary => None,
            Self::Rejected { code, .. } if *code == SqlState::CANNOT_CONNECT_NOW => None,
            Self::Rejected { code, message } => Some(Refusal::Rejected {
                code: *code,
                message: Arc::clone(message),
            }),
        }
    }

    /// What established clients are told until an attempt succeeds.
    pub(super) fn cached(&self) -> Refusal {
        let error = match self {
            Self::Unreachable(error) => Arc::clone(error),
            Self::Rejected { message, .. } => Arc::clone(message),
            Self::NoPrimary => Arc::from("no primary"),
        };
        Refusal::LoginFailed { error }
    }
}

/// Why a console command on pools is refused. `Display` is the text of the ERROR.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// PAUSE while paused.
    #[error("already paused")]
    AlreadyPaused,
    /// RESUME without PAUSE.
    #[error("pooler is not paused")]
    NotPaused,
    /// RESUME of a database that is not paused.
    #[error("database {0} is not paused")]
    DatabaseNotPaused(Arc<str>),
    /// No such database, or it has gone.
    #[error("no such database")]
    NoSuchDatabase,
    /// PAUSE or RESUME while shutting down.
    #[error("pooler is shutting down")]
    ShuttingDown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_speak_as_pgbouncer_does() {
        let failed = OpenFailure::Unreachable("connect failed".into()).cached();
        assert_eq!(
            failed.to_string(),
            "server login has been failing, cached error: connect failed (server_login_retry)"
        );
        assert_eq!(failed.code(), SqlState::PROTOCOL_VIOLATION);
        let rejected = OpenFailure::Rejected {
            code: SqlState::NO_SUCH_DATABASE,
            message: "database \"x\" does not exist".into(),
        };
        let answer = rejected.final_answer().expect("a final answer");
        assert_eq!(answer.to_string(), "database \"x\" does not exist");
        assert_eq!(answer.code(), SqlState::NO_SUCH_DATABASE);
    }

    #[test]
    fn a_starting_server_and_a_dead_network_give_no_final_answer() {
        let starting = OpenFailure::Rejected {
            code: SqlState::CANNOT_CONNECT_NOW,
            message: "the database system is starting up".into(),
        };
        assert_eq!(starting.final_answer(), None);
        let dead = OpenFailure::Unreachable("connect timeout".into());
        assert_eq!(dead.final_answer(), None);
    }
}
