//! `SHOW CLIENTS` and `SHOW SERVERS`: what the directories and the pools know of each connection.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hashlink::LinkedHashMap;

use crate::admin::rows::{
    ClientState, ConnectionRow, ConnectionState, Replication, ServerState, SocketBuffers,
};
use crate::http::ClientKind;
use crate::ids::ConnId;
use crate::pool::{Doing, Standing};
use crate::pooler::client_facts::{ClientFacts, Phase};
use crate::pooler::{Pooler, Server};
use crate::protocol::startup;
use crate::server::facts::ServerFacts;

/// Both clocks at the moment of the snapshot.
type Clocks = (Instant, SystemTime);

/// One row for each client, in the order of their numbers.
pub fn clients(pooler: &Pooler, now: Clocks) -> Vec<ConnectionRow> {
    let port = pooler.config().settings.listen_port;
    let clients = pooler.clients.all();
    let row = |client: &Arc<ClientFacts>| client_row(pooler, client, port, now);
    clients.iter().map(row).collect()
}

/// The same clients, counted by what metrics tell of them.
pub fn client_kinds(pooler: &Pooler) -> Vec<ClientKind> {
    let clients = pooler.clients.all();
    // In the order in which they came.
    let mut kinds: LinkedHashMap<_, u64> = LinkedHashMap::new();
    for client in &clients {
        let card = &client.card;
        let state = ConnectionState::Client(client_state(client.phase())).word();
        let names = [&card.database, &card.user, &card.application_name];
        *kinds.entry((names, state)).or_insert(0) += 1;
    }
    let kind = |((names, state), count): (([&Arc<str>; 3], &'static str), u64)| {
        let [database, user, application_name] = names.map(Arc::clone);
        ClientKind {
            database,
            user,
            application_name,
            state,
            count,
        }
    };
    kinds.into_iter().map(kind).collect()
}

fn client_row(pooler: &Pooler, client: &ClientFacts, port: u16, now: Clocks) -> ConnectionRow {
    let card = &client.card;
    let link = client.server();
    let phase = client.phase();
    let waiting_since = client.wait_us.load(Ordering::Relaxed);
    let wait = match phase {
        Phase::Waiting => {
            let waited = pooler
                .micros_since_start(now.0)
                .saturating_sub(waiting_since);
            Duration::from_micros(waited)
        }
        Phase::Login | Phase::Idle | Phase::Active => Duration::ZERO,
    };
    let requested = client.request_us.load(Ordering::Relaxed);
    let (local_addr, local_port) = ends(card.local, port);
    ConnectionRow {
        state: ConnectionState::Client(client_state(phase)),
        user: card.user.to_string(),
        database: card.database.to_string(),
        replication: replication(card.replication),
        addr: card.peer_host(),
        port: card.peer_port(),
        local_addr,
        local_port,
        connected_at_s: unix_seconds(card.connected_at),
        requested_at_s: requested_at(pooler, requested, card.connected_at, now),
        wait,
        is_close_needed: false,
        ptr: card.id.0,
        link: link.map(|id| id.0),
        remote_pid: pid(card.peer_pid()),
        tls: card.tls.to_string(),
        application_name: card.application_name.to_string(),
        prepared_statements: client.prepared.load(Ordering::Relaxed),
        id: card.id,
        buffers: SocketBuffers::default(),
    }
}

fn client_state(phase: Phase) -> ClientState {
    match phase {
        Phase::Login => ClientState::Login,
        Phase::Idle => ClientState::Idle,
        Phase::Waiting => ClientState::Waiting,
        Phase::Active => ClientState::Active,
    }
}

/// One row for each server connection that has logged in, in the order of their numbers.
pub fn servers(pooler: &Pooler, now: Clocks) -> Vec<ConnectionRow> {
    let port = pooler.config().settings.listen_port;
    let linked = Linked::all(pooler);
    let mut parked: HashMap<ConnId, Known> = pooler.pools.with(|pools, _| {
        let parked = pools.parked(now.0);
        let parked = parked.map(|(conn, known)| (conn.facts.id, Known::of(conn, known)));
        parked.collect()
    });
    let servers = pooler.servers.all();
    let rows = servers.iter().map(|server| {
        let client = linked.by_server.get(&server.id);
        let known = match client {
            Some((client, slot)) => {
                let standing = pooler.pools.with(|pools, _| pools.standing(*slot, now.0));
                standing.map(|standing| Known {
                    standing,
                    application_name: client.card.application_name.to_string(),
                })
            }
            None => parked.remove(&server.id),
        };
        let client = client.map(|(client, _)| client.as_ref());
        server_row(pooler, (server, client), known, port, now)
    });
    rows.collect()
}

/// What is known of a server connection besides its facts.
#[derive(Debug)]
struct Known {
    standing: Standing,
    /// As the server knows it: that of the client that it has or had.
    application_name: String,
}

impl Known {
    fn of(conn: &Server, standing: Standing) -> Self {
        let application_name = conn.state.params.value("application_name");
        Self {
            standing,
            application_name: application_name.unwrap_or_default().to_owned(),
        }
    }
}

/// Who has which server.
struct Linked {
    by_server: HashMap<ConnId, (Arc<ClientFacts>, crate::pool::SlotId)>,
}

impl Linked {
    fn all(pooler: &Pooler) -> Self {
        let clients = pooler.clients.all().into_iter();
        let by_server = clients.filter_map(|client| {
            let server = client.server()?;
            let slot = *pooler.servers.find(server)?.slot.get()?;
            Some((server, (client, slot)))
        });
        Self {
            by_server: by_server.collect(),
        }
    }
}

fn server_row(
    pooler: &Pooler,
    (server, client): (&ServerFacts, Option<&ClientFacts>),
    known: Option<Known>,
    port: u16,
    now: Clocks,
) -> ConnectionRow {
    // One that is neither lent to a client nor idle is on its way between the two: it is reset,
    // or has just logged in.
    let doing = known.as_ref().map(|known| known.standing.doing);
    let state = doing.map_or(ServerState::Tested, server_state);
    let (local_addr, local_port) = ends(server.local, port);
    let requested = server.request_us.load(Ordering::Relaxed);
    ConnectionRow {
        state: ConnectionState::Server(state),
        user: server.user.to_string(),
        database: server.database.to_string(),
        replication: client.map_or(Replication::None, |client| {
            replication(client.card.replication)
        }),
        addr: server.peer_host.clone(),
        port: server.peer_port,
        local_addr,
        local_port,
        connected_at_s: unix_seconds(server.connected_at),
        requested_at_s: requested_at(pooler, requested, server.connected_at, now),
        wait: Duration::ZERO,
        is_close_needed: known
            .as_ref()
            .is_some_and(|known| known.standing.is_close_needed),
        ptr: server.id.0,
        link: client.map(|client| client.card.id.0),
        remote_pid: pid(Some(server.backend_pid())),
        tls: server.tls.clone(),
        application_name: known.map_or_else(String::new, |known| known.application_name),
        prepared_statements: small(server.prepared.load(Ordering::Relaxed)),
        id: server.id,
        buffers: SocketBuffers::default(),
    }
}

fn server_state(doing: Doing) -> ServerState {
    match doing {
        Doing::Active => ServerState::Active,
        Doing::Tested => ServerState::Tested,
        Doing::Idle => ServerState::Idle,
        Doing::Used => ServerState::Used,
        Doing::BeingCanceled => ServerState::BeingCanceled,
    }
}

fn replication(kind: startup::Replication) -> Replication {
    match kind {
        startup::Replication::None => Replication::None,
        startup::Replication::Physical => Replication::Physical,
        startup::Replication::Logical => Replication::Logical,
    }
}

/// Our end of a connection: an address, or `unix` and the port in the socket's name.
fn ends(local: Option<SocketAddr>, port: u16) -> (String, u16) {
    match local {
        Some(address) => (address.ip().to_string(), address.port()),
        None => ("unix".to_owned(), port),
    }
}

/// When the last request came; the connection itself counts as one.
fn requested_at(pooler: &Pooler, requested_us: u64, connected: SystemTime, now: Clocks) -> u64 {
    let requested = match requested_us {
        0 => connected,
        micros => pooler.wall_clock(micros, now),
    };
    unix_seconds(requested.max(connected))
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

fn pid(pid: Option<i32>) -> u32 {
    pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0)
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
