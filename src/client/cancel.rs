//! Passes a cancel request on, so that it can hit no query but the one it was meant for.
//!
//! The client's link is looked at and the server held back in one step: from then on the connection
//! may come back to its pool, but no other client gets it until the request has been delivered.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::config::Config;
use crate::net::{Peer, Stream};
use crate::pooler::Pooler;
use crate::pooler::servers::{connector, target_of};
use crate::protocol::cancel_key::{CancelRoute, ClientKey, PeerId};

/// Where `cancel_wait_timeout` is off, a request may still not hold a connection for ever.
const LONGEST: Duration = Duration::from_secs(60);

/// How long a client may take to notice that its request has been dealt with.
const FAREWELL: Duration = Duration::from_secs(1);

/// Deals with one request. It has no answer: whatever goes wrong, the stream is just closed.
pub async fn cancel(pooler: &Arc<Pooler>, mut stream: Stream, key: &[u8]) {
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
    let held = client.with_link(|link| {
        let linked = link.as_ref()?;
        let guard = pooler.pools.cancel(linked.slot)?;
        Some((guard, Arc::clone(&linked.server)))
    });
    // Without a server there is nothing to cancel.
    let Some((guard, server)) = held else { return };
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
