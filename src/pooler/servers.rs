//! The configuration in the words of server connections, and their end.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::opener::host_of;
use super::{Pooler, Server};
use crate::config::{Config, Host};
use crate::net::socket::Keepalive;
use crate::net::{Peer, ServerTls, SocketOptions};
use crate::protocol::frontend;
use crate::server::connect::{Connector, Target};
use crate::server::dns::cache::DnsTimes;
use crate::server::facts::ServerFacts;
use crate::telemetry::line::{PeerAddress, Side, Who};

/// How long a goodbye may take; the socket's buffer is nearly always empty.
const GOODBYE: Duration = Duration::from_secs(1);

/// One host of an entry with its port.
pub fn target_of(config: &Config, host: &Host, port: u16) -> Option<Target> {
    let host = host_of(host, config.settings.unix_socket_dir.as_ref())?;
    Some(Target { host, port })
}

/// `dns_*`
/// `dns_max_ttl` and `dns_nxdomain_ttl`.
pub fn dns_times(config: &Config) -> DnsTimes {
    DnsTimes {
        found: config.settings.dns_max_ttl,
        missing: config.settings.dns_nxdomain_ttl,
    }
}

/// How servers, and peers, are connected to under this configuration.
pub fn connector<'a>(pooler: &'a Pooler, config: &Config, tls: &'a ServerTls) -> Connector<'a> {
    Connector {
        dns: &pooler.dns,
        dns_times: dns_times(config),
        tls,
        socket: socket_options(config),
    }
}

/// `tcp_*`
pub fn socket_options(config: &Config) -> SocketOptions {
    let settings = &config.settings;
    SocketOptions {
        keepalive: settings.tcp_keepalive.then_some(Keepalive {
            idle: settings.tcp_keepidle,
            interval: settings.tcp_keepintvl,
            count: (settings.tcp_keepcnt > 0).then_some(settings.tcp_keepcnt),
        }),
        user_timeout: settings.tcp_user_timeout,
        buffer: settings.tcp_socket_buffer,
    }
}

/// A server connection as the log names it.
pub fn log_who(facts: &ServerFacts) -> Who<'_> {
    let peer = match facts.peer {
        Some(Peer::Tcp(address)) => PeerAddress::Tcp(address),
        Some(Peer::Unix { pid, .. }) => PeerAddress::Unix {
            pid: pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0),
            port: facts.target.port,
        },
        None => PeerAddress::Host(&facts.peer_host, facts.peer_port),
    };
    Who {
        side: Side::Server,
        id: facts.id,
        database: Some(&facts.database),
        user: Some(&facts.user),
        peer,
    }
}

/// Sends `Terminate`, as far as it goes, and closes the socket.
pub async fn say_goodbye(mut conn: Server) {
    let mut bye = BytesMut::new();
    frontend::put_terminate(&mut bye);
    let stream = &mut conn.stream;
    let goodbye = async {
        stream.write_all(&bye).await?;
        stream.shutdown().await
    };
    // The connection closes whether the server hears it or not.
    drop(timeout(GOODBYE, goodbye).await);
}
