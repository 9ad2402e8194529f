//! What all workers share: configuration, pools, directories, credentials.
//!
//! One [`Pooler`] for the process, built by `app` and handed down. Not here: a client's life
//! (`client`), the console (`admin`). Invariant: whatever is shared is either immutable and swapped
//! whole, or behind a lock that is held for no longer than a look or a change.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime};

use arc_swap::ArcSwap;
use tokio::runtime::Handle;

use crate::auth::scram::{KeyCache, ProcessKey};
use crate::config::{Config, Registration};
use crate::ids::ConnId;
use crate::net::{ClientTls, ServerTls};
use crate::pool::handle::PoolHandle;
use crate::pool::{DatabaseId, PoolId, PoolKey, WorkerId};
use crate::queries::Books;
use crate::server::conn::ServerConn;
use crate::server::dns::Dns;
use crate::server::facts::ServerFacts;
use crate::telemetry::events;
use crate::telemetry::stats::{Connects, Happenings, StatsBook};

use admission::Admission;
use alike::SharedValues;
use cancel_keys::CancelKeys;
use client_facts::ClientFacts;
use clusters::Clusters;
use credentials::Credentials;
use directory::Directory;
use room::{Room, Rooms};
use watch::Watches;

pub mod admission;
pub mod alike;
pub mod cancel_keys;
pub mod client_facts;
pub mod clusters;
pub mod control;
pub mod credentials;
mod demands;
mod destination;
pub mod directory;
pub mod limits;
pub mod monitor;
pub mod opener;
pub mod room;
pub mod servers;
pub mod terms;
pub mod watch;

/// A server connection as it moves between pool and clients.
pub type Server = Box<ServerConn>;

/// The pools of the process.
pub type ServerPools = PoolHandle<Server>;

/// Everything that is shared.
#[derive(Debug)]
pub struct Pooler {
    config: ArcSwap<Config>,
    generation: AtomicU64,
    /// Who gets which server connection.
    pub pools: ServerPools,
    /// What the clients of a pool share.
    pub rooms: Rooms,
    /// Servers with the same data.
    pub clusters: Clusters,
    /// Connected clients.
    pub clients: Directory<ClientFacts>,
    /// Connected servers.
    pub servers: Directory<ServerFacts>,
    /// Which client a cancel request means.
    pub cancel_keys: Arc<CancelKeys>,
    /// How many clients there are.
    pub admission: Admission,
    /// What clients have alike.
    pub shared: SharedValues,
    /// Secrets.
    pub credentials: Credentials,
    /// Counters.
    pub stats: StatsBook,
    /// What has happened to connections.
    pub happenings: Happenings,
    /// Attempts to open server connections.
    pub connects: Connects,
    /// What statements cost.
    pub queries: Books,
    /// Names of servers.
    pub dns: Dns,
    /// TLS towards clients.
    pub client_tls: ArcSwap<ClientTls>,
    /// TLS towards servers.
    pub server_tls: ArcSwap<ServerTls>,
    /// Who hears idle servers.
    pub watches: Watches,
    /// SCRAM keys that were derived.
    pub keys: KeyCache,
    /// For salts of users that are not known.
    pub process_key: ProcessKey,
    ids: AtomicU64,
    started: Instant,
    stopping: AtomicBool,
    workers: OnceLock<Vec<Handle>>,
    turn: AtomicUsize,
    /// Connections that each worker serves.
    loads: Box<[Arc<AtomicUsize>]>,
}

/// What a [`Pooler`] is made of.
#[derive(Debug)]
pub struct Parts {
    /// The configuration.
    pub config: Config,
    /// TLS towards clients.
    pub client_tls: ClientTls,
    /// TLS towards servers.
    pub server_tls: ServerTls,
    /// 32 random bytes, drawn at start.
    pub random: [u8; 32],
    /// Number of workers.
    pub workers: usize,
    /// The time.
    pub now: Instant,
}

/// A seed for each worker, not to be guessed from outside.
fn seeds(workers: usize) -> Box<[u64]> {
    let random = RandomState::new();
    (0..workers.max(1))
        .map(|worker| random.hash_one(worker))
        .collect()
}

/// Derived SCRAM keys that are remembered.
const KEYS_KEPT: usize = 4096;

impl Pooler {
    /// All parts put together. Workers are made known by [`Pooler::start_workers`].
    pub fn new(parts: Parts) -> Arc<Self> {
        let process_key = ProcessKey::new(parts.random);
        Arc::new_cyclic(|me| Self {
            config: ArcSwap::from_pointee(parts.config),
            generation: AtomicU64::new(0),
            pools: PoolHandle::new(opener::PoolerOpener(me.clone())),
            rooms: Rooms::default(),
            clusters: Clusters::new(seeds(parts.workers)),
            clients: Directory::default(),
            servers: Directory::default(),
            cancel_keys: Arc::default(),
            admission: Admission::default(),
            shared: SharedValues::default(),
            credentials: Credentials::default(),
            stats: StatsBook::new(parts.workers, parts.now),
            happenings: Happenings::default(),
            connects: Connects::default(),
            queries: Books::new(parts.workers, RandomState::new().hash_one(parts.workers)),
            dns: Dns::default(),
            client_tls: ArcSwap::from_pointee(parts.client_tls),
            server_tls: ArcSwap::from_pointee(parts.server_tls),
            watches: Watches::new(parts.workers),
            keys: KeyCache::new(process_key.clone(), KEYS_KEPT),
            process_key,
            ids: AtomicU64::new(0),
            started: parts.now,
            stopping: AtomicBool::new(false),
            workers: OnceLock::new(),
            turn: AtomicUsize::new(0),
            loads: (0..parts.workers).map(|_| Arc::default()).collect(),
        })
    }

    /// The configuration of this moment.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Changes with every new configuration: clients compare it between transactions.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// A new configuration for everybody.
    pub fn set_config(&self, config: Config) {
        self.config.store(Arc::new(config));
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.clusters.reconfigured.notify_one();
    }

    /// Entries have been paused or resumed: nobody must wait for a host that is.
    pub fn lending_changed(&self) {
        self.clusters.reconfigured.notify_one();
    }

    /// A number for a new connection.
    pub fn next_id(&self) -> ConnId {
        ConnId(self.ids.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Microseconds since the process began.
    pub fn micros_since_start(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.started);
        u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
    }

    /// Wall-clock time of a moment given in microseconds since the process began.
    pub fn wall_clock(&self, micros: u64, now: (Instant, SystemTime)) -> SystemTime {
        let behind = self.micros_since_start(now.0).saturating_sub(micros);
        let behind = std::time::Duration::from_micros(behind);
        now.1.checked_sub(behind).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// The runtimes that carry clients and servers. Once, before the first client.
    pub fn start_workers(&self, workers: Vec<Handle>) {
        // A second call would be a mistake of ours; the first one stands.
        drop(self.workers.set(workers));
    }

    /// How many connections a worker serves: that worker counts them here.
    pub fn load(&self, worker: WorkerId) -> Arc<AtomicUsize> {
        let load = self.loads.get(usize::from(worker.0));
        load.map(Arc::clone).unwrap_or_default()
    }

    /// The runtimes of all workers, in the order of their numbers.
    pub fn runtimes(&self) -> &[Handle] {
        self.workers.get().map(Vec::as_slice).unwrap_or_default()
    }

    /// The worker of that number; for `None` one in turn.
    pub fn worker(&self, id: Option<WorkerId>) -> (WorkerId, Handle) {
        let workers = self.workers.get();
        let known = id.and_then(|id| {
            let handle = workers?.get(usize::from(id.0))?;
            Some((id, handle.clone()))
        });
        known.unwrap_or_else(|| self.next_worker())
    }

    /// A worker for work that belongs to no client: in turn.
    pub fn next_worker(&self) -> (WorkerId, Handle) {
        let workers = self.runtimes();
        let turn = self
            .turn
            .fetch_add(1, Ordering::Relaxed)
            .checked_rem(workers.len());
        let index = turn.unwrap_or_default();
        let handle = workers.get(index).cloned().unwrap_or_else(Handle::current);
        (WorkerId(u16::try_from(index).unwrap_or(0)), handle)
    }

    /// Has all clients look whether their server is still wanted, where `server_fast_close` asks for
    /// that.
    pub fn nudge_clients(&self) {
        if self.config().settings.server_fast_close {
            for client in self.clients.all() {
                client.control.nudge();
            }
        }
    }

    /// Whether new logins are refused.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// From now on new logins are refused.
    pub fn stop_logins(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// What the clients of a pool share.
    pub fn room(&self, key: &PoolKey) -> Arc<Room> {
        self.rooms
            .enter(key, || self.stats.pool(&key.database, &key.user))
    }

    /// The pool of a database entry and a server user, made where it is missing. `None` where there
    /// is no such database.
    pub fn pool(&self, database: &Arc<str>, user: &Arc<str>, now: Instant) -> Option<PoolId> {
        let key = PoolKey {
            database: Arc::clone(database),
            user: Arc::clone(user),
        };
        if let Some(known) = self.pools.with(|pools, _| pools.find_pool(&key)) {
            return Some(known);
        }
        let config = self.config();
        let of_pool = limits::of_pool(&config, config.database(database)?.spec, user);
        let of_user = limits::of_user(&config, user);
        let id = self.database(database, now)?;
        self.pools
            .with(|pools, out| pools.add_pool((id, user), (of_pool, of_user), now, out))
    }

    /// A database that has been used or named before, or else an entry, which is made known to the
    /// pools. `None` where there is no such database.
    pub fn database(&self, name: &Arc<str>, now: Instant) -> Option<DatabaseId> {
        if let Some(known) = self.pools.with(|pools, _| pools.find_database(name)) {
            return Some(known);
        }
        let config = self.config();
        let database = config.database(name)?;
        match database.registration {
            Registration::Auto => events::auto_database_registered(name),
            Registration::Named => {}
        }
        let limits = limits::of_database(&config, &database);
        Some(
            self.pools
                .with(|pools, out| pools.add_database(name, limits, now, out)),
        )
    }
}
