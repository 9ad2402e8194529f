//! Whether a socket will wake the task that owns it when it has more to read.
//!
//! Asking for that costs more than a look at what is known of the socket, and a client that has its
//! answer is asked for its next query at each step. Invariant: what says [`WakeUp::Sure`] has been
//! heard from the socket, by this task, since its last read.

use std::task::Context;

use tokio::task::coop::has_budget_remaining;

use super::flow::Wire;

/// What is known of it.
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

impl WakeUp {
    /// Whether a read may have something to say; if not, the task will be woken when that changes.
    #[inline]
    pub fn may_read<S: Wire>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> bool {
        if *self == Self::Sure && stream.is_silent() {
            return false;
        }
        // A task that has used up its budget hears "not now" without a look at the socket.
        let heard = has_budget_remaining();
        let pending = stream.poll_readable(cx).is_pending();
        *self = if pending && heard {
            Self::Sure
        } else {
            Self::Unknown
        };
        !pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;
    use std::time::Duration;

    use bytes::BytesMut;
    use tokio::io::AsyncWriteExt;
    use tokio::net::UnixStream;
    use tokio::time::sleep;

    use super::*;
    use crate::net::buffers::Size;
    use crate::net::flow::{Fill, Hope, Outbox, Side, fill};
    use crate::net::stream::Stream;

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
