//! A server connection in a client's hands.
//!
//! Invariant: a connection comes back with a verdict, or it is closed. Nobody may use a
//! connection again whose state nobody vouched for.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Instant;

use super::action::{Check, Lent, Pooled, Use, Verdict};
use super::handle::clock;
use super::key::SlotId;
use super::mailbox::WaitSlot;
use super::reason::Why;

/// Owns a connection until it is finished with. Dropped without a verdict, it closes it.
#[must_use = "a lease dropped without a verdict closes its connection"]
pub struct Lease<C: Pooled> {
    slot: Arc<WaitSlot<C>>,
    /// `None` only while `finish` or `drop` runs.
    lent: Option<Lent<C>>,
}

impl<C: Pooled> Lease<C> {
    pub(super) fn new(slot: Arc<WaitSlot<C>>, lent: Lent<C>) -> Self {
        let lent = Some(lent);
        Self { slot, lent }
    }

    /// Whether the connection has to be checked before use (`server_check_query`); it counts as
    /// `sv_tested` until [`Self::set_use`] says that it serves its client.
    pub fn check(&self) -> Check {
        self.lent().check
    }

    /// When the connection became this client's.
    pub fn since(&self) -> Instant {
        self.lent().at
    }

    /// Names the connection in the pool, for a cancel request.
    pub fn slot(&self) -> SlotId {
        self.lent().slot
    }

    /// Changes what the connection counts as in SHOW POOLS.
    pub fn set_use(&self, used_for: Use) {
        let slot = self.slot();
        let handle = self.slot.handle();
        handle.with(|pools, _| pools.set_use(slot, used_for));
    }

    /// Whether the connection will be closed when it comes back (`server_fast_close` asks).
    pub fn is_close_needed(&self) -> bool {
        let slot = self.slot();
        let handle = self.slot.handle();
        handle.with(|pools, _| pools.is_close_needed(slot))
    }

    /// Gives the connection back.
    pub fn finish(mut self, verdict: Verdict, now: Instant) {
        self.give_back(verdict, now);
    }

    fn give_back(&mut self, verdict: Verdict, now: Instant) {
        if let Some(Lent { slot, conn, .. }) = self.lent.take() {
            let handle = self.slot.handle();
            handle.with(|pools, out| pools.checkin(slot, conn, verdict, now, out));
        }
    }

    /// Takes the connection out without telling the pool.
    #[cfg(test)]
    pub(super) fn lent_for_test(&mut self) -> Lent<C> {
        self.lent.take().expect("only `finish` and `drop` take it")
    }

    fn lent(&self) -> &Lent<C> {
        self.lent
            .as_ref()
            .expect("only `finish` and `drop` take it")
    }
}

impl<C: Pooled> Deref for Lease<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.lent().conn
    }
}

impl<C: Pooled> DerefMut for Lease<C> {
    fn deref_mut(&mut self) -> &mut C {
        let lent = self.lent.as_mut();
        &mut lent.expect("only `finish` and `drop` take it").conn
    }
}

impl<C: Pooled> Drop for Lease<C> {
    fn drop(&mut self) {
        if self.lent.is_some() {
            self.give_back(Verdict::Discard(Why::LeaseDropped), clock());
        }
    }
}

impl<C: Pooled> std::fmt::Debug for Lease<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let slot = self.lent.as_ref().map(|lent| lent.slot);
        f.debug_struct("Lease").field("slot", &slot).finish()
    }
}
