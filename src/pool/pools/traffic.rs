//! Sans-IO. Clients ask, connections come back, openings end: the events of every day.

use std::time::Instant;

use super::{Gate, Pools};
use crate::pool::action::{
    Action, Actions, CancelTicket, Check, Lent, OpenTicket, Pooled, Use, Verdict,
};
use crate::pool::key::{PoolId, SlotId, WaiterId, WorkerId};
use crate::pool::reason::{OpenFailure, Patience, Refusal, Why};
use crate::pool::slab::Key;
use crate::pool::slots::{Age, Failing};
use crate::pool::waitlist::{Terms, WaiterKind};

/// What a client asks for.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// The client's worker; a connection registered there is preferred.
    pub home: WorkerId,
    /// How far the client has come.
    pub kind: WaiterKind,
    /// When to give up (`query_wait_timeout`, or what ends earlier); `None`: never.
    pub deadline: Option<Instant>,
}

/// Whether the connection was in use before it became free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Fresh,
    Returned,
}

impl<C: Pooled, W: Clone> Pools<C, W> {
    /// An idle connection at once, or nothing. The fast path: decides nothing else.
    pub fn try_take(&mut self, pool: PoolId, home: WorkerId, now: Instant) -> Option<Lent<C>> {
        let slots = self.slots.get_mut(pool.0)?;
        let (key, conn, check) = slots.take_idle(home, now)?;
        let slot = SlotId { pool, key };
        let at = now;
        Some(Lent {
            slot,
            conn,
            check,
            at,
        })
    }

    /// Queues a client for which [`Self::try_take`] found nothing. `None` when it was refused at
    /// once (the refusal is in `out`).
    pub fn enqueue(
        &mut self,
        pool: PoolId,
        waiter: W,
        request: &Request,
        now: Instant,
        out: &mut Actions<C, W>,
    ) -> Option<WaiterId> {
        if let Some(refusal) = self.refuse_at_once(pool, request.kind, now) {
            out.push(Action::Refuse { waiter, refusal });
            return None;
        }
        let slots = self.slots.get_mut(pool.0)?;
        let notify_at = match request.kind {
            WaiterKind::Established => slots.limits().query_wait_notify.map(|after| now + after),
            WaiterKind::Login => None,
        };
        let terms = Terms {
            home: request.home,
            kind: request.kind,
            since: now,
            deadline: request.deadline,
            notify_at,
        };
        let key = slots.waiting.push(waiter, terms);
        slots.empty_since = None;
        let due = [request.deadline, notify_at].into_iter().flatten().min();
        self.schedule(pool, due, out);
        self.grow(pool, now, out);
        Some(WaiterId { pool, key })
    }

    /// Both of the above: the answer is in `out`, or the client waits under the returned id.
    pub fn checkout(
        &mut self,
        pool: PoolId,
        waiter: W,
        request: &Request,
        now: Instant,
        out: &mut Actions<C, W>,
    ) -> Option<WaiterId> {
        match self.try_take(pool, request.home, now) {
            Some(lent) => {
                out.push(Action::Assign { waiter, lent });
                None
            }
            None => self.enqueue(pool, waiter, request, now, out),
        }
    }

    /// A client stops waiting: it left, or its own clock ran out. `None` when its wait is over
    /// already: the answer is on its way, and a connection in it has to be given back.
    pub fn cancel_wait(
        &mut self,
        waiter: WaiterId,
        now: Instant,
        out: &mut Actions<C, W>,
    ) -> Option<W> {
        let slots = self.slots.get_mut(waiter.pool.0)?;
        let found = slots.waiting.remove(waiter.key)?;
        self.rest_if_empty(waiter.pool, now, out);
        Some(found)
    }

    /// A lent connection comes back.
    pub fn checkin(
        &mut self,
        slot: SlotId,
        conn: C,
        verdict: Verdict,
        now: Instant,
        out: &mut Actions<C, W>,
    ) {
        let SlotId { pool, key } = slot;
        let found = self.slots.get_mut(pool.0);
        let Some(slots) = found.filter(|slots| slots.is_lent(key)) else {
            let why = Why::DatabaseRemoved;
            out.push(Action::Retire { conn, why });
            return;
        };
        match verdict {
            Verdict::Keep => slots.touch(key, now),
            Verdict::Untouched => {}
            Verdict::Discard(why) => {
                self.retire((pool, key), conn, why, now, out);
                self.refill(pool, now, out);
                return;
            }
        }
        self.settle((pool, key), conn, Origin::Returned, now, out);
    }

    /// Changes what a lent connection counts as (`sv_active`, `sv_tested`).
    pub fn set_use(&mut self, slot: SlotId, used_for: Use) {
        if let Some(slots) = self.slots.get_mut(slot.pool.0) {
            slots.set_use(slot.key, used_for);
        }
    }

    /// Whether a lent connection will not be used again once it comes back: RECONNECT, a changed
    /// database entry (`server_fast_close` acts on it), PAUSE, or its database is gone.
    pub fn is_close_needed(&self, slot: SlotId) -> bool {
        self.slots.get(slot.pool.0).is_none_or(|slots| {
            slots.is_stale(slot.key) || Self::closed_gate(self.gate(slots)).is_some()
        })
    }

    /// An opening has succeeded.
    pub fn opened(&mut self, ticket: OpenTicket, conn: C, now: Instant, out: &mut Actions<C, W>) {
        let (pool, epoch) = ticket.redeem();
        let Some(slots) = self.slots.get_mut(pool.0) else {
            let why = Why::DatabaseRemoved;
            out.push(Action::Retire { conn, why });
            return;
        };
        slots.opening_over(epoch);
        slots.failing = None;
        let key = slots.insert(conn.created_at(), epoch, now);
        self.settle((pool, key), conn, Origin::Fresh, now, out);
        self.grow(pool, now, out);
    }

    /// An opening has failed. Clients that can be told are told, unless another connection of the
    /// pool exists or is on its way.
    pub fn open_failed(
        &mut self,
        ticket: OpenTicket,
        failure: OpenFailure,
        now: Instant,
        out: &mut Actions<C, W>,
    ) {
        let (pool, epoch) = ticket.redeem();
        let Some(slots) = self.slots.get_mut(pool.0) else {
            return;
        };
        let age = if slots.epoch() == epoch {
            Age::Current
        } else {
            Age::Stale
        };
        slots.opening_over(epoch);
        if slots.size() == 0 && failure.patience() == Patience::Refuse {
            let (refusal, waiters) = match failure.final_answer() {
                Some(refusal) => (
                    refusal,
                    std::iter::from_fn(|| slots.waiting.pop()).collect(),
                ),
                None => (
                    failure.cached(),
                    slots.waiting.take_kind(WaiterKind::Established),
                ),
            };
            for waiter in waiters {
                let refusal = refusal.clone();
                out.push(Action::Refuse { waiter, refusal });
            }
        }
        let retry_at = now + failure.retry_after(slots.limits().server_login_retry);
        slots.failing = Some(Failing { failure, retry_at });
        self.count_down(pool, age, now, out);
        self.refill(pool, now, out);
    }

    /// A cancel request sets out to the server of a lent connection. `None`: the connection is
    /// not lent any more, so there is nothing to cancel.
    pub fn cancel_started(&mut self, slot: SlotId) -> Option<CancelTicket> {
        let slots = self.slots.get_mut(slot.pool.0)?;
        slots
            .cancel_started(slot.key)
            .then_some(CancelTicket { slot })
    }

    /// A cancel request has been delivered or given up. A connection that came back meanwhile was
    /// held, so that the request could not hit the next client; now it is free.
    pub fn cancel_finished(&mut self, ticket: CancelTicket, now: Instant, out: &mut Actions<C, W>) {
        let SlotId { pool, key } = ticket.redeem();
        let Some(slots) = self.slots.get_mut(pool.0) else {
            return;
        };
        if let Some(conn) = slots.cancel_finished(key) {
            self.settle((pool, key), conn, Origin::Returned, now, out);
        }
    }

    /// A client now belongs to a pool (`min_pool_size` and the idle clocks ask). `false` when the
    /// pool has gone.
    pub fn join(&mut self, pool: PoolId, now: Instant, out: &mut Actions<C, W>) -> bool {
        let Some(database) = self
            .database_of(pool)
            .filter(|id| self.running(*id).is_some())
        else {
            return false;
        };
        if let Some(slots) = self.slots.get_mut(pool.0) {
            slots.clients += 1;
            slots.empty_since = None;
        }
        let database = self.database_mut(database);
        database.clients += 1;
        database.idle_since = None;
        self.grow(pool, now, out);
        true
    }

    /// A client that had joined has left.
    pub fn leave(&mut self, pool: PoolId, now: Instant, out: &mut Actions<C, W>) {
        let Some(slots) = self.slots.get_mut(pool.0) else {
            return;
        };
        slots.clients = slots.clients.saturating_sub(1);
        let (database, due) = (slots.database, slots.idle_timeout_due());
        let database = self.database_mut(database);
        database.clients = database.clients.saturating_sub(1);
        self.schedule(pool, due, out);
        self.rest_if_empty(pool, now, out);
    }

    /// A connection has become free: the waiter whose turn it is gets it, or it becomes idle, or it
    /// goes.
    fn settle(
        &mut self,
        (pool, key): (PoolId, Key),
        conn: C,
        origin: Origin,
        now: Instant,
        out: &mut Actions<C, W>,
    ) {
        if let Some(why) = self.unfit((pool, key), origin, now) {
            self.retire((pool, key), conn, why, now, out);
            self.refill(pool, now, out);
            return;
        }
        let Some(slots) = self.slots.get_mut(pool.0) else {
            return;
        };
        if slots.is_being_canceled(key) {
            slots.hold(key, conn);
            return;
        }
        if let Some(waiter) = slots.waiting.pop_for(conn.home(), now) {
            let check = match origin {
                Origin::Fresh => Check::NotNeeded,
                Origin::Returned => slots.lend(key, now),
            };
            let slot = SlotId { pool, key };
            let at = now;
            let lent = Lent {
                slot,
                conn,
                check,
                at,
            };
            out.push(Action::Assign { waiter, lent });
            return;
        }
        slots.park(key, conn);
        let due = slots.park_due(key);
        self.schedule(pool, due, out);
        self.relieve(now, out);
    }

    /// Why a free connection must be closed instead of used, if so.
    fn unfit(&mut self, (pool, key): (PoolId, Key), origin: Origin, now: Instant) -> Option<Why> {
        let slots = self.slots.get(pool.0)?;
        let database = self.database(slots.database);
        if let Some(why) = Self::closed_gate(self.gate_of(database)) {
            return Some(why);
        }
        if slots.is_stale(key) {
            return Some(Why::CloseNeeded);
        }
        if slots.live() > slots.limits().ceiling() {
            return Some(Why::TooManyInPool);
        }
        if database.quota.is_over() {
            return Some(Why::EvictedForMaxDbConnections);
        }
        if self.user(slots.user).quota.is_over() {
            return Some(Why::EvictedForMaxUserConnections);
        }
        if let Some(why) = self.owed_to_neighbour(slots, now) {
            return Some(why);
        }
        let slots = self.slots.get_mut(pool.0)?;
        (origin == Origin::Returned && slots.retire_for_age(key, now)).then_some(Why::LifetimeOver)
    }

    fn refuse_at_once(&self, pool: PoolId, kind: WaiterKind, now: Instant) -> Option<Refusal> {
        let Some(slots) = self.slots.get(pool.0) else {
            return Some(Refusal::DatabaseRemoved);
        };
        match self.gate(slots) {
            Gate::Stopping => return Some(Refusal::ShuttingDown),
            Gate::Removed => return Some(Refusal::DatabaseRemoved),
            Gate::Open | Gate::Paused => {}
        }
        let failing = slots.failing.as_ref()?;
        let refuses = failing.failure.patience() == Patience::Refuse;
        let hopeless = refuses && slots.size() == 0 && failing.retry_at > now;
        (hopeless && kind == WaiterKind::Established).then(|| failing.failure.cached())
    }
}
