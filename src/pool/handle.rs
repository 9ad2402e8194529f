//! The shell around [`Pools`]: one mutex, and the actions carried out after it is released.
//!
//! A decision is made under the lock in well under a microsecond; whatever takes longer (closing,
//! opening, waking a task) happens outside. The closure keeps the guard away from every `.await`.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::Notify;

use super::action::{Action, Actions, CancelTicket, Lent, OpenTicket, Pooled, Verdict};
use super::key::{PoolId, PoolKey, Scope, SlotId, WorkerId};
use super::mailbox::{Answer, Mailbox, Waiter};
use super::pools::Pools;
use super::reason::{OpenFailure, Why};

/// The pools as the shell uses them: waiters are recognised by their mailbox.
pub type SharedPools<C> = Pools<C, Waiter<C>>;

/// What was removed for good, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// An empty pool (`pool_idle_timeout`, or its database is gone).
    Pool(PoolKey),
    /// A database that left the configuration or was idle (`autodb_idle_timeout`).
    Database(Arc<str>),
}

/// Carries out what the pool decides. Called without the pool's lock, on whatever worker caused
/// the decision; must not block.
pub trait Opener<C: Pooled>: Send + Sync + 'static {
    /// Starts opening a connection, as a task of the worker that it is for, if of any. The
    /// outcome goes to `pending`; dropping that counts as a failure.
    fn open(&self, pending: PendingOpen<C>);
    /// Closes a connection that the pool let go. It may be called from a `Drop`, so a parting
    /// message is for a task to send.
    fn retire(&self, conn: C, why: Why);
    /// Something was removed; nothing has to be done.
    fn removed(&self, removed: Removed) {
        drop(removed);
    }
}

struct Inner<C: Pooled> {
    pools: Mutex<SharedPools<C>>,
    opener: Box<dyn Opener<C>>,
    /// An earlier tick is due than the janitor knows of.
    earlier: Notify,
    /// A database was drained or renewed.
    progress: Notify,
}

/// A reference to the pools of the process; clones refer to the same pools.
pub struct PoolHandle<C: Pooled> {
    inner: Arc<Inner<C>>,
}

impl<C: Pooled> Clone for PoolHandle<C> {
    fn clone(&self) -> Self {
        let inner = Arc::clone(&self.inner);
        Self { inner }
    }
}

impl<C: Pooled> std::fmt::Debug for PoolHandle<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolHandle").finish_non_exhaustive()
    }
}

/// The time on the runtime's clock, for events that are not handed one.
pub(super) fn clock() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl<C: Pooled> PoolHandle<C> {
    /// No pools yet; `opener` opens and closes connections for them.
    pub fn new(opener: impl Opener<C>) -> Self {
        let inner = Inner {
            pools: Mutex::new(Pools::new()),
            opener: Box::new(opener),
            earlier: Notify::new(),
            progress: Notify::new(),
        };
        let inner = Arc::new(inner);
        Self { inner }
    }

    /// Runs one event under the lock, then carries out its actions.
    pub fn with<R>(
        &self,
        event: impl FnOnce(&mut SharedPools<C>, &mut Actions<C, Waiter<C>>) -> R,
    ) -> R {
        let mut out = Actions::new();
        let result = self.locked(|pools| event(pools, &mut out));
        if !out.is_empty() {
            self.carry_out(out);
        }
        result
    }

    /// A mailbox for a new client: the one allocation that its waiting ever needs.
    pub fn mailbox(&self) -> Mailbox<C> {
        Mailbox::new(self.clone())
    }

    /// Counts a client to a pool until the result is dropped; `None` when the pool has gone.
    pub fn join(&self, pool: PoolId, now: Instant) -> Option<Membership<C>> {
        let joined = self.with(|pools, out| pools.join(pool, now, out));
        let handle = self.clone();
        joined.then_some(Membership { handle, pool })
    }

    /// Announces a cancel request to the server of a lent connection, which is not lent again
    /// until the result is dropped. `None`: it is not lent, there is nothing to cancel.
    pub fn cancel(&self, slot: SlotId) -> Option<CancelGuard<C>> {
        let ticket = self.locked(|pools| pools.cancel_started(slot))?;
        let handle = self.clone();
        Some(CancelGuard {
            handle,
            ticket: Some(ticket),
        })
    }

    /// Waits until no connection of the scope is left (PAUSE). Cancel-safe; ends no pause.
    pub async fn drained(&self, scope: Scope) {
        self.progressed(|pools| pools.is_drained(scope)).await;
    }

    /// Waits until no connection from before RECONNECT is left (`WAIT_CLOSE`). Cancel-safe.
    pub async fn renewed(&self, scope: Scope) {
        self.progressed(|pools| pools.is_renewed(scope)).await;
    }

    pub(super) fn earlier(&self) -> &Notify {
        &self.inner.earlier
    }

    /// Gives a connection back that its waiter could not take or did not use.
    pub(super) fn give_back(&self, lent: Lent<C>) {
        let now = clock();
        self.with(|pools, out| {
            pools.checkin(lent.slot, lent.conn, Verdict::Untouched, now, out);
        });
    }

    async fn progressed(&self, done: impl Fn(&SharedPools<C>) -> bool) {
        loop {
            let mut progress = std::pin::pin!(self.inner.progress.notified());
            // Enlisted before looking: what happens in between is not missed.
            progress.as_mut().enable();
            if self.locked(|pools| done(pools)) {
                return;
            }
            progress.await;
        }
    }

    fn locked<R>(&self, f: impl FnOnce(&mut SharedPools<C>) -> R) -> R {
        let mut pools = self.inner.pools.lock();
        f(pools.as_mut().expect("nothing panics under this lock"))
    }

    fn carry_out(&self, mut out: Actions<C, Waiter<C>>) {
        while !out.is_empty() {
            let mut undelivered = Vec::new();
            out.drain(|action| undelivered.extend(self.obey(action)));
            if undelivered.is_empty() {
                return;
            }
            let now = clock();
            self.locked(|pools| {
                for lent in undelivered {
                    pools.checkin(lent.slot, lent.conn, Verdict::Untouched, now, &mut out);
                }
            });
        }
    }

    /// Carries out one action; gives back a connection whose waiter had left meanwhile.
    fn obey(&self, action: Action<C, Waiter<C>>) -> Option<Lent<C>> {
        match action {
            Action::Assign { waiter, lent } => {
                return waiter
                    .deliver(Answer::Lent(lent))
                    .and_then(Answer::into_lent);
            }
            Action::Refuse { waiter, refusal } => drop(waiter.deliver(Answer::Refused(refusal))),
            Action::Notify { waiter } => waiter.notice(),
            Action::Open(ticket) => {
                let handle = self.clone();
                let ticket = Some(ticket);
                self.inner.opener.open(PendingOpen { handle, ticket });
            }
            Action::Retire { conn, why } => self.inner.opener.retire(conn, why),
            Action::WakeJanitor(_) => self.inner.earlier.notify_one(),
            Action::Drained(_) | Action::Renewed(_) => self.inner.progress.notify_waiters(),
            Action::PoolRemoved(key) => self.inner.opener.removed(Removed::Pool(key)),
            Action::DatabaseRemoved(name) => self.inner.opener.removed(Removed::Database(name)),
        }
        None
    }
}

/// An opening that the pool has asked for and counts until its outcome is told.
pub struct PendingOpen<C: Pooled> {
    handle: PoolHandle<C>,
    ticket: Option<OpenTicket>,
}

impl<C: Pooled> PendingOpen<C> {
    /// The pool that the connection is for.
    pub fn pool(&self) -> Option<PoolId> {
        self.ticket.as_ref().map(OpenTicket::pool)
    }

    /// The worker that the connection is best registered with: that of the waiter it is for.
    pub fn home(&self) -> Option<WorkerId> {
        self.ticket.as_ref().and_then(OpenTicket::home)
    }

    /// It is open and logged in.
    pub fn opened(mut self, conn: C, now: Instant) {
        if let Some(ticket) = self.ticket.take() {
            let handle = self.handle.clone();
            handle.with(|pools, out| pools.opened(ticket, conn, now, out));
        }
    }

    /// It could not be opened.
    pub fn failed(mut self, failure: OpenFailure, now: Instant) {
        self.fail(failure, now);
    }

    fn fail(&mut self, failure: OpenFailure, now: Instant) {
        if let Some(ticket) = self.ticket.take() {
            self.handle
                .with(|pools, out| pools.open_failed(ticket, failure, now, out));
        }
    }
}

impl<C: Pooled> Drop for PendingOpen<C> {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            let failure = OpenFailure::Unreachable("connect failed".into());
            self.fail(failure, clock());
        }
    }
}

impl<C: Pooled> std::fmt::Debug for PendingOpen<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PendingOpen").field(&self.ticket).finish()
    }
}

/// A client counted to a pool; dropping it counts the client out.
pub struct Membership<C: Pooled> {
    handle: PoolHandle<C>,
    pool: PoolId,
}

impl<C: Pooled> Drop for Membership<C> {
    fn drop(&mut self) {
        let now = clock();
        self.handle
            .with(|pools, out| pools.leave(self.pool, now, out));
    }
}

impl<C: Pooled> std::fmt::Debug for Membership<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Membership").field(&self.pool).finish()
    }
}

/// A cancel request under way; dropping it says that it has been delivered or given up.
pub struct CancelGuard<C: Pooled> {
    handle: PoolHandle<C>,
    ticket: Option<CancelTicket>,
}

impl<C: Pooled> Drop for CancelGuard<C> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let now = clock();
            self.handle
                .with(|pools, out| pools.cancel_finished(ticket, now, out));
        }
    }
}

impl<C: Pooled> std::fmt::Debug for CancelGuard<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("CancelGuard").field(&self.ticket).finish()
    }
}
