//! Sans-IO. Reads one console command: words, quotes, and what `PgBouncer` says to anything else.
//!
//! The grammar is `PgBouncer`'s: letters in any case, words of `[0-9a-z_]` or `"quoted"`, one
//! command a text, one optional semicolon at the end, no comments. Not here: doing the command.
//!
//! Order of the checks, as `PgBouncer` has it: the form of the command, then the rights of the
//! user, then missing or impossible arguments.

mod words;

use super::rows::QueryView;
use crate::ids::ConnId;

pub use words::{ARGUMENT_MAX, COMMAND_MAX, VALUE_MAX};
use words::{Words, WordsError};

/// Characters of a refused command that its error repeats. `PgBouncer` closes the connection when
/// the text does not fit its buffer of 512 bytes; we shorten it.
const ECHO_MAX: usize = 400;

/// What the user of a console may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Listed in `admin_users`: everything.
    Admin,
    /// Listed in `stats_users`: `SHOW` only.
    Stats,
}

/// What a command is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every database.
    All,
    /// The database of this name, a key of the section `[databases]`. It may not exist.
    Database(String),
}

/// What `SHUTDOWN` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownMode {
    /// Nothing: the process ends at once.
    Immediate,
    /// Server connections are released and closed, as by `PAUSE`.
    WaitForServers,
    /// Clients leave; no new ones are let in.
    WaitForClients,
}

/// The tables and texts that `SHOW` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each is the word after SHOW; `rows` documents their columns"
)]
pub enum Show {
    ActiveSockets,
    Clients,
    Config,
    Databases,
    DnsHosts,
    DnsZones,
    Help,
    Lists,
    Mem,
    PeerPools,
    Peers,
    Pools,
    Replicas,
    Routes,
    Servers,
    Sockets,
    State,
    Stats,
    StatsAverages,
    StatsTotals,
    Totals,
    Users,
    Version,
}

impl Show {
    /// Every `SHOW` with its word.
    pub const ALL: [(&'static str, Self); 23] = [
        ("active_sockets", Self::ActiveSockets),
        ("clients", Self::Clients),
        ("config", Self::Config),
        ("databases", Self::Databases),
        ("dns_hosts", Self::DnsHosts),
        ("dns_zones", Self::DnsZones),
        ("help", Self::Help),
        ("lists", Self::Lists),
        ("mem", Self::Mem),
        ("peer_pools", Self::PeerPools),
        ("peers", Self::Peers),
        ("pools", Self::Pools),
        ("replicas", Self::Replicas),
        ("routes", Self::Routes),
        ("servers", Self::Servers),
        ("sockets", Self::Sockets),
        ("state", Self::State),
        ("stats", Self::Stats),
        ("stats_averages", Self::StatsAverages),
        ("stats_totals", Self::StatsTotals),
        ("totals", Self::Totals),
        ("users", Self::Users),
        ("version", Self::Version),
    ];
}

/// A parameter that drivers read or set when they connect. The console has no such parameters: it
/// shows a fixed value and ignores what is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriverParameter {
    /// Its name, which is the column's name too.
    pub name: &'static str,
    /// What `SHOW` of it answers.
    pub value: &'static str,
}

/// The parameters that the console pretends to have, with `PgBouncer`'s values.
const DRIVER_PARAMETERS: [DriverParameter; 6] = [
    DriverParameter {
        name: "client_encoding",
        value: "UTF-8",
    },
    DriverParameter {
        name: "default_transaction_isolation",
        value: "read committed",
    },
    DriverParameter {
        name: "standard_conforming_strings",
        value: "on",
    },
    DriverParameter {
        name: "datestyle",
        value: "ISO",
    },
    DriverParameter {
        name: "timezone",
        value: "GMT",
    },
    DriverParameter {
        name: "extra_float_digits",
        value: "2",
    },
];

/// One command, ready to be run by somebody who may run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `SHOW name`, or its synonym `SELECT name`.
    Show(Show),
    /// `SHOW QUERIES`
    ShowQueries(QueryView),
    /// `EXPLAIN ROUTE sql`: where that statement would go.
    ExplainRoute(Vec<u8>),
    /// `SHOW client_encoding` and the like.
    ShowDriverParameter(DriverParameter),
    /// `SET client_encoding = ...` and the like: accepted with a notice, without effect.
    SetIgnored,
    /// `SET key = value`: changes a setting until the next restart.
    Set {
        /// Name of the setting as typed; settings are spelt in lower case.
        key: String,
        /// Its value as it would stand in the configuration file.
        value: String,
    },
    /// `RESET QUERIES`: forget what was counted of them.
    ResetQueries,
    /// `RELOAD`: read the configuration again.
    Reload,
    /// `PAUSE [db]`
    Pause(Scope),
    /// `RESUME [db]`
    Resume(Scope),
    /// `DISABLE db`
    Disable(String),
    /// `ENABLE db`
    Enable(String),
    /// `RECONNECT [db]`
    Reconnect(Scope),
    /// `WAIT_CLOSE [db]`
    WaitClose(Scope),
    /// `KILL [db]`
    Kill(Scope),
    /// `KILL_CLIENT id`
    KillClient(ConnId),
    /// `SHUTDOWN [mode]`
    Shutdown(ShutdownMode),
}

/// Why a text is not a command that this user may run. The client is to blame; it is told the
/// `Display` text, which is `PgBouncer`'s.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Not a command, or a command with the wrong number of words.
    #[error("invalid command '{0}', use SHOW HELP;")]
    Invalid(String),
    /// A word is too long, or the key of `SET` is empty.
    #[error("bad arguments")]
    BadArguments,
    /// A user of `stats_users` may only look.
    #[error("admin access needed")]
    AdminNeeded,
    /// `ENABLE` and `DISABLE` without a name.
    #[error("a database is required")]
    DatabaseRequired,
    /// `KILL_CLIENT` without a number.
    #[error("invalid client pointer supplied")]
    InvalidClientId,
}

/// Reads `text`, which ends before its terminating zero byte, as a command of a user with `role`.
pub fn parse(text: &[u8], role: Role) -> Result<Command, CommandError> {
    if let Some(sql) = explained(text) {
        return Ok(Command::ExplainRoute(sql.to_vec()));
    }
    if let Some(command) = queries(text) {
        return command;
    }
    let words = words::split(text).map_err(|error| match error {
        WordsError::Malformed => invalid(text),
        WordsError::TooLong | WordsError::EmptyKey => CommandError::BadArguments,
    })?;
    match words {
        Words::Set { key, value } => set(key, value, role),
        Words::Plain { command, argument } => {
            let command = command.to_ascii_lowercase();
            match command.as_str() {
                "show" | "select" => show(&argument).ok_or_else(|| invalid(text)),
                action => change(action, argument, role).unwrap_or_else(|| Err(invalid(text))),
            }
        }
    }
}

/// The statement behind `EXPLAIN ROUTE`.
fn explained(text: &[u8]) -> Option<&[u8]> {
    let (explain, rest) = text.trim_ascii().split_at_checked(b"explain".len())?;
    let (route, sql) = rest.trim_ascii_start().split_at_checked(b"route".len())?;
    let words = explain.eq_ignore_ascii_case(b"explain") && route.eq_ignore_ascii_case(b"route");
    let gap = rest.first()?.is_ascii_whitespace() && sql.first()?.is_ascii_whitespace();
    (words && gap).then(|| sql.trim_ascii())
}

/// `SHOW QUERIES` and what follows it; `None` where the text is about something else.
fn queries(text: &[u8]) -> Option<Result<Command, CommandError>> {
    let sql = std::str::from_utf8(text).ok()?.trim_end();
    let sql = sql.strip_suffix(';').unwrap_or(sql);
    let mut words = sql.split_ascii_whitespace();
    let (show, table) = (words.next()?, words.next()?);
    let is_show = ["show", "select"]
        .iter()
        .any(|word| show.eq_ignore_ascii_case(word));
    let is_it = is_show && table.eq_ignore_ascii_case("queries");
    let read = || QueryView::read(words).map(Command::ShowQueries);
    is_it.then(|| read().ok_or_else(|| invalid(text)))
}

fn invalid(text: &[u8]) -> CommandError {
    CommandError::Invalid(
        String::from_utf8_lossy(text)
            .chars()
            .take(ECHO_MAX)
            .collect(),
    )
}

fn show(name: &str) -> Option<Command> {
    let table = Show::ALL
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(name));
    match table {
        Some(&(_, table)) => Some(Command::Show(table)),
        None => driver_parameter(name).map(Command::ShowDriverParameter),
    }
}

fn driver_parameter(name: &str) -> Option<DriverParameter> {
    DRIVER_PARAMETERS
        .into_iter()
        .find(|known| known.name.eq_ignore_ascii_case(name))
}

fn set(key: String, value: String, role: Role) -> Result<Command, CommandError> {
    if driver_parameter(&key).is_some() {
        return Ok(Command::SetIgnored);
    }
    match role {
        Role::Admin => Ok(Command::Set { key, value }),
        Role::Stats => Err(CommandError::AdminNeeded),
    }
}

/// The commands that change something; `None` when `action` is none of them or cannot have this
/// argument. `argument` is empty when there is none; an empty quoted word counts as none.
fn change(action: &str, argument: String, role: Role) -> Option<Result<Command, CommandError>> {
    let command = match action {
        "reload" if argument.is_empty() => Ok(Command::Reload),
        "reset" if argument.eq_ignore_ascii_case("queries") => Ok(Command::ResetQueries),
        "pause" => Ok(Command::Pause(scope(argument))),
        "resume" => Ok(Command::Resume(scope(argument))),
        "disable" => database(argument).map(Command::Disable),
        "enable" => database(argument).map(Command::Enable),
        "reconnect" => Ok(Command::Reconnect(scope(argument))),
        "wait_close" => Ok(Command::WaitClose(scope(argument))),
        "kill" => Ok(Command::Kill(scope(argument))),
        "kill_client" => client_id(&argument).map(Command::KillClient),
        "shutdown" => Ok(Command::Shutdown(shutdown_mode(&argument)?)),
        _ => return None,
    };
    Some(match role {
        Role::Admin => command,
        Role::Stats => Err(CommandError::AdminNeeded),
    })
}

fn shutdown_mode(argument: &str) -> Option<ShutdownMode> {
    match argument.to_ascii_lowercase().as_str() {
        "" => Some(ShutdownMode::Immediate),
        "wait_for_servers" => Some(ShutdownMode::WaitForServers),
        "wait_for_clients" => Some(ShutdownMode::WaitForClients),
        _ => None,
    }
}

fn scope(argument: String) -> Scope {
    if argument.is_empty() {
        Scope::All
    } else {
        Scope::Database(argument)
    }
}

fn database(argument: String) -> Result<String, CommandError> {
    if argument.is_empty() {
        Err(CommandError::DatabaseRequired)
    } else {
        Ok(argument)
    }
}

/// A number that no connection can have is fine here: there is just no such client.
fn client_id(argument: &str) -> Result<ConnId, CommandError> {
    if argument.is_empty() || !argument.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(CommandError::InvalidClientId);
    }
    Ok(ConnId(argument.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests;
