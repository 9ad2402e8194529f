//! A routed client that waits until a replica shows what it has written and seen, or until it is known
//! where it stands.
//!
//! Invariant: every wait has an end, behind which the client goes to the primary, or is told what is
//! known.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::journey::PATIENCE;
use super::life::Client;
use crate::cluster::Demand;
use crate::config::RouteMode;
use crate::pooler::terms::RouteTerms;
use crate::route::decide::{Outlook, Target};
use crate::route::plan::{Counting, Plan};
use crate::route::segment::Alone;

impl Client {
    /// How long the segment at hand waits for a replica before it goes to the primary: as long as
    /// `fence_wait` says, or for a moment now and then.
    pub(super) fn wait_for_replica(&mut self) -> Option<Duration> {
        let route = self.route.as_deref_mut()?;
        let decision = route.next?.decision;
        match (decision.target, decision.outlook) {
            (Target::Replica(_), _) => route.lull.over(),
            (Target::Primary, Outlook::Settled) => {}
            (Target::Primary, Outlook::Pending) => {
                let RouteTerms {
                    mode,
                    fence_wait,
                    fence_interval,
                    ..
                } = route.terms;
                return match mode {
                    RouteMode::Off | RouteMode::Observe => None,
                    RouteMode::On if !fence_wait.is_zero() => Some(fence_wait),
                    RouteMode::On => {
                        let now = Instant::now().into_std();
                        route.lull.of_read(now, fence_interval)
                    }
                };
            }
        }
        None
    }

    /// Waits until a replica is known to show what the client has written and seen, or for that
    /// long.
    pub(super) async fn until_replica(&mut self, limit: Duration) {
        let began = Instant::now();
        self.look_for_replica(began + limit).await;
        if let Some(route) = self.route.as_deref() {
            let waited = began.elapsed();
            let cluster = &route.cluster;
            cluster.with_cache(self.worker, |cache| cache.counted.waited(waited));
        }
    }

    async fn look_for_replica(&mut self, deadline: Instant) {
        let Some(route) = self.route.as_deref() else {
            return;
        };
        let cluster = Arc::clone(&route.cluster);
        loop {
            let Some(before) = self.route.as_deref().and_then(|route| route.next) else {
                return;
            };
            cluster.demand(Demand::Awaited);
            let seen = cluster.view().generation;
            let newer = cluster.until(|view| view.generation > seen);
            if timeout_at(deadline, newer).await.is_err() {
                return;
            }
            let counting = Counting::Instead(before.decision);
            let Plan::Go(journey) = self.plan(Alone::NeedsServer, None, counting) else {
                return;
            };
            if let Some(route) = self.route.as_deref_mut() {
                route.next = Some(journey);
                if journey.decision.target != Target::Primary {
                    route.lull.over();
                    return;
                }
            }
        }
    }

    /// Whether the client waits to be told where it stands, and for nothing else.
    pub(super) fn awaits_position(&self) -> bool {
        let route = self.route.as_deref();
        route.is_some_and(|route| route.session.awaits_position())
    }

    /// Waits until that is known, or for long enough.
    pub(super) async fn until_position(&mut self) {
        let Some(route) = self.route.as_deref_mut() else {
            return;
        };
        let cluster = Arc::clone(&route.cluster);
        let deadline = Instant::now() + PATIENCE;
        cluster.demand(Demand::Awaited);
        let known = cluster.until(|view| {
            cluster.demand(Demand::Awaited);
            route.session.position.lsn(view).is_some()
        });
        // Without an answer it is told what is known then: nothing.
        let _known_or_not = timeout_at(deadline, known).await;
    }
}
