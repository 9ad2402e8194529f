//! Bytes between a socket and its buffers, without waiting.
//!
//! Each function does what can be done now and leaves the task's waker with the socket for the rest.
//! Invariant: no byte read is lost, and an empty buffer is never kept.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::buffers::{self, Size};

/// One peer's socket and the bytes around it.
#[derive(Debug)]
pub struct Side<'a, S> {
    /// The socket.
    pub stream: &'a mut S,
    /// Bytes read that have not been dealt with.
    pub input: &'a mut BytesMut,
    /// Bytes to write.
    pub output: &'a mut Outbox,
}

/// Bytes on their way to a socket.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Not written yet.
    pub bytes: BytesMut,
    /// Written, but perhaps kept back by TLS until the socket takes more.
    unflushed: bool,
}

impl From<BytesMut> for Outbox {
    fn from(bytes: BytesMut) -> Self {
        Self {
            bytes,
            unflushed: false,
        }
    }
}

impl Outbox {
    /// Whether the socket has everything.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.unflushed
    }
}

/// Whether a step changed anything.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// Something was done.
    Made,
    /// Nothing could be done now.
    None,
}

/// Gives an emptied buffer back to the thread.
pub fn release(buffer: &mut BytesMut) {
    if buffer.is_empty() && buffer.capacity() > 0 {
        buffers::give(std::mem::take(buffer));
    }
}

/// Writes what there is, as far as the socket takes it.
pub fn flush<S: AsyncWrite + Unpin>(
    side: &mut Side<'_, S>,
    cx: &mut Context<'_>,
) -> io::Result<Progress> {
    let mut progress = Progress::None;
    while !side.output.bytes.is_empty() {
        match Pin::new(&mut *side.stream).poll_write(cx, &side.output.bytes) {
            Poll::Pending => return Ok(progress),
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(count)) => side.output.bytes.advance(count),
            Poll::Ready(Err(error)) => return Err(error),
        }
        progress = Progress::Made;
        side.output.unflushed = true;
    }
    if side.output.unflushed {
        release(&mut side.output.bytes);
        match Pin::new(&mut *side.stream).poll_flush(cx) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => side.output.unflushed = false,
            Poll::Ready(Err(error)) => return Err(error),
        }
    }
    Ok(progress)
}

/// What one read gave.
#[derive(Debug)]
pub enum Fill {
    /// Nothing to read now.
    Pending,
    /// So many bytes.
    Read(u64),
    /// The peer has closed its side.
    Closed,
    /// The connection broke.
    Broken(io::Error),
}

/// Reads once into the side's input.
pub fn fill<S: AsyncRead + Unpin>(
    side: &mut Side<'_, S>,
    size: Size,
    cx: &mut Context<'_>,
) -> Fill {
    if side.input.capacity() == 0 {
        *side.input = buffers::take(size);
    } else if side.input.capacity() == side.input.len() {
        side.input.reserve(buffers::LARGE);
    }
    let polled = pin!(side.stream.read_buf(side.input)).poll(cx);
    release(side.input);
    match polled {
        Poll::Pending => Fill::Pending,
        Poll::Ready(Ok(0)) => Fill::Closed,
        Poll::Ready(Ok(count)) => Fill::Read(u64::try_from(count).unwrap_or(u64::MAX)),
        Poll::Ready(Err(error)) => Fill::Broken(error),
    }
}
