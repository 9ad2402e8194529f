//! Sans-IO. `SHOW POOLS`, `PEER_POOLS`, `DATABASES`, `USERS` and `PEERS`.

use std::time::Duration;

use super::columns;
use crate::admin::table::{Column, Value};

/// Clients of a pool, by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientCounts {
    /// Linked to a server connection, or idle.
    pub active: u32,
    /// Waiting for a server connection.
    pub waiting: u32,
    /// Cancel requests sent to the server.
    pub active_cancel_requests: u32,
    /// Cancel requests that wait for a connection.
    pub waiting_cancel_requests: u32,
}

/// Server connections of a pool, by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerCounts {
    /// Linked to a client.
    pub active: u32,
    /// Carrying a cancel request.
    pub active_cancel: u32,
    /// Waiting until cancel requests for them are done.
    pub being_canceled: u32,
    /// Ready for use.
    pub idle: u32,
    /// Idle for longer than `server_check_delay`.
    pub used: u32,
    /// Running a reset or check query.
    pub tested: u32,
    /// Logging in.
    pub login: u32,
}

/// One pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolRow {
    /// Name of the database in `[databases]`; `pgbouncer` for the console's own pool.
    pub database: String,
    /// User of its server connections.
    pub user: String,
    /// Its clients.
    pub clients: ClientCounts,
    /// Its server connections.
    pub servers: ServerCounts,
    /// How long the first waiting client has been waiting.
    pub maxwait: Duration,
    /// `session`, `transaction` or `statement`.
    pub pool_mode: &'static str,
    /// `disable` or `round-robin` when the database sets it.
    pub load_balance_hosts: Option<&'static str>,
}

impl PoolRow {
    fn maxwait_us(&self) -> Value<'_> {
        self.maxwait.subsec_micros().into()
    }
}

/// Columns of `SHOW POOLS`.
pub const POOL_COLUMNS: &[Column<PoolRow>] = columns! {
    "database" Text |row| (&row.database).into();
    "user" Text |row| (&row.user).into();
    "cl_active" Int4 |row| row.clients.active.into();
    "cl_waiting" Int4 |row| row.clients.waiting.into();
    "cl_active_cancel_req" Int4 |row| row.clients.active_cancel_requests.into();
    "cl_waiting_cancel_req" Int4 |row| row.clients.waiting_cancel_requests.into();
    "sv_active" Int4 |row| row.servers.active.into();
    "sv_active_cancel" Int4 |row| row.servers.active_cancel.into();
    "sv_being_canceled" Int4 |row| row.servers.being_canceled.into();
    "sv_idle" Int4 |row| row.servers.idle.into();
    "sv_used" Int4 |row| row.servers.used.into();
    "sv_tested" Int4 |row| row.servers.tested.into();
    "sv_login" Int4 |row| row.servers.login.into();
    "maxwait" Int4 |row| row.maxwait.as_secs().into();
    "maxwait_us" Int4 PoolRow::maxwait_us;
    "pool_mode" Text |row| row.pool_mode.into();
    "load_balance_hosts" Text |row| row.load_balance_hosts.into();
};

/// One pool of connections to a peer, which carry cancel requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerPoolRow {
    /// Key in `[peers]`.
    pub peer_id: u32,
    /// Its cancel requests; the other two numbers are always zero.
    pub clients: ClientCounts,
    /// Connections that carry a request.
    pub sv_active_cancel: u32,
    /// Connections being made.
    pub sv_login: u32,
}

/// Columns of `SHOW PEER_POOLS`.
pub const PEER_POOL_COLUMNS: &[Column<PeerPoolRow>] = columns! {
    "peer_id" Int4 |row| row.peer_id.into();
    "cl_active_cancel_req" Int4 |row| row.clients.active_cancel_requests.into();
    "cl_waiting_cancel_req" Int4 |row| row.clients.waiting_cancel_requests.into();
    "sv_active_cancel" Int4 |row| row.sv_active_cancel.into();
    "sv_login" Int4 |row| row.sv_login.into();
};

/// One entry of `[databases]`, or a database made from its `*` entry, or the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseRow {
    /// Name that clients use.
    pub name: String,
    /// Host list; `None` means a unix socket.
    pub host: Option<String>,
    /// Port.
    pub port: u16,
    /// Name on the server.
    pub database: String,
    /// `user=` of the entry.
    pub force_user: Option<String>,
    /// Largest number of server connections of a pool.
    pub pool_size: u32,
    /// Server connections that are kept ready.
    pub min_pool_size: u32,
    /// Extra connections for clients that wait too long.
    pub reserve_pool_size: u32,
    /// Seconds after which a server connection is replaced.
    pub server_lifetime_s: u64,
    /// `pool_mode=` of the entry.
    pub pool_mode: Option<&'static str>,
    /// `load_balance_hosts=` of the entry.
    pub load_balance_hosts: Option<&'static str>,
    /// `max_db_connections` that holds for it; 0 for no limit.
    pub max_connections: u32,
    /// Its server connections.
    pub current_connections: u32,
    /// `max_db_client_connections` that holds for it; 0 for no limit.
    pub max_client_connections: u32,
    /// Its clients.
    pub current_client_connections: u32,
    /// Whether `PAUSE db` or `KILL db` holds it.
    pub is_paused: bool,
    /// Whether `DISABLE db` holds.
    pub is_disabled: bool,
}

/// Columns of `SHOW DATABASES`.
pub const DATABASE_COLUMNS: &[Column<DatabaseRow>] = columns! {
    "name" Text |row| (&row.name).into();
    "host" Text |row| row.host.as_ref().into();
    "port" Int4 |row| row.port.into();
    "database" Text |row| (&row.database).into();
    "force_user" Text |row| row.force_user.as_ref().into();
    "pool_size" Int4 |row| row.pool_size.into();
    "min_pool_size" Int4 |row| row.min_pool_size.into();
    "reserve_pool_size" Int4 |row| row.reserve_pool_size.into();
    "server_lifetime" Int4 |row| row.server_lifetime_s.into();
    "pool_mode" Text |row| row.pool_mode.into();
    "load_balance_hosts" Text |row| row.load_balance_hosts.into();
    "max_connections" Int4 |row| row.max_connections.into();
    "current_connections" Int4 |row| row.current_connections.into();
    "max_client_connections" Int4 |row| row.max_client_connections.into();
    "current_client_connections" Int4 |row| row.current_client_connections.into();
    "paused" Int4 |row| row.is_paused.into();
    "disabled" Int4 |row| row.is_disabled.into();
};

/// One known user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// Name.
    pub name: String,
    /// `pool_size=` of the user's entry in `[users]`.
    pub pool_size: Option<u32>,
    /// `reserve_pool_size=` of that entry.
    pub reserve_pool_size: Option<u32>,
    /// `pool_mode=` of that entry.
    pub pool_mode: Option<&'static str>,
    /// `max_user_connections` that holds for the user; 0 for no limit.
    pub max_user_connections: u32,
    /// Server connections of the user.
    pub current_connections: u32,
    /// `max_user_client_connections` that holds for the user; 0 for no limit.
    pub max_user_client_connections: u32,
    /// Clients of the user.
    pub current_client_connections: u32,
}

/// Sizes of a user are text, right-aligned to nine characters, and empty when not set.
fn padded<'a>(size: Option<u32>) -> Value<'a> {
    size.map_or("".into(), |size| format!("{size:>9}").into())
}

/// Columns of `SHOW USERS`.
pub const USER_COLUMNS: &[Column<UserRow>] = columns! {
    "name" Text |row| (&row.name).into();
    "pool_size" Text |row| padded(row.pool_size);
    "reserve_pool_size" Text |row| padded(row.reserve_pool_size);
    "pool_mode" Text |row| row.pool_mode.into();
    "max_user_connections" Int4 |row| row.max_user_connections.into();
    "current_connections" Int4 |row| row.current_connections.into();
    "max_user_client_connections" Int4 |row| row.max_user_client_connections.into();
    "current_client_connections" Int4 |row| row.current_client_connections.into();
};

/// One entry of `[peers]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRow {
    /// Key of the entry.
    pub peer_id: u32,
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Largest number of connections to it.
    pub pool_size: u32,
}

/// Columns of `SHOW PEERS`.
pub const PEER_COLUMNS: &[Column<PeerRow>] = columns! {
    "peer_id" Int4 |row| row.peer_id.into();
    "host" Text |row| (&row.host).into();
    "port" Int4 |row| row.port.into();
    "pool_size" Int4 |row| row.pool_size.into();
};
