//! Sans-IO. Named prepared statements in transaction pooling.
//!
//! A statement is known by what its `Parse` says (text and parameter types), not by its name: all
//! clients of a pool that prepare the same text share one [`Statement`], which every server
//! connection knows under one name of ours. Not here: the order of replies (`owed`).
//! Invariant: a server never holds more statements than the limit, apart from those whose `Close` an
//! error has skipped.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use bytes::Bytes;
use hashlink::LinkedHashMap;

use crate::sql::Fingerprint;

/// First bytes of the names that servers see, as `PgBouncer`'s `PGBOUNCER_`.
pub const PREFIX: &str = "PGWEIR_";

/// Most named statements a client may hold at one time. `PostgreSQL` has no limit of its own.
pub const MAX_PER_CLIENT: usize = 65_536;

/// Largest `Parse` of a named statement in bytes; it must be kept whole to be prepared again.
pub const MAX_PARSE: usize = 16 << 20;

/// A prepared statement of a pool.
pub struct Statement {
    id: u64,
    name: Box<str>,
    rest: Bytes,
    accepted: AtomicBool,
    /// Its fingerprint, once somebody has asked for it.
    print: OnceLock<Fingerprint>,
}

impl Statement {
    /// Number of the statement, unique among all registries that share their numbers.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its name on every server.
    pub fn name(&self) -> &[u8] {
        self.name.as_bytes()
    }

    /// Body of its `Parse` behind the name.
    pub fn rest(&self) -> &[u8] {
        &self.rest
    }

    /// Whether a server of the pool has accepted it once, so that a `Parse` can be answered here.
    pub fn is_accepted(&self) -> bool {
        self.accepted.load(Ordering::Acquire)
    }

    /// Its text.
    pub fn text(&self) -> &[u8] {
        self.rest
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default()
    }

    /// Its fingerprint, if it is known.
    pub fn print(&self) -> Option<Fingerprint> {
        self.print.get().copied()
    }

    /// Remembers its fingerprint. The first one stays.
    pub fn note_print(&self, print: Fingerprint) {
        self.print.get_or_init(|| print);
    }

    /// Remembers that a server accepted it.
    pub fn accept(&self) {
        self.accepted.store(true, Ordering::Release);
    }
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the text: it may hold literals.
        f.debug_struct("Statement")
            .field("id", &self.id)
            .field("bytes", &self.rest.len())
            .finish_non_exhaustive()
    }
}

/// All statements that somebody of a pool holds.
#[derive(Debug, Default)]
pub struct Registry {
    inner: Mutex<Known>,
    numbers: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Known {
    by_rest: HashMap<Bytes, Weak<Statement>>,
    sweep_at: usize,
}

impl Registry {
    /// An empty one that takes its numbers from `numbers`. Registries that a server connection may
    /// meet must share them: a number stands for one text only.
    pub fn numbered(numbers: Arc<AtomicU64>) -> Self {
        Self {
            inner: Mutex::default(),
            numbers,
        }
    }

    /// The statement with this `Parse` rest, made where nobody holds it yet.
    pub fn intern(&self, rest: &[u8]) -> Arc<Statement> {
        let mut known = self.inner.lock().expect("nothing panics under this lock");
        if let Some(found) = known.by_rest.get(rest).and_then(Weak::upgrade) {
            return found;
        }
        known.sweep();
        let id = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let rest = Bytes::copy_from_slice(rest);
        let statement = Arc::new(Statement {
            id,
            name: format!("{PREFIX}{id}").into(),
            rest: rest.clone(),
            accepted: AtomicBool::new(false),
            print: OnceLock::new(),
        });
        known.by_rest.insert(rest, Arc::downgrade(&statement));
        statement
    }

    /// Statements that somebody holds.
    pub fn len(&self) -> usize {
        let known = self.inner.lock().expect("nothing panics under this lock");
        known
            .by_rest
            .values()
            .filter(|held| held.strong_count() > 0)
            .count()
    }

    /// Whether nobody holds any.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Known {
    /// Drops what nobody holds, each time the map has doubled: its size stays bounded by its use.
    fn sweep(&mut self) {
        if self.by_rest.len() >= self.sweep_at {
            self.by_rest.retain(|_, held| held.strong_count() > 0);
            self.sweep_at = (2 * self.by_rest.len()).max(64);
        }
    }
}

/// A client's name and the statement behind it.
#[derive(Debug)]
pub struct Binding {
    /// The client's name of the statement.
    pub name: Box<[u8]>,
    /// The statement.
    pub statement: Arc<Statement>,
}

/// A binding that is found by its name.
#[derive(Debug)]
struct ByName(Arc<Binding>);

impl Borrow<[u8]> for ByName {
    fn borrow(&self) -> &[u8] {
        &self.0.name
    }
}

impl Hash for ByName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name.hash(state);
    }
}

impl PartialEq for ByName {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for ByName {}

/// Names that one client has prepared. Empty clients own nothing.
#[derive(Debug, Default)]
pub struct ClientStatements {
    #[expect(
        clippy::box_collection,
        reason = "most clients have none, and a pointer is smaller than a set"
    )]
    by_name: Option<Box<HashSet<ByName, foldhash::fast::RandomState>>>,
}

impl ClientStatements {
    /// The statement behind a client's name.
    pub fn find(&self, name: &[u8]) -> Option<&Arc<Binding>> {
        self.by_name.as_ref()?.get(name).map(|ByName(found)| found)
    }

    /// Binds a name; says whether there was room for it.
    pub fn insert(&mut self, binding: Arc<Binding>) -> Room {
        let names = self.by_name.get_or_insert_default();
        if names.len() >= MAX_PER_CLIENT && !names.contains(&*binding.name) {
            return Room::Full;
        }
        names.replace(ByName(binding));
        Room::Left
    }

    /// Forgets a name.
    pub fn remove(&mut self, name: &[u8]) -> Option<Arc<Binding>> {
        let names = self.by_name.as_mut()?;
        let gone = names.take(name).map(|ByName(gone)| gone);
        if names.is_empty() {
            self.by_name = None;
        }
        gone
    }

    /// Forgets all names (`DEALLOCATE ALL`, `DISCARD ALL`).
    pub fn clear(&mut self) {
        self.by_name = None;
    }

    /// How many names there are (`SHOW CLIENTS`, column `prepared_statements`).
    pub fn len(&self) -> usize {
        self.by_name.as_ref().map_or(0, |names| names.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Whether a client may hold one more statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// It was taken.
    Left,
    /// The client holds [`MAX_PER_CLIENT`] already.
    Full,
}

/// What one server connection has prepared, least recently used first.
#[derive(Debug, Default)]
pub struct ServerStatements {
    held: LinkedHashMap<u64, Arc<Statement>>,
}

impl ServerStatements {
    /// Whether the server has it; a use makes it the most recent one.
    pub fn touch(&mut self, id: u64) -> bool {
        self.held.to_back(&id).is_some()
    }

    /// Whether the server has it.
    pub fn has(&self, id: u64) -> bool {
        self.held.contains_key(&id)
    }

    /// Adds one, the most recently used.
    pub fn add(&mut self, statement: Arc<Statement>) {
        self.held.insert(statement.id, statement);
    }

    /// Takes out the least recently used where there are more than `limit`.
    pub fn pop_over(&mut self, limit: usize) -> Option<Arc<Statement>> {
        if self.held.len() > limit {
            self.held.pop_front().map(|(_, oldest)| oldest)
        } else {
            None
        }
    }

    /// Forgets one.
    pub fn forget(&mut self, id: u64) {
        self.held.remove(&id);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.held.clear();
    }

    /// All of them, the least recently used first.
    pub fn iter(&self) -> impl Iterator<Item = &Statement> {
        self.held.values().map(|held| &**held)
    }

    /// How many there are (`SHOW SERVERS`, column `prepared_statements`).
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_parse_is_the_same_statement_while_somebody_holds_it() {
        let registry = Registry::default();
        let first = registry.intern(b"select 1\0\0\0");
        assert!(Arc::ptr_eq(&first, &registry.intern(b"select 1\0\0\0")));
        assert_ne!(first.id(), registry.intern(b"select 2\0\0\0").id());
        first.accept();
        let id = first.id();
        drop(first);
        let again = registry.intern(b"select 1\0\0\0");
        assert_ne!(again.id(), id, "names are never used twice");
        assert!(!again.is_accepted());
    }

    #[test]
    fn the_registry_does_not_grow_with_statements_that_nobody_holds() {
        let registry = Registry::default();
        for n in 0..10_000 {
            registry.intern(format!("select {n}\0\0\0").as_bytes());
        }
        assert!(registry.inner.lock().unwrap().by_rest.len() <= 64);
        assert!(registry.is_empty());
    }

    #[test]
    fn the_least_recently_used_statement_leaves_first() {
        let registry = Registry::default();
        let all: Vec<_> = (0..3)
            .map(|n| registry.intern(format!("{n}\0\0\0").as_bytes()))
            .collect();
        let mut server = ServerStatements::default();
        server.add(all[0].clone());
        server.add(all[1].clone());
        assert!(server.pop_over(2).is_none());
        assert!(server.touch(all[0].id()));
        server.add(all[2].clone());
        let gone = server.pop_over(2).unwrap();
        assert_eq!(gone.id(), all[1].id());
        assert!(server.has(all[0].id()) && !server.has(all[1].id()));
    }

    #[test]
    fn a_client_holds_a_bounded_number_of_names() {
        let registry = Registry::default();
        let statement = registry.intern(b"x\0\0\0");
        let mut client = ClientStatements::default();
        let binding = |name: &str| {
            Arc::new(Binding {
                name: name.as_bytes().into(),
                statement: statement.clone(),
            })
        };
        for n in 0..MAX_PER_CLIENT {
            assert_eq!(client.insert(binding(&n.to_string())), Room::Left);
        }
        assert_eq!(client.insert(binding("more")), Room::Full);
        assert_eq!(client.insert(binding("1")), Room::Left);
        client.clear();
        assert_eq!(client.len(), 0);
    }

    #[test]
    fn a_statement_never_shows_its_text() {
        let registry = Registry::default();
        let shown = format!("{:?}", registry.intern(b"select 'secret'\0\0\0"));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
