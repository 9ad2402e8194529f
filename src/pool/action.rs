//! Sans-IO. What the pool decided, for the shell to carry out, and what the shell hands in.

use std::sync::Arc;
use std::time::Instant;

use super::key::{DatabaseId, PoolId, PoolKey, SlotId, WorkerId};
use super::reason::{Refusal, Why};

/// What the pool has to know about a connection.
pub trait Pooled: Send + 'static {
    /// The worker whose reactor its socket is registered with.
    fn home(&self) -> WorkerId;
    /// When it was connected (`server_lifetime` counts from here).
    fn created_at(&self) -> Instant;
}

/// Whether an assigned connection has to be checked before use (`server_check_query`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Use it at once.
    NotNeeded,
    /// It was idle for longer than `server_check_delay`.
    Needed,
}

/// In what state a connection comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// In sync, idle, reset where its pool wants that: fit for the next client.
    Keep,
    /// Not a byte was sent since it was assigned: it counts as idle since before, and a check
    /// that was needed is still needed.
    Untouched,
    /// Must not be used again.
    Discard(Why),
}

/// What the holder of a lent connection does with it (`sv_active`, `sv_tested`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Serves a client.
    Active,
    /// Runs the check or reset query.
    Tested,
}

/// A connection that leaves the pool for a client.
#[derive(Debug, PartialEq, Eq)]
pub struct Lent<C> {
    /// Its place in the pool; comes back with it.
    pub slot: SlotId,
    /// The connection.
    pub conn: C,
    /// Whether to check it first.
    pub check: Check,
    /// When it became the client's.
    pub at: Instant,
}

/// Permission to open one connection. Must come back, to `opened` or `open_failed`.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a ticket that does not come back blocks a place in the pool for ever"]
pub struct OpenTicket {
    pub(super) pool: PoolId,
    pub(super) epoch: u32,
    pub(super) home: Option<WorkerId>,
}

impl OpenTicket {
    /// The worker whose waiter it is for; `None` when nobody waits for it (`min_pool_size`).
    pub fn home(&self) -> Option<WorkerId> {
        self.home
    }

    /// The pool that the connection is for.
    pub fn pool(&self) -> PoolId {
        self.pool
    }

    pub(super) fn redeem(self) -> (PoolId, u32) {
        (self.pool, self.epoch)
    }
}

/// A cancel request under way to a lent connection. Must come back, to `cancel_finished`.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a ticket that does not come back holds its connection back for ever"]
pub struct CancelTicket {
    pub(super) slot: SlotId,
}

impl CancelTicket {
    pub(super) fn redeem(self) -> SlotId {
        self.slot
    }
}

/// One thing to do. `W` is what the caller gave to recognise its waiter.
#[derive(Debug, PartialEq, Eq)]
pub enum Action<C, W> {
    /// Give the connection to the waiter, whose wait is over.
    Assign {
        /// Who waited.
        waiter: W,
        /// What it gets.
        lent: Lent<C>,
    },
    /// Tell the waiter no; its wait is over.
    Refuse {
        /// Who waited.
        waiter: W,
        /// What to tell it.
        refusal: Refusal,
    },
    /// Tell the waiter that it is queued (`query_wait_notify`); it goes on waiting.
    Notify {
        /// Who waits.
        waiter: W,
    },
    /// Open one connection.
    Open(OpenTicket),
    /// Close a connection.
    Retire {
        /// The connection.
        conn: C,
        /// For the log.
        why: Why,
    },
    /// Call `tick` at this time; it is earlier than what was last announced.
    WakeJanitor(Instant),
    /// A paused database has lost its last connection (PAUSE may be answered).
    Drained(DatabaseId),
    /// A database has lost its last connection from before RECONNECT (`WAIT_CLOSE` may be answered).
    Renewed(DatabaseId),
    /// An empty pool was removed (`pool_idle_timeout`, or its database is gone).
    PoolRemoved(PoolKey),
    /// A database was dropped: it left the configuration or was idle (`autodb_idle_timeout`).
    DatabaseRemoved(Arc<str>),
}

/// The decisions of one event, in order. Most events make none or one; those allocate nothing.
#[derive(Debug)]
pub struct Actions<C, W> {
    first: Option<Action<C, W>>,
    rest: Vec<Action<C, W>>,
}

impl<C, W> Default for Actions<C, W> {
    fn default() -> Self {
        Self {
            first: None,
            rest: Vec::new(),
        }
    }
}

impl<C, W> Actions<C, W> {
    /// Nothing decided.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing is to do.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Takes them out, in order.
    pub(super) fn drain(&mut self, mut obey: impl FnMut(Action<C, W>)) {
        if let Some(first) = self.first.take() {
            obey(first);
        }
        self.rest.drain(..).for_each(obey);
    }

    pub(super) fn push(&mut self, action: Action<C, W>) {
        if self.first.is_none() {
            self.first = Some(action);
        } else {
            self.rest.push(action);
        }
    }
}

impl<C, W> IntoIterator for Actions<C, W> {
    type Item = Action<C, W>;
    type IntoIter =
        std::iter::Chain<std::option::IntoIter<Action<C, W>>, std::vec::IntoIter<Action<C, W>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest)
    }
}
