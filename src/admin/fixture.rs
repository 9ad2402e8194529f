//! A host over plain data, and replies made readable, for the tests of the console.

mod replies;

use std::cell::RefCell;
use std::time::Duration;

use tokio::sync::Notify;

use super::command::{Command, Scope, ShutdownMode};
use super::host::{ConsoleError, ConsoleEvent, ConsoleHost, Done};
use super::rows::{
    Changeable, ClientCounts, ClientState, ConfigRow, ConnectionRow, ConnectionState, Counters,
    DatabaseRow, DnsHostRow, DnsZoneRow, ExplainedRoute, Lists, MemRow, PeerPoolRow, PeerRow,
    PoolRow, PoolerState, QueryRow, ReplicaRow, Replication, RouteRow, ServerCounts, ServerState,
    SocketBuffers, Stats, StatsRow, UserRow,
};
use crate::ids::ConnId;

pub use replies::{read_replies, type_name};

/// A host with a few rows in every table. `PAUSE` waits for `released`; the database `nodb` does
/// not exist.
#[derive(Debug, Default)]
pub struct FakeHost {
    /// What was done and noted, in order.
    pub journal: RefCell<Vec<String>>,
    /// Ends a waiting `PAUSE`.
    pub released: Notify,
    /// Told when a `PAUSE` has begun to wait.
    pub waiting: Notify,
}

impl FakeHost {
    fn did(&self, what: String) {
        self.journal.borrow_mut().push(what);
    }

    fn on(&self, what: &str, scope: &Scope) -> Done {
        match scope {
            Scope::All => self.did(what.to_owned()),
            Scope::Database(name) if name == "nodb" => {
                return Err(ConsoleError::NoSuchDatabase(name.clone()));
            }
            Scope::Database(name) => self.did(format!("{what} {name}")),
        }
        Ok(())
    }
}

/// The connection that the other ones are made from.
pub fn connection(state: ConnectionState, ptr: u64, link: Option<u64>) -> ConnectionRow {
    ConnectionRow {
        state,
        user: "trusty".to_owned(),
        database: "bench".to_owned(),
        replication: Replication::None,
        addr: "127.0.0.1".to_owned(),
        port: 43_896,
        local_addr: "127.0.0.1".to_owned(),
        local_port: 6432,
        connected_at_s: 1_795_321_232,
        requested_at_s: 1_795_321_233,
        wait: Duration::from_micros(2_000_491),
        is_close_needed: false,
        ptr,
        link,
        remote_pid: 15_389,
        tls: String::new(),
        application_name: "probe".to_owned(),
        prepared_statements: 2,
        id: ConnId(3),
        buffers: SocketBuffers::default(),
    }
}

fn counters(from: u64) -> Counters {
    Counters {
        server_assignments: from,
        transactions: from + 1,
        queries: from + 2,
        received_bytes: from + 3,
        sent_bytes: from + 4,
        transaction_us: from + 5,
        query_us: from + 6,
        wait_us: from + 7,
        client_parses: from + 8,
        server_parses: from + 9,
        binds: from + 10,
        client_logins: from + 11,
    }
}

impl ConsoleHost for FakeHost {
    fn clients(&self) -> Vec<ConnectionRow> {
        vec![
            connection(
                ConnectionState::Client(ClientState::Active),
                0xc1,
                Some(0x51),
            ),
            connection(ConnectionState::Client(ClientState::Idle), 0xc2, None),
        ]
    }

    fn servers(&self) -> Vec<ConnectionRow> {
        let state = ConnectionState::Server(ServerState::Active);
        let buffers = SocketBuffers {
            recv_pos: 25,
            pkt_avail: 25,
            ..SocketBuffers::default()
        };
        vec![ConnectionRow {
            buffers,
            ..connection(state, 0x51, Some(0xc1))
        }]
    }

    fn pools(&self) -> Vec<PoolRow> {
        vec![PoolRow {
            database: "bench".to_owned(),
            user: "trusty".to_owned(),
            clients: ClientCounts {
                active: 1,
                waiting: 2,
                active_cancel_requests: 3,
                waiting_cancel_requests: 4,
            },
            servers: ServerCounts {
                active: 5,
                active_cancel: 6,
                being_canceled: 7,
                idle: 8,
                used: 9,
                tested: 10,
                login: 11,
            },
            maxwait: Duration::from_micros(12_000_013),
            pool_mode: "session",
            load_balance_hosts: None,
        }]
    }

    fn peer_pools(&self) -> Vec<PeerPoolRow> {
        let clients = ClientCounts {
            active_cancel_requests: 1,
            waiting_cancel_requests: 2,
            ..ClientCounts::default()
        };
        vec![PeerPoolRow {
            peer_id: 9,
            clients,
            sv_active_cancel: 3,
            sv_login: 4,
        }]
    }

    fn databases(&self) -> Vec<DatabaseRow> {
        vec![DatabaseRow {
            name: "bench2".to_owned(),
            host: None,
            port: 5432,
            database: "bench".to_owned(),
            force_user: Some("trusty".to_owned()),
            pool_size: 7,
            min_pool_size: 1,
            reserve_pool_size: 3,
            server_lifetime_s: 100,
            pool_mode: Some("transaction"),
            load_balance_hosts: Some("disable"),
            max_connections: 9,
            current_connections: 4,
            max_client_connections: 5,
            current_client_connections: 6,
            is_paused: true,
            is_disabled: false,
        }]
    }

    fn users(&self) -> Vec<UserRow> {
        vec![UserRow {
            name: "trusty".to_owned(),
            pool_size: Some(3),
            reserve_pool_size: None,
            pool_mode: None,
            max_user_connections: 44,
            current_connections: 2,
            max_user_client_connections: 5,
            current_client_connections: 1,
        }]
    }

    fn peers(&self) -> Vec<PeerRow> {
        vec![PeerRow {
            peer_id: 1,
            host: "127.0.0.1".to_owned(),
            port: 6432,
            pool_size: 2,
        }]
    }

    fn stats(&self) -> Vec<StatsRow> {
        let stats = Stats {
            total: counters(100),
            average: counters(200),
        };
        vec![StatsRow {
            database: "bench".to_owned(),
            stats,
        }]
    }

    fn totals(&self) -> Stats {
        Stats {
            total: counters(300),
            average: counters(400),
        }
    }

    fn lists(&self) -> Lists {
        Lists {
            databases: 4,
            used_clients: 3,
            ..Lists::default()
        }
    }

    fn config(&self) -> Vec<ConfigRow> {
        let row = |key: &str, value: Option<&str>, changeable| ConfigRow {
            key: key.to_owned(),
            value: value.map(str::to_owned),
            default: Some("6432".to_owned()),
            changeable,
        };
        vec![
            row("auth_file", None, Changeable::Live),
            row("listen_port", Some("6432"), Changeable::Restart),
        ]
    }

    fn mem(&self) -> Vec<MemRow> {
        vec![MemRow {
            name: "client_cache",
            size: 1,
            used: 2,
            free: 3,
            memtotal: 4,
        }]
    }

    fn dns_hosts(&self) -> Vec<DnsHostRow> {
        let addrs = "10.0.0.1,10.0.0.2".to_owned();
        vec![DnsHostRow {
            hostname: "db".to_owned(),
            ttl_s: 12,
            addrs,
        }]
    }

    fn dns_zones(&self) -> Vec<DnsZoneRow> {
        vec![DnsZoneRow {
            zonename: "example.com".to_owned(),
            serial: 7,
            count: 2,
        }]
    }

    fn replicas(&self) -> Vec<ReplicaRow> {
        vec![ReplicaRow {
            database: "app".to_owned(),
            name: "app@db2:5432".to_owned(),
            state: "replica",
            timeline: 1,
            position: Some("0/16B6C50".to_owned()),
            lag_bytes: Some(0),
            lag_us: Some(250),
            weight: 1,
            in_flight: 3,
            latency_us: 400,
        }]
    }

    fn routes(&self) -> Vec<RouteRow> {
        vec![RouteRow {
            database: "app".to_owned(),
            fingerprint: 255,
            class: "read",
            reason: Some("read"),
            primary: 1,
            replica: 3,
            again: 0,
            query: "select $1".to_owned(),
        }]
    }

    fn queries(&self) -> Vec<QueryRow> {
        let row = |query: Option<&str>, calls| QueryRow {
            database: query.map(|_| "app".to_owned()),
            user: query.map(|_| "u".to_owned()),
            fingerprint: query.map(|_| 255),
            calls,
            total_us: 10 * calls,
            query: query.map(str::to_owned),
            ..QueryRow::default()
        };
        vec![
            row(None, 9),
            row(Some("select $1"), 1),
            row(Some("select $1, $2"), 2),
        ]
    }

    fn reset_queries(&self) {
        self.did("reset queries".to_owned());
    }

    fn explain_route(&self, sql: &[u8]) -> Vec<ExplainedRoute> {
        vec![ExplainedRoute {
            database: "app".to_owned(),
            target: Some("app@db1:5432".to_owned()),
            reason: "write",
            query: String::from_utf8_lossy(sql).into_owned(),
        }]
    }

    fn state(&self) -> PoolerState {
        PoolerState::Paused
    }

    async fn reload(&self) -> Done {
        Err(ConsoleError::ReloadFailed)
    }

    async fn pause(&self, scope: &Scope) -> Done {
        self.on("pause", scope)?;
        self.waiting.notify_one();
        self.released.notified().await;
        Ok(())
    }

    async fn resume(&self, scope: &Scope) -> Done {
        self.on("resume", scope)
    }

    async fn disable(&self, database: &str) -> Done {
        self.did(format!("disable {database}"));
        Ok(())
    }

    async fn enable(&self, database: &str) -> Done {
        self.did(format!("enable {database}"));
        Ok(())
    }

    async fn reconnect(&self, scope: &Scope) -> Done {
        self.on("reconnect", scope)
    }

    async fn wait_close(&self, scope: &Scope) -> Done {
        self.on("wait_close", scope)
    }

    async fn kill(&self, scope: &Scope) -> Done {
        self.on("kill", scope)
    }

    async fn kill_client(&self, client: ConnId) -> Done {
        self.did(format!("kill_client {client}"));
        Ok(())
    }

    async fn set(&self, key: &str, value: &str) -> Done {
        self.did(format!("set {key} to {value}"));
        Ok(())
    }

    async fn shutdown(&self, mode: ShutdownMode) -> Done {
        self.did(format!("shutdown {mode:?}"));
        Ok(())
    }

    fn note(&self, event: ConsoleEvent<'_>) {
        let line = match event {
            ConsoleEvent::Command(Command::Show(_)) => return,
            ConsoleEvent::Command(command) => format!("runs {command:?}"),
            ConsoleEvent::Refused(text) => format!("refused: {text}"),
        };
        self.journal.borrow_mut().push(line);
    }
}
