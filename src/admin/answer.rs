//! Sans-IO. What a command answers: the columns it will have, its tag, its notice.

use super::command::{Command, Show, ShutdownMode};
use super::rows::{TextRow, connection, lists, pools, queries, routing, stats};
use super::table::{Heading, Table, headings};
use super::welcome::USAGE;
use crate::protocol::reply::Report;
use crate::protocol::{Severity, SqlState};

/// What a command that succeeded sends to the client, apart from the description of its rows.
#[derive(Debug)]
pub enum Answer {
    /// Rows.
    Rows(Box<dyn Table>),
    /// No rows.
    Done,
    /// A notice and no rows.
    Notice(Report),
    /// Nothing: the connection drops, for the program ends (`SHUTDOWN`).
    Gone,
}

impl Answer {
    /// The answer to a command that did what it was asked to do and has nothing to show.
    pub fn to(command: &Command) -> Self {
        match command {
            Command::Show(Show::Help) => Self::Notice(notice("Console usage").with_detail(USAGE)),
            Command::SetIgnored => Self::Notice(notice("SET ignored")),
            Command::Shutdown(ShutdownMode::Immediate) => Self::Gone,
            Command::Show(_)
            | Command::ShowDriverParameter(_)
            | Command::ShowQueries(_)
            | Command::ResetQueries
            | Command::ExplainRoute(_)
            | Command::Set { .. }
            | Command::Reload
            | Command::Pause(_)
            | Command::Resume(_)
            | Command::Disable(_)
            | Command::Enable(_)
            | Command::Reconnect(_)
            | Command::WaitClose(_)
            | Command::Kill(_)
            | Command::KillClient(_)
            | Command::Shutdown(ShutdownMode::WaitForServers | ShutdownMode::WaitForClients) => {
                Self::Done
            }
        }
    }
}

fn notice(message: &str) -> Report {
    Report::new(Severity::Notice, SqlState::SUCCESS, message)
}

/// Tag of the command in `CommandComplete`. A `SHOW` does not count its rows.
pub fn tag(command: &Command) -> String {
    match command {
        Command::Show(_) | Command::ShowDriverParameter(_) | Command::ShowQueries(_) => {
            "SHOW".to_owned()
        }
        Command::ResetQueries => "RESET".to_owned(),
        Command::ExplainRoute(_) => "EXPLAIN".to_owned(),
        Command::SetIgnored => "SET".to_owned(),
        Command::Set { key, value } => format!("SET {key}={value}"),
        Command::Reload => "RELOAD".to_owned(),
        Command::Pause(_) => "PAUSE".to_owned(),
        Command::Resume(_) => "RESUME".to_owned(),
        Command::Disable(_) => "DISABLE".to_owned(),
        Command::Enable(_) => "ENABLE".to_owned(),
        Command::Reconnect(_) => "RECONNECT".to_owned(),
        Command::WaitClose(_) => "WAIT_CLOSE".to_owned(),
        Command::Kill(_) => "KILL".to_owned(),
        Command::KillClient(_) => "KILL_CLIENT".to_owned(),
        Command::Shutdown(_) => "SHUTDOWN".to_owned(),
    }
}

/// Columns of the rows that the command will answer; `None` when it answers none.
pub fn columns(command: &Command) -> Option<Vec<Heading>> {
    match command {
        Command::Show(show) => show_columns(*show),
        Command::ShowDriverParameter(parameter) => Some(TextRow::headings(parameter.name)),
        Command::ExplainRoute(_) => Some(headings(routing::EXPLAIN_COLUMNS)),
        Command::ShowQueries(_) => Some(headings(queries::QUERY_COLUMNS)),
        Command::ResetQueries
        | Command::SetIgnored
        | Command::Set { .. }
        | Command::Reload
        | Command::Pause(_)
        | Command::Resume(_)
        | Command::Disable(_)
        | Command::Enable(_)
        | Command::Reconnect(_)
        | Command::WaitClose(_)
        | Command::Kill(_)
        | Command::KillClient(_)
        | Command::Shutdown(_) => None,
    }
}

fn show_columns(show: Show) -> Option<Vec<Heading>> {
    Some(match show {
        Show::Help => return None,
        Show::ActiveSockets | Show::Sockets => headings(connection::SOCKET_COLUMNS),
        Show::Clients | Show::Servers => headings(connection::CONNECTION_COLUMNS),
        Show::Config => headings(lists::CONFIG_COLUMNS),
        Show::Databases => headings(pools::DATABASE_COLUMNS),
        Show::DnsHosts => headings(lists::DNS_HOST_COLUMNS),
        Show::DnsZones => headings(lists::DNS_ZONE_COLUMNS),
        Show::Lists => headings(lists::LIST_COLUMNS),
        Show::Mem => headings(lists::MEM_COLUMNS),
        Show::PeerPools => headings(pools::PEER_POOL_COLUMNS),
        Show::Peers => headings(pools::PEER_COLUMNS),
        Show::Pools => headings(pools::POOL_COLUMNS),
        Show::Replicas => headings(routing::REPLICA_COLUMNS),
        Show::Routes => headings(routing::ROUTE_COLUMNS),
        Show::State => headings(lists::STATE_COLUMNS),
        Show::Stats => headings(stats::STATS_COLUMNS),
        Show::StatsAverages => headings(stats::STATS_AVERAGES_COLUMNS),
        Show::StatsTotals => headings(stats::STATS_TOTALS_COLUMNS),
        Show::Totals => headings(stats::TOTALS_COLUMNS),
        Show::Users => headings(pools::USER_COLUMNS),
        Show::Version => TextRow::headings("version"),
    })
}
