//! Carries a client's login over its stream. What is said is `session::client_login`'s.
//!
//! Not here: the time limit (`client_login_timeout`), which is the caller's.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::auth::scram::KeyCache;
use crate::protocol::{FrameError, HEADER_LEN, Header, peek_header};
use crate::server::login::derive;
use crate::session::client_login::{
    Authenticated, ClientLogin, ClientLoginRequest, LoginError, LoginStep,
};

/// Longest message of a login, in bytes after its type byte: a password of 65,535 bytes and its end.
const FRAME_MAX: usize = 70_000;

/// Why a client did not get through its login.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// It could not prove who it is, or said something else.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// A frame's header is impossible.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The connection broke or closed.
    #[error("client connection lost during login: {0}")]
    Lost(#[from] io::Error),
    /// The process is stopping.
    #[error("keys could not be derived")]
    NoKeys,
}

/// Lets the client prove who it is. Bytes that came behind its last message stay in `input`.
pub async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    input: &mut BytesMut,
    request: ClientLoginRequest<'_>,
    keys: &KeyCache,
) -> Result<Authenticated, AuthError> {
    let mut step = ClientLogin::start(request)?;
    loop {
        step = match step {
            LoginStep::Done(authenticated) => return Ok(authenticated),
            LoginStep::NeedKeys { request, next } => {
                let found = derive(keys, request).await.ok_or(AuthError::NoKeys)?;
                next.keys(&found)?
            }
            LoginStep::Send { bytes, next } => {
                stream.write_all(&bytes).await?;
                stream.flush().await?;
                let header = next_frame(stream, input, &next).await?;
                let frame = input.split_at(header.total).0;
                let body = frame.get(HEADER_LEN..).unwrap_or_default();
                let stepped = next.step(header.tag, body);
                input.advance(header.total);
                stepped?
            }
        };
    }
}

/// Reads until a whole frame stands at the start of `input`. A frame that the login has no use for is
/// refused by its header, before its body is waited for.
async fn next_frame<S: AsyncRead + Unpin>(
    stream: &mut S,
    input: &mut BytesMut,
    login: &ClientLogin,
) -> Result<Header, AuthError> {
    loop {
        if let Some(header) = peek_header(input, FRAME_MAX)? {
            login.admit(header)?;
            if input.remaining() >= header.total {
                return Ok(header);
            }
        }
        if stream.read_buf(input).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}
