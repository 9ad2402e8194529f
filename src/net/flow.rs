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
use super::stream::Stream;
use super::wake_up::WakeUp;

/// A connection as bytes are moved to and from it.
pub trait Wire: AsyncRead + AsyncWrite + Unpin {
    /// Ready when a read may have something to say: bytes, the end or an error. It may be ready
    /// without, and says the same again until a read has found nothing more.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether there is surely nothing to read now, which is cheaper to say than to ask to be woken.
    fn is_silent(&self) -> bool {
        false
    }

    /// Reads once into the room of `buffer`, if that can be tried without getting ready to wait.
    fn read_at_once(&mut self, buffer: &mut BytesMut) -> Option<io::Result<usize>> {
        let _ = buffer;
        None
    }

    /// Writes once, if that can be tried without getting ready to wait.
    fn write_at_once(&mut self, bytes: &[u8]) -> Option<io::Result<usize>> {
        let _ = bytes;
        None
    }
}

impl Wire for Stream {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_readable(self, cx)
    }

    fn is_silent(&self) -> bool {
        Self::is_silent(self)
    }

    fn read_at_once(&mut self, buffer: &mut BytesMut) -> Option<io::Result<usize>> {
        Self::read_at_once(self, buffer)
    }

    fn write_at_once(&mut self, bytes: &[u8]) -> Option<io::Result<usize>> {
        Self::write_at_once(self, bytes)
    }
}

/// One peer's socket and the bytes around it.
#[derive(Debug)]
pub struct Side<'a, S> {
    /// The socket.
    pub stream: &'a mut S,
    /// Bytes read that have not been dealt with.
    pub input: &'a mut BytesMut,
    /// Bytes to write.
    pub output: &'a mut Outbox,
    /// Whether the socket will wake the task for the next bytes.
    pub wake_up: &'a mut WakeUp,
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
///
/// Inlined up to the question whether there is anything.
#[inline]
pub fn flush<S: Wire>(side: &mut Side<'_, S>, cx: &mut Context<'_>) -> io::Result<Progress> {
    if side.output.is_empty() {
        return Ok(Progress::None);
    }
    write_out(side, cx)
}

fn write_out<S: Wire>(side: &mut Side<'_, S>, cx: &mut Context<'_>) -> io::Result<Progress> {
    let mut progress = Progress::None;
    while !side.output.bytes.is_empty() {
        let written = match side.stream.write_at_once(&side.output.bytes) {
            Some(written) => Poll::Ready(written),
            None => Pin::new(&mut *side.stream).poll_write(cx, &side.output.bytes),
        };
        match written {
            Poll::Pending => return Ok(progress),
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            // A buffer that is cleared is whole again; one that is advanced is not.
            Poll::Ready(Ok(count)) if count == side.output.bytes.len() => side.output.bytes.clear(),
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

/// Whether a read is likely to find something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hope {
    /// The task was woken for it.
    High,
    /// It is asked so that the socket wakes the task later; so no buffer is taken first.
    Low,
}

/// Reads once into the side's input.
pub fn fill<S: Wire>(side: &mut Side<'_, S>, size: Size, hope: Hope, cx: &mut Context<'_>) -> Fill {
    if hope == Hope::Low && !side.wake_up.may_read(side.stream, cx) {
        return Fill::Pending;
    }
    *side.wake_up = WakeUp::Unknown;
    if side.input.is_empty() {
        *side.input = buffers::take(size); // what a login has left of its buffer is too small
    } else if side.input.capacity() == side.input.len() {
        side.input.reserve(buffers::LARGE);
    }
    let polled = match side.stream.read_at_once(side.input) {
        Some(read) => Poll::Ready(read),
        None => pin!(side.stream.read_buf(side.input)).poll(cx),
    };
    release(side.input);
    match polled {
        Poll::Pending => Fill::Pending,
        Poll::Ready(Ok(0)) => Fill::Closed,
        Poll::Ready(Ok(count)) => Fill::Read(u64::try_from(count).unwrap_or(u64::MAX)),
        Poll::Ready(Err(error)) => Fill::Broken(error),
    }
}
