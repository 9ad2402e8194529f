//! Runs one command on the host.

use super::answer::Answer;
use super::command::{Command, Scope, Show};
use super::host::{ConsoleError, ConsoleHost};
use super::rows::{ConnectionRow, TextRow, connection, lists, pools, queries, routing, stats};
use super::table::{Column, Sheet, Table};
use super::welcome::VERSION_TEXT;

/// Does what `command` says and gives what its client is to see. May take as long as the command
/// waits; dropping the future ends the wait and undoes nothing.
pub async fn run(command: &Command, host: &impl ConsoleHost) -> Result<Answer, ConsoleError> {
    match command {
        Command::Show(show) => {
            return Ok(table(*show, host).map_or_else(|| Answer::to(command), Answer::Rows));
        }
        Command::ShowDriverParameter(parameter) => {
            let row = TextRow {
                column: parameter.name,
                value: parameter.value,
            };
            return Ok(Answer::Rows(Box::new(row)));
        }
        Command::ExplainRoute(sql) => {
            return Ok(Answer::Rows(sheet(
                routing::EXPLAIN_COLUMNS,
                host.explain_route(sql),
            )));
        }
        Command::ShowQueries(view) => {
            let rows = view.apply(host.queries());
            return Ok(Answer::Rows(sheet(queries::QUERY_COLUMNS, rows)));
        }
        Command::ResetQueries => {
            host.reset_queries();
            Ok(())
        }
        Command::SetIgnored => Ok(()),
        Command::Set { key, value } => host.set(key, value).await,
        Command::Reload => host.reload().await,
        Command::Pause(scope) => host.pause(scope).await,
        Command::Resume(scope) => host.resume(scope).await,
        Command::Disable(database) => host.disable(database).await,
        Command::Enable(database) => host.enable(database).await,
        Command::Reconnect(scope) => host.reconnect(scope).await,
        Command::WaitClose(scope) => host.wait_close(scope).await,
        Command::Kill(scope) => host.kill(scope).await,
        Command::KillClient(client) => host.kill_client(*client).await,
        Command::Shutdown(mode) => host.shutdown(*mode).await,
    }?;
    Ok(Answer::to(command))
}

/// Takes back what a command has done that was cancelled while it waited: a `PAUSE` is resumed,
/// anything else stays.
pub async fn take_back(command: &Command, host: &impl ConsoleHost) {
    let paused: &Scope = match command {
        Command::Pause(scope) => scope,
        Command::Show(_)
        | Command::ShowDriverParameter(_)
        | Command::ShowQueries(_)
        | Command::ResetQueries
        | Command::ExplainRoute(_)
        | Command::SetIgnored
        | Command::Set { .. }
        | Command::Reload
        | Command::Resume(_)
        | Command::Disable(_)
        | Command::Enable(_)
        | Command::Reconnect(_)
        | Command::WaitClose(_)
        | Command::Kill(_)
        | Command::KillClient(_)
        | Command::Shutdown(_) => return,
    };
    match host.resume(paused).await {
        // An error means that it is not paused any more, which is what we want.
        Ok(()) | Err(_) => {}
    }
}

fn sheet<R>(columns: &'static [Column<R>], rows: Vec<R>) -> Box<dyn Table>
where
    R: std::fmt::Debug + Send + Sync + 'static,
{
    Box::new(Sheet { columns, rows })
}

/// The table of a `SHOW`; `None` for the one that has none.
fn table(show: Show, host: &impl ConsoleHost) -> Option<Box<dyn Table>> {
    Some(match show {
        Show::Help => return None,
        Show::ActiveSockets => {
            let mut rows = sockets(host);
            rows.retain(|row| row.buffers.is_active());
            sheet(connection::SOCKET_COLUMNS, rows)
        }
        Show::Clients => sheet(connection::CONNECTION_COLUMNS, host.clients()),
        Show::Config => sheet(lists::CONFIG_COLUMNS, host.config()),
        Show::Databases => sheet(pools::DATABASE_COLUMNS, host.databases()),
        Show::DnsHosts => sheet(lists::DNS_HOST_COLUMNS, host.dns_hosts()),
        Show::DnsZones => sheet(lists::DNS_ZONE_COLUMNS, host.dns_zones()),
        Show::Lists => sheet(lists::LIST_COLUMNS, host.lists().rows()),
        Show::Mem => sheet(lists::MEM_COLUMNS, host.mem()),
        Show::PeerPools => sheet(pools::PEER_POOL_COLUMNS, host.peer_pools()),
        Show::Peers => sheet(pools::PEER_COLUMNS, host.peers()),
        Show::Pools => sheet(pools::POOL_COLUMNS, host.pools()),
        Show::Replicas => sheet(routing::REPLICA_COLUMNS, host.replicas()),
        Show::Routes => sheet(routing::ROUTE_COLUMNS, host.routes()),
        Show::Servers => sheet(connection::CONNECTION_COLUMNS, host.servers()),
        Show::Sockets => sheet(connection::SOCKET_COLUMNS, sockets(host)),
        Show::State => sheet(lists::STATE_COLUMNS, host.state().rows()),
        Show::Stats => sheet(stats::STATS_COLUMNS, host.stats()),
        Show::StatsAverages => sheet(stats::STATS_AVERAGES_COLUMNS, host.stats()),
        Show::StatsTotals => sheet(stats::STATS_TOTALS_COLUMNS, host.stats()),
        Show::Totals => sheet(stats::TOTALS_COLUMNS, host.totals().totals_rows()),
        Show::Users => sheet(pools::USER_COLUMNS, host.users()),
        Show::Version => Box::new(TextRow {
            column: "version",
            value: VERSION_TEXT,
        }),
    })
}

fn sockets(host: &impl ConsoleHost) -> Vec<ConnectionRow> {
    let mut rows = host.clients();
    rows.extend(host.servers());
    rows
}
