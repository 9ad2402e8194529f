//! Sans-IO. `SHOW CLIENTS`, `SERVERS`, `SOCKETS` and `ACTIVE_SOCKETS`: one row a connection.

use std::time::Duration;

use super::columns;
use crate::admin::table::{Column, Value};
use crate::ids::ConnId;

/// State of a client connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientState {
    /// Has a server connection.
    Active,
    /// Has none and wants none.
    Idle,
    /// Waits for one.
    Waiting,
    /// Still logging in.
    Login,
    /// A cancel request that has been sent to the server.
    ActiveCancelRequest,
    /// A cancel request that waits for a server connection.
    WaitingCancelRequest,
}

/// State of a server connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerState {
    /// Belongs to a client.
    Active,
    /// Ready for use.
    Idle,
    /// Idle for longer than `server_check_delay`: to be checked before use.
    Used,
    /// Runs `server_reset_query` or `server_check_query`.
    Tested,
    /// Logging in.
    New,
    /// Carries a cancel request.
    ActiveCancel,
    /// Waits until cancel requests for it are done.
    BeingCanceled,
}

/// Which side a connection is on, and its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionState {
    /// Between a client and us.
    Client(ClientState),
    /// Between us and a server.
    Server(ServerState),
}

impl ConnectionState {
    fn kind(self) -> &'static str {
        match self {
            Self::Client(_) => "C",
            Self::Server(_) => "S",
        }
    }

    /// The word of `SHOW CLIENTS` and `SHOW SERVERS`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Client(ClientState::Active) | Self::Server(ServerState::Active) => "active",
            Self::Client(ClientState::Idle) | Self::Server(ServerState::Idle) => "idle",
            Self::Client(ClientState::Waiting) => "waiting",
            Self::Client(ClientState::Login) => "login",
            Self::Client(ClientState::ActiveCancelRequest) => "active_cancel_req",
            Self::Client(ClientState::WaitingCancelRequest) => "waiting_cancel_req",
            Self::Server(ServerState::Used) => "used",
            Self::Server(ServerState::Tested) => "tested",
            Self::Server(ServerState::New) => "new",
            Self::Server(ServerState::ActiveCancel) => "active_cancel",
            Self::Server(ServerState::BeingCanceled) => "being_canceled",
        }
    }

    /// The word of `SHOW SOCKETS`, where an idle client counts as active.
    fn socket_word(self) -> &'static str {
        match self {
            Self::Client(ClientState::Active | ClientState::Idle) => "cl_active",
            Self::Client(ClientState::Waiting) => "cl_waiting",
            Self::Client(ClientState::Login) => "cl_login",
            Self::Client(ClientState::ActiveCancelRequest) => "cl_active_cancel_req",
            Self::Client(ClientState::WaitingCancelRequest) => "cl_waiting_cancel_req",
            Self::Server(ServerState::Active) => "sv_active",
            Self::Server(ServerState::Idle) => "sv_idle",
            Self::Server(ServerState::Used) => "sv_used",
            Self::Server(ServerState::Tested) => "sv_tested",
            Self::Server(ServerState::New) => "sv_login",
            Self::Server(ServerState::ActiveCancel) => "sv_active_cancel",
            Self::Server(ServerState::BeingCanceled) => "sv_being_canceled",
        }
    }
}

/// Kind of a replication connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replication {
    /// An ordinary connection.
    None,
    /// `replication=database`
    Logical,
    /// `replication=true`
    Physical,
}

impl Replication {
    fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Logical => "logical",
            Self::Physical => "physical",
        }
    }
}

/// Positions in a connection's buffers, in bytes. Of interest to developers only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SocketBuffers {
    /// End of what was received.
    pub recv_pos: u32,
    /// End of what was looked at.
    pub pkt_pos: u32,
    /// Left of the message that is passing through.
    pub pkt_remain: u32,
    /// End of what was sent.
    pub send_pos: u32,
    /// Left to send of the message that is passing through.
    pub send_remain: u32,
    /// Received and not looked at.
    pub pkt_avail: u32,
    /// Looked at and not sent.
    pub send_avail: u32,
}

impl SocketBuffers {
    /// Whether something is under way, which puts the connection into `SHOW ACTIVE_SOCKETS`.
    pub fn is_active(self) -> bool {
        self.pkt_remain > 0 || self.send_remain > 0 || self.pkt_avail > 0 || self.send_avail > 0
    }
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionRow {
    /// Side and state.
    pub state: ConnectionState,
    /// User of the client, or user of the pool of a server connection.
    pub user: String,
    /// Name of the database in `[databases]`.
    pub database: String,
    /// Kind of replication connection.
    pub replication: Replication,
    /// The peer's address: IP, or `unix`.
    pub addr: String,
    /// The peer's port; for a unix socket the configured port.
    pub port: u16,
    /// Our end's address.
    pub local_addr: String,
    /// Our end's port.
    pub local_port: u16,
    /// Seconds since 1970 (UTC) when the connection was made.
    pub connected_at_s: u64,
    /// Seconds since 1970 (UTC) of the last request.
    pub requested_at_s: u64,
    /// How long the client has been waiting for a server connection; zero when it is not.
    pub wait: Duration,
    /// Whether it is to be closed as soon as it is free.
    pub is_close_needed: bool,
    /// A number that tells this connection from all others and shows as an address.
    pub ptr: u64,
    /// `ptr` of the connection at the other side.
    pub link: Option<u64>,
    /// Process id: of the server backend, or of a client on a unix socket; 0 when unknown.
    pub remote_pid: u32,
    /// Like `TLSv1.3/TLS_AES_256_GCM_SHA384`; empty without TLS.
    pub tls: String,
    /// The client's `application_name`, empty when it has none.
    pub application_name: String,
    /// Prepared statements that the client has, or that are on the server connection.
    pub prepared_statements: u32,
    /// Its number in our own sequence, as `KILL_CLIENT` takes it.
    pub id: ConnId,
    /// Its buffers.
    pub buffers: SocketBuffers,
}

impl ConnectionRow {
    fn wait_us(&self) -> Value<'_> {
        self.wait.subsec_micros().into()
    }
}

fn pointer<'a>(number: u64) -> Value<'a> {
    format!("0x{number:x}").into()
}

/// Columns of `SHOW CLIENTS` and `SHOW SERVERS`. [`SOCKET_COLUMNS`] begin with the same ones.
pub const CONNECTION_COLUMNS: &[Column<ConnectionRow>] = columns! {
    "type" Text |row| row.state.kind().into();
    "user" Text |row| (&row.user).into();
    "database" Text |row| (&row.database).into();
    "replication" Text |row| row.replication.word().into();
    "state" Text |row| row.state.word().into();
    "addr" Text |row| (&row.addr).into();
    "port" Int4 |row| row.port.into();
    "local_addr" Text |row| (&row.local_addr).into();
    "local_port" Int4 |row| row.local_port.into();
    "connect_time" Text |row| timestamp(row.connected_at_s).into();
    "request_time" Text |row| timestamp(row.requested_at_s).into();
    "wait" Int4 |row| row.wait.as_secs().into();
    "wait_us" Int4 ConnectionRow::wait_us;
    "close_needed" Int4 |row| row.is_close_needed.into();
    "ptr" Text |row| pointer(row.ptr);
    "link" Text |row| row.link.map_or("".into(), pointer);
    "remote_pid" Int4 |row| row.remote_pid.into();
    "tls" Text |row| (&row.tls).into();
    "application_name" Text |row| (&row.application_name).into();
    "prepared_statements" Int4 |row| row.prepared_statements.into();
    "id" Int4 |row| row.id.0.into();
};

/// Columns of `SHOW SOCKETS` and `SHOW ACTIVE_SOCKETS`.
pub const SOCKET_COLUMNS: &[Column<ConnectionRow>] = &{
    const OWN: &[Column<ConnectionRow>] = columns! {
        "recv_pos" Int4 |row| row.buffers.recv_pos.into();
        "pkt_pos" Int4 |row| row.buffers.pkt_pos.into();
        "pkt_remain" Int4 |row| row.buffers.pkt_remain.into();
        "send_pos" Int4 |row| row.buffers.send_pos.into();
        "send_remain" Int4 |row| row.buffers.send_remain.into();
        "pkt_avail" Int4 |row| row.buffers.pkt_avail.into();
        "send_avail" Int4 |row| row.buffers.send_avail.into();
    };
    const SHARED: usize = CONNECTION_COLUMNS.len();
    let mut all = [CONNECTION_COLUMNS[0]; SHARED + OWN.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < SHARED {
            CONNECTION_COLUMNS[at]
        } else {
            OWN[at - SHARED]
        };
        at += 1;
    }
    all[STATE] = Column {
        value: |row| row.state.socket_word().into(),
        ..all[STATE]
    };
    all
};

/// Position of the column `state`.
const STATE: usize = 4;

/// `2026-11-22 04:20:32 UTC` for seconds since 1970.
fn timestamp(seconds: u64) -> String {
    const DAY: u64 = 86_400;
    let (year, month, day) = civil_date(seconds / DAY);
    let (hour, minute, second) = (seconds % DAY / 3600, seconds % 3600 / 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Year, month and day of the Gregorian calendar for days since 1970-01-01. Years are counted from
/// March, so that the day that is sometimes missing is the last one.
fn civil_date(days_since_1970: u64) -> (u64, u64, u64) {
    /// Days from 0000-03-01 to 1970-01-01.
    const TO_1970: u64 = 719_468;
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let days = days_since_1970 + TO_1970;
    let (era, day_of_era) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let leap_days = day_of_era / 1460 + day_of_era / 146_096;
    let year_of_era = (day_of_era + day_of_era / 36_524 - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_readable() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_709_251_200, "2024-03-01 00:00:00 UTC"),
            (1_795_321_232, "2026-11-22 04:20:32 UTC"),
            (4_102_444_799, "2099-12-31 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(timestamp(seconds), expected);
        }
    }
}
