//! Sans-IO. Prepared statements and portals of one console client, by the rules of `PostgreSQL`'s
//! extended protocol. Statements take no parameters here, since no console command has any.

use std::collections::HashMap;

use super::message::Target;
use crate::admin::answer;
use crate::admin::command::{self, Command, CommandError, Role};
use crate::admin::table::{Format, Formats, Heading, Table};
use crate::protocol::SqlState;

/// Named and unnamed statements that a client may have at a time.
pub const STATEMENTS_MAX: usize = 256;
/// Portals that a client may have at a time. One that is half read holds its rows.
pub const PORTALS_MAX: usize = 16;
/// Bytes of a name.
pub const NAME_MAX: usize = 255;

/// A prepared statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// Nothing but blanks and semicolons, with which drivers check that a connection lives.
    Empty,
    /// A command that the client may run.
    Command(Command),
}

impl Statement {
    /// The columns of its rows, when it gives rows.
    pub fn columns(&self) -> Option<Vec<Heading>> {
        match self {
            Self::Empty => None,
            Self::Command(command) => answer::columns(command),
        }
    }
}

/// How far a portal has been executed.
#[derive(Debug)]
pub enum Progress {
    /// Not at all.
    Fresh,
    /// Its rows before `next` have been sent.
    Suspended {
        /// All its rows.
        table: Box<dyn Table>,
        /// The first row that has not been sent.
        next: usize,
    },
    /// To the end, or with an error, or it is being executed now.
    Over,
}

/// A statement that is bound and can be executed.
#[derive(Debug)]
pub struct Portal {
    /// What it executes.
    pub statement: Statement,
    /// In which formats its rows go out.
    pub formats: Formats,
    /// How far it is.
    pub progress: Progress,
}

/// Why a message of the extended protocol was refused. The client is to blame; codes and texts are
/// those of `PostgreSQL`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreparedError {
    /// The text is not a command that the client may run.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// There is no such statement.
    #[error("prepared statement \"{0}\" does not exist")]
    NoStatement(String),
    /// A named statement cannot be replaced.
    #[error("prepared statement \"{0}\" already exists")]
    StatementExists(String),
    /// There is no such portal.
    #[error("portal \"{0}\" does not exist")]
    NoPortal(String),
    /// A named portal cannot be replaced.
    #[error("cursor \"{0}\" already exists")]
    PortalExists(String),
    /// The portal's command has run already.
    #[error("portal \"{0}\" cannot be run")]
    PortalOver(String),
    /// `Parse` declares this many parameters.
    #[error("the admin console takes no parameters, the statement declares {0}")]
    Parameters(usize),
    /// `Bind` brings values.
    #[error("bind message supplies {0} parameters, but a statement of the console requires 0")]
    Values(usize),
    /// `Bind` asks for a number of formats that is not none, one or that of the columns.
    #[error("bind message has {formats} result formats but query has {columns} columns")]
    Formats {
        /// Number of formats.
        formats: usize,
        /// Number of columns.
        columns: usize,
    },
    /// A name has this many bytes.
    #[error("name of {0} bytes is too long, the limit is {NAME_MAX}")]
    LongName(usize),
    /// The client has as many statements as it may.
    #[error("too many prepared statements, the limit is {STATEMENTS_MAX}")]
    ManyStatements,
    /// The client has as many portals as it may.
    #[error("too many portals, the limit is {PORTALS_MAX}")]
    ManyPortals,
}

impl PreparedError {
    /// The code that goes with the text.
    pub fn sqlstate(&self) -> SqlState {
        let own = |code| SqlState::from_bytes(code).unwrap_or(SqlState::PROTOCOL_VIOLATION);
        match self {
            Self::Command(_) | Self::Values(_) | Self::Formats { .. } => {
                SqlState::PROTOCOL_VIOLATION
            }
            Self::NoStatement(_) => own(b"26000"),
            Self::StatementExists(_) => own(b"42P05"),
            Self::NoPortal(_) => own(b"34000"),
            Self::PortalExists(_) => own(b"42P03"),
            Self::PortalOver(_) => own(b"55000"),
            Self::Parameters(_) => SqlState::FEATURE_NOT_SUPPORTED,
            Self::LongName(_) | Self::ManyStatements | Self::ManyPortals => {
                SqlState::PROGRAM_LIMIT_EXCEEDED
            }
        }
    }
}

/// The statements and portals of a client. The empty name is the unnamed one.
#[derive(Debug, Default)]
pub struct Prepared {
    statements: HashMap<Vec<u8>, Statement>,
    portals: HashMap<Vec<u8>, Portal>,
}

impl Prepared {
    /// `Parse`.
    pub fn parse(
        &mut self,
        name: &[u8],
        text: &[u8],
        parameters: usize,
        role: Role,
    ) -> Result<(), PreparedError> {
        check_name(name)?;
        if parameters > 0 {
            return Err(PreparedError::Parameters(parameters));
        }
        if name.is_empty() {
            self.statements.remove(name);
        } else if self.statements.contains_key(name) {
            return Err(PreparedError::StatementExists(lossy(name)));
        }
        if self.statements.len() >= STATEMENTS_MAX {
            return Err(PreparedError::ManyStatements);
        }
        let is_empty = text
            .iter()
            .all(|byte| byte.is_ascii_whitespace() || *byte == b';');
        let statement = if is_empty {
            Statement::Empty
        } else {
            Statement::Command(command::parse(text, role)?)
        };
        self.statements.insert(name.to_vec(), statement);
        Ok(())
    }

    /// `Bind`.
    pub fn bind(
        &mut self,
        portal: &[u8],
        statement: &[u8],
        values: usize,
        formats: Vec<Format>,
    ) -> Result<(), PreparedError> {
        check_name(portal)?;
        let statement = self.statement(statement)?.clone();
        if values > 0 {
            return Err(PreparedError::Values(values));
        }
        let formats = formats_for(&statement, formats)?;
        if portal.is_empty() {
            self.portals.remove(portal);
        } else if self.portals.contains_key(portal) {
            return Err(PreparedError::PortalExists(lossy(portal)));
        }
        if self.portals.len() >= PORTALS_MAX {
            return Err(PreparedError::ManyPortals);
        }
        let bound = Portal {
            statement,
            formats,
            progress: Progress::Fresh,
        };
        self.portals.insert(portal.to_vec(), bound);
        Ok(())
    }

    /// The statement of this name.
    pub fn statement(&self, name: &[u8]) -> Result<&Statement, PreparedError> {
        self.statements
            .get(name)
            .ok_or_else(|| PreparedError::NoStatement(lossy(name)))
    }

    /// The portal of this name.
    pub fn portal(&mut self, name: &[u8]) -> Result<&mut Portal, PreparedError> {
        self.portals
            .get_mut(name)
            .ok_or_else(|| PreparedError::NoPortal(lossy(name)))
    }

    /// `Close`. It is no error when there is nothing of that name.
    pub fn close(&mut self, target: Target, name: &[u8]) {
        match target {
            Target::Statement => drop(self.statements.remove(name)),
            Target::Portal => drop(self.portals.remove(name)),
        }
    }

    /// A simple query takes the places of the unnamed statement and portal.
    pub fn drop_unnamed(&mut self) {
        self.statements.remove(&b""[..]);
        self.end_transaction();
    }

    /// Portals live until the end of the transaction, which here is the next `Sync` or query.
    pub fn end_transaction(&mut self) {
        self.portals.clear();
    }
}

fn check_name(name: &[u8]) -> Result<(), PreparedError> {
    match name.len() {
        length if length > NAME_MAX => Err(PreparedError::LongName(length)),
        _ => Ok(()),
    }
}

pub(super) fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

fn formats_for(statement: &Statement, asked: Vec<Format>) -> Result<Formats, PreparedError> {
    let columns = statement.columns().map(|columns| columns.len());
    match (asked.as_slice(), columns) {
        ([], _) | (_, None) => Ok(Formats::All(Format::Text)),
        ([all], _) => Ok(Formats::All(*all)),
        (each, Some(columns)) if each.len() == columns => Ok(Formats::Each(asked)),
        (each, Some(columns)) => Err(PreparedError::Formats {
            formats: each.len(),
            columns,
        }),
    }
}
