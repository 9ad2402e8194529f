//! Where a new connection of a pool leads, where that is not simply what the entry says.
//!
//! The pool of an entry with replicas leads to whichever host is primary. While there is none, or it
//! cannot be reached, the opening waits, and with it the clients of the pool. The pool of a single
//! host gives out only connections that the host's monitor vouches for.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::Pooler;
use super::clusters::LiveCluster;
use super::opener::Opened;
use crate::cluster::{ClusterView, HostId};
use crate::pool::{OpenFailure, PoolKey, WorkerId};
use crate::protocol::SqlState;

/// How long one opening waits for a primary; then the pool asks whether anybody still wants it.
const PRIMARY_WAIT: Duration = Duration::from_secs(5);

/// Shortest time between two attempts of one opening.
const ATTEMPT_GAP: Duration = Duration::from_millis(50);

/// Where an opening turns to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Lead {
    /// To the primary.
    Primary(HostId, Arc<str>),
    /// To the host that the configuration calls the primary: the monitors know of none, and never
    /// did.
    Declared,
    /// Nowhere yet.
    Nowhere,
}

impl Lead {
    fn of(view: &ClusterView, first_decision: Instant, now: Instant) -> Self {
        match view.primary_host() {
            Some(host) => Self::Primary(host.id, Arc::clone(&host.name)),
            None if view.timeline == 0 && now >= first_decision => Self::Declared,
            None => Self::Nowhere,
        }
    }
}

impl Pooler {
    /// Opens a connection to the primary of a cluster, as soon as there is one that lets us in.
    pub(super) async fn open_at_primary(
        &self,
        cluster: &LiveCluster,
        (key, worker): (&PoolKey, WorkerId),
    ) -> Result<Opened, OpenFailure> {
        cluster.note_user(&key.user);
        let begun = Instant::now();
        // The monitors have this long to find out who is primary.
        let first_decision = begun + self.config().settings.replica_check_timeout * 2;
        let until = begun + PRIMARY_WAIT.max(first_decision - begun + ATTEMPT_GAP);
        loop {
            let now = Instant::now();
            let lead = Lead::of(&cluster.view(), first_decision, now);
            match &lead {
                Lead::Declared => return self.open_once(key, None, worker).await,
                Lead::Nowhere => {}
                Lead::Primary(host, name) => {
                    let attempt = self.open_once(key, Some(name), worker);
                    let deposed = cluster.until(|view| view.primary != Some(*host));
                    let outcome = tokio::select! {
                        // Dropping the attempt closes its socket; the view is not consumed.
                        outcome = attempt => outcome,
                        _ = deposed => continue,
                    };
                    match outcome {
                        Err(failure) if is_of_the_host(&failure) => cluster.report_failure(*host),
                        Ok(_) | Err(_) => return outcome,
                    }
                }
            }
            if now >= until {
                return Err(OpenFailure::NoPrimary);
            }
            // What the monitors do not notice is tried again all the same.
            sleep(ATTEMPT_GAP).await;
            if lead == Lead::Nowhere {
                let decision = if first_decision > now {
                    first_decision
                } else {
                    until
                };
                let found = cluster.until(|view| view.primary.is_some());
                // Whether in time or not: the next turn looks.
                drop(timeout_at(decision, found).await);
            }
        }
    }

    /// Opens a connection to the host of a derived entry, or to that of an entry without replicas.
    pub(super) async fn open_at_host(
        &self,
        key: &PoolKey,
        worker: WorkerId,
    ) -> Result<Opened, OpenFailure> {
        let outcome = self.open_once(key, None, worker).await;
        let config = self.config();
        let parent = config.databases.get(&*key.database);
        let parent = parent.and_then(|spec| spec.derived_from.as_deref());
        let Some(cluster) = parent.and_then(|parent| self.clusters.find(parent)) else {
            return outcome;
        };
        match outcome {
            Ok(opened) => {
                let since = Instant::now().into_std();
                let limit = config.settings.replica_check_timeout;
                let vouched = cluster.vouch(&key.database, since, limit).await;
                vouched.map_err(|error| OpenFailure::Unreachable(error.to_string().into()))?;
                Ok(opened)
            }
            Err(failure) => {
                if is_of_the_host(&failure)
                    && let Some(host) = cluster.view().named(&key.database)
                {
                    cluster.report_failure(host.id);
                }
                Err(failure)
            }
        }
    }
}

/// Whether the host is to blame, and not the user, the password or a limit.
fn is_of_the_host(failure: &OpenFailure) -> bool {
    match failure {
        OpenFailure::Unreachable(_) => true,
        OpenFailure::Rejected { code, .. } => *code == SqlState::CANNOT_CONNECT_NOW,
        OpenFailure::NoPrimary => false,
    }
}
