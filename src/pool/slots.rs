//! Sans-IO. One pool: its connections, its queue, and whether it wants another connection.
//!
//! Not here: limits over several pools, PAUSE, actions (`pools`). A connection that is lent to a
//! client is only an entry here; the value itself travels with the client and comes back.
//!
//! ```text
//!  Open ticket ──opened──► Lent ◄──take_idle── Idle
//!                           │ ▲                 ▲
//!                     park  │ └──── unhold      │ park
//!                           ├──────────────────►┘
//!                           └──hold──► Held (a cancel request is still under way to it)
//! ```

mod census;
mod demand;

pub use census::{Doing, Standing};
pub(super) use demand::Demand;

use std::collections::VecDeque;
use std::time::Instant;

use super::action::{Check, Pooled, Use};
use super::key::{DatabaseId, PoolKey, UserId, WorkerId};
use super::limits::{Order, PoolLimits};
use super::reason::OpenFailure;
use super::slab::{Key, Slab};
use super::waitlist::Waitlist;

/// How many idle connections are looked at for one of the caller's own worker.
const HOME_SEARCH: usize = 16;

#[derive(Debug)]
enum State<C> {
    Lent(Use),
    Idle(C),
    Held(C),
}

#[derive(Debug)]
struct Entry<C> {
    state: State<C>,
    created_at: Instant,
    /// `created_at` and `server_lifetime`.
    lives_until: Instant,
    /// Last time it came back from use.
    idle_since: Instant,
    /// The pool's epoch when its opening began; an older one means `close_needed`.
    epoch: u32,
    /// Cancel requests under way to it.
    cancels: u32,
}

/// An idle connection in its list, with what the list is searched and sorted by.
#[derive(Debug)]
struct Parked {
    slot: Key,
    home: WorkerId,
    since: Instant,
}

/// The last attempt to open a connection failed, and none has succeeded since.
#[derive(Debug)]
pub(super) struct Failing {
    pub(super) failure: OpenFailure,
    pub(super) retry_at: Instant,
}

/// One pool.
#[derive(Debug)]
pub(super) struct Slots<C, W> {
    pub(super) key: PoolKey,
    pub(super) database: DatabaseId,
    pub(super) user: UserId,
    limits: PoolLimits,
    pub(super) waiting: Waitlist<W>,
    /// Openings under way.
    pub(super) opening: usize,
    /// Cancel requests under way.
    pub(super) cancels: usize,
    /// Clients that belong to this pool, connected or waiting.
    pub(super) clients: usize,
    pub(super) failing: Option<Failing>,
    /// Is in the list of pools that a limit over several pools holds back.
    pub(super) blocked: bool,
    /// When `tick` has something to do here, at the earliest.
    pub(super) due: Option<Instant>,
    /// Since when there is no client, waiter or connection.
    pub(super) empty_since: Option<Instant>,
    entries: Slab<Entry<C>>,
    /// Idle connections, the one idle longest at the front.
    idle: VecDeque<Parked>,
    epoch: u32,
    /// Connections and openings of an older epoch.
    stale: usize,
    lifetime_closed_at: Option<Instant>,
}

impl<C: Pooled, W> Slots<C, W> {
    pub(super) fn new(
        key: PoolKey,
        (database, user): (DatabaseId, UserId),
        limits: PoolLimits,
        now: Instant,
    ) -> Self {
        Self {
            key,
            database,
            user,
            limits,
            waiting: Waitlist::default(),
            opening: 0,
            cancels: 0,
            clients: 0,
            failing: None,
            blocked: false,
            due: None,
            empty_since: Some(now),
            entries: Slab::default(),
            idle: VecDeque::new(),
            epoch: 0,
            stale: 0,
            lifetime_closed_at: None,
        }
    }

    pub(super) fn limits(&self) -> &PoolLimits {
        &self.limits
    }

    pub(super) fn set_limits(&mut self, limits: PoolLimits) {
        for entry in self.entries.iter_mut() {
            entry.lives_until = entry.created_at + limits.server_lifetime;
        }
        self.limits = limits;
    }

    /// Connections that exist, wherever they are.
    pub(super) fn live(&self) -> usize {
        self.entries.len()
    }

    /// Connections that exist or are being opened: what the limits bound.
    pub(super) fn size(&self) -> usize {
        self.live() + self.opening
    }

    pub(super) fn idle_len(&self) -> usize {
        self.idle.len()
    }

    /// Nothing would be lost with this pool.
    pub(super) fn is_empty(&self) -> bool {
        self.size() == 0 && self.clients == 0 && self.waiting.is_empty()
    }

    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Connections and openings from before the last RECONNECT.
    pub(super) fn stale(&self) -> usize {
        self.stale
    }

    /// From now on every connection and opening that exists is `close_needed`.
    pub(super) fn begin_epoch(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.stale = self.size();
    }

    pub(super) fn is_stale(&self, slot: Key) -> bool {
        self.entries
            .get(slot)
            .is_some_and(|entry| entry.epoch != self.epoch)
    }

    /// An opening is over, for better or worse. A success must be followed by `insert`.
    pub(super) fn opening_over(&mut self, epoch: u32) {
        self.opening -= 1;
        if epoch != self.epoch {
            self.stale -= 1;
        }
    }

    /// A new connection, lent to nobody yet.
    pub(super) fn insert(&mut self, created_at: Instant, epoch: u32, now: Instant) -> Key {
        if epoch != self.epoch {
            self.stale += 1;
        }
        self.entries.insert(Entry {
            state: State::Lent(Use::Active),
            created_at,
            lives_until: created_at + self.limits.server_lifetime,
            idle_since: now,
            epoch,
            cancels: 0,
        })
    }

    /// A connection is gone for good. `true` when it was of an older epoch.
    pub(super) fn forget(&mut self, slot: Key) -> Option<Age> {
        let entry = self.entries.remove(slot)?;
        if entry.epoch == self.epoch {
            return Some(Age::Current);
        }
        self.stale -= 1;
        Some(Age::Stale)
    }

    /// Lends an idle connection: of the caller's worker if one is near the preferred end.
    pub(super) fn take_idle(&mut self, home: WorkerId, now: Instant) -> Option<(Key, C, Check)> {
        let at_home = |parked: &Parked| parked.home == home;
        let parked = match self.limits.order {
            // The usual case: nothing to search, no gap to close.
            Order::Lifo if self.idle.back().is_none_or(at_home) => self.idle.pop_back()?,
            Order::Lifo => {
                let found = self.idle.iter().rev().take(HOME_SEARCH).position(at_home);
                let last = self.idle.len() - 1;
                self.idle.remove(last - found.unwrap_or(0))?
            }
            Order::Fifo => {
                let found = self.idle.iter().take(HOME_SEARCH).position(at_home);
                self.idle.remove(found.unwrap_or(0))?
            }
        };
        let slot = parked.slot;
        let conn = self.take_parked(slot)?;
        let check = self.lend(slot, now);
        Some((slot, conn, check))
    }

    /// Marks a connection in hand as lent.
    pub(super) fn lend(&mut self, slot: Key, now: Instant) -> Check {
        let delay = self.limits.server_check_delay;
        let entry = self.entry_mut(slot);
        let check = match delay {
            Some(delay) if entry.idle_since + delay < now => Check::Needed,
            Some(_) | None => Check::NotNeeded,
        };
        if let State::Lent(used_for) = &mut entry.state {
            *used_for = use_for(check);
        }
        check
    }

    /// It was used until now.
    pub(super) fn touch(&mut self, slot: Key, now: Instant) {
        self.entry_mut(slot).idle_since = now;
    }

    /// Makes a lent connection idle. Keeps the list sorted by `idle_since`.
    pub(super) fn park(&mut self, slot: Key, conn: C) {
        let home = conn.home();
        let entry = self.entry_mut(slot);
        entry.state = State::Idle(conn);
        let since = entry.idle_since;
        let parked = Parked { slot, home, since };
        if self.idle.back().is_none_or(|last| last.since <= since) {
            self.idle.push_back(parked);
            return;
        }
        let newer = self.idle.iter().rev();
        let newer = newer.take_while(|other| other.since > since).count();
        self.idle.insert(self.idle.len() - newer, parked);
    }

    /// Keeps a lent connection back until the cancel requests to it are over.
    pub(super) fn hold(&mut self, slot: Key, conn: C) {
        self.entry_mut(slot).state = State::Held(conn);
    }

    /// Lends a held connection again.
    pub(super) fn unhold(&mut self, slot: Key) -> Option<C> {
        let entry = self.entries.get_mut(slot)?;
        match std::mem::replace(&mut entry.state, State::Lent(Use::Active)) {
            State::Held(conn) => Some(conn),
            other @ (State::Lent(_) | State::Idle(_)) => {
                entry.state = other;
                None
            }
        }
    }

    /// Takes the connection that has been idle longest.
    pub(super) fn take_oldest_idle(&mut self) -> Option<(Key, C)> {
        let Parked { slot, .. } = self.idle.pop_front()?;
        Some((slot, self.take_parked(slot)?))
    }

    /// Takes the idle connections that the caller finds unfit.
    pub(super) fn take_unfit(&mut self, mut unfit: impl FnMut(&mut C) -> bool) -> Vec<(Key, C)> {
        let mut found = Vec::new();
        let entries = &mut self.entries;
        self.idle.retain(|Parked { slot, .. }| {
            let conn = entries
                .get_mut(*slot)
                .and_then(|entry| match &mut entry.state {
                    State::Idle(conn) => Some(conn),
                    State::Lent(_) | State::Held(_) => None,
                });
            let bad = conn.is_some_and(&mut unfit);
            if bad {
                found.push(*slot);
            }
            !bad
        });
        let taken = found
            .into_iter()
            .filter_map(|slot| Some((slot, self.take_parked(slot)?)));
        taken.collect()
    }

    /// Takes every connection that no client holds: idle ones and held ones.
    pub(super) fn take_all_parked(&mut self) -> Vec<(Key, C)> {
        self.idle.clear();
        let slots = self.entries.keys();
        slots
            .into_iter()
            .filter_map(|slot| Some((slot, self.take_parked(slot)?)))
            .collect()
    }

    /// Takes an idle connection that is over its lifetime, if one may be closed now.
    pub(super) fn take_outlived(&mut self, now: Instant) -> Option<(Key, C)> {
        if self.lifetime_due()? > now {
            return None;
        }
        let outlived = |parked: &Parked| self.outlived(parked.slot, now);
        let position = self.idle.iter().position(outlived)?;
        let Parked { slot, .. } = self.idle.remove(position)?;
        self.lifetime_closed_at = Some(now);
        Some((slot, self.take_parked(slot)?))
    }

    /// Whether a returned connection is over its lifetime and may be closed for it now.
    pub(super) fn retire_for_age(&mut self, slot: Key, now: Instant) -> bool {
        if !self.outlived(slot, now) || self.lifetime_gap_until().is_some_and(|at| at > now) {
            return false;
        }
        self.lifetime_closed_at = Some(now);
        true
    }

    /// Changes what a lent connection is used for.
    pub(super) fn set_use(&mut self, slot: Key, used_for: Use) {
        if let Some(entry) = self.entries.get_mut(slot)
            && let State::Lent(current) = &mut entry.state
        {
            *current = used_for;
        }
    }

    /// A cancel request sets out to a lent connection; `false` when it is not lent.
    pub(super) fn cancel_started(&mut self, slot: Key) -> bool {
        let Some(entry) = self.entries.get_mut(slot) else {
            return false;
        };
        if !matches!(entry.state, State::Lent(_)) {
            return false;
        }
        entry.cancels += 1;
        self.cancels += 1;
        true
    }

    /// A cancel request is over; gives the connection if that was the last thing it waited for.
    pub(super) fn cancel_finished(&mut self, slot: Key) -> Option<C> {
        self.cancels -= 1;
        let entry = self.entries.get_mut(slot)?;
        entry.cancels -= 1;
        if entry.cancels > 0 {
            return None;
        }
        self.unhold(slot)
    }

    pub(super) fn is_being_canceled(&self, slot: Key) -> bool {
        self.entries
            .get(slot)
            .is_some_and(|entry| entry.cancels > 0)
    }

    /// Whether the connection is known and lent: only such a one can come back.
    pub(super) fn is_lent(&self, slot: Key) -> bool {
        let entry = self.entries.get(slot);
        entry.is_some_and(|entry| matches!(entry.state, State::Lent(_)))
    }

    /// When the connection that has been idle longest came back.
    pub(super) fn oldest_idle_since(&self) -> Option<Instant> {
        Some(self.idle.front()?.since)
    }

    fn lifetime_gap_until(&self) -> Option<Instant> {
        Some(self.lifetime_closed_at? + self.limits.lifetime_gap())
    }

    fn outlived(&self, slot: Key, now: Instant) -> bool {
        let entry = self.entries.get(slot);
        entry.is_some_and(|entry| entry.lives_until <= now)
    }

    fn take_parked(&mut self, slot: Key) -> Option<C> {
        let entry = self.entries.get_mut(slot)?;
        match std::mem::replace(&mut entry.state, State::Lent(Use::Active)) {
            State::Idle(conn) | State::Held(conn) => Some(conn),
            lent @ State::Lent(_) => {
                entry.state = lent;
                None
            }
        }
    }

    fn entry_mut(&mut self, slot: Key) -> &mut Entry<C> {
        self.entries
            .get_mut(slot)
            .expect("the caller made sure that the slot is live")
    }
}

/// Whether a connection that left for good was opened before the last RECONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    Current,
    Stale,
}

fn use_for(check: Check) -> Use {
    match check {
        Check::Needed => Use::Tested,
        Check::NotNeeded => Use::Active,
    }
}
