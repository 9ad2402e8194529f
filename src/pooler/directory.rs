//! Who is connected: one list of clients, one of servers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::ids::ConnId;

/// Connections by number, with what others may know about each.
#[derive(Debug)]
pub struct Directory<T> {
    entries: Mutex<BTreeMap<ConnId, Arc<T>>>,
}

impl<T> Default for Directory<T> {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
        }
    }
}

impl<T> Directory<T> {
    fn with<R>(&self, f: impl FnOnce(&mut BTreeMap<ConnId, Arc<T>>) -> R) -> R {
        f(&mut self.entries.lock().expect("nothing panics under this lock"))
    }

    /// Adds a connection.
    pub fn add(&self, id: ConnId, facts: Arc<T>) {
        self.with(|entries| entries.insert(id, facts));
    }

    /// Takes one out.
    pub fn remove(&self, id: ConnId) {
        self.with(|entries| entries.remove(&id));
    }

    /// One connection.
    pub fn find(&self, id: ConnId) -> Option<Arc<T>> {
        self.with(|entries| entries.get(&id).cloned())
    }

    /// All of them, in order of their numbers.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.with(|entries| entries.values().cloned().collect())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.with(|entries| entries.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
