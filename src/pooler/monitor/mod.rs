//! Monitors: who asks the hosts of an entry with replicas, and what is known of each cluster.
//!
//! ```text
//!  run ── one task for each host ──► Monitored ──► view: clients, opener
//!                 ▲                      │
//!                 └── demand, report ◄───┘ before a new primary is seen, its pool is renewed
//! ```
//! The tasks run where the janitor does, on the main thread: they have little to do, but their
//! clocks matter, and workers may be busy for milliseconds. Their connections belong to no pool and
//! count for no limit: one for each host. Not here: what an answer means (`cluster`).

mod probe;
mod task;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::Pooler;
use crate::cluster::{
    Cluster, ClusterView, Demand, Distance, Event, Failure, HostId, HostSpec, Observation, Policy,
};
use crate::config::{self, Config, RouteMode};
use crate::pool::Scope;
use crate::telemetry::events;

pub use task::run;

/// A cluster that is monitored.
#[derive(Debug)]
pub struct Monitored {
    /// The entry with replicas.
    pub name: Arc<str>,
    cluster: Mutex<Cluster>,
    view: ArcSwap<ClusterView>,
    published: Notify,
    hosts: Box<[Post]>,
    base: Instant,
    /// When somebody asked for positions, in nanoseconds after `base`.
    demanded: AtomicU64,
    /// Who last had a server opened, to monitor with where nobody is named for that.
    user: Mutex<Option<Arc<str>>>,
}

/// Where the task of one host is reached.
#[derive(Debug, Default)]
struct Post {
    wake: Notify,
    /// A client could not connect to the host.
    reported: AtomicBool,
}

impl Monitored {
    fn new(name: &str, hosts: Vec<HostSpec>, policy: Policy, now: Instant) -> Self {
        let posts = hosts.iter().map(|_| Post::default()).collect();
        let cluster = Cluster::new(hosts, policy);
        Self {
            name: Arc::from(name),
            view: ArcSwap::new(cluster.view()),
            cluster: Mutex::new(cluster),
            published: Notify::new(),
            hosts: posts,
            base: now,
            demanded: AtomicU64::new(0),
            user: Mutex::default(),
        }
    }

    fn with<R>(&self, f: impl FnOnce(&mut Cluster) -> R) -> R {
        f(&mut self.cluster.lock().expect("nothing panics under this lock"))
    }

    /// What is known now.
    pub fn view(&self) -> Arc<ClusterView> {
        self.view.load_full()
    }

    /// Somebody waits for positions: every host is asked as soon as `fence_interval` allows.
    pub fn demand(&self, now: Instant) {
        let since = now.saturating_duration_since(self.base).as_nanos();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        self.demanded.fetch_max(since, Ordering::AcqRel);
        for post in &self.hosts {
            post.wake.notify_one();
        }
    }

    /// A client could not connect to a host: it is skipped until its monitor has reached it again.
    pub fn report_failure(&self, host: HostId) {
        if let Some(post) = self.hosts.get(host.place()) {
            post.reported.store(true, Ordering::Release);
            post.wake.notify_one();
        }
    }

    /// Waits until the view passes. Cancel-safe. Has no end of its own: the caller limits it.
    pub async fn until(&self, mut passes: impl FnMut(&ClusterView) -> bool) -> Arc<ClusterView> {
        loop {
            let mut published = std::pin::pin!(self.published.notified());
            // Enlisted before looking: what happens in between is not missed.
            published.as_mut().enable();
            let view = self.view();
            if passes(&view) {
                return view;
            }
            published.await;
        }
    }

    /// A server is opened for this user.
    pub fn note_user(&self, user: &Arc<str>) {
        let mut last = self.user.lock().expect("nothing panics under this lock");
        if last.as_ref() != Some(user) {
            *last = Some(Arc::clone(user));
            for post in &self.hosts {
                post.wake.notify_one();
            }
        }
    }

    fn last_user(&self) -> Option<Arc<str>> {
        let last = self.user.lock().expect("nothing panics under this lock");
        last.clone()
    }

    /// Waits until a connection to a host that was logged in then is known to be of the run which
    /// the view tells of: its monitor has had an answer to a later question. So no client of the
    /// host's pool can meet a server that came back older than the view says.
    pub async fn vouch(&self, entry: &str, since: Instant, limit: Duration) -> Result<(), Unknown> {
        self.demand(since);
        let asked = |view: &ClusterView| {
            let host = view.named(entry);
            host.is_none_or(|host| host.samples.is_after(since))
        };
        if timeout(limit, self.until(asked)).await.is_ok() {
            return Ok(());
        }
        match self.view().named(entry) {
            // Nobody is sent there; who goes there all the same has asked for this host.
            Some(host) if !host.is_ready() => Ok(()),
            Some(_) | None => Err(Unknown),
        }
    }

    fn next_probe(&self, host: HostId, now: Instant) -> Instant {
        let demanded = self.demanded.load(Ordering::Acquire);
        let demanded = self.base + Duration::from_nanos(demanded);
        let last = self
            .view()
            .host(host)
            .and_then(|host| host.samples.last().copied());
        let demand = match last {
            Some(sample) if sample.asked_at > demanded => Demand::Idle,
            Some(_) | None if demanded == self.base => Demand::Idle,
            Some(_) | None => Demand::Waiting,
        };
        self.with(|cluster| cluster.next_probe(host, now, demand))
    }

    fn observed(&self, pooler: &Pooler, host: HostId, observation: Observation) {
        self.change(pooler, |cluster| cluster.observed(host, observation));
    }

    fn failed(&self, pooler: &Pooler, host: HostId, how: Failure, (now, jitter): (Instant, u8)) {
        self.change(pooler, |cluster| cluster.failed(host, how, now, jitter));
    }

    fn take_report(&self, pooler: &Pooler, host: HostId, now: Instant) {
        let post = self.hosts.get(host.place());
        if post.is_some_and(|post| post.reported.swap(false, Ordering::AcqRel)) {
            self.change(pooler, |cluster| cluster.report_failure(host, now));
        }
    }

    /// Something happened. Pools are told of a new primary before anybody can see it, so that
    /// nobody who knows it is lent a connection to the old one.
    fn change(&self, pooler: &Pooler, event: impl FnOnce(&mut Cluster) -> Vec<Event>) {
        let (events, view) = self.with(|cluster| {
            let events = event(cluster);
            let view = cluster.view();
            for event in &events {
                if let Event::PrimaryChanged { from, to, .. } = event
                    && (from.is_some() || to.place() > 0)
                {
                    self.renew_pools(pooler);
                }
            }
            self.view.store(Arc::clone(&view));
            (events, view)
        });
        self.published.notify_waiters();
        for event in &events {
            self.tell(&view, *event);
            self.try_again(pooler, &view, *event);
        }
    }

    /// What RECONNECT does: connections that lead elsewhere go.
    fn renew_pools(&self, pooler: &Pooler) {
        for room in pooler.rooms.all() {
            if room.key.database == self.name {
                room.forget_welcome();
            }
        }
        let now = tokio::time::Instant::now().into_std();
        pooler.pools.with(|pools, out| {
            if let Some(id) = pools.find_database(&self.name) {
                pools.reconnect(Scope::Database(id), now, out);
            }
        });
        pooler.nudge_clients();
    }

    /// Pools whose server can be reached again need not wait for `server_login_retry`.
    fn try_again(&self, pooler: &Pooler, view: &ClusterView, event: Event) {
        let name = match event {
            Event::PrimaryChanged { .. } | Event::PrimaryBack { .. } => Some(&self.name),
            Event::ReplicaReady { host } => view.host(host).map(|host| &host.name),
            Event::PrimaryLost { .. } | Event::ReplicaLeft { .. } | Event::HostRefused { .. } => {
                None
            }
        };
        let now = tokio::time::Instant::now().into_std();
        pooler.pools.with(|pools, out| {
            if let Some(id) = name.and_then(|name| pools.find_database(name)) {
                pools.try_again(Scope::Database(id), now, out);
            }
        });
    }

    fn tell(&self, view: &ClusterView, event: Event) {
        let name = |id: HostId| view.host(id).map_or("", |host| &*host.name);
        match event {
            Event::PrimaryChanged { to, timeline, .. } => {
                events::primary_changed(&self.name, name(to), timeline);
            }
            Event::PrimaryBack { host } => events::primary_back(&self.name, name(host)),
            Event::PrimaryLost { host } => events::primary_lost(&self.name, name(host)),
            Event::ReplicaReady { host } => events::replica_ready(&self.name, name(host)),
            Event::ReplicaLeft { host, why } => {
                events::replica_left(&self.name, name(host), why.word());
            }
            Event::HostRefused { host, why } => {
                let word = crate::cluster::Left::Refused(why).word();
                events::host_refused(&self.name, name(host), word);
            }
        }
    }
}

/// The monitor of a host cannot say whose run a connection belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host's monitor does not answer")]
pub struct Unknown;

/// The clusters of the process.
#[derive(Debug, Default)]
pub struct Clusters {
    by_name: ArcSwap<HashMap<Arc<str>, Arc<Monitored>>>,
    reconfigured: Notify,
}

impl Clusters {
    /// The cluster of an entry with replicas.
    pub fn find(&self, entry: &str) -> Option<Arc<Monitored>> {
        self.by_name.load().get(entry).map(Arc::clone)
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<Arc<Monitored>> {
        let mut all: Vec<_> = self.by_name.load().values().map(Arc::clone).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// There is a new configuration.
    pub fn reconfigure(&self) {
        self.reconfigured.notify_one();
    }

    /// Takes the clusters of a configuration in place of those before; gives those that are new.
    fn adopt(&self, config: &Config, now: Instant) -> Vec<Arc<Monitored>> {
        let mut adopted = HashMap::new();
        let mut new = Vec::new();
        let routed = config.settings.route_mode != RouteMode::Off;
        for entry in config.clusters().filter(|_| routed) {
            let (hosts, policy) = (specs(config, &entry), policy(config));
            let old = self.find(entry.name).filter(|old| {
                old.with(|cluster| cluster.reconfigure(hosts.clone(), policy.clone()))
                    .is_ok()
            });
            let monitored = old.unwrap_or_else(|| {
                let made = Arc::new(Monitored::new(entry.name, hosts, policy, now));
                new.push(Arc::clone(&made));
                made
            });
            adopted.insert(Arc::clone(&monitored.name), monitored);
        }
        self.by_name.store(Arc::new(adopted));
        new
    }
}

fn specs(config: &Config, entry: &config::Cluster<'_>) -> Vec<HostSpec> {
    let own = config.settings.availability_zone.as_deref();
    let hosts = entry.hosts.iter().map(|host| HostSpec {
        name: Arc::from(&*host.entry),
        weight: u32::from(host.weight),
        distance: match (own, host.zone) {
            (Some(own), Some(zone)) if own != zone => Distance::Far,
            (Some(_) | None, Some(_) | None) => Distance::Near,
        },
    });
    hosts.collect()
}

fn policy(config: &Config) -> Policy {
    let settings = &config.settings;
    Policy {
        max_lag: settings.replica_max_lag,
        max_lag_bytes: settings.replica_max_lag_bytes,
        check_period: settings.replica_check_period,
        fence_interval: settings.fence_interval,
        slow_start: settings.replica_slow_start.unwrap_or_default(),
    }
}
