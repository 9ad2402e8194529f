//! Carries a login to a server over a stream. What is said is `session::server_login`'s.
//!
//! Not here: connecting, TLS and the timeout, which are the caller's. Frames are read one by one and
//! never beyond the last, so the stream is handed back exactly behind `ReadyForQuery`.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::auth::scram::{KeyCache, KeyRequest, NONCE_RANDOM_BYTES, ScramKeys};
use crate::net::chance;
use crate::protocol::{HEADER_LEN, peek_header};
use crate::session::server_login::{
    LoggedIn, ServerLogin, ServerLoginError, ServerLoginRequest, ServerLoginStep,
};

/// Longest frame of a login, in bytes after its type byte.
const FRAME_BYTES_MAX: usize = 64 * 1024;

/// Logs in on a fresh stream (TLS, where wanted, is negotiated).
///
/// On an error, and when the future is dropped, the stream is in an unknown state: close it.
pub async fn login<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    request: ServerLoginRequest,
    keys: &KeyCache,
) -> Result<LoggedIn, ServerLoginError> {
    let mut frame = BytesMut::new();
    let mut step = ServerLogin::start(request, nonce()?)?;
    loop {
        let login = match step {
            ServerLoginStep::Done(logged_in) => return Ok(logged_in),
            ServerLoginStep::Continue(login) => login,
            ServerLoginStep::Send { bytes, next } => {
                stream.write_all(&bytes).await.map_err(lost)?;
                stream.flush().await.map_err(lost)?;
                next
            }
            ServerLoginStep::NeedKeys { request, next } => {
                let found = derive(keys, request).await;
                step = next.keys(&found.ok_or(ServerLoginError::KeysAborted)?);
                continue;
            }
        };
        let tag = read_frame(stream, &mut frame).await?;
        step = login.step(tag, &frame)?;
    }
}

/// The keys of a password: remembered ones, or derived on a thread of the blocking pool. `None` when
/// the runtime is shutting down.
///
/// Each connection waits for its own request, so their number is bounded by that of connections.
pub async fn derive(keys: &KeyCache, request: KeyRequest) -> Option<ScramKeys> {
    if let Some(found) = keys.find(&request) {
        return Some(found);
    }
    let work = move || (request.derive(), request);
    let (derived, request) = tokio::task::spawn_blocking(work).await.ok()?;
    keys.store(&request, &derived);
    Some(derived)
}

/// Reads one frame: gives its type, and its body in `frame`.
async fn read_frame<S: AsyncRead + Unpin>(
    stream: &mut S,
    frame: &mut BytesMut,
) -> Result<u8, ServerLoginError> {
    let mut header = [0; HEADER_LEN];
    stream.read_exact(&mut header).await.map_err(lost)?;
    let header = peek_header(&header, FRAME_BYTES_MAX)?.expect("a header of five bytes is whole");
    frame.resize(header.body_len(), 0);
    stream.read_exact(frame).await.map_err(lost)?;
    Ok(header.tag)
}

fn nonce() -> Result<[u8; NONCE_RANDOM_BYTES], ServerLoginError> {
    chance::draw().map_err(|_| ServerLoginError::NoRandom)
}

#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
fn lost(error: io::Error) -> ServerLoginError {
    ServerLoginError::Lost(error.kind())
}

#[cfg(test)]
mod tests;
