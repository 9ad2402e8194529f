//! The clusters of the process: what all workers know of servers with the same data.
//!
//! One [`LiveCluster`] for each entry with replicas. The monitor writes its view, clients read it
//! without a lock. What statements are is remembered for each worker apart.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::demands::{Demands, Heard};
use crate::cluster::Demand;
use crate::cluster::position::{Scope, SharedWrites};
use crate::cluster::view::{ClusterView, HostId};
use crate::config::{FenceScope, ReplicaSpec};
use crate::pool::WorkerId;
use crate::route::cache::Cache;
use crate::sql::Catalog;

/// The functions of a database, as they were when somebody looked last.
#[derive(Debug)]
pub struct KnownFunctions {
    /// Changes with each look that found something new.
    pub generation: u64,
    /// Whether somebody has to look again.
    stale: bool,
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
    demands: Demands,
    /// Who had a server opened last: may ask the hosts where nobody is named for that.
    user: Mutex<Option<Arc<str>>>,
    /// Somebody wants positions or functions, or has found a host dead.
    pub(super) wanted: Notify,
    /// There is a new view.
    published: Notify,
}

/// A host's monitor cannot say whose run a connection belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host's monitor does not answer")]
pub struct NotVouched;

impl LiveCluster {
    /// A cluster of which nothing is known yet.
    fn new(name: &Arc<str>, seeds: &[u64], now: Instant) -> Self {
        Self {
            name: Arc::clone(name),
            since: now,
            view: ArcSwap::default(),
            functions: ArcSwap::from_pointee(KnownFunctions {
                generation: 0,
                stale: true,
                catalog: Catalog::builtin(),
            }),
            caches: seeds
                .iter()
                .map(|seed| Mutex::new(Cache::new(*seed)))
                .collect(),
            writes: Arc::new(SharedWrites::new(now)),
            user_writes: Mutex::default(),
            failures: Mutex::default(),
            demands: Demands::default(),
            user: Mutex::default(),
            wanted: Notify::new(),
            published: Notify::new(),
        }
    }

    /// The servers as they were seen last.
    pub fn view(&self) -> arc_swap::Guard<Arc<ClusterView>> {
        self.view.load()
    }

    /// The servers were seen again.
    pub fn publish(&self, view: Arc<ClusterView>) {
        self.view.store(view);
        self.published.notify_waiters();
    }

    /// Waits until a view passes, and gives that. Cancel-safe; has no end of its own.
    pub async fn until(&self, mut passes: impl FnMut(&ClusterView) -> bool) -> Arc<ClusterView> {
        loop {
            let mut published = std::pin::pin!(self.published.notified());
            // Enlisted before looking: what happens in between is not missed.
            published.as_mut().enable();
            let view = self.view.load_full();
            if passes(&view) {
                return view;
            }
            published.await;
        }
    }

    /// Waits until a connection to a host that was logged in by then is known to be of the run which
    /// the view tells of: the host's monitor has had an answer to a later question. So no client
    /// ever meets a server that came back older than the view says.
    pub async fn vouch(
        &self,
        entry: &str,
        logged_in: Instant,
        limit: Duration,
    ) -> Result<(), NotVouched> {
        self.demand(Demand::Awaited);
        let asked_since = |view: &ClusterView| {
            let host = view.named(entry);
            host.is_some_and(|host| host.samples.is_after(logged_in))
        };
        if timeout(limit, self.until(asked_since)).await.is_ok() {
            return Ok(());
        }
        match self.view().named(entry) {
            Some(host) if host.is_ready() => Err(NotVouched),
            // Nobody is sent there; whoever goes there has asked for this very host.
            Some(_) | None => Ok(()),
        }
    }

    /// A server is opened for this user.
    pub fn note_user(&self, user: &Arc<str>) {
        let mut last = self.user.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() != Some(user) {
            *last = Some(Arc::clone(user));
            self.wanted.notify_waiters();
        }
    }

    /// Who had a server opened last.
    pub fn last_user(&self) -> Option<Arc<str>> {
        let last = self.user.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone()
    }

    /// The functions that are known.
    pub fn functions(&self) -> arc_swap::Guard<Arc<KnownFunctions>> {
        self.functions.load()
    }

    /// The functions may have changed: until somebody looks, only those of `PostgreSQL` itself are
    /// known, and the relations of before.
    pub fn forget_functions(&self) {
        self.functions.rcu(|known| KnownFunctions {
            generation: known.generation + 1,
            stale: true,
            catalog: known.catalog.without_functions(),
        });
        self.wanted.notify_waiters();
    }

    /// Whether the functions have to be looked at again.
    pub fn are_functions_stale(&self) -> bool {
        self.functions.load().stale
    }

    /// What a look at the functions has found that began when those of `since` were known. If they
    /// have changed meanwhile it says nothing.
    pub fn found_functions(&self, since: u64, catalog: Catalog) {
        let known = self.functions.load();
        let news = known.stale || known.catalog != catalog;
        if known.generation == since && news {
            let found = KnownFunctions {
                generation: since + 1,
                stale: false,
                catalog,
            };
            // Somebody who forgets them just now wins.
            drop(self.functions.compare_and_swap(&known, Arc::new(found)));
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
            self.wanted.notify_waiters();
        }
    }

    /// Hosts that were reported since the last call.
    pub fn take_failures(&self) -> Vec<HostId> {
        let failures = self.failures.lock();
        std::mem::take(&mut *failures.unwrap_or_else(PoisonError::into_inner))
    }

    /// Somebody wants newer positions than those that were asked for before now.
    pub fn demand(&self, how: Demand) {
        let now = tokio::time::Instant::now().into_std();
        if self
            .demands
            .note(how, now.saturating_duration_since(self.since))
            == Heard::Not
        {
            self.wanted.notify_waiters();
        }
    }

    /// Whether somebody wants a newer position than one that was asked for then. To be called by
    /// somebody who is enlisted for `wanted` already.
    pub fn demand_since(&self, asked_at: Option<Instant>) -> Demand {
        let asked_at = asked_at.map(|at| at.saturating_duration_since(self.since));
        self.demands.since(asked_at)
    }
}

/// What a read that is asked for now must show, in the words of the cluster.
pub fn scope_of(scope: FenceScope, shared: Option<&SharedWrites>) -> Scope {
    match (scope, shared) {
        (FenceScope::Off, _) => Scope::Off,
        (_, Some(shared)) => Scope::Shared(shared.last()),
        (_, None) => Scope::Session,
    }
}

/// All clusters, by the name of their entry.
#[derive(Debug)]
pub struct Clusters {
    live: Mutex<HashMap<Arc<str>, Arc<LiveCluster>>>,
    seeds: Box<[u64]>,
    /// There is a new configuration.
    pub(super) reconfigured: Notify,
    /// Replicas that were found, by entry, until somebody takes them into the configuration.
    found: Mutex<HashMap<Arc<str>, Vec<ReplicaSpec>>>,
    discovered: Notify,
}

impl Clusters {
    /// None yet. There is a seed for each worker, drawn by chance.
    pub fn new(seeds: Box<[u64]>) -> Self {
        Self {
            live: Mutex::default(),
            seeds,
            reconfigured: Notify::new(),
            found: Mutex::default(),
            discovered: Notify::new(),
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

    /// These are the replicas of an entry now.
    pub(super) fn found(&self, entry: &Arc<str>, replicas: Vec<ReplicaSpec>) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.insert(Arc::clone(entry), replicas);
        self.discovered.notify_one();
    }

    /// Waits until replicas were found that the configuration does not have. Cancel-safe.
    pub async fn until_found(&self) {
        self.discovered.notified().await;
    }

    /// What was found since the last call.
    pub fn take_found(&self) -> HashMap<Arc<str>, Vec<ReplicaSpec>> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *found)
    }

    /// An entry has no replicas any more.
    pub fn forget(&self, name: &str) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.remove(name);
    }
}
