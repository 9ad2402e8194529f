//! The tasks of the monitors: one for each host of each cluster.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::futures::Notified;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use super::probe::{Asked, COLUMNS, QUESTION, Unreadable, read};
use super::{Monitor, discovery, functions, policy, specs};
use crate::cluster::{Failure, HostId, Hosts, Observation};
use crate::config::{Config, RouteMode};
use crate::pool::{PoolKey, WorkerId};
use crate::pooler::clusters::LiveCluster;
use crate::pooler::opener::forced_secret;
use crate::pooler::servers::{connector, target_of};
use crate::pooler::{Pooler, Server};
use crate::server::conn::Fitness;
use crate::server::errand::{ErrandError, one_row};
use crate::server::open::{Identity, OpenError, log_in, reach};
use crate::session::server_login::{Parameter, ServerLoginRequest};
use crate::sql::catalog::CatalogError;
use crate::telemetry::events;

/// Nobody's worker: the connections of monitors are never lent.
const HOME: WorkerId = WorkerId(0);

/// Monitors all clusters, for ever; one for the process. Cancel-safe: dropping it ends all of it.
pub async fn run(pooler: &Arc<Pooler>) -> Infallible {
    let mut watched = Vec::new();
    loop {
        adopt(pooler, &mut watched);
        // Cancel-safe: a permit that is not consumed stays.
        pooler.clusters.reconfigured.notified().await;
    }
}

/// A cluster, and the tasks that end when this is dropped.
struct Watched {
    monitor: Arc<Monitor>,
    /// One for each host, one for the functions, one that finds replicas.
    tasks: JoinSet<Infallible>,
    hosts: HashMap<HostId, AbortHandle>,
    /// The one that finds replicas, where there is anything to find.
    finder: Option<AbortHandle>,
}

impl Watched {
    fn new(pooler: &Arc<Pooler>, monitor: Arc<Monitor>) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(functions::keep(Arc::clone(pooler), Arc::clone(&monitor)));
        let finder = None;
        let hosts = HashMap::new();
        let mut watched = Self {
            monitor,
            tasks,
            hosts,
            finder,
        };
        watched.follow_hosts(pooler);
        watched.follow_names(pooler);
        watched
    }

    /// Finds replicas, or no longer.
    fn follow_names(&mut self, pooler: &Arc<Pooler>) {
        let config = pooler.config();
        match (
            discovery::is_needed(&config, &self.monitor.live.name),
            self.finder.take(),
        ) {
            (true, Some(task)) => self.finder = Some(task),
            (true, None) => {
                let task = discovery::keep(Arc::clone(pooler), Arc::clone(&self.monitor));
                self.finder = Some(self.tasks.spawn(task));
            }
            (false, Some(task)) => task.abort(),
            (false, None) => {}
        }
    }

    /// Watches the hosts that there are now. Connections to those that stay are kept.
    fn follow_hosts(&mut self, pooler: &Arc<Pooler>) {
        let view = self.monitor.live.view();
        self.hosts.retain(|id, task| {
            let stays = view.host(*id).is_some();
            if !stays {
                task.abort();
            }
            stays
        });
        for host in &view.hosts {
            let task = || watch(Arc::clone(pooler), Arc::clone(&self.monitor), host.id);
            let tasks = &mut self.tasks;
            self.hosts
                .entry(host.id)
                .or_insert_with(|| tasks.spawn(task()));
        }
        while self.tasks.try_join_next().is_some() {} // those that were ended
    }
}

/// Takes the clusters of the configuration in place of those before. What is known of one
/// and of its hosts stays.
fn adopt(pooler: &Arc<Pooler>, watched: &mut Vec<Watched>) {
    let config = pooler.config();
    let now = Instant::now().into_std();
    let routed = config.settings.route_mode != RouteMode::Off;
    let mut old = std::mem::take(watched);
    for entry in config.clusters().filter(|_| routed) {
        let (hosts, policy) = (specs(pooler, &config, &entry), policy(&config));
        let known = old
            .iter()
            .position(|known| &*known.monitor.live.name == entry.name)
            .map(|place| old.swap_remove(place));
        watched.push(if let Some(mut known) = known {
            if known.monitor.reconfigure(hosts, policy) == Hosts::Other {
                known.follow_hosts(pooler);
            }
            known.follow_names(pooler);
            known
        } else {
            let live = pooler.clusters.enter(&Arc::from(entry.name), now);
            Watched::new(pooler, Arc::new(Monitor::new(live, hosts, policy)))
        });
    }
    for gone in old {
        pooler.clusters.forget(&gone.monitor.live.name);
    }
}

/// Why the host was not observed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("no such host")]
    NoHost,
    #[error("no answer within replica_check_timeout")]
    TimedOut,
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Errand(#[from] ErrandError),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl Trouble {
    fn failure(&self) -> Failure {
        match self {
            Self::TimedOut | Self::Open(OpenError::TimedOut) => Failure::TimedOut,
            Self::Errand(ErrandError::Lost(_)) => Failure::Lost,
            Self::NoHost
            | Self::Open(_)
            | Self::Errand(_)
            | Self::Unreadable(_)
            | Self::Catalog(_) => Failure::Refused,
        }
    }
}

/// What a pause ended with.
enum Pause {
    Over,
    Woken,
    Lost,
}

/// Asks one host, for ever.
async fn watch(pooler: Arc<Pooler>, monitor: Arc<Monitor>, host: HostId) -> Infallible {
    let mut conn: Option<Server> = None;
    loop {
        let mut woken = std::pin::pin!(monitor.live.wanted.notified());
        // Enlisted before looking: what happens in between is not missed.
        woken.as_mut().enable();
        let now = Instant::now();
        monitor.take_failures(&pooler, now.into_std());
        let config = pooler.config();
        let Some(user) = user_of(&config, &monitor.live) else {
            // Until somebody has had a server opened.
            woken.await;
            continue;
        };
        let due = Instant::from_std(monitor.next_probe(host, now.into_std()));
        if due > now {
            match pause(woken, &mut conn, due).await {
                Pause::Over => {}
                Pause::Woken => continue,
                Pause::Lost => {
                    conn = None;
                    failed(&pooler, &monitor, host, Failure::Lost);
                    continue;
                }
            }
        }
        let limit = config.settings.replica_check_timeout;
        let probe = Box::pin(probe(&pooler, (&monitor, host), user, &mut conn));
        let outcome = timeout(limit, probe).await;
        match outcome.unwrap_or(Err(Trouble::TimedOut)) {
            Ok(observation) => monitor.observed(&pooler, host, observation),
            Err(trouble) => {
                let name = entry(&monitor, host);
                events::monitor_failed(&monitor.live.name, &name, &trouble);
                // Whatever it may still answer belongs to a question that nobody asks any more.
                conn = None;
                failed(&pooler, &monitor, host, trouble.failure());
            }
        }
    }
}

fn entry(monitor: &Monitor, host: HostId) -> Arc<str> {
    let view = monitor.live.view();
    let name = view.host(host).map(|host| Arc::clone(&host.name));
    name.unwrap_or_else(|| Arc::from(""))
}

fn failed(pooler: &Pooler, monitor: &Monitor, host: HostId, how: Failure) {
    let mut jitter = [0];
    // Without chance all processes ask at the same time, which is no harm.
    let _same_for_all = SystemRandom::new().fill(&mut jitter);
    let now = Instant::now().into_std();
    monitor.failed(pooler, host, how, (now, jitter[0]));
}

/// Sleeps, but hears what matters meanwhile: somebody waits, or the connection is gone.
async fn pause(woken: Pin<&mut Notified<'_>>, conn: &mut Option<Server>, due: Instant) -> Pause {
    let lost = poll_fn(|cx| match conn.as_mut().map(|conn| conn.hear(cx)) {
        Some(Fitness::Unfit) => Poll::Ready(()),
        Some(Fitness::Fit) | None => Poll::Pending,
    });
    tokio::select! {
        // All are cancel-safe: who is woken looks at everything; `hear` keeps what it has read.
        () = lost => Pause::Lost,
        () = woken => Pause::Woken,
        () = sleep_until(due) => Pause::Over,
    }
}

/// Who asks: `monitor_user`, else the entry's own users, else whoever was there last.
pub(super) fn user_of(config: &Config, cluster: &LiveCluster) -> Option<Arc<str>> {
    let spec = config.database(&cluster.name)?.spec;
    let named = config
        .settings
        .monitor_user
        .as_deref()
        .filter(|user| !user.is_empty());
    let named = named.or(spec.user.as_deref()).or(spec.auth_user.as_deref());
    named.map(Arc::from).or_else(|| cluster.last_user())
}

async fn probe(
    pooler: &Pooler,
    (monitor, host): (&Monitor, HostId),
    user: Arc<str>,
    conn: &mut Option<Server>,
) -> Result<Observation, Trouble> {
    let conn = if let Some(conn) = conn {
        conn
    } else {
        let database = entry(monitor, host);
        conn.insert(open(pooler, &monitor.live, PoolKey { database, user }).await?)
    };
    let at = Instant::now().into_std();
    let row = one_row(conn, QUESTION, COLUMNS).await?;
    let asked = Asked {
        connection: conn.facts.id.0,
        at,
        answered_at: Instant::now().into_std(),
    };
    Ok(read(&row, asked)?)
}

/// A connection of our own, that belongs to no pool.
pub(super) async fn open(
    pooler: &Pooler,
    cluster: &LiveCluster,
    key: PoolKey,
) -> Result<Server, Trouble> {
    let config = pooler.config();
    let database = config.database(&key.database).ok_or(Trouble::NoHost)?;
    let host = database.spec.hosts.first().ok_or(Trouble::NoHost)?;
    let target = target_of(&config, host, database.spec.port).ok_or(Trouble::NoHost)?;
    let forced = forced_secret(database.spec, &key.user);
    let request = ServerLoginRequest {
        user: key.user.as_bytes().into(),
        database: database.dbname.as_bytes().into(),
        parameters: vec![Parameter::new(b"application_name", b"pgweir monitor")],
        credential: pooler
            .credentials
            .for_server(&cluster.name, &key.user, forced.as_ref()),
    };
    let tls = pooler.server_tls.load_full();
    let who = Identity {
        id: pooler.next_id(),
        pool: key,
        home: HOME,
    };
    let now = Instant::now().into_std();
    let reached = reach(connector(pooler, &config, &tls), &target, &who, now).await?;
    let (conn, _) = log_in(reached, request, &pooler.keys, HOME).await?;
    Ok(conn)
}
