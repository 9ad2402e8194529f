//! Sans-IO. The clients that wait for a connection of one pool, and whose turn it is.
//!
//! A connection is cheapest for a waiter of its own worker: nothing is registered again and no other
//! thread is woken. So it goes to the oldest waiter there, unless an older one of another worker has
//! been passed over for long enough ([`PATIENCE`]); and if nobody waits there, to the oldest of all.
//!
//! One list of all waiters and one for each worker, threaded through the same nodes of a slab:
//! joining, leaving from anywhere and serving the next take constant time, and after warm-up
//! nothing allocates. Bounded by the number of clients.

use std::time::{Duration, Instant};

use super::key::WorkerId;
use super::slab::{Key, Slab};

/// A waiter that came this much earlier than the one whose worker the connection is on goes first,
/// and the connection moves to its worker. No more than one connection of a pool moves like this in
/// the same time.
///
/// Long against the time in which a worker goes over its ready sockets, so that the order of events
/// alone moves nothing; short against a wait that anybody would notice. That connections move one
/// by one lets the worker that needs them show it before it is given too many, and a worker that
/// the machine does not run just then does not draw all of them to itself.
pub(super) const PATIENCE: Duration = Duration::from_millis(1);

/// What the waiting client can be told when the server cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaiterKind {
    /// Has been told that its login succeeded: gets the cached error of the last attempt.
    Established,
    /// Still logs in and needs the server's parameters: goes on waiting until its deadline.
    Login,
}

/// The neighbours of a node in one list.
#[derive(Debug, Default, Clone, Copy)]
struct Links {
    previous: Option<Key>,
    next: Option<Key>,
}

/// The ends of one list.
#[derive(Debug, Default, Clone, Copy)]
struct Ends {
    oldest: Option<Key>,
    newest: Option<Key>,
}

#[derive(Debug)]
struct Node<W> {
    waiter: W,
    terms: Terms,
    among_all: Links,
    at_home: Links,
}

/// When and where a new waiter came and what its limits are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) home: WorkerId,
    pub(super) kind: WaiterKind,
    pub(super) since: Instant,
    pub(super) deadline: Option<Instant>,
    pub(super) notify_at: Option<Instant>,
}

/// The queue of one pool.
#[derive(Debug)]
pub(super) struct Waitlist<W> {
    nodes: Slab<Node<W>>,
    all: Ends,
    /// By worker, as far as waiters have come from there.
    homes: Vec<Ends>,
    /// A connection has moved to a waiter that was passed over: until then no other one does.
    settles_until: Option<Instant>,
}

impl<W> Default for Waitlist<W> {
    fn default() -> Self {
        Self {
            nodes: Slab::default(),
            all: Ends::default(),
            homes: Vec::new(),
            settles_until: None,
        }
    }
}

impl<W> Waitlist<W> {
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.oldest.is_none()
    }

    /// When the oldest waiter came.
    pub(super) fn oldest_since(&self) -> Option<Instant> {
        Some(self.node(self.all.oldest?).terms.since)
    }

    /// What the waiter brought that has `ahead` others before it. Takes `ahead` steps.
    pub(super) fn terms_of(&self, ahead: usize) -> Option<&Terms> {
        self.terms().nth(ahead)
    }

    pub(super) fn push(&mut self, waiter: W, terms: Terms) -> Key {
        let place = usize::from(terms.home.0);
        if self.homes.len() <= place {
            self.homes.resize_with(place + 1, Ends::default);
        }
        let (all, home) = (self.all.newest, self.homes[place].newest);
        let behind = |previous| Links {
            previous,
            next: None,
        };
        let key = self.nodes.insert(Node {
            waiter,
            terms,
            among_all: behind(all),
            at_home: behind(home),
        });
        match all {
            Some(previous) => self.node_mut(previous).among_all.next = Some(key),
            None => self.all.oldest = Some(key),
        }
        match home {
            Some(previous) => self.node_mut(previous).at_home.next = Some(key),
            None => self.homes[place].oldest = Some(key),
        }
        self.all.newest = Some(key);
        self.homes[place].newest = Some(key);
        key
    }

    /// Takes the oldest waiter.
    pub(super) fn pop(&mut self) -> Option<W> {
        self.remove(self.all.oldest?)
    }

    /// Takes the waiter whose turn it is to get a connection of worker `home`.
    pub(super) fn pop_for(&mut self, home: WorkerId, now: Instant) -> Option<W> {
        let oldest = self.all.oldest?;
        let own = self.homes.get(usize::from(home.0));
        let next = match own.and_then(|ends| ends.oldest) {
            Some(own) if own == oldest => oldest,
            Some(own) if !self.has_lost_patience(oldest, own, now) => own,
            Some(_) => {
                self.settles_until = Some(now + PATIENCE);
                oldest
            }
            None => oldest,
        };
        self.remove(next)
    }

    /// Whether the oldest waiter goes before the oldest of the connection's worker.
    fn has_lost_patience(&self, oldest: Key, own: Key, now: Instant) -> bool {
        let overtaken = self.node(own).terms.since > self.node(oldest).terms.since + PATIENCE;
        overtaken && self.settles_until.is_none_or(|until| until <= now)
    }

    /// Takes one waiter; `None` when its wait is over already.
    pub(super) fn remove(&mut self, key: Key) -> Option<W> {
        let node = self.nodes.remove(key)?;
        let place = usize::from(node.terms.home.0);
        let (all, home) = (node.among_all, node.at_home);
        match all.previous {
            Some(previous) => self.node_mut(previous).among_all.next = all.next,
            None => self.all.oldest = all.next,
        }
        match all.next {
            Some(next) => self.node_mut(next).among_all.previous = all.previous,
            None => self.all.newest = all.previous,
        }
        match home.previous {
            Some(previous) => self.node_mut(previous).at_home.next = home.next,
            None => self.homes[place].oldest = home.next,
        }
        match home.next {
            Some(next) => self.node_mut(next).at_home.previous = home.previous,
            None => self.homes[place].newest = home.previous,
        }
        Some(node.waiter)
    }

    /// Takes all waiters of one kind, oldest first.
    pub(super) fn take_kind(&mut self, kind: WaiterKind) -> Vec<W> {
        self.take_where(|terms| terms.kind == kind)
    }

    /// Takes the waiters whose deadline has come, oldest first.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<W> {
        self.take_where(|terms| terms.deadline.is_some_and(|deadline| deadline <= now))
    }

    fn take_where(&mut self, wanted: impl Fn(&Terms) -> bool) -> Vec<W> {
        let mut taken = Vec::new();
        let mut cursor = self.all.oldest;
        while let Some(key) = cursor {
            let node = self.node(key);
            let next = node.among_all.next;
            if wanted(&node.terms) {
                taken.extend(self.remove(key));
            }
            cursor = next;
        }
        taken
    }

    /// The earliest deadline or notice of any waiter. Walks the whole queue.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.terms()
            .flat_map(|terms| [terms.deadline, terms.notify_at])
            .flatten()
            .min()
    }

    /// What the waiters brought, oldest first.
    fn terms(&self) -> impl Iterator<Item = &Terms> {
        std::iter::successors(self.all.oldest, |key| self.node(*key).among_all.next)
            .map(|key| &self.node(key).terms)
    }

    /// Panics unless every waiter is in both of its lists, in the order of arrival (tests and debug
    /// runs).
    pub(super) fn check_invariants(&self) {
        let arrivals: Vec<_> = self.terms().map(|terms| terms.since).collect();
        assert!(arrivals.is_sorted(), "the queue is in order of arrival");
        assert_eq!(arrivals.len(), self.len(), "the queue is linked throughout");
        let mut listed = 0;
        for (place, ends) in self.homes.iter().enumerate() {
            let keys = std::iter::successors(ends.oldest, |key| self.node(*key).at_home.next);
            let terms: Vec<_> = keys.map(|key| self.node(key).terms).collect();
            let since = terms.iter().map(|terms| terms.since);
            assert!(since.is_sorted(), "worker {place}: in order of arrival");
            let at_home = |terms: &Terms| usize::from(terms.home.0) == place;
            assert!(terms.iter().all(at_home), "worker {place}: a stranger");
            listed += terms.len();
        }
        assert_eq!(listed, self.len(), "every waiter is in its worker's list");
    }

    fn node(&self, key: Key) -> &Node<W> {
        self.nodes.get(key).expect("links name nodes of the list")
    }

    fn node_mut(&mut self, key: Key) -> &mut Node<W> {
        self.nodes
            .get_mut(key)
            .expect("links name nodes of the list")
    }
}

impl<W: Clone> Waitlist<W> {
    /// Waiters whose notice has come, each once.
    pub(super) fn take_notices(&mut self, now: Instant) -> Vec<W> {
        let mut notices = Vec::new();
        let mut cursor = self.all.oldest;
        while let Some(key) = cursor {
            let node = self.node_mut(key);
            if node.terms.notify_at.is_some_and(|at| at <= now) {
                node.terms.notify_at = None;
                notices.push(node.waiter.clone());
            }
            cursor = node.among_all.next;
        }
        notices
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn start() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn terms(since: Instant) -> Terms {
        Terms {
            home: WorkerId(0),
            kind: WaiterKind::Established,
            since,
            deadline: None,
            notify_at: None,
        }
    }

    fn from(home: u16, since: Instant) -> Terms {
        let home = WorkerId(home);
        Terms {
            home,
            ..terms(since)
        }
    }

    /// Who is served by connections of these workers, one after the other at `now`.
    fn served(list: &mut Waitlist<usize>, homes: &[u16], now: Instant) -> Vec<usize> {
        let homes = homes.iter().map(|home| WorkerId(*home));
        homes.filter_map(|home| list.pop_for(home, now)).collect()
    }

    #[test]
    fn a_connection_goes_to_the_oldest_waiter_of_its_worker() {
        let mut list = Waitlist::default();
        let at = start();
        for (waiter, home) in [0, 1, 1, 0, 0].into_iter().enumerate() {
            list.push(waiter, from(home, at));
        }
        assert_eq!(served(&mut list, &[1, 0, 1, 0, 0], at), [1, 0, 2, 3, 4]);
        assert!(list.is_empty());
    }

    #[test]
    fn a_connection_without_a_waiter_at_home_goes_to_the_oldest_of_all() {
        let mut list = Waitlist::default();
        let at = start();
        for (waiter, home) in [2, 0, 2].into_iter().enumerate() {
            list.push(waiter, from(home, at));
        }
        assert_eq!(served(&mut list, &[1, 7, 0], at), [0, 1, 2]);
    }

    #[test]
    fn a_waiter_that_came_earlier_by_more_than_patience_goes_first() {
        let at = start();
        let moment = Duration::from_nanos(1);
        for (gap, first) in [(PATIENCE, 1), (PATIENCE + moment, 0)] {
            let mut list = Waitlist::default();
            list.push(0, from(0, at));
            list.push(1, from(1, at + gap));
            assert_eq!(served(&mut list, &[1], at + gap), [first], "{gap:?}");
        }
    }

    #[test]
    fn connections_move_to_a_worker_that_is_behind_one_by_one() {
        let mut list = Waitlist::default();
        let at = start();
        (0..4).for_each(|waiter| drop(list.push(waiter, from(0, at))));
        let later = at + PATIENCE * 3;
        (4..8).for_each(|waiter| drop(list.push(waiter, from(1, later))));
        let moment = Duration::from_nanos(1);
        assert_eq!(served(&mut list, &[1, 1, 0], later), [0, 4, 1]);
        assert_eq!(served(&mut list, &[1], later + PATIENCE - moment), [5]);
        assert_eq!(served(&mut list, &[1, 1], later + PATIENCE), [2, 6]);
    }

    #[test]
    fn waiters_leave_in_the_order_they_came_whoever_gives_up() {
        for gone in 0..4 {
            let mut list = Waitlist::default();
            let at = start();
            let push = |(n, home)| list.push(n, from(home, at));
            let keys: Vec<_> = [0, 1, 1, 0].into_iter().enumerate().map(push).collect();
            assert_eq!(list.remove(keys[gone]), Some(gone));
            assert_eq!(list.remove(keys[gone]), None);
            list.check_invariants();
            let left: Vec<_> = std::iter::from_fn(|| list.pop()).collect();
            let expected: Vec<_> = (0..4).filter(|n| *n != gone).collect();
            assert_eq!(left, expected);
            assert!(list.is_empty() && list.oldest_since().is_none());
        }
    }

    #[test]
    fn only_expired_waiters_are_taken_and_notices_come_once() {
        let at = start();
        let later = at + Duration::from_secs(5);
        let mut list = Waitlist::default();
        list.push(
            "notice",
            Terms {
                notify_at: Some(later),
                ..terms(at)
            },
        );
        list.push(
            "deadline",
            Terms {
                deadline: Some(later),
                ..terms(at)
            },
        );
        assert_eq!(list.next_due(), Some(later));
        assert!(list.take_expired(at).is_empty());
        assert!(list.take_notices(at).is_empty());
        assert_eq!(list.take_expired(later), ["deadline"]);
        assert_eq!(list.take_notices(later), ["notice"]);
        assert!(list.take_notices(later).is_empty());
        assert_eq!(list.next_due(), None);
    }

    #[test]
    fn the_queue_can_be_walked_by_kind() {
        let mut list = Waitlist::default();
        let at = start();
        let login = Terms {
            kind: WaiterKind::Login,
            ..terms(at)
        };
        list.push("login", login);
        list.push("query", terms(at));
        assert_eq!(list.take_kind(WaiterKind::Established), ["query"]);
        assert!(list.take_kind(WaiterKind::Established).is_empty());
        assert_eq!(list.len(), 1);
    }
}
