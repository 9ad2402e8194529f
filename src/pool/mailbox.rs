//! How a client waits for a connection: one mailbox for its whole life, used again and again.
//!
//! Each wait has a turn number. An answer for an older turn is not taken: its connection goes
//! back to the pool. So a wait may be given up at any moment, also while its answer is on its
//! way from another thread, and neither the connection nor the mailbox is lost.
//!
//! ```text
//!   acquire ──idle connection──► Ready ──next──► Lease
//!      └──none──► Queued ──answer in the mailbox──► Lease or Refusal
//!                   └──notice──► Queued        (dropped anywhere: connection back, out of queue)
//! ```

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::action::{Lent, Pooled};
use super::handle::{PoolHandle, clock};
use super::key::{PoolId, WaiterId};
use super::lease::Lease;
use super::pools::Request;
use super::reason::Refusal;

/// What ends a wait.
#[derive(Debug)]
pub(super) enum Answer<C> {
    Lent(Lent<C>),
    Refused(Refusal),
}

impl<C> Answer<C> {
    pub(super) fn into_lent(self) -> Option<Lent<C>> {
        match self {
            Self::Lent(lent) => Some(lent),
            Self::Refused(_) => None,
        }
    }
}

#[derive(Debug)]
enum Mail<C> {
    /// Nothing new.
    None,
    /// The client is queued for long enough to be told.
    Notice,
    Answer(Answer<C>),
}

#[derive(Debug)]
struct Letters<C> {
    /// The current wait; answers for others are not taken.
    turn: u64,
    mail: Mail<C>,
    waker: Option<Waker>,
}

/// The part of a mailbox that the pool and leases hold on to.
pub(super) struct WaitSlot<C: Pooled> {
    handle: PoolHandle<C>,
    letters: Mutex<Letters<C>>,
}

impl<C: Pooled> WaitSlot<C> {
    pub(super) fn handle(&self) -> &PoolHandle<C> {
        &self.handle
    }

    fn with<R>(&self, f: impl FnOnce(&mut Letters<C>) -> R) -> R {
        // A letter is put or taken whole, so that a panic elsewhere leaves nothing half done.
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        f(&mut letters)
    }

    /// Begins a wait. What an earlier one left (a notice that came late) is for nobody.
    fn begin(&self) -> u64 {
        self.with(|letters| {
            letters.turn += 1;
            letters.mail = Mail::None;
            letters.turn
        })
    }

    /// Gives the current wait up; takes what has come for it.
    fn abandon(&self) -> Mail<C> {
        let (mail, waker) = self.with(|letters| {
            letters.turn += 1;
            let mail = std::mem::replace(&mut letters.mail, Mail::None);
            (mail, letters.waker.take())
        });
        drop(waker);
        mail
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Mail<C>> {
        let (mail, replaced) = self.with(|letters| {
            let mail = std::mem::replace(&mut letters.mail, Mail::None);
            let known = letters.waker.as_ref();
            let known = known.is_some_and(|waker| waker.will_wake(context.waker()));
            if known || !matches!(mail, Mail::None) {
                return (mail, None);
            }
            (mail, letters.waker.replace(context.waker().clone()))
        });
        // Outside the lock: a waker may be the last that keeps a task, and that a lease.
        drop(replaced);
        match mail {
            Mail::None => Poll::Pending,
            mail @ (Mail::Notice | Mail::Answer(_)) => Poll::Ready(mail),
        }
    }
}

/// How the pool recognises a waiting client.
pub struct Waiter<C: Pooled> {
    slot: Arc<WaitSlot<C>>,
    turn: u64,
}

impl<C: Pooled> Clone for Waiter<C> {
    fn clone(&self) -> Self {
        let slot = Arc::clone(&self.slot);
        Self {
            slot,
            turn: self.turn,
        }
    }
}

impl<C: Pooled> std::fmt::Debug for Waiter<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiter")
            .field("turn", &self.turn)
            .finish_non_exhaustive()
    }
}

impl<C: Pooled> Waiter<C> {
    /// Puts the answer into the mailbox; gives it back when the wait has been given up.
    pub(super) fn deliver(self, answer: Answer<C>) -> Option<Answer<C>> {
        let waker = self.slot.with(|letters| {
            if letters.turn != self.turn {
                return Err(answer);
            }
            letters.mail = Mail::Answer(answer);
            Ok(letters.waker.take())
        });
        match waker {
            Ok(waker) => {
                waker.into_iter().for_each(Waker::wake);
                None
            }
            Err(answer) => Some(answer),
        }
    }

    /// Tells the client that it is queued, unless it has been answered meanwhile.
    pub(super) fn notice(self) {
        let waker = self.slot.with(|letters| {
            if letters.turn != self.turn || matches!(letters.mail, Mail::Answer(_)) {
                return None;
            }
            letters.mail = Mail::Notice;
            letters.waker.take()
        });
        waker.into_iter().for_each(Waker::wake);
    }
}

/// A client's place to wait. One wait at a time: `acquire` borrows it.
pub struct Mailbox<C: Pooled> {
    slot: Arc<WaitSlot<C>>,
}

impl<C: Pooled> std::fmt::Debug for Mailbox<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}

impl<C: Pooled> Mailbox<C> {
    pub(super) fn new(handle: PoolHandle<C>) -> Self {
        let letters = Mutex::new(Letters {
            turn: 0,
            mail: Mail::None,
            waker: None,
        });
        let slot = Arc::new(WaitSlot { handle, letters });
        Self { slot }
    }

    /// The pools that it belongs to.
    pub fn handle(&self) -> &PoolHandle<C> {
        self.slot.handle()
    }

    /// A connection of the pool: an idle one at once ([`Acquire::take_ready`]), else the client is
    /// queued ([`Acquire::next`]).
    pub fn acquire(&mut self, pool: PoolId, request: &Request, now: Instant) -> Acquire<'_, C> {
        let slot = &self.slot;
        let progress = slot.handle().with(|pools, out| {
            if let Some(lent) = pools.try_take(pool, request.home, now) {
                return Progress::Ready(lent);
            }
            let turn = slot.begin();
            let slot = Arc::clone(slot);
            let waiter = Waiter { slot, turn };
            Progress::Queued(pools.enqueue(pool, waiter, request, now, out))
        });
        Acquire { slot, progress }
    }
}

#[derive(Debug)]
enum Progress<C> {
    Ready(Lent<C>),
    /// `None` when the pool refused at once: the answer is in the mailbox.
    Queued(Option<WaiterId>),
    Done,
}

/// What a waiting client hears.
#[derive(Debug)]
pub enum Waiting<C: Pooled> {
    /// The connection.
    Lease(Lease<C>),
    /// Queued for `query_wait_notify`: tell the user, then go on waiting. Comes at most once.
    Notice,
}

/// A wait for a connection. Dropping it leaves the queue; a connection that had been assigned
/// goes back untouched.
#[derive(Debug)]
#[must_use = "dropping it gives the wait up"]
pub struct Acquire<'a, C: Pooled> {
    slot: &'a Arc<WaitSlot<C>>,
    progress: Progress<C>,
}

impl<C: Pooled> std::fmt::Debug for WaitSlot<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WaitSlot").finish_non_exhaustive()
    }
}

impl<C: Pooled> Acquire<'_, C> {
    /// The connection that was idle, if there was one.
    pub fn take_ready(&mut self) -> Option<Lease<C>> {
        match std::mem::replace(&mut self.progress, Progress::Done) {
            Progress::Ready(lent) => Some(Lease::new(Arc::clone(self.slot), lent)),
            other @ (Progress::Queued(_) | Progress::Done) => {
                self.progress = other;
                None
            }
        }
    }

    /// The connection, or the notice that it takes long. Cancel-safe: what has come and was not
    /// taken is there for the next call. After the lease or an error it stays pending.
    pub async fn next(&mut self) -> Result<Waiting<C>, Refusal> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// As [`Self::next`], for callers that poll by hand.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Waiting<C>, Refusal>> {
        let lent = match std::mem::replace(&mut self.progress, Progress::Done) {
            Progress::Done => return Poll::Pending,
            Progress::Ready(lent) => lent,
            queued @ Progress::Queued(_) => match self.slot.poll(context) {
                Poll::Ready(Mail::Answer(Answer::Lent(lent))) => lent,
                Poll::Ready(Mail::Answer(Answer::Refused(refusal))) => {
                    return Poll::Ready(Err(refusal));
                }
                Poll::Ready(Mail::Notice) => {
                    self.progress = queued;
                    return Poll::Ready(Ok(Waiting::Notice));
                }
                Poll::Ready(Mail::None) | Poll::Pending => {
                    self.progress = queued;
                    return Poll::Pending;
                }
            },
        };
        let lease = Lease::new(Arc::clone(self.slot), lent);
        Poll::Ready(Ok(Waiting::Lease(lease)))
    }
}

impl<C: Pooled> Drop for Acquire<'_, C> {
    fn drop(&mut self) {
        let handle = self.slot.handle();
        match std::mem::replace(&mut self.progress, Progress::Done) {
            Progress::Done => {}
            Progress::Ready(lent) => handle.give_back(lent),
            Progress::Queued(id) => {
                if let Some(id) = id {
                    let now = clock();
                    // Not found: the answer is in the mailbox or on its way to it.
                    drop(handle.with(|pools, out| pools.cancel_wait(id, now, out)));
                }
                if let Mail::Answer(Answer::Lent(lent)) = self.slot.abandon() {
                    handle.give_back(lent);
                }
            }
        }
    }
}
