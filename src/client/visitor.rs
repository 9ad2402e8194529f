//! A connection whose owner is not known yet: where it comes from, and how it is told to leave.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::fault::Fault;
use crate::config::Config;
use crate::ids::ConnId;
use crate::net::Peer;
use crate::pooler::alike::Alike;
use crate::pooler::client_facts::ClientCard;
use crate::pooler::terms::codes;
use crate::protocol::reply;
use crate::protocol::startup::StartupPacket;
use crate::telemetry::events;
use crate::telemetry::line::{PeerAddress, Side, Who};

/// How long the last message to a client may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Facts about a connection that has just come.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Its number.
    pub id: ConnId,
    /// The other end.
    pub peer: Option<Peer>,
    /// Our own address.
    pub local: Option<SocketAddr>,
    /// Port in the name of the unix socket, for the log.
    pub port: u16,
    /// When it came.
    pub since: SystemTime,
    /// Database and user, once it has said.
    pub names: Option<(Arc<str>, Arc<str>)>,
}

impl Visitor {
    /// Facts about a connection between these two ends.
    pub fn new(id: ConnId, (peer, local): (Option<Peer>, Option<SocketAddr>), port: u16) -> Self {
        Self {
            id,
            peer,
            local,
            port,
            since: SystemTime::now(),
            names: None,
        }
    }

    /// The facts as they were at the client's login.
    pub fn of(card: &ClientCard) -> Self {
        Self {
            id: card.id,
            peer: card.peer,
            local: card.local,
            port: card.listen_port,
            since: card.connected_at,
            names: Some((Arc::clone(&card.database), Arc::clone(&card.user))),
        }
    }

    /// It has sent its startup packet.
    pub fn names(&mut self, packet: &StartupPacket, known: &Alike<str>) {
        let names = (&*packet.database, &*packet.user);
        self.names = Some((known.share(names.0), known.share(names.1)));
    }

    /// As the log names it.
    pub fn who(&self) -> Who<'_> {
        let peer = match self.peer {
            Some(Peer::Tcp(address)) => PeerAddress::Tcp(address),
            Some(Peer::Unix { pid, .. }) => PeerAddress::Unix {
                pid: pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0),
                port: self.port,
            },
            None => PeerAddress::Host("unknown", 0),
        };
        Who {
            side: Side::Client,
            id: self.id,
            database: self.names.as_ref().map(|(database, _)| &**database),
            user: self.names.as_ref().map(|(_, user)| &**user),
            peer,
        }
    }

    /// Logs the end of the connection.
    pub fn log_end(&self, config: &Config, reason: &str) {
        if config.settings.log_disconnections {
            events::closing(
                &self.who(),
                reason,
                self.since.elapsed().unwrap_or_default(),
            );
        }
    }

    /// Tells the client why it must leave, behind what it has not read yet, and logs it.
    pub async fn send_away<S: AsyncWrite + Unpin>(
        &self,
        config: &Config,
        stream: &mut S,
        unread: &[u8],
        fault: &Fault,
    ) {
        self.log_end(config, &fault.to_string());
        let Some(report) = fault.report(codes(config)) else {
            return;
        };
        events::pooler_error(&self.who(), &report.message);
        let mut last = BytesMut::from(unread);
        reply::error(&mut last, &report);
        let farewell = async {
            stream.write_all(&last).await?;
            stream.flush().await?;
            stream.shutdown().await
        };
        // A client that does not read its last message loses it.
        drop(timeout(FAREWELL, farewell).await);
    }
}
