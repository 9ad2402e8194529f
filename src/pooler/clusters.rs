//! The clusters of the process: what all workers know of servers with the same data.
//!
//! One [`LiveCluster`] for each entry with replicas. The monitor writes its view, clients read it
//! without a lock. What statements are is remembered for each worker apart.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::cluster::position::{Scope, SharedWrites};
use crate::cluster::view::{ClusterView, HostId};
use crate::config::FenceScope;
use crate::pool::WorkerId;
use crate::route::cache::Cache;
use crate::sql::Catalog;

/// The functions of a database, as they were when somebody looked last.
#[derive(Debug)]
pub struct KnownFunctions {
    /// Grows with each look.
    pub generation: u64,
    /// The functions.
    pub catalog: Catalog,
}

/// Users whose writes are followed apart (`fence_scope=user`); more share one.
const USERS_FOLLOWED: usize = 10_000;

/// What all workers share of one cluster.
#[derive(Debug)]
pub struct LiveCluster {
    /// The entry with replicas.
    pub name: Arc<str>,
    since: Instant,
    view: ArcSwap<ClusterView>,
    functions: ArcSwap<KnownFunctions>,
    caches: Box<[Mutex<Cache>]>,
    /// Writes of anybody (`fence_scope=database`).
    writes: Arc<SharedWrites>,
    user_writes: Mutex<HashMap<Arc<str>, Arc<SharedWrites>>>,
    /// Hosts that clients could not reach.
    failures: Mutex<Vec<HostId>>,
    /// Somebody wants positions, or has found a host dead.
    pub wanted: Notify,
}

impl LiveCluster {
    /// A cluster of which nothing is known yet.
    fn new(name: &Arc<str>, seeds: &[u64], now: Instant) -> Self {
        Self {
            name: Arc::clone(name),
            since: now,
            view: ArcSwap::default(),
            functions: ArcSwap::from_pointee(KnownFunctions {
                generation: 0,
                catalog: Catalog::builtin(),
            }),
            caches: seeds
                .iter()
                .map(|seed| Mutex::new(Cache::new(*seed)))
                .collect(),
            writes: Arc::new(SharedWrites::new(now)),
            user_writes: Mutex::default(),
            failures: Mutex::default(),
            wanted: Notify::new(),
        }
    }

    /// The servers as they were seen last.
    pub fn view(&self) -> arc_swap::Guard<Arc<ClusterView>> {
        self.view.load()
    }

    /// The servers were seen again.
    pub fn publish(&self, view: ClusterView) {
        self.view.store(Arc::new(view));
    }

    /// The functions that are known.
    pub fn functions(&self) -> arc_swap::Guard<Arc<KnownFunctions>> {
        self.functions.load()
    }

    /// Somebody has looked at the functions again; `None`: they may have changed, and until somebody
    /// looks only those of `PostgreSQL` itself are known.
    pub fn learn_functions(&self, catalog: Option<&Catalog>) {
        self.functions.rcu(|known| KnownFunctions {
            generation: known.generation + 1,
            catalog: catalog.cloned().unwrap_or_else(Catalog::builtin),
        });
        if catalog.is_none() {
            self.wanted.notify_one();
        }
    }

    /// Does something with what a worker remembers of statements.
    pub fn with_cache<R>(&self, worker: WorkerId, f: impl FnOnce(&mut Cache) -> R) -> R {
        let at = usize::from(worker.0).checked_rem(self.caches.len());
        let cache = at.and_then(|at| self.caches.get(at));
        let cache = cache.expect("there is a cache for each worker, and a worker");
        // A cache is right whatever a panic has left undone: at worst a count is missing.
        f(&mut cache.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Does something with the memory of each worker.
    pub fn each_cache(&self, mut f: impl FnMut(&mut Cache)) {
        for cache in &self.caches {
            f(&mut cache.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Whose writes a client must see: those of all that share the value, or only its own.
    pub fn shared_writes(&self, scope: FenceScope, user: &Arc<str>) -> Option<Arc<SharedWrites>> {
        match scope {
            FenceScope::Off | FenceScope::Session => None,
            FenceScope::Database => Some(Arc::clone(&self.writes)),
            FenceScope::User => {
                let users = self.user_writes.lock();
                let mut users = users.unwrap_or_else(PoisonError::into_inner);
                if users.len() >= USERS_FOLLOWED && !users.contains_key(user) {
                    return Some(Arc::clone(&self.writes));
                }
                let new = || Arc::new(SharedWrites::new(self.since));
                Some(Arc::clone(
                    users.entry(Arc::clone(user)).or_insert_with(new),
                ))
            }
        }
    }

    /// A client could not use a host.
    pub fn report_failure(&self, host: HostId) {
        let failures = self.failures.lock();
        let mut failures = failures.unwrap_or_else(PoisonError::into_inner);
        if !failures.contains(&host) {
            failures.push(host);
            self.wanted.notify_one();
        }
    }

    /// Hosts that were reported since the last call.
    pub fn take_failures(&self) -> Vec<HostId> {
        let failures = self.failures.lock();
        std::mem::take(&mut *failures.unwrap_or_else(PoisonError::into_inner))
    }

    /// A client waits for newer positions.
    pub fn demand(&self) {
        self.wanted.notify_one();
    }
}

/// The scope of a client in the words of the cluster.
pub fn scope_of(scope: FenceScope, shared: Option<&SharedWrites>) -> Scope<'_> {
    match (scope, shared) {
        (FenceScope::Off, _) => Scope::Off,
        (_, Some(shared)) => Scope::Shared(shared),
        (_, None) => Scope::Session,
    }
}

/// All clusters, by the name of their entry.
#[derive(Debug)]
pub struct Clusters {
    live: Mutex<HashMap<Arc<str>, Arc<LiveCluster>>>,
    seeds: Box<[u64]>,
}

impl Clusters {
    /// None yet. There is a seed for each worker, drawn by chance.
    pub fn new(seeds: Box<[u64]>) -> Self {
        Self {
            live: Mutex::default(),
            seeds,
        }
    }

    /// The cluster of that entry, made where it is missing.
    pub fn enter(&self, name: &Arc<str>, now: Instant) -> Arc<LiveCluster> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(LiveCluster::new(name, &self.seeds, now));
        Arc::clone(live.entry(Arc::clone(name)).or_insert_with(make))
    }

    /// The cluster of that entry, if there is one.
    pub fn find(&self, name: &str) -> Option<Arc<LiveCluster>> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.get(name).cloned()
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<Arc<LiveCluster>> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = live.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// An entry has no replicas any more.
    pub fn forget(&self, name: &str) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.remove(name);
    }
}
