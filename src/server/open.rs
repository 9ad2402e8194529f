//! Opens one server connection: connect, TLS, login, `connect_query`.
//!
//! Not here: who asked for it and where it goes (`pooler::opener`). The caller applies the time limit;
//! a dropped future closes the socket.

use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime};

use bytes::BytesMut;

use super::conn::ServerConn;
use super::connect::{ConnectError, Connector, Host, Target};
use super::errand;
use super::facts::ServerFacts;
use super::login;
use crate::auth::scram::KeyCache;
use crate::ids::ConnId;
use crate::net::flow::Outbox;
use crate::net::{Peer, Stream};
use crate::pool::key::{PoolKey, WorkerId};
use crate::session::params::{ParamSet, is_settable};
use crate::session::server_login::{LoggedIn, Parameter, ServerLoginError, ServerLoginRequest};
use crate::session::server_state::ServerState;

/// Names and values of `ParameterStatus` at login, as the server sent them.
pub type Reported = Vec<Parameter>;

/// Who the new connection is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its number.
    pub id: ConnId,
    /// Its pool.
    pub pool: PoolKey,
    /// The worker that opens it.
    pub home: WorkerId,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The server was not reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It did not let us in.
    #[error(transparent)]
    Login(#[from] ServerLoginError),
    /// `server_connect_timeout` has passed.
    #[error("connect timeout")]
    TimedOut,
}

/// A connection that has its server's address, but is not logged in yet.
#[derive(Debug)]
pub struct Reached {
    stream: Stream,
    facts: ServerFacts,
    created_at: Instant,
}

impl Reached {
    /// For the log.
    pub fn facts(&self) -> &ServerFacts {
        &self.facts
    }
}

/// Connects to the server.
pub async fn reach(
    connector: Connector<'_>,
    target: &Target,
    who: &Identity,
    now: Instant,
) -> Result<Reached, OpenError> {
    let stream = connector.connect(target).await?;
    let peer = stream.peer().ok();
    let (peer_host, peer_port) = match (&peer, &target.host) {
        (Some(Peer::Tcp(address)), _) => (address.ip().to_string(), address.port()),
        (Some(Peer::Unix { .. }) | None, Host::Unix(_) | Host::Ip(_) | Host::Name(_)) => {
            ("unix".to_owned(), target.port)
        }
    };
    let facts = ServerFacts {
        id: who.id,
        database: Arc::clone(&who.pool.database),
        user: Arc::clone(&who.pool.user),
        peer,
        peer_host,
        peer_port,
        target: target.clone(),
        local: stream.local_addr(),
        connected_at: SystemTime::now(),
        tls: stream.tls().unwrap_or_default(),
        key: Vec::new(),
        slot: OnceLock::new(),
        link: AtomicU64::new(0),
        request_us: AtomicU64::new(0),
        prepared: AtomicUsize::new(0),
    };
    Ok(Reached {
        stream,
        facts,
        created_at: now,
    })
}

/// Logs in, and gives the connection its conversation.
pub async fn log_in(
    mut reached: Reached,
    request: ServerLoginRequest,
    keys: &KeyCache,
    home: WorkerId,
) -> Result<(Box<ServerConn>, Reported), OpenError> {
    let logged_in = login::login(&mut reached.stream, request, keys).await?;
    reached.facts.key = cancel_key(&logged_in);
    let params = settable(&logged_in.parameters);
    let conn = ServerConn {
        stream: reached.stream,
        state: ServerState::new(Arc::new(params)),
        input: BytesMut::new(),
        output: Outbox::default(),
        facts: Arc::new(reached.facts),
        home,
        created_at: reached.created_at,
    };
    Ok((Box::new(conn), logged_in.parameters))
}

/// Those of the reported parameters that follow a client.
pub fn settable(reported: &[Parameter]) -> ParamSet {
    let mut params = ParamSet::new();
    for Parameter { name, value } in reported {
        if let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value))
            && is_settable(name)
        {
            params.set(name, value);
        }
    }
    params
}

fn cancel_key(logged_in: &LoggedIn) -> Vec<u8> {
    let Some(key) = &logged_in.key else {
        return Vec::new();
    };
    let mut bytes = key.process_id.to_be_bytes().to_vec();
    bytes.extend_from_slice(&key.secret);
    bytes
}

/// Runs `connect_query`. An error is logged by the caller and otherwise ignored, as in `PgBouncer`;
/// a broken connection is not.
pub async fn greet(conn: &mut ServerConn, sql: &str) -> Result<(), errand::ErrandError> {
    errand::run(conn, sql).await
}
