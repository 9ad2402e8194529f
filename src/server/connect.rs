//! Opens a connection to a server: finds its address, connects, agrees on TLS.
//!
//! Not here: the login, the time limit (the caller's, `server_connect_timeout`) and who connects
//! when. Invariant: nothing that a server said in plain text is ever taken for something that came
//! through TLS (CVE-2021-23222).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::net::listener::unix::UnixPlace;
use crate::net::socket::Inherited;
use crate::net::{ServerTls, SocketOptions, SslMode, Stream};
use crate::protocol::cancel_key::{self, KeyLengthError};
use crate::protocol::startup::SSL_CODE;

use super::dns::cache::DnsTimes;
use super::dns::{Dns, LookupError};

#[cfg(test)]
mod tests;

/// Bytes that a server may still send before it closes a cancelling connection. It sends none.
const CANCEL_ANSWER_MAX: usize = 1024;

/// One host of a database's `host=` list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name to look up.
    Name(String),
    /// An address.
    Ip(IpAddr),
    /// A directory (`/dir`) or an abstract name (`@name`) of unix sockets.
    Unix(String),
}

impl Host {
    /// Reads one host; with a list, split it at its commas first.
    pub fn parse(text: &str) -> Self {
        if text.starts_with(['/', '@']) {
            return Self::Unix(text.to_owned());
        }
        match text.parse() {
            Ok(address) => Self::Ip(address),
            Err(_) => Self::Name(text.to_owned()),
        }
    }
}

/// A server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// Where it is.
    pub host: Host,
    /// Its port, for unix sockets too.
    pub port: u16,
}

/// How all servers are connected to.
#[derive(Debug, Clone, Copy)]
pub struct Connector<'a> {
    /// Looks up names.
    pub dns: &'a Dns,
    /// `dns_max_ttl` and `dns_nxdomain_ttl`.
    pub dns_times: DnsTimes,
    /// `server_tls_*`
    pub tls: &'a ServerTls,
    /// `tcp_*`
    pub socket: SocketOptions,
}

/// Why there is no connection. The server, or the way to it, is to blame.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// No address could be connected to; holds the last one tried.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Address and port, or the path of a unix socket.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The server has no TLS, and `server_tls_sslmode` demands it.
    #[error("server refused SSL")]
    RefusedSsl,
    /// Plain bytes came behind the answer to our `SSLRequest`: somebody may have put them there.
    #[error("received unencrypted data after SSL response")]
    PlainAfterSsl,
    /// The answer to our `SSLRequest` is neither `S` nor `N`. `E` starts an error message, which
    /// nobody has authenticated: it is not read.
    #[error("bad answer 0x{0:02x} to the SSL request")]
    BadSslAnswer(u8),
    /// The server closed the connection instead of answering.
    #[error("server closed the connection after the SSL request")]
    Closed,
    /// The handshake failed, perhaps as the certificate is not what `server_tls_sslmode` demands.
    #[error("TLS handshake error: {0}")]
    Handshake(#[source] io::Error),
    /// The connection broke.
    #[error("server connection failed: {0}")]
    Io(#[from] io::Error),
    /// The key of a cancel request has an impossible length.
    #[error(transparent)]
    Key(#[from] KeyLengthError),
}

impl ConnectError {
    /// `PgBouncer`'s words, which waiting clients see.
    pub fn text(&self) -> &'static str {
        match self {
            Self::Lookup(_) => "server DNS lookup failed",
            Self::Connect { .. } => "connect failed",
            Self::RefusedSsl => "server refused SSL",
            Self::PlainAfterSsl => "received unencrypted data after SSL response",
            Self::BadSslAnswer(_) => "bad sslreq answer",
            Self::Closed | Self::Io(_) => "server conn crashed?",
            Self::Handshake(_) => "TLS handshake error",
            Self::Key(_) => "bad cancel key",
        }
    }
}

/// `load_balance_hosts`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostOrder {
    /// Every connection goes to the next host.
    RoundRobin,
    /// One host is kept until a connection to it fails.
    Stick,
}

/// Sans-IO. Which host of a list is next; one per pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostTurn {
    next: usize,
}

impl HostTurn {
    /// The host for a new connection; `None` only for an empty list.
    pub fn pick<'a, T>(&mut self, hosts: &'a [T], order: HostOrder) -> Option<&'a T> {
        let index = self.next.checked_rem(hosts.len())?;
        self.next = match order {
            HostOrder::RoundRobin => (index + 1) % hosts.len(),
            HostOrder::Stick => index,
        };
        hosts.get(index)
    }

    /// A connection to the picked host failed.
    pub fn failed(&mut self, order: HostOrder) {
        match order {
            HostOrder::RoundRobin => {}
            HostOrder::Stick => self.next = self.next.wrapping_add(1),
        }
    }
}

impl Connector<'_> {
    /// Opens a connection, up to but without the startup packet.
    ///
    /// A name with several addresses is tried at each, starting with the next one in turn. A unix
    /// socket has no TLS, whatever the mode.
    pub async fn connect(&self, target: &Target) -> Result<Stream, ConnectError> {
        match &target.host {
            Host::Unix(dir) => unix(dir, target.port).await,
            Host::Ip(address) => {
                let stream = self.tcp(*address, target.port).await?;
                self.secure(stream, &address.to_string()).await
            }
            Host::Name(name) => {
                let stream = self.named(name, target.port).await?;
                self.secure(stream, name).await
            }
        }
    }

    /// The same at one address of the target: the one that another connection to it has. The name
    /// still counts for the certificate. Unix sockets have no address, so they ignore it.
    async fn connect_at(&self, target: &Target, address: IpAddr) -> Result<Stream, ConnectError> {
        match &target.host {
            Host::Unix(_) | Host::Ip(_) => self.connect(target).await,
            Host::Name(name) => {
                let stream = self.tcp(address, target.port).await?;
                self.secure(stream, name).await
            }
        }
    }

    /// Sends a `CancelRequest` on a connection of its own and waits until the server, by closing it,
    /// says that it has been dealt with. `key` is the server's: process id and secret.
    ///
    /// `address` is the one that the connection to be cancelled has: behind a name with several
    /// addresses are several servers.
    pub async fn send_cancel(
        &self,
        target: &Target,
        address: Option<IpAddr>,
        key: &[u8],
    ) -> Result<(), ConnectError> {
        let packet = cancel_key::cancel_request(key)?;
        let mut stream = match address {
            Some(address) => self.connect_at(target, address).await?,
            None => self.connect(target).await?,
        };
        stream.write_all(&packet).await?;
        stream.flush().await?;
        let mut seen = 0;
        let mut scrap = [0; 64];
        while seen < CANCEL_ANSWER_MAX {
            match stream.read(&mut scrap).await {
                // A server may just drop the connection: that it has read the request counts.
                Ok(0) | Err(_) => break,
                Ok(read) => seen += read,
            }
        }
        Ok(())
    }

    async fn named(&self, name: &str, port: u16) -> Result<TcpStream, ConnectError> {
        let mut outcome = Err(ConnectError::Closed);
        for address in self.dns.resolve(name, self.dns_times).await? {
            outcome = self.tcp(address, port).await;
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    async fn tcp(&self, address: IpAddr, port: u16) -> Result<TcpStream, ConnectError> {
        let address = SocketAddr::new(address, port);
        let failed = |source| ConnectError::Connect {
            address: address.to_string(),
            source,
        };
        let stream = TcpStream::connect(address).await.map_err(failed)?;
        let inherited = Inherited::Nothing;
        self.socket.apply(&stream, inherited).map_err(failed)?;
        Ok(stream)
    }

    async fn secure(&self, mut stream: TcpStream, host: &str) -> Result<Stream, ConnectError> {
        if self.tls.mode() == SslMode::Disable {
            return Ok(Stream::Tcp(stream));
        }
        match ask_for_tls(&mut stream).await? {
            SslAnswer::Yes => {
                let address = stream.peer_addr()?.ip();
                let secured = self.tls.connect(stream, host, address).await;
                secured.map_err(ConnectError::Handshake)
            }
            SslAnswer::No if self.tls.mode().demands_tls() => Err(ConnectError::RefusedSsl),
            SslAnswer::No => Ok(Stream::Tcp(stream)),
        }
    }
}

enum SslAnswer {
    Yes,
    No,
}

/// Asks, and reads the answer with a buffer that would show a second byte. One that comes later is
/// no TLS record and ends the handshake; after `N` nothing is secret anyway.
async fn ask_for_tls(stream: &mut TcpStream) -> Result<SslAnswer, ConnectError> {
    let mut request = [0; 8];
    let (length, code) = request.split_at_mut(4);
    length.copy_from_slice(&8u32.to_be_bytes());
    code.copy_from_slice(&SSL_CODE.to_be_bytes());
    stream.write_all(&request).await?;
    let mut answer = [0; 16];
    let read = stream.read(&mut answer).await?;
    match answer.get(..read) {
        Some([]) | None => Err(ConnectError::Closed),
        Some([b'S']) => Ok(SslAnswer::Yes),
        Some([b'N']) => Ok(SslAnswer::No),
        Some([b'S' | b'N', ..]) => Err(ConnectError::PlainAfterSsl),
        Some([other, ..]) => Err(ConnectError::BadSslAnswer(*other)),
    }
}

async fn unix(dir: &str, port: u16) -> Result<Stream, ConnectError> {
    let place = UnixPlace::of(dir, port);
    let failed = |source| ConnectError::Connect {
        address: place.display().display().to_string(),
        source,
    };
    // tokio takes an abstract name as a path that begins with a zero byte.
    let path = match &place {
        UnixPlace::File(path) => path.clone(),
        UnixPlace::Abstract(name) => PathBuf::from(format!("\0{name}")),
    };
    UnixStream::connect(path)
        .await
        .map(Stream::Unix)
        .map_err(failed)
}
