//! The first packets of an accepted connection: TLS or not, login or cancel.
//!
//! Not here: who may log in. Invariants: nothing that came in plain text before a TLS handshake is
//! ever taken for something that came through it (CVE-2021-23214); a client gets one answer to one
//! `SSLRequest` and one to one `GSSENCRequest`; at most one packet and one read more are buffered.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use crate::protocol::reply::{self, Report};
use crate::protocol::startup::{
    self, FirstPacket, StartupError, StartupPacket, TLS_HANDSHAKE_BYTE,
};
use crate::protocol::{Severity, SqlState};

use super::buffers;
use super::stream::Stream;
use super::tls::{ALPN, ClientTls};

#[cfg(test)]
mod tests;

/// How long a refusal may take to leave: the buffer of a fresh socket is empty, so it does at once.
const REFUSAL_WAIT: Duration = Duration::from_secs(1);

/// What a client turned out to want.
#[derive(Debug)]
pub enum Accepted {
    /// It wants to log in.
    Startup {
        /// The connection, with TLS if that was asked for and offered.
        stream: Stream,
        /// Its startup packet.
        packet: Box<StartupPacket>,
        /// What it sent behind that packet.
        leftover: BytesMut,
    },
    /// It wants a query cancelled.
    Cancel {
        /// The connection: to be closed, without an answer, when the request has been passed on.
        stream: Stream,
        /// Process id and secret.
        key: Vec<u8>,
    },
}

/// Why a client was sent away. The client has been told, where it can understand it.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// A packet is wrong.
    #[error(transparent)]
    Startup(#[from] StartupError),
    /// Plain bytes came behind an `SSLRequest`: somebody may have put them there.
    #[error("received unencrypted data after SSL request")]
    PlainAfterSsl,
    /// Plain bytes came behind a `GSSENCRequest`.
    #[error("received unencrypted data after GSSAPI encryption request")]
    PlainAfterGss,
    /// An `SSLRequest` inside TLS.
    #[error("SSL req inside SSL")]
    SslInsideSsl,
    /// The same request a second time.
    #[error("repeated encryption request")]
    Repeated,
    /// `client_tls_sslmode` demands TLS.
    #[error("SSL required")]
    SslRequired,
    /// Direct TLS without the protocol's name in the handshake.
    #[error("direct SSL connection without ALPN protocol negotiation")]
    NoAlpn,
    /// The handshake failed.
    #[error("TLS handshake error: {0}")]
    Handshake(#[source] io::Error),
    /// The connection failed.
    #[error("client connection failed: {0}")]
    Io(#[source] io::Error),
    /// The client left before it had said what it wanted; port checks do that.
    #[error("client unexpected eof")]
    Closed,
    /// The deadline passed.
    #[error("client_login_timeout")]
    TimedOut,
}

impl AcceptError {
    /// Whether the client can still read an error message.
    fn can_be_told(&self) -> bool {
        match self {
            Self::Startup(_)
            | Self::PlainAfterSsl
            | Self::PlainAfterGss
            | Self::SslInsideSsl
            | Self::Repeated
            | Self::SslRequired
            | Self::NoAlpn
            | Self::TimedOut => true,
            Self::Handshake(_) | Self::Io(_) | Self::Closed => false,
        }
    }
}

/// Brings a new connection to its startup packet or cancel request.
///
/// `deadline` comes from `client_login_timeout`; `None` waits for ever. A client that is refused has
/// been sent the reason (FATAL 08P01) before this returns.
pub async fn accept(
    stream: Stream,
    tls: &ClientTls,
    deadline: Option<Instant>,
) -> Result<Accepted, AcceptError> {
    let mut opening = Opening {
        stream: Some(stream),
        tls,
        buffer: BytesMut::new(),
        ssl: Request::Open,
        gss: Request::Open,
    };
    let outcome = match deadline {
        None => opening.run().await,
        Some(deadline) => timeout_at(deadline, opening.run())
            .await
            .unwrap_or(Err(AcceptError::TimedOut)),
    };
    match outcome {
        Ok(packet) => opening.finish(packet),
        Err(error) => {
            Box::pin(opening.refuse(&error)).await;
            Err(error)
        }
    }
}

/// Whether one of the two encryption requests may still come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    Open,
    Answered,
}

impl Request {
    fn answer(&mut self) -> Result<(), AcceptError> {
        match std::mem::replace(self, Self::Answered) {
            Self::Open => Ok(()),
            Self::Answered => Err(AcceptError::Repeated),
        }
    }
}

/// The packets that end the negotiation.
enum Wish {
    Login(Box<StartupPacket>),
    Cancel(Vec<u8>),
}

struct Opening<'a> {
    /// Empty only after a failed handshake.
    stream: Option<Stream>,
    tls: &'a ClientTls,
    buffer: BytesMut,
    ssl: Request,
    gss: Request,
}

impl Opening<'_> {
    async fn run(&mut self) -> Result<Wish, AcceptError> {
        self.direct_tls().await?;
        loop {
            match self.packet().await? {
                FirstPacket::SslRequest => self.ssl_request().await?,
                FirstPacket::GssEncRequest => self.gss_request().await?,
                FirstPacket::Cancel { key } => return Ok(Wish::Cancel(key)),
                FirstPacket::Startup(packet) => {
                    let stream = self.stream()?;
                    let plain = !stream.is_tls() && !stream.is_unix();
                    if plain && self.tls.mode().demands_tls() {
                        return Err(AcceptError::SslRequired);
                    }
                    return Ok(Wish::Login(Box::new(packet)));
                }
            }
        }
    }

    fn finish(self, wish: Wish) -> Result<Accepted, AcceptError> {
        let stream = self.stream.ok_or(AcceptError::Closed)?;
        Ok(match wish {
            Wish::Login(packet) => Accepted::Startup {
                stream,
                packet,
                leftover: self.buffer,
            },
            Wish::Cancel(key) => Accepted::Cancel { stream, key },
        })
    }

    fn stream(&mut self) -> Result<&mut Stream, AcceptError> {
        self.stream.as_mut().ok_or(AcceptError::Closed)
    }

    /// A handshake without an `SSLRequest` before it, told by its first byte.
    async fn direct_tls(&mut self) -> Result<(), AcceptError> {
        if !self.tls.offered() {
            return Ok(());
        }
        let Stream::Tcp(tcp) = self.stream()? else {
            return Ok(());
        };
        let mut first = [0];
        let seen = tcp.peek(&mut first).await.map_err(AcceptError::Io)?;
        if seen == 0 {
            return Err(AcceptError::Closed);
        }
        if first != [TLS_HANDSHAKE_BYTE] {
            return Ok(());
        }
        self.handshake().await?;
        // Without it a browser could be made to speak to us on its user's behalf.
        if self.stream()?.alpn() != Some(ALPN) {
            return Err(AcceptError::NoAlpn);
        }
        Ok(())
    }

    async fn ssl_request(&mut self) -> Result<(), AcceptError> {
        if self.stream()?.is_tls() {
            return Err(AcceptError::SslInsideSsl);
        }
        if !self.buffer.is_empty() {
            return Err(AcceptError::PlainAfterSsl);
        }
        self.ssl.answer()?;
        if self.tls.offered() && !self.stream()?.is_unix() {
            self.send(b"S").await?;
            self.handshake().await
        } else {
            self.send(b"N").await
        }
    }

    async fn gss_request(&mut self) -> Result<(), AcceptError> {
        if !self.buffer.is_empty() {
            return Err(AcceptError::PlainAfterGss);
        }
        self.gss.answer()?;
        self.send(b"N").await
    }

    /// The buffer is empty here, so the session sees every byte that came after our answer, and
    /// what is no TLS record ends it.
    async fn handshake(&mut self) -> Result<(), AcceptError> {
        debug_assert!(self.buffer.is_empty(), "plain text must not enter TLS");
        match self.stream.take() {
            Some(Stream::Tcp(tcp)) => {
                // Boxed, as most clients need no room for it.
                let stream = Box::pin(self.tls.accept(tcp)).await;
                self.stream = Some(stream.map_err(AcceptError::Handshake)?);
                Ok(())
            }
            other => {
                self.stream = other;
                Err(AcceptError::SslInsideSsl)
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), AcceptError> {
        let stream = self.stream()?;
        stream.write_all(bytes).await.map_err(AcceptError::Io)?;
        stream.flush().await.map_err(AcceptError::Io)
    }

    async fn packet(&mut self) -> Result<FirstPacket, AcceptError> {
        loop {
            if let Some(length) = startup::packet_len(&self.buffer)?
                && length <= self.buffer.len()
            {
                let packet = FirstPacket::parse(self.buffer.split_at(length).0);
                self.buffer.advance(length);
                return Ok(packet?);
            }
            let stream = self.stream.as_mut().ok_or(AcceptError::Closed)?;
            if self.buffer.capacity() == 0 {
                // Many may be connected that never say anything.
                stream.readable().await.map_err(AcceptError::Io)?;
                self.buffer = buffers::small();
            }
            let read = stream.read_buf(&mut self.buffer).await;
            if read.map_err(AcceptError::Io)? == 0 {
                return Err(AcceptError::Closed);
            }
        }
    }

    /// Tells the client why, if it can still listen; that it may not arrive changes nothing.
    async fn refuse(&mut self, error: &AcceptError) {
        let (Some(stream), true) = (self.stream.as_mut(), error.can_be_told()) else {
            return;
        };
        let mut out = BytesMut::new();
        let report = Report::new(
            Severity::Fatal,
            SqlState::PROTOCOL_VIOLATION,
            error.to_string(),
        );
        reply::error(&mut out, &report);
        let farewell = async {
            stream.write_all(&out).await?;
            stream.shutdown().await
        };
        drop(timeout(REFUSAL_WAIT, farewell).await);
    }
}
