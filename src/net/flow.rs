//! Bytes between a socket and its buffers, without waiting.
//!
//! Each function does what can be done now and leaves the task's waker with the socket for the rest.
//! Invariant: no byte read is lost, and an empty buffer is never kept.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::task::coop::has_budget_remaining;

use super::buffers::{self, Size};
use super::stream::Stream;

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

/// Whether a socket will wake the task that owns it when it has more to read.
///
/// Only the task that always asks may remember it: another one's waker would be the wrong one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WakeUp {
    /// Not that one knew.
    #[default]
    Unknown,
    /// It was asked for, and nothing has been read since.
    Sure,
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
    if hope == Hope::Low && !may_read(side, cx) {
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

/// Whether a read may have something to say; if not, the task will be woken when that changes.
#[inline]
fn may_read<S: Wire>(side: &mut Side<'_, S>, cx: &mut Context<'_>) -> bool {
    if *side.wake_up == WakeUp::Sure && side.stream.is_silent() {
        return false;
    }
    // A task that has used up its budget hears "not now" without a look at the socket.
    let heard = has_budget_remaining();
    let pending = side.stream.poll_readable(cx).is_pending();
    *side.wake_up = if pending && heard {
        WakeUp::Sure
    } else {
        WakeUp::Unknown
    };
    !pending
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;
    use tokio::net::UnixStream;
    use tokio::time::sleep;

    /// Far longer than any step takes here.
    const LIMIT: Duration = Duration::from_secs(10);

    struct Owner {
        stream: Stream,
        input: BytesMut,
        output: Outbox,
        wake_up: WakeUp,
    }

    impl Owner {
        fn pair() -> (Self, UnixStream) {
            let (ours, theirs) = UnixStream::pair().expect("a pair");
            let owner = Self {
                stream: ours.into(),
                input: BytesMut::new(),
                output: Outbox::default(),
                wake_up: WakeUp::Unknown,
            };
            (owner, theirs)
        }

        fn fill(&mut self, hope: Hope, cx: &mut Context<'_>) -> Fill {
            let mut side = Side {
                stream: &mut self.stream,
                input: &mut self.input,
                output: &mut self.output,
                wake_up: &mut self.wake_up,
            };
            fill(&mut side, Size::Small, hope, cx)
        }

        /// Waits for bytes, and asks as often as wanted before it waits.
        async fn next(&mut self, questions: usize) -> Vec<u8> {
            let mut hope = Hope::Low;
            let read = poll_fn(|cx| {
                for _ in 0..questions {
                    match self.fill(std::mem::replace(&mut hope, Hope::Low), cx) {
                        Fill::Pending => {}
                        Fill::Read(_) => return Poll::Ready(()),
                        other => panic!("{other:?}"),
                    }
                }
                hope = Hope::High;
                Poll::Pending
            });
            // The limit first: when it wakes the task, the read must not profit from it.
            tokio::select! {
                biased;
                () = sleep(LIMIT) => panic!("not woken for the bytes"),
                () = read => {}
            }
            self.input.split().to_vec()
        }
    }

    #[tokio::test]
    async fn a_task_that_has_asked_before_is_woken_all_the_same() {
        let (mut owner, mut peer) = Owner::pair();
        for round in 0..200_u8 {
            let bytes = [round; 5];
            let writing = tokio::spawn(async move {
                peer.write_all(&bytes).await.expect("written");
                peer
            });
            let questions = 1 + usize::from(round % 3);
            assert_eq!(owner.next(questions).await, bytes);
            peer = writing.await.expect("no panic");
        }
    }

    #[tokio::test]
    async fn a_task_that_could_not_ask_for_lack_of_budget_asks_again() {
        let (mut owner, mut peer) = Owner::pair();
        let (mut busy, mut other) = Owner::pair();
        other.write_all(b"x").await.expect("written");
        busy.stream.readable().await.expect("sound");
        let mut spent = false;
        let first = poll_fn(|cx| {
            if !spent {
                while has_budget_remaining() {
                    assert!(busy.stream.poll_readable(cx).is_ready());
                }
                spent = true;
            }
            Poll::Ready(matches!(owner.fill(Hope::Low, cx), Fill::Pending))
        });
        assert!(first.await, "nothing has come");
        tokio::task::yield_now().await;
        let writing = tokio::spawn(async move {
            // The owner waits by now.
            tokio::task::yield_now().await;
            peer.write_all(b"late").await.expect("written");
            peer
        });
        assert_eq!(owner.next(1).await, b"late");
        writing.await.expect("no panic");
    }
}
