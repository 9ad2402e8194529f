//! Monitors: who asks the hosts of an entry with replicas, and what follows for its pools.
//!
//! ```text
//!  run ── one task for each host ──► Monitor ──► LiveCluster: clients, opener
//!                 ▲                     │             │
//!                 │                     └► pools      │ demand, failures
//!                 └───────────────────────────────────┘
//! ```
//! The tasks run where the janitor does, on the main thread: they have little to do, but their
//! clocks matter, and workers may be busy for milliseconds. Their connections belong to no pool and
//! count for no limit: one for each host. Not here: what an answer means (`cluster`).

mod discovery;
mod functions;
mod probe;
mod task;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::Pooler;
use super::clusters::LiveCluster;
use crate::cluster::{
    Cluster, ClusterView, Distance, Event, Failure, HostId, HostSpec, Hosts, Left, Lending,
    Observation, Policy,
};
use crate::config::{self, Config};
use crate::pool::Scope;
use crate::telemetry::events;

pub use task::run;

/// What the tasks of one cluster share.
#[derive(Debug)]
struct Monitor {
    live: Arc<LiveCluster>,
    cluster: Mutex<Cluster>,
}

impl Monitor {
    fn new(live: Arc<LiveCluster>, hosts: Vec<HostSpec>, policy: Policy) -> Self {
        let cluster = Cluster::new(hosts, policy);
        live.publish(cluster.view());
        Self {
            live,
            cluster: Mutex::new(cluster),
        }
    }

    fn with<R>(&self, f: impl FnOnce(&mut Cluster) -> R) -> R {
        f(&mut self.cluster.lock().expect("nothing panics under this lock"))
    }

    /// Other hosts, limits, weights or zones.
    fn reconfigure(&self, hosts: Vec<HostSpec>, policy: Policy) -> Hosts {
        let (hosts, view) = self.with(|cluster| {
            let hosts = cluster.reconfigure(hosts, policy);
            (hosts, cluster.view())
        });
        self.live.publish(view);
        hosts
    }

    fn is_declared(&self, host: HostId) -> bool {
        let view = self.live.view();
        view.hosts.first().is_some_and(|first| first.id == host)
    }

    fn next_probe(&self, host: HostId, now: Instant) -> Instant {
        let view = self.live.view();
        let last = view.host(host).and_then(|host| host.samples.last());
        let demand = self.live.demand_since(last.map(|sample| sample.asked_at));
        self.with(|cluster| cluster.next_probe(host, now, demand))
    }

    fn observed(&self, pooler: &Pooler, host: HostId, observation: Observation) {
        self.change(pooler, |cluster| cluster.observed(host, observation));
    }

    fn failed(&self, pooler: &Pooler, host: HostId, how: Failure, (now, jitter): (Instant, u8)) {
        self.change(pooler, |cluster| cluster.failed(host, how, now, jitter));
    }

    /// Takes over what clients have found.
    fn take_failures(&self, pooler: &Pooler, now: Instant) {
        for host in self.live.take_failures() {
            self.change(pooler, |cluster| cluster.report_failure(host, now));
        }
    }

    /// Something happened. Pools are told of a new primary before anybody can see it, so that
    /// nobody who knows it is lent a connection to the old one.
    fn change(&self, pooler: &Pooler, event: impl FnOnce(&mut Cluster) -> Vec<Event>) {
        let (events, view) = self.with(|cluster| (event(cluster), cluster.view()));
        for event in &events {
            if let Event::PrimaryChanged { from, to, .. } = event
                && (from.is_some() || !self.is_declared(*to))
            {
                renew(pooler, &self.live.name);
            }
        }
        self.live.publish(Arc::clone(&view));
        for event in events {
            self.tell(&view, event);
            self.act(pooler, &view, event);
        }
    }

    /// What follows for the pools once clients may know.
    fn act(&self, pooler: &Pooler, view: &ClusterView, event: Event) {
        match event {
            Event::PrimaryChanged { .. } | Event::PrimaryBack { .. } => {
                try_again(pooler, &self.live.name);
            }
            Event::ReplicaReady { host } => {
                if let Some(host) = view.host(host) {
                    try_again(pooler, &host.name);
                }
            }
            Event::ReplicaLeft { host, why } => match why {
                // It may be frozen: who reads there must not wait for it.
                Left::Failed(_) | Left::NoConnection => {
                    if let Some(host) = view.host(host) {
                        renew(pooler, &host.name);
                    }
                }
                Left::Lagging | Left::OtherTimeline | Left::Promoted | Left::Refused(_) => {}
            },
            Event::PrimaryLost { .. } | Event::HostRefused { .. } => {}
        }
    }

    fn tell(&self, view: &ClusterView, event: Event) {
        let cluster = &self.live.name;
        let name = |id: HostId| view.host(id).map_or("", |host| &*host.name);
        match event {
            Event::PrimaryChanged { to, timeline, .. } => {
                events::primary_changed(cluster, name(to), timeline);
            }
            Event::PrimaryBack { host } => events::primary_back(cluster, name(host)),
            Event::PrimaryLost { host } => events::primary_lost(cluster, name(host)),
            Event::ReplicaReady { host } => events::replica_ready(cluster, name(host)),
            Event::ReplicaLeft { host, why } => {
                events::replica_left(cluster, name(host), why.word());
            }
            Event::HostRefused { host, why } => {
                events::host_refused(cluster, name(host), Left::Refused(why).word());
            }
        }
    }
}

/// What RECONNECT does to an entry, and clients look whether their server is still wanted.
fn renew(pooler: &Pooler, entry: &str) {
    for room in pooler.rooms.all() {
        if &*room.key.database == entry {
            room.forget_welcome();
        }
    }
    let now = tokio::time::Instant::now().into_std();
    pooler.pools.with(|pools, out| {
        if let Some(id) = pools.find_database(entry) {
            pools.reconnect(Scope::Database(id), now, out);
        }
    });
    for client in pooler.clients.all() {
        client.control.nudge();
    }
}

/// The server of an entry can be reached again: its pools need not wait for `server_login_retry`.
fn try_again(pooler: &Pooler, entry: &str) {
    let now = tokio::time::Instant::now().into_std();
    pooler.pools.with(|pools, out| {
        if let Some(id) = pools.find_database(entry) {
            pools.try_again(Scope::Database(id), now, out);
        }
    });
}

fn specs(pooler: &Pooler, config: &Config, entry: &config::Cluster<'_>) -> Vec<HostSpec> {
    let own = config.settings.availability_zone.as_deref();
    let own = own.filter(|own| !own.is_empty());
    let hosts = entry.hosts.iter().map(|host| HostSpec {
        name: Arc::from(&*host.entry),
        weight: u32::from(host.weight),
        distance: match (own, host.zone.as_deref()) {
            (Some(own), Some(zone)) if own != zone => Distance::Far,
            (Some(_) | None, Some(_) | None) => Distance::Near,
        },
        lending: pooler.pools.with(|pools, _| {
            let id = pools.find_database(&host.entry);
            if id.is_some_and(|id| pools.is_paused(id)) {
                Lending::Paused
            } else {
                Lending::Open
            }
        }),
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
