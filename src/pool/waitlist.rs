//! Sans-IO. The clients that wait for a connection of one pool, oldest first.
//!
//! A doubly linked list inside a slab: joining, leaving from anywhere and serving the oldest take
//! constant time, and after warm-up nothing allocates. Bounded by the number of clients.

use std::time::Instant;

use super::slab::{Key, Slab};

/// What the waiting client can be told when the server cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaiterKind {
    /// Has been told that its login succeeded: gets the cached error of the last attempt.
    Established,
    /// Still logs in and needs the server's parameters: goes on waiting until its deadline.
    Login,
}

#[derive(Debug)]
struct Node<W> {
    waiter: W,
    kind: WaiterKind,
    since: Instant,
    deadline: Option<Instant>,
    notify_at: Option<Instant>,
    previous: Option<Key>,
    next: Option<Key>,
}

/// When a new waiter came and what its limits are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) kind: WaiterKind,
    pub(super) since: Instant,
    pub(super) deadline: Option<Instant>,
    pub(super) notify_at: Option<Instant>,
}

/// The queue of one pool.
#[derive(Debug)]
pub(super) struct Waitlist<W> {
    nodes: Slab<Node<W>>,
    oldest: Option<Key>,
    newest: Option<Key>,
}

impl<W> Default for Waitlist<W> {
    fn default() -> Self {
        Self {
            nodes: Slab::default(),
            oldest: None,
            newest: None,
        }
    }
}

impl<W> Waitlist<W> {
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.oldest.is_none()
    }

    /// When the oldest waiter came.
    pub(super) fn oldest_since(&self) -> Option<Instant> {
        Some(self.node(self.oldest?).since)
    }

    /// When the waiter came that has `ahead` others before it. Takes `ahead` steps.
    pub(super) fn since_of(&self, ahead: usize) -> Option<Instant> {
        self.iter().nth(ahead).map(|(_, node)| node.since)
    }

    pub(super) fn push(&mut self, waiter: W, terms: Terms) -> Key {
        let Terms {
            kind,
            since,
            deadline,
            notify_at,
        } = terms;
        let previous = self.newest;
        let key = self.nodes.insert(Node {
            waiter,
            kind,
            since,
            deadline,
            notify_at,
            previous,
            next: None,
        });
        match previous {
            Some(previous) => self.node_mut(previous).next = Some(key),
            None => self.oldest = Some(key),
        }
        self.newest = Some(key);
        key
    }

    /// Takes the oldest waiter.
    pub(super) fn pop(&mut self) -> Option<W> {
        self.remove(self.oldest?)
    }

    /// Takes one waiter; `None` when its wait is over already.
    pub(super) fn remove(&mut self, key: Key) -> Option<W> {
        let node = self.nodes.remove(key)?;
        match node.previous {
            Some(previous) => self.node_mut(previous).next = node.next,
            None => self.oldest = node.next,
        }
        match node.next {
            Some(next) => self.node_mut(next).previous = node.previous,
            None => self.newest = node.previous,
        }
        Some(node.waiter)
    }

    /// Takes all waiters of one kind, oldest first.
    pub(super) fn take_kind(&mut self, kind: WaiterKind) -> Vec<W> {
        self.take_where(|node| node.kind == kind)
    }

    /// Takes the waiters whose deadline has come, oldest first.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<W> {
        self.take_where(|node| node.deadline.is_some_and(|deadline| deadline <= now))
    }

    fn take_where(&mut self, wanted: impl Fn(&Node<W>) -> bool) -> Vec<W> {
        let mut taken = Vec::new();
        let mut cursor = self.oldest;
        while let Some(key) = cursor {
            let node = self.node(key);
            let next = node.next;
            if wanted(node) {
                taken.extend(self.remove(key));
            }
            cursor = next;
        }
        taken
    }

    /// The earliest deadline or notice of any waiter. Walks the whole queue.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.iter()
            .flat_map(|(_, node)| [node.deadline, node.notify_at])
            .flatten()
            .min()
    }

    /// The waiters in order, for tests and invariants: when each came.
    pub(super) fn arrivals(&self) -> impl Iterator<Item = Instant> {
        self.iter().map(|(_, node)| node.since)
    }

    fn iter(&self) -> impl Iterator<Item = (Key, &Node<W>)> {
        std::iter::successors(self.oldest, |key| self.node(*key).next)
            .map(|key| (key, self.node(key)))
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
        let mut cursor = self.oldest;
        while let Some(key) = cursor {
            let node = self.node_mut(key);
            if node.notify_at.is_some_and(|at| at <= now) {
                node.notify_at = None;
                notices.push(node.waiter.clone());
            }
            cursor = node.next;
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
            kind: WaiterKind::Established,
            since,
            deadline: None,
            notify_at: None,
        }
    }

    #[test]
    fn waiters_leave_in_the_order_they_came_whoever_gives_up() {
        for gone in 0..4 {
            let mut list = Waitlist::default();
            let at = start();
            let keys: Vec<_> = (0..4).map(|n| list.push(n, terms(at))).collect();
            assert_eq!(list.remove(keys[gone]), Some(gone));
            assert_eq!(list.remove(keys[gone]), None);
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
