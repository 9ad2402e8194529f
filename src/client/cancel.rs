//! Passes a cancel request on, so that it can hit no query but the one it was meant for.
//!
//! The client's server is held back: from then on the connection may come back to its pool, but no
//! other client gets it until the request has been delivered.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::config::Config;
use crate::net::{Peer, Stream};
use crate::pool::CancelGuard;
use crate::pooler::client_facts::ClientFacts;
use crate::pooler::servers::{connector, target_of};
use crate::pooler::{Pooler, Server};
use crate::protocol::cancel_key::{CancelRoute, ClientKey, PeerId};
use crate::server::facts::ServerFacts;
use crate::telemetry::stats::Happening;

/// Where `cancel_wait_timeout` is off, a request may still not hold a connection for ever.
const LONGEST: Duration = Duration::from_secs(60);

/// How long a client may take to notice that its request has been dealt with.
const FAREWELL: Duration = Duration::from_secs(1);

/// Deals with one request. It has no answer: whatever goes wrong, the stream is just closed.
pub async fn cancel(pooler: &Arc<Pooler>, mut stream: Stream, key: &[u8]) {
    pooler.happenings.note(Happening::CancelRequested);
    deliver(pooler, key).await;
    // The client waits for this end. Over TLS it has to be said: an end without a word is an
    // error to libpq's `PQcancelBlocking`.
    drop(timeout(FAREWELL, stream.shutdown()).await);
}

async fn deliver(pooler: &Arc<Pooler>, key: &[u8]) {
    let config = pooler.config();
    let Some(key) = ClientKey::from_bytes(key) else {
        return;
    };
    let limit = config.settings.cancel_wait_timeout.unwrap_or(LONGEST);
    match key.route(config.settings.peer_id.and_then(PeerId::new)) {
        CancelRoute::Local(key) => local(pooler, &config, key, limit).await,
        CancelRoute::Forward { peer, key } => forward(pooler, &config, (peer, key), limit).await,
        CancelRoute::Expired { .. } => {}
    }
}

async fn local(pooler: &Arc<Pooler>, config: &Config, key: ClientKey, limit: Duration) {
    let Some(client) = pooler.cancel_keys.find(key) else {
        return;
    };
    client.cancel(); // a console may wait for PAUSE
    // Without a server there is nothing to cancel.
    let Some((guard, server)) = hold(pooler, &client) else {
        return;
    };
    let tls = pooler.server_tls.load_full();
    let connector = connector(pooler, config, &tls);
    let address = match server.peer {
        Some(Peer::Tcp(address)) => Some(address.ip()),
        Some(Peer::Unix { .. }) | None => None,
    };
    let request = connector.send_cancel(&server.target, address, &server.key);
    // Lost or late: the query goes on, as it would with a server that is slow to listen.
    drop(timeout(limit, request).await);
    drop(guard);
}

/// The client's server, which goes to no other client until the guard is dropped.
fn hold(pooler: &Pooler, client: &ClientFacts) -> Option<(CancelGuard<Server>, Arc<ServerFacts>)> {
    let id = client.server()?;
    let server = pooler.servers.find(id)?;
    let guard = pooler.pools.cancel(*server.slot.get()?)?;
    // From here on it stays with the client that has it; that must still be this one. A client says
    // that it has no server before it gives it back, and the pool's lock was taken in between.
    (client.server() == Some(id)).then_some((guard, server))
}

/// The client belongs to another process of the peering group.
async fn forward(
    pooler: &Arc<Pooler>,
    config: &Config,
    (peer, key): (u16, ClientKey),
    limit: Duration,
) {
    let Some(spec) = config.peers.get(&peer) else {
        return;
    };
    let Some(target) = target_of(config, &spec.host, spec.port) else {
        return;
    };
    let tls = pooler.server_tls.load_full();
    let connector = connector(pooler, config, &tls);
    drop(timeout(limit, connector.send_cancel(&target, None, &key.bytes())).await);
}
