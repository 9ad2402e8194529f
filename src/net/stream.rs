//! One type for every connection: TCP or unix socket, with or without TLS.
//!
//! It adds one `match` to a call and no buffer of its own (a TLS session has those of rustls). A
//! stream belongs to the runtime it was made in; [`Stream::rehome`] takes it to another one.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::rustls::{CipherSuite, CommonState, ProtocolVersion};
use tokio_rustls::{client, server};

use super::at_once;

/// A connection to a client or to a server.
#[derive(Debug)]
pub enum Stream {
    /// Plain TCP.
    Tcp(TcpStream),
    /// A unix socket.
    Unix(UnixStream),
    /// TLS that the peer started: a client.
    TlsAccepted(Box<server::TlsStream<Socket>>),
    /// TLS that we started: a server.
    TlsConnected(Box<client::TlsStream<Socket>>),
    /// Lost in a move between runtimes: every use is an error.
    Lost,
}

/// The TCP socket inside a TLS session. Empty only after a move between runtimes has failed: then
/// every use is an error.
#[derive(Debug)]
pub struct Socket(Option<TcpStream>);

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A process on this machine.
    Unix {
        /// Its process id, when the kernel knows one.
        pid: Option<i32>,
        /// Its effective user id, for `peer` authentication.
        uid: u32,
    },
}

impl Peer {
    /// `address:port`, or `unix(pid):port` with the port of our own listener, as in the log.
    pub fn describe(&self, listen_port: u16) -> String {
        match self {
            Self::Tcp(address) => address.to_string(),
            Self::Unix { pid, .. } => format!("unix({}):{listen_port}", pid.unwrap_or(0)),
        }
    }
}

impl Socket {
    /// The socket of a new TLS session.
    pub fn new(stream: TcpStream) -> Self {
        Self(Some(stream))
    }

    fn get(&self) -> io::Result<&TcpStream> {
        self.0.as_ref().ok_or_else(moved)
    }

    fn pinned(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.0.as_mut().map(Pin::new).ok_or_else(moved)
    }

    fn rehome(&mut self) -> io::Result<()> {
        let stream = self.0.take().ok_or_else(moved)?;
        self.0 = Some(rehome_tcp(stream)?);
        Ok(())
    }
}

fn moved() -> io::Error {
    io::Error::new(
        io::ErrorKind::NotConnected,
        "socket was lost while it moved between runtimes",
    )
}

fn rehome_tcp(stream: TcpStream) -> io::Result<TcpStream> {
    TcpStream::from_std(stream.into_std()?)
}

impl Stream {
    /// Takes the stream to the runtime that this is called in: its socket is deregistered where it
    /// was and registered here. No bytes are lost, also none that TLS has already decrypted. An
    /// error closes the connection.
    pub fn rehome(self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(stream) => Self::Tcp(rehome_tcp(stream)?),
            Self::Unix(stream) => Self::Unix(UnixStream::from_std(stream.into_std()?)?),
            Self::TlsAccepted(mut tls) => {
                tls.get_mut().0.rehome()?;
                Self::TlsAccepted(tls)
            }
            Self::TlsConnected(mut tls) => {
                tls.get_mut().0.rehome()?;
                Self::TlsConnected(tls)
            }
            Self::Lost => return Err(moved()),
        })
    }

    /// The same in place; an error leaves [`Stream::Lost`].
    pub fn rehome_here(&mut self) -> io::Result<()> {
        *self = std::mem::replace(self, Self::Lost).rehome()?;
        Ok(())
    }

    /// Ready when a read may have something to say: bytes, the end or an error. With TLS it may be
    /// ready without a whole record. Nothing is read, so no buffer is needed while waiting.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (socket, decrypted) = match self {
            Self::Tcp(stream) => return stream.poll_read_ready(cx),
            Self::Unix(stream) => return stream.poll_read_ready(cx),
            Self::Lost => return Poll::Ready(Err(moved())),
            Self::TlsAccepted(tls) => {
                let (socket, session) = tls.get_mut();
                (socket, session.process_new_packets())
            }
            Self::TlsConnected(tls) => {
                let (socket, session) = tls.get_mut();
                (socket, session.process_new_packets())
            }
        };
        match decrypted {
            Ok(state) if state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed() => {
                socket.get()?.poll_read_ready(cx)
            }
            // The next read hands out the bytes, the end or this very error.
            Ok(_) | Err(_) => Poll::Ready(Ok(())),
        }
    }

    /// Reads once into the room of `buffer`, if there is something now. `None`: ask with a waker.
    pub fn read_at_once(&self, buffer: &mut BytesMut) -> Option<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => at_once::read(stream, buffer),
            Self::Unix(stream) => at_once::read(stream, buffer),
            Self::TlsAccepted(_) | Self::TlsConnected(_) | Self::Lost => None,
        }
    }

    /// Writes once, if the socket takes something now. `None`: ask with a waker.
    pub fn write_at_once(&self, bytes: &[u8]) -> Option<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => at_once::write(stream, bytes),
            Self::Unix(stream) => at_once::write(stream, bytes),
            Self::TlsAccepted(_) | Self::TlsConnected(_) | Self::Lost => None,
        }
    }

    /// Waits until [`Stream::poll_readable`] is ready. Cancel-safe.
    pub async fn readable(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_readable(cx)).await
    }

    /// Who is at the other end.
    pub fn peer(&self) -> io::Result<Peer> {
        match self {
            Self::Unix(stream) => stream.peer_cred().map(|cred| Peer::Unix {
                pid: cred.pid(),
                uid: cred.uid(),
            }),
            Self::Tcp(_) | Self::TlsAccepted(_) | Self::TlsConnected(_) | Self::Lost => {
                self.tcp()?.peer_addr().map(Peer::Tcp)
            }
        }
    }

    /// Our own address; `None` for a unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.tcp().ok()?.local_addr().ok()
    }

    fn tcp(&self) -> io::Result<&TcpStream> {
        match self {
            Self::Tcp(stream) => Ok(stream),
            Self::TlsAccepted(tls) => tls.get_ref().0.get(),
            Self::TlsConnected(tls) => tls.get_ref().0.get(),
            Self::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
            Self::Lost => Err(moved()),
        }
    }

    /// Whether this is a unix socket.
    pub fn is_unix(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// Whether bytes are encrypted on their way.
    pub fn is_tls(&self) -> bool {
        self.session().is_some()
    }

    /// Protocol and cipher suite with their OpenSSL names, `TLSv1.3/TLS_AES_256_GCM_SHA384`;
    /// `None` without TLS.
    pub fn tls(&self) -> Option<String> {
        let session = self.session()?;
        let version = match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            Some(_) | None => "TLS",
        };
        let suite = session.negotiated_cipher_suite().map(|it| it.suite());
        Some(match suite {
            Some(suite) => format!("{version}/{}", openssl_name(suite)),
            None => version.to_owned(),
        })
    }

    /// The peer's own certificate in DER, when it has shown one. Whether it was verified depends on
    /// the `sslmode` of the session's configuration.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        let chain = self.session()?.peer_certificates()?;
        chain.first().map(AsRef::as_ref)
    }

    /// The application protocol that both sides agreed on in the handshake.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.session()?.alpn_protocol()
    }

    fn session(&self) -> Option<&CommonState> {
        match self {
            Self::Tcp(_) | Self::Unix(_) | Self::Lost => None,
            Self::TlsAccepted(tls) => Some(tls.get_ref().1),
            Self::TlsConnected(tls) => Some(tls.get_ref().1),
        }
    }
}

/// `ECDHE-RSA-AES256-GCM-SHA384` for `TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384`; suites of TLS 1.3 have
/// one name only.
fn openssl_name(suite: CipherSuite) -> String {
    let name = suite.as_str().unwrap_or("unknown");
    if let Some(rest) = name.strip_prefix("TLS13_") {
        return format!("TLS_{rest}");
    }
    let name = name.strip_prefix("TLS_").unwrap_or(name);
    name.replace("_WITH_", "_")
        .replace("AES_", "AES")
        .replace("POLY1305_SHA256", "POLY1305")
        .replace('_', "-")
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

/// Calls one poll method on whichever stream it is.
macro_rules! forward {
    ($self:ident, $method:ident, $($argument:expr),*) => {
        match $self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).$method($($argument),*),
            Stream::Unix(stream) => Pin::new(stream).$method($($argument),*),
            Stream::TlsAccepted(stream) => Pin::new(stream.as_mut()).$method($($argument),*),
            Stream::TlsConnected(stream) => Pin::new(stream.as_mut()).$method($($argument),*),
            Stream::Lost => Poll::Ready(Err(moved())),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        forward!(self, poll_read, cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        forward!(self, poll_write, cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        forward!(self, poll_write_vectored, cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, poll_flush, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, poll_shutdown, cx)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().pinned()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().pinned()?.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().pinned()?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().pinned()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().pinned()?.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
