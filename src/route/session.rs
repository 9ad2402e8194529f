//! Sans-IO. What routing knows of one client: where it stands, what it has asked for, and a `BEGIN`
//! that has been answered but not sent.
//!
//! A `BEGIN` alone does not say where its transaction must run, so it is answered here and sent with
//! the statement behind it. A transaction that ends before that needs no server at all.

use bytes::BytesMut;

use super::decide::Preference;
use super::unfollowed::Unfollowed;
use super::wishes::Wishes;
use crate::cluster::Lsn;
use crate::cluster::position::Position;
use crate::protocol::reply::{self, ColumnType, Report};
use crate::protocol::{Severity, SqlState, TransactionStatus};
use crate::session::params::ParamSet;
use crate::sql::command::{Access, BeginOptions, Command, Discard, Isolation, Value};

/// A transaction that the client believes to be open.
#[derive(Debug)]
struct Begun {
    /// What must be sent before its first statement.
    sql: Vec<u8>,
    options: BeginOptions,
}

/// Longest text of a `BEGIN` and what belongs to it that is kept, in bytes.
const MAX_BEGIN: usize = 1024;

/// Whether the connection has something of the client's that others must not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pin {
    /// Nothing that we know of.
    #[default]
    No,
    /// Perhaps: the server must be asked.
    Ask,
    /// It has: the client keeps its connection.
    Yes,
}

/// Whether pgweir may answer a `BEGIN` before a server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldBegin {
    /// It may.
    Yes,
    /// The pool allows no transactions, and says so when a server reports one.
    No,
}

/// What routing knows of one client.
#[derive(Debug, Default)]
pub struct Session {
    /// What it has written and seen.
    pub position: Position,
    /// Whether its connection has something of its own.
    pub pin: Pin,
    preference: Preference,
    /// What it has asked for at its login: `RESET` goes back to that.
    at_login: Preference,
    /// `SET LOCAL`, for the transaction at hand.
    local: Option<Preference>,
    unfollowed: Unfollowed,
    begun: Option<Begun>,
    /// `SHOW pgweir.lsn` has been put off once: the next time it is answered with what is known.
    put_off: PutOff,
}

/// Whether a question has been put off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum PutOff {
    #[default]
    No,
    Once,
}

/// What became of a statement that pgweir may answer itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// It has been answered.
    Answered,
    /// It needs a server.
    Not,
    /// It can be answered once positions have been asked for.
    Later,
}

/// The settings that only pgweir has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setting {
    Route,
    MinLsn,
    Lsn,
}

impl Setting {
    fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"pgweir.route" => Some(Self::Route),
            b"pgweir.min_lsn" => Some(Self::MinLsn),
            b"pgweir.lsn" => Some(Self::Lsn),
            _ => None,
        }
    }
}

impl Preference {
    /// The word of `pgweir.route`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Primary => "primary",
            Self::Replica => "replica",
        }
    }

    fn read(value: &Value<'_>) -> Option<Self> {
        let Value::List(values) = value else {
            return None;
        };
        let [word] = values.as_slice() else {
            return None;
        };
        Self::named(word)
    }

    /// By its word.
    pub fn named(word: &[u8]) -> Option<Self> {
        [Self::Auto, Self::Primary, Self::Replica]
            .into_iter()
            .find(|known| word.eq_ignore_ascii_case(known.word().as_bytes()))
    }
}

impl Session {
    /// Of a client that has asked for this at its login.
    pub fn with(wishes: Wishes) -> Self {
        let mut session = Self {
            preference: wishes.preference,
            at_login: wishes.preference,
            ..Self::default()
        };
        session.position.raise(wishes.min_lsn);
        session
    }

    /// What the client wants for its next statement, unless that says something else itself.
    pub fn preference(&self) -> Preference {
        self.local.unwrap_or(self.preference)
    }

    /// Whether it has set something on the primary that changes what rows it finds, and that no
    /// other server would know of.
    pub fn is_bound_to_primary(&self) -> bool {
        self.unfollowed.is_any()
    }

    /// Whether a `BEGIN` has been answered and not been sent.
    pub fn has_begun(&self) -> bool {
        self.begun.is_some()
    }

    /// Whether the transaction that has begun may run on a replica, where `default` is what
    /// `default_transaction_read_only` says.
    pub fn has_begun_read_only(&self, default: Access) -> bool {
        let begun = self.begun.as_ref();
        begun.is_some_and(|begun| is_read_only(begun.options, default))
    }

    /// The `BEGIN` that must be sent now.
    pub fn take_begun(&mut self) -> Option<Vec<u8>> {
        self.begun.take().map(|begun| begun.sql)
    }

    /// Whether the client waits until it is known where it stands.
    pub fn awaits_position(&self) -> bool {
        self.put_off == PutOff::Once
    }

    /// A link has ended outside of a transaction.
    pub fn transaction_ended(&mut self) {
        self.local = None;
    }

    /// Answers a simple query where that needs no server. `lsn` is where the client stands.
    pub fn answer(
        &mut self,
        (sql, command): (&[u8], &Command<'_>),
        hold: HoldBegin,
        lsn: impl FnOnce(&mut Position) -> Option<Lsn>,
        out: &mut BytesMut,
    ) -> Own {
        if let Some(begun) = &mut self.begun {
            return match begun.goes_on(sql, command) {
                GoesOn::Folded => self.tell(out, "SET"),
                GoesOn::Ended(tag) => {
                    self.begun = None;
                    self.local = None;
                    self.tell(out, tag)
                }
                GoesOn::NeedsServer => Own::Not,
            };
        }
        match command {
            Command::Begin(options) if hold == HoldBegin::Yes && sql.len() <= MAX_BEGIN => {
                self.begun = Some(Begun {
                    sql: sql.to_vec(),
                    options: *options,
                });
                let starts = sql.trim_ascii_start().first().is_some_and(|first| {
                    first.eq_ignore_ascii_case(&b's') // a comment before it hides which it was
                });
                self.tell(out, if starts { "START TRANSACTION" } else { "BEGIN" })
            }
            Command::Set { name, value, .. } => match Setting::named(name) {
                Some(setting) => self.set(setting, value, out),
                None => Own::Not,
            },
            Command::Reset(Some(name)) => match Setting::named(name) {
                Some(setting) => self.set(setting, &Value::Default, out),
                None => Own::Not,
            },
            Command::Show(Some(name)) => match Setting::named(name) {
                Some(setting) => self.show(setting, lsn, out),
                None => Own::Not,
            },
            _ => Own::Not,
        }
    }

    /// Learns from a statement that goes to a server. `params` are those that follow the client.
    pub fn note(&mut self, command: &Command<'_>, params: &ParamSet) {
        self.unfollowed.note(command, params);
        match command {
            Command::Set { name, value, local } if Setting::named(name) == Some(Setting::Route) => {
                match self.wanted(value) {
                    Some(preference) if *local => self.local = Some(preference),
                    Some(preference) => self.preference = preference,
                    None => {}
                }
            }
            Command::Reset(None) | Command::Discard(Discard::All) => {
                self.preference = self.at_login;
            }
            _ => {}
        }
    }

    /// The preference that a value stands for.
    fn wanted(&self, value: &Value<'_>) -> Option<Preference> {
        match value {
            Value::Default => Some(self.at_login),
            Value::Current | Value::List(_) | Value::Other(_) => Preference::read(value),
        }
    }

    fn tell(&self, out: &mut BytesMut, tag: &str) -> Own {
        reply::command_complete(out, tag);
        let status = match self.begun {
            Some(_) => TransactionStatus::InBlock,
            None => TransactionStatus::Idle,
        };
        reply::ready_for_query(out, status);
        Own::Answered
    }

    fn set(&mut self, setting: Setting, value: &Value<'_>, out: &mut BytesMut) -> Own {
        let done = match setting {
            Setting::Route => self.wanted(value).map(|preference| {
                self.preference = preference;
            }),
            Setting::MinLsn if *value == Value::Default => Some(()),
            Setting::MinLsn => lsn_of(value).map(|lsn| self.position.raise(lsn)),
            Setting::Lsn => None,
        };
        if done.is_some() {
            return self.tell(out, "SET");
        }
        let (text, hint) = match setting {
            Setting::Route => (
                "invalid value for parameter \"pgweir.route\"",
                "Available values: auto, primary, replica.",
            ),
            Setting::MinLsn => (
                "invalid value for parameter \"pgweir.min_lsn\"",
                "Give a position in the write-ahead log, such as '0/16B6C50'.",
            ),
            Setting::Lsn => (
                "parameter \"pgweir.lsn\" cannot be changed",
                "Set pgweir.min_lsn to read nothing older than a position.",
            ),
        };
        let report =
            Report::new(Severity::Error, SqlState::INVALID_PARAMETER_VALUE, text).with_hint(hint);
        reply::error(out, &report);
        reply::ready_for_query(out, TransactionStatus::Idle);
        Own::Answered
    }

    fn show(
        &mut self,
        setting: Setting,
        lsn: impl FnOnce(&mut Position) -> Option<Lsn>,
        out: &mut BytesMut,
    ) -> Own {
        let (name, value) = match setting {
            Setting::Route => ("pgweir.route", self.preference().word().to_owned()),
            Setting::MinLsn => ("pgweir.min_lsn", self.position.floor().to_string()),
            Setting::Lsn => match (lsn(&mut self.position), self.put_off) {
                (Some(lsn), _) => ("pgweir.lsn", lsn.to_string()),
                (None, PutOff::Once) => ("pgweir.lsn", String::new()),
                (None, PutOff::No) => {
                    self.put_off = PutOff::Once;
                    return Own::Later;
                }
            },
        };
        self.put_off = PutOff::No;
        reply::row_description(out, &[(name, ColumnType::Text)]);
        reply::data_row(out, &[Some(value)]);
        self.tell(out, "SHOW")
    }
}

fn lsn_of(value: &Value<'_>) -> Option<Lsn> {
    let Value::List(values) = value else {
        return None;
    };
    let [word] = values.as_slice() else {
        return None;
    };
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// Whether a transaction with these options may run on a replica.
pub fn is_read_only(options: BeginOptions, default: Access) -> bool {
    options.access.unwrap_or(default) == Access::ReadOnly
        && options.isolation != Some(Isolation::Serializable)
}

/// What a statement means for a transaction that has begun here only.
enum GoesOn {
    /// It is sent with the `BEGIN`.
    Folded,
    /// There was nothing in it.
    Ended(&'static str),
    NeedsServer,
}

impl Begun {
    fn goes_on(&mut self, sql: &[u8], command: &Command<'_>) -> GoesOn {
        match command {
            Command::Commit { chain: false } => GoesOn::Ended("COMMIT"),
            Command::Rollback { chain: false } => GoesOn::Ended("ROLLBACK"),
            Command::SetTransaction(options) if self.sql.len() + sql.len() < MAX_BEGIN => {
                self.sql.push(b';');
                self.sql.push(b'\n'); // a comment at the end of the `BEGIN` ends here
                self.sql.extend_from_slice(sql);
                self.options.access = options.access.or(self.options.access);
                self.options.isolation = options.isolation.or(self.options.isolation);
                GoesOn::Folded
            }
            _ => GoesOn::NeedsServer,
        }
    }
}
