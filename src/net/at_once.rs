//! Reads and writes on a socket that is ready, as a rule.
//!
//! tokio's `poll_read` and `poll_write` first get ready to wait: they take of the task's budget and look
//! after its waker. Most sockets are asked when they are ready, so this tries first; who hears `None`
//! asks again with its waker. Reads must take of the budget at times all the same, or a task whose
//! peer never pauses would hold its worker: `flow::fill` sees to it.
//!
//! Invariant: a read or write that was short leaves the socket as not ready, as tokio's own do, so that
//! nobody tries in vain.

use std::io;

use bytes::BytesMut;
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

/// What both kinds of sockets can do.
pub(super) trait Attempts {
    /// Calls `operation` if the socket is ready, and takes note where that would block.
    fn try_io(
        &self,
        interest: Interest,
        operation: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()>;
    fn try_read_buf(&self, buffer: &mut BytesMut) -> io::Result<usize>;
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
}

macro_rules! sockets {
    ($($kind:ty),*) => {$(
        impl Attempts for $kind {
            fn try_io(
                &self,
                interest: Interest,
                operation: impl FnOnce() -> io::Result<()>,
            ) -> io::Result<()> {
                Self::try_io(self, interest, operation)
            }

            fn try_read_buf(&self, buffer: &mut BytesMut) -> io::Result<usize> {
                Self::try_read_buf(self, buffer)
            }

            fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
                Self::try_write(self, bytes)
            }
        }
    )*};
}

sockets!(TcpStream, UnixStream);

/// Whether the socket is known to have nothing.
pub(super) fn is_silent(socket: &impl Attempts) -> bool {
    // What the operation does not refuse stays as it is.
    socket.try_io(Interest::READABLE, || Ok(())).is_err()
}

/// Reads once into the room that `buffer` has; `None` where there is nothing now.
pub(super) fn read(socket: &impl Attempts, buffer: &mut BytesMut) -> Option<io::Result<usize>> {
    let room = buffer.capacity() - buffer.len();
    attempt(socket, Interest::READABLE, room, || {
        socket.try_read_buf(buffer)
    })
}

/// Writes once; `None` where the socket takes nothing now.
pub(super) fn write(socket: &impl Attempts, bytes: &[u8]) -> Option<io::Result<usize>> {
    attempt(socket, Interest::WRITABLE, bytes.len(), || {
        socket.try_write(bytes)
    })
}

fn attempt(
    socket: &impl Attempts,
    interest: Interest,
    whole: usize,
    operation: impl FnOnce() -> io::Result<usize>,
) -> Option<io::Result<usize>> {
    let mut done = None;
    let tried = socket.try_io(interest, || {
        let outcome = operation();
        let nothing_more = match &outcome {
            Ok(count) => *count > 0 && *count < whole,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        done = Some(outcome);
        if nothing_more {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(())
    });
    match (tried, done) {
        (_, Some(Err(error))) if error.kind() == io::ErrorKind::WouldBlock => None,
        (_, done) => done, // nothing, where it was not tried
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    /// Far longer than any step takes here.
    const LIMIT: Duration = Duration::from_secs(20);

    fn count(outcome: Option<io::Result<usize>>) -> Option<usize> {
        outcome.map(|outcome| outcome.expect("the socket is sound"))
    }

    #[tokio::test]
    async fn a_socket_without_bytes_has_nothing_at_once_and_wakes_when_some_come() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let mut buffer = BytesMut::with_capacity(64);
        assert_eq!(count(read(&ours, &mut buffer)), None);
        for round in 0..100_u8 {
            theirs.write_all(&[round; 3]).await.expect("written");
            let ready = timeout(LIMIT, ours.readable()).await;
            ready.expect("woken").expect("sound");
            assert_eq!(count(read(&ours, &mut buffer)), Some(3));
            assert_eq!(count(read(&ours, &mut buffer)), None);
            assert_eq!(&buffer[..], [round; 3]);
            buffer.clear();
        }
        drop(theirs);
        timeout(LIMIT, ours.readable())
            .await
            .expect("woken")
            .expect("sound");
        assert_eq!(count(read(&ours, &mut buffer)), Some(0), "the end");
    }

    #[tokio::test]
    async fn what_a_full_buffer_left_is_there_at_once() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        theirs.write_all(&[7; 100]).await.expect("written");
        ours.readable().await.expect("sound");
        let mut buffer = BytesMut::with_capacity(64);
        let room = buffer.capacity();
        assert_eq!(count(read(&ours, &mut buffer)), Some(room));
        buffer.clear();
        assert_eq!(count(read(&ours, &mut buffer)), Some(100 - room));
    }

    #[tokio::test]
    async fn every_byte_arrives_though_the_socket_takes_only_some_at_once() {
        const WHOLE: usize = 4 << 20;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("bound");
        let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (ours, mut theirs) = (ours.expect("connected"), theirs.expect("accepted").0);
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).await.map(|_| all)
        });
        let bytes: Vec<u8> = (0..=250).cycle().take(WHOLE).collect();
        let (mut left, mut waits) = (&bytes[..], 0);
        while left.has_remaining() {
            if let Some(written) = count(write(&ours, left)) {
                left.advance(written);
            } else {
                waits += 1;
                let ready = timeout(LIMIT, ours.writable()).await;
                ready.expect("woken").expect("sound");
            }
        }
        drop(ours);
        let all = timeout(LIMIT, reading).await.expect("in time");
        assert!(all.expect("no panic").expect("sound") == bytes);
        assert!(waits > 0, "the socket was never full");
    }
}
