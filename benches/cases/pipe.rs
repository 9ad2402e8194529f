//! A stream in memory whose other end is the caller. It keeps its buffers, so it never allocates
//! once they are large enough.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use pgweir::net::flow::Wire;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What the caller has sent and not yet received.
#[derive(Debug, Default)]
pub struct Pipe {
    sent: Vec<u8>,
    /// So many of them have been read.
    read: usize,
    written: Vec<u8>,
}

impl Pipe {
    /// Bytes that the stream's reader will get, behind those that it has not read yet.
    pub fn send(&mut self, bytes: &[u8]) {
        self.sent.drain(..self.read);
        self.read = 0;
        self.sent.extend_from_slice(bytes);
    }

    /// Takes what was written to the stream; says how much that was.
    pub fn receive(&mut self) -> usize {
        let count = self.written.len();
        self.written.clear();
        count
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let pipe = self.get_mut();
        let left = pipe.sent.get(pipe.read..).unwrap_or_default();
        if left.is_empty() {
            return Poll::Pending;
        }
        let count = left.len().min(buffer.remaining());
        buffer.put_slice(left.get(..count).unwrap_or_default());
        pipe.read += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().written.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Wire for Pipe {
    fn poll_readable(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.sent.len() > self.read {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }
}
