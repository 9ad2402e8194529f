//! Listening sockets: made once at start, registered in the runtime that accepts.
//!
//! Not here: which client goes to which worker, and what is logged.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::socket::{Inherited, SocketOptions, defer_accept};
use super::stream::Stream;

pub mod activation;
#[cfg(test)]
mod tests;
pub mod unix;

/// How long a caller may wait before it accepts again after [`AcceptStop::Exhausted`], if no client
/// leaves earlier.
pub const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Whether several processes may listen on the same port (`so_reuseport`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PortSharing {
    /// One listener only.
    #[default]
    Exclusive,
    /// `SO_REUSEPORT`: the kernel spreads connections over all listeners.
    Shared,
}

/// The TCP side of the listening settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpListenOptions {
    /// `listen_port`
    pub port: u16,
    /// `listen_backlog`
    pub backlog: i32,
    /// `so_reuseport`
    pub sharing: PortSharing,
    /// `tcp_defer_accept`: `None` is off.
    pub defer_accept: Option<Duration>,
}

/// Why we cannot listen. The administrator is to blame.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// A name in `listen_addr` has no address.
    #[error("cannot resolve listen_addr \"{name}\": {source}")]
    Resolve {
        /// The name.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// A TCP address cannot be used.
    #[error("cannot listen on {address}: {step}(): {source}")]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// The call that failed.
        step: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The unix socket cannot be used.
    #[error("cannot listen on unix:{}: {step}(): {source}", path.display())]
    Unix {
        /// The socket's path.
        path: PathBuf,
        /// The call that failed.
        step: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A running process answers on the unix socket.
    #[error("unix socket is in use, cannot continue")]
    InUse,
    /// A file that is no socket stands in the socket's place; it is left alone.
    #[error("\"{}\" exists and is not a socket", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// `unix_socket_group` names no group.
    #[error("unknown unix_socket_group \"{0}\"")]
    UnknownGroup(String),
    /// A descriptor that the service manager passed is no listening socket for us.
    #[error("socket {index} from the service manager cannot be used: {source}")]
    Activation {
        /// Its place among the passed sockets, from 0.
        index: usize,
        /// What is wrong.
        source: io::Error,
    },
}

/// A socket that listens and belongs to no runtime yet.
#[derive(Debug)]
pub enum Bound {
    /// TCP.
    Tcp(TcpListener),
    /// Unix socket.
    Unix(UnixListener),
}

impl Bound {
    /// The TCP address; `None` for a unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    /// Registers it in the current runtime. Its connections have what they can of `options` from
    /// the listener.
    pub fn register(self, options: &SocketOptions) -> io::Result<Listener> {
        Ok(match self {
            Self::Tcp(listener) => Listener::Tcp(TcpDoor {
                inherited: options.bequeath(&listener),
                local: listener
                    .local_addr()
                    .ok()
                    .filter(|at| !at.ip().is_unspecified()),
                listener: tokio::net::TcpListener::from_std(listener)?,
            }),
            Self::Unix(listener) => Listener::Unix(tokio::net::UnixListener::from_std(listener)?),
        })
    }
}

/// An accepted connection.
#[derive(Debug)]
pub struct Incoming {
    socket: Socketed,
    address: Option<SocketAddr>,
    local: Option<SocketAddr>,
    inherited: Inherited,
}

/// Where an accepted socket is.
#[derive(Debug)]
enum Socketed {
    /// Registered in the runtime that accepted it.
    There(Stream),
    /// In none: it can go to any.
    LooseTcp(TcpStream),
    /// The same, a unix socket.
    LooseUnix(UnixStream),
}

impl Incoming {
    /// The client's address; `None` for a unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Our own address where its listener has only one; `None` for a unix socket.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.local
    }

    /// Takes it out of the runtime that accepted it, for another one. An error closes it.
    pub fn loose(self) -> io::Result<Self> {
        let socket = match self.socket {
            Socketed::There(Stream::Tcp(stream)) => Socketed::LooseTcp(stream.into_std()?),
            Socketed::There(Stream::Unix(stream)) => Socketed::LooseUnix(stream.into_std()?),
            other => other,
        };
        Ok(Self { socket, ..self })
    }

    /// Sets the socket's options, and registers it in the current runtime where it is loose.
    pub fn into_stream(self, options: &SocketOptions) -> io::Result<Stream> {
        let stream = match self.socket {
            Socketed::There(stream) => stream,
            Socketed::LooseTcp(stream) => tokio::net::TcpStream::from_std(stream)?.into(),
            Socketed::LooseUnix(stream) => tokio::net::UnixStream::from_std(stream)?.into(),
        };
        if let Stream::Tcp(tcp) = &stream {
            options.apply(tcp, self.inherited)?;
        }
        Ok(stream)
    }
}

/// One end of a socket pair, for instance: in no runtime yet.
impl From<UnixStream> for Incoming {
    fn from(stream: UnixStream) -> Self {
        Self {
            socket: Socketed::LooseUnix(stream),
            address: None,
            local: None,
            inherited: Inherited::Nothing,
        }
    }
}

/// A listening socket in a runtime.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpDoor),
    /// Unix socket.
    Unix(tokio::net::UnixListener),
}

/// A TCP listener and what is known of all its connections.
#[derive(Debug)]
pub struct TcpDoor {
    listener: tokio::net::TcpListener,
    /// What a connection has from the listener.
    inherited: Inherited,
    /// The address of our end; `None` where the listener has all addresses.
    local: Option<SocketAddr>,
}

/// Why accepting stopped.
#[derive(Debug, thiserror::Error)]
pub enum AcceptStop {
    /// Descriptors or memory have run out. Clients stay in the kernel's queue; call again when one
    /// of ours has left, or after [`EXHAUSTED_PAUSE`]. Calling at once would spin.
    #[error("cannot accept connections for now: {0}")]
    Exhausted(#[source] io::Error),
    /// The listener is broken.
    #[error("cannot accept connections any more: {0}")]
    Broken(#[source] io::Error),
}

impl Listener {
    /// Takes it out of the runtime, to register it in another one or to close it.
    pub fn into_bound(self) -> io::Result<Bound> {
        Ok(match self {
            Self::Tcp(door) => Bound::Tcp(door.listener.into_std()?),
            Self::Unix(listener) => Bound::Unix(listener.into_std()?),
        })
    }

    /// Waits for clients and appends those that are there, at least one and at most `limit`, to
    /// `batch`. Cancel-safe: nothing is accepted before something can be returned.
    pub async fn accept(&self, batch: &mut Vec<Incoming>, limit: usize) -> Result<(), AcceptStop> {
        poll_fn(|cx| self.poll_accept(cx, batch, limit)).await
    }

    fn poll_accept(
        &self,
        cx: &mut Context<'_>,
        batch: &mut Vec<Incoming>,
        limit: usize,
    ) -> Poll<Result<(), AcceptStop>> {
        let mut accepted = 0;
        while accepted < limit.max(1) {
            let error = match self.poll_one(cx) {
                Poll::Ready(Ok(client)) => {
                    batch.push(client);
                    accepted += 1;
                    continue;
                }
                Poll::Pending if accepted == 0 => return Poll::Pending,
                Poll::Pending => break,
                Poll::Ready(Err(error)) => error,
            };
            match Trouble::of(&error) {
                Trouble::ThisClient => {}
                // The next call meets it again, if it lasts.
                Trouble::Exhausted | Trouble::Listener if accepted > 0 => break,
                Trouble::Exhausted => return Poll::Ready(Err(AcceptStop::Exhausted(error))),
                Trouble::Listener => return Poll::Ready(Err(AcceptStop::Broken(error))),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_one(&self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming>> {
        match self {
            Self::Tcp(door) => {
                let (stream, address) = ready!(door.listener.poll_accept(cx))?;
                Poll::Ready(Ok(Incoming {
                    socket: Socketed::There(stream.into()),
                    address: Some(address),
                    local: door.local,
                    inherited: door.inherited,
                }))
            }
            Self::Unix(listener) => {
                let (stream, _) = ready!(listener.poll_accept(cx))?;
                Poll::Ready(Ok(Incoming {
                    socket: Socketed::There(stream.into()),
                    address: None,
                    local: None,
                    inherited: Inherited::Nothing,
                }))
            }
        }
    }
}

/// What an error of `accept` is about.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    ThisClient,
    Exhausted,
    Listener,
}

impl Trouble {
    /// After the manual page of `accept(2)`, which passes on errors of the new connection too.
    fn of(error: &io::Error) -> Self {
        use nix::errno::Errno;
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM) => Self::Exhausted,
            Some(
                Errno::EBADF | Errno::EINVAL | Errno::ENOTSOCK | Errno::EFAULT | Errno::EOPNOTSUPP,
            ) => Self::Listener,
            Some(_) | None => Self::ThisClient,
        }
    }
}

/// Listens on every address of `listen_addr`: a comma list of addresses and names, where `*` is all
/// addresses of both families. Names are looked up with a blocking call: this runs at start only.
pub fn bind_tcp(listen_addr: &str, options: &TcpListenOptions) -> Result<Vec<Bound>, ListenError> {
    let mut bound = Vec::new();
    for name in listen_addr.split(',').map(str::trim) {
        match name {
            "" => {}
            "*" => bind_all(options, &mut bound)?,
            name => {
                let resolve = |source| ListenError::Resolve {
                    name: name.to_owned(),
                    source,
                };
                for address in (name, options.port).to_socket_addrs().map_err(resolve)? {
                    bound.push(bind_one(address, options)?);
                }
            }
        }
    }
    Ok(bound)
}

/// A machine without IPv6 listens on IPv4 alone.
fn bind_all(options: &TcpListenOptions, bound: &mut Vec<Bound>) -> Result<(), ListenError> {
    let four = SocketAddr::from(([0, 0, 0, 0], options.port));
    let six = SocketAddr::from(([0u16; 8], options.port));
    bound.push(bind_one(four, options)?);
    match bind_one(six, options) {
        Ok(listener) => bound.push(listener),
        Err(ListenError::Tcp { source, .. }) if no_such_family(&source) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

fn no_such_family(error: &io::Error) -> bool {
    use nix::errno::Errno;
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL)
    )
}

fn bind_one(address: SocketAddr, options: &TcpListenOptions) -> Result<Bound, ListenError> {
    let failed = |step| {
        move |source| ListenError::Tcp {
            address,
            step,
            source,
        }
    };
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )
    .map_err(failed("socket"))?;
    socket
        .set_reuse_address(true)
        .map_err(failed("setsockopt"))?;
    if options.sharing == PortSharing::Shared {
        socket.set_reuse_port(true).map_err(failed("setsockopt"))?;
    }
    if address.is_ipv6() {
        // Otherwise `*` would collide with itself: IPv4 has a listener of its own.
        socket.set_only_v6(true).map_err(failed("setsockopt"))?;
    }
    socket
        .bind(&SockAddr::from(address))
        .map_err(failed("bind"))?;
    if let Some(wait) = options.defer_accept {
        defer_accept(&socket, wait).map_err(failed("setsockopt"))?;
    }
    socket.listen(options.backlog).map_err(failed("listen"))?;
    Ok(Bound::Tcp(socket.into()))
}
