//! A routed client's way from one server to the next: waiting, the gate, running again, the end.
//!
//! What comes next and where it goes: `routing`; waiting for a replica: `fencing`. Invariant: a segment
//! goes only to the server that a plan has named, and what a session has seen is written down before
//! its next plan is made.

use std::sync::Arc;
use std::time::{Duration, Instant as StdInstant};

use bytes::BytesMut;

use super::exchange::Again;
use super::fault::Fault;
use super::life::{Client, Goodbye};
use super::routing::{Link, StillGood, Wrote};
use crate::cluster::position::MayRead;
use crate::pool::{PoolId, Refusal};
use crate::route::cache::{Cache, Lesson};
use crate::route::decide::Target;
use crate::route::plan::{Counting, Plan, Trial};
use crate::route::segment::Alone;
use crate::session::client_state::ClientState;
use crate::session::from_server::begin;
use crate::session::routed::{Place, Routed};
use crate::session::server_state::ServerState;

/// The most failures of one segment before its client is told.
const MAX_FAILURES: u8 = 4;

/// The same where the last one was the primary's: it may have been killed for what it did.
const MAX_ON_PRIMARY: u8 = 2;

/// The longest wait for a connection to a replica, behind which the read goes to the primary; and
/// for a position.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

impl Client {
    /// The pool that the next segment waits in.
    pub(super) fn pool_for_next(&mut self, now: StdInstant) -> PoolId {
        let Some(route) = self.route.as_deref_mut() else {
            return self.pool;
        };
        let Some(Target::Replica(host)) = route.next.map(|next| next.decision.target) else {
            return self.pool;
        };
        if let Some((_, pool)) = route.pools.iter().find(|(known, _)| *known == host) {
            return *pool;
        }
        let view = route.cluster.view();
        let name = view.host(host).map(|host| Arc::clone(&host.name));
        let user = &self.facts.card.pool_user;
        let pool = name.and_then(|name| self.pooler.pool(&name, user, now));
        match (pool, &mut route.next) {
            (Some(pool), _) => {
                route.pools.push((host, pool));
                pool
            }
            (None, Some(next)) => {
                next.decision.target = Target::Primary;
                self.pool
            }
            (None, None) => self.pool,
        }
    }

    /// How long the client waits for its server. Nobody waits long for a replica while there is a
    /// primary.
    pub(super) fn patience(&self, wait: Option<Duration>) -> Option<Duration> {
        let next = self.route.as_deref().and_then(|route| route.next.as_ref());
        match next.map(|next| next.decision.target) {
            Some(Target::Replica(_)) => Some(wait.map_or(PATIENCE, |wait| wait.min(PATIENCE))),
            Some(Target::Primary) | None => wait,
        }
    }

    /// A replica's pool could not give a connection: the primary then.
    pub(super) fn falls_back(&mut self, goodbye: &Goodbye) -> bool {
        let Goodbye::Fault(Fault::Refused(refusal)) = goodbye else {
            return false;
        };
        if matches!(refusal, Refusal::ShuttingDown) {
            return false;
        }
        let Some(route) = self.route.as_deref_mut() else {
            return false;
        };
        let Some(Target::Replica(host)) = route.next.take().map(|next| next.decision.target) else {
            return false;
        };
        route.pools.retain(|(known, _)| *known != host);
        if !matches!(refusal, Refusal::QueryWaitTimeout) {
            route.cluster.report_failure(host);
        }
        route.failures = route.failures.saturating_add(1);
        true
    }

    /// Whether what was planned still holds now that the connection is in hand.
    pub(super) fn is_still_good(&mut self) -> StillGood {
        let Some(route) = self.route.as_deref_mut() else {
            return StillGood::Yes;
        };
        let Some(Target::Replica(host)) = route.next.map(|next| next.decision.target) else {
            return StillGood::Yes;
        };
        let view = route.cluster.view();
        match route.session.position.may_read(&view, host, route.scope) {
            MayRead::Yes => StillGood::Yes,
            MayRead::Behind | MayRead::Unknown | MayRead::NotServing => StillGood::No,
        }
    }

    /// The server is there: what was planned goes to it, behind a `BEGIN` that was answered here.
    pub(super) fn begin_journey(
        &mut self,
        server: &mut ServerState,
        to_server: &mut BytesMut,
        now: StdInstant,
    ) {
        let Some(route) = self.route.as_deref_mut() else {
            return;
        };
        let Some(next) = route.next.take() else {
            return;
        };
        let view = route.cluster.view();
        let host = match next.decision.target {
            Target::Primary => view.primary_host(),
            Target::Replica(host) => view.host(host),
        };
        let gauge = host.map(|host| Arc::clone(&host.gauge));
        if let Some(gauge) = &gauge {
            gauge.began();
        }
        route.link = Some(Link {
            target: next.decision.target,
            host: host.map(|host| (host.id, host.epoch)),
            gauge,
            began: now,
            wrote: Wrote::Nothing,
        });
        if let Some(routed) = self.state.routed.as_deref_mut() {
            routed.begin(match next.decision.target {
                Target::Primary => Place::Primary,
                Target::Replica(_) => Place::Replica,
            });
        }
        if let Some(sql) = route.session.take_begun() {
            begin(server, &sql, to_server);
        }
        route.grant(&next, &mut self.state, &self.input);
    }

    /// The client has sent more than was granted: more may go to the server at hand, or it waits.
    pub(super) fn open_gate(&mut self, server: &ServerState) {
        let plan = self.plan(Alone::NeedsServer, Some(server), Counting::Once);
        let Self {
            route,
            state,
            input,
            ..
        } = self;
        let Some(route) = route.as_deref_mut() else {
            return;
        };
        let Some(link_target) = route.link.as_ref().map(|link| link.target) else {
            return;
        };
        let is_on_trial = state.routed.as_deref().is_some_and(Routed::is_on_trial);
        match plan {
            Plan::Go(mut journey) if journey.decision.target == link_target => {
                if !server.is_at_rest() && !is_on_trial {
                    journey.trial = Trial::No;
                }
                // What runs on a replica outside of a transaction can always run again.
                if link_target != Target::Primary && journey.trial == Trial::No && is_on_trial {
                    shut(state);
                    return;
                }
                route.grant(&journey, state, input);
            }
            Plan::Go(_) => shut(state),
            Plan::More => {
                if let Some(routed) = state.routed.as_deref_mut() {
                    routed.await_more(input.len());
                }
            }
            Plan::Loose(_) if is_on_trial => shut(state),
            Plan::Loose(bytes) => grant(state, bytes),
            Plan::Own | Plan::Answered(_) | Plan::Later => grant(state, input.len()),
        }
    }

    /// Whether nothing would be lost with the server at hand.
    pub(super) fn may_run_again(&self) -> bool {
        let routed = self.state.routed.as_deref();
        routed.is_some_and(Routed::may_run_again)
    }

    /// A read must run again: what there is of it stands in the input again.
    pub(super) fn run_again(&mut self, again: &Again) -> Tries {
        self.state.take_back(&mut self.input);
        let Some(route) = self.route.as_deref_mut() else {
            return Tries::Spent;
        };
        route.failures = route.failures.saturating_add(1);
        let lesson = match again {
            Again::Refused(code) | Again::Abandoned(code) if is_lesson(code.as_str()) => {
                Lesson::IsNoRead
            }
            Again::Refused(_) | Again::Abandoned(_) | Again::Lost => Lesson::None,
        };
        if let (
            Again::Lost,
            Some(Link {
                host: Some((host, _)),
                ..
            }),
        ) = (again, &route.link)
        {
            route.cluster.report_failure(*host);
        }
        self.look_again(|cache| cache.came_back(lesson));
        let Some(route) = self.route.as_deref() else {
            return Tries::Spent;
        };
        let on_primary = route
            .link
            .as_ref()
            .is_some_and(|link| link.target == Target::Primary);
        let most = if on_primary {
            MAX_ON_PRIMARY
        } else {
            MAX_FAILURES
        };
        if route.failures <= most {
            Tries::Left
        } else {
            Tries::Spent
        }
    }

    /// Looks at the segment once more, so that its statements are the ones that are noted.
    fn look_again(&mut self, note: impl FnOnce(&mut Cache)) {
        self.plan(Alone::NeedsServer, None, Counting::Not);
        if let Some(route) = self.route.as_deref_mut() {
            route.cluster.with_cache(self.worker, note);
        }
    }

    /// A replica has refused a segment when its client had got a part of the answer: the next time
    /// it goes to the primary.
    fn learn_late(&mut self) {
        let routed = self.state.routed.as_deref_mut();
        if let Some(segment) = routed.and_then(Routed::take_refused_late) {
            let input = std::mem::replace(&mut self.input, BytesMut::from(&*segment));
            self.look_again(Cache::learn);
            self.input = input;
        }
    }

    /// The link is over.
    pub(super) fn end_journey(&mut self, now: StdInstant, outcome: Journeyed) {
        self.learn_late();
        if let Some(route) = self.route.as_deref_mut() {
            route.end_link(now);
            if outcome == Journeyed::Arrived {
                route.failures = 0;
            }
        }
    }
}

/// Whether a segment may be tried on one more server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tries {
    Left,
    Spent,
}

/// How a link ended for what was sent there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Journeyed {
    /// It has been answered.
    Arrived,
    /// It must run again.
    Again,
}

/// Errors by which a replica says that a statement is no read, or needs what a standby has not.
fn is_lesson(code: &str) -> bool {
    matches!(code, "25006" | "55000" | "0A000")
}

fn shut(client: &mut ClientState) {
    if let Some(routed) = client.routed.as_deref_mut() {
        routed.shut();
    }
}

fn grant(client: &mut ClientState, bytes: usize) {
    if let Some(routed) = client.routed.as_deref_mut() {
        routed.grant(bytes);
    }
}
