//! The listener and its connections: how many, how long, with or without TLS.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::guard::Reach;
use crate::net::listener::{Bound, ListenError, PortSharing, TcpListenOptions, bind_tcp};
use crate::net::{ClientTls, SslMode, Stream, TlsError, TlsOptions};

/// Connections at one time; more wait in the backlog.
const CONNECTIONS: usize = 64;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;

/// Time for a TLS handshake, and for the head of a request; also how long an idle connection stays.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a connection may live: who reads slowly does not keep its place.
const LIFETIME: Duration = Duration::from_secs(300);

/// Time for the answer under way at the end of that.
const FAREWELL: Duration = Duration::from_secs(5);

/// Pause after an error of `accept`, which is a lack of descriptors as a rule.
const PAUSE: Duration = Duration::from_millis(100);

/// Bytes of a request's head.
const HEAD: usize = 16 << 10;

/// Headers of a request.
const HEADERS: usize = 64;

/// Name of the protocol in the TLS handshake.
const ALPN: &[u8] = b"http/1.1";

/// Why HTTP cannot be served. The operator is to blame.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The address is taken, or none of ours.
    #[error("http_listen: {0}")]
    Listen(#[from] ListenError),
    /// Certificate or key is wrong.
    #[error("http_tls: {0}")]
    Tls(#[from] TlsError),
}

/// Where and how HTTP is served.
#[derive(Debug, Clone)]
pub struct DoorOptions {
    /// A name, an address, or `*`.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Certificate and key, for TLS.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// An open listener, not yet in a runtime.
#[derive(Debug)]
pub struct Door {
    bound: Vec<Bound>,
    tls: Option<ClientTls>,
}

impl Door {
    /// Listens. Connections wait until [`Door::serve`].
    pub fn open(options: &DoorOptions) -> Result<Self, DoorError> {
        let tls = match &options.identity {
            None => None,
            Some((certificate, key)) => {
                let tls = TlsOptions {
                    cert_file: Some(certificate.clone()),
                    key_file: Some(key.clone()),
                    ..TlsOptions::new(SslMode::Require)
                };
                Some(ClientTls::speaking(ALPN, &tls)?)
            }
        };
        let listen = TcpListenOptions {
            port: options.port,
            backlog: BACKLOG,
            sharing: PortSharing::Exclusive,
            defer_accept: None,
        };
        let bound = bind_tcp(&options.host, &listen)?;
        Ok(Self { bound, tls })
    }

    /// The addresses, as they are told in the log.
    pub fn urls(&self) -> Vec<String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let addresses = self.bound.iter().filter_map(Bound::address);
        addresses
            .map(|address| format!("{scheme}://{address}"))
            .collect()
    }

    /// When its certificate ends, in seconds since 1970.
    pub fn certificate_end(&self) -> Option<u64> {
        self.tls.as_ref().and_then(ClientTls::ends)
    }

    /// From where connections can come.
    pub fn reach(&self) -> Reach {
        let mut addresses = self.bound.iter().filter_map(Bound::address);
        if addresses.all(|address| address.ip().is_loopback()) {
            Reach::Loopback
        } else {
            Reach::Network
        }
    }

    /// Answers requests for as long as the process runs. In a runtime of its own.
    pub async fn serve(self, router: Router) -> io::Result<Infallible> {
        let desk = Arc::new(Desk {
            router,
            tls: self.tls,
            places: Arc::new(Semaphore::new(CONNECTIONS)),
        });
        let mut listeners = JoinSet::new();
        for bound in self.bound {
            if let Bound::Tcp(listener) = bound {
                listener.set_nonblocking(true)?;
                let listener = TcpListener::from_std(listener)?;
                listeners.spawn(accept(listener, Arc::clone(&desk)));
            }
        }
        while listeners.join_next().await.is_some() {}
        Err(io::ErrorKind::NotConnected.into())
    }
}

/// What every connection is served with.
struct Desk {
    router: Router,
    tls: Option<ClientTls>,
    places: Arc<Semaphore>,
}

async fn accept(listener: TcpListener, desk: Arc<Desk>) {
    loop {
        let Ok(place) = Arc::clone(&desk.places).acquire_owned().await else {
            return; // nobody closes it
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve(stream, Arc::clone(&desk), place));
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// One connection. What goes wrong there is the peer's affair.
async fn serve(stream: TcpStream, desk: Arc<Desk>, place: OwnedSemaphorePermit) {
    let stream = match &desk.tls {
        None => Stream::Tcp(stream),
        Some(tls) => match timeout(PATIENCE, tls.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(_)) | Err(_) => return,
        },
    };
    let service = TowerToHyperService::new(desk.router.clone());
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // Both are cancel-safe: the connection goes on where it was.
    let lived = tokio::select! {
        ended = connection.as_mut() => ended,
        () = sleep(LIFETIME) => {
            connection.as_mut().graceful_shutdown();
            timeout(FAREWELL, connection).await.unwrap_or(Ok(()))
        }
    };
    drop(lived); // an error is the end as well
    drop(place);
}
