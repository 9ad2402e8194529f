//! A client whose statements may go to more than one server: looks ahead, opens the gate, and keeps
//! the books of where it has been.
//!
//! Thin: `route` says what goes where, `session` holds back what must not go yet, `cluster` knows what
//! each server shows. Invariant: a segment goes only to the server that a plan has named, and what a
//! session has seen is written down before its next plan is made.

use std::sync::Arc;
use std::time::Instant as StdInstant;

use tokio::time::Instant;

use super::life::Client;
use crate::cluster::Demand;
use crate::cluster::choice::Chance;
use crate::cluster::gauge::Gauge;
use crate::cluster::position::{Scope, SharedWrites};
use crate::cluster::view::HostId;
use crate::config::{PoolMode, Role, RouteMode};
use crate::net::flow::release;
use crate::pool::PoolId;
use crate::pooler::clusters::{LiveCluster, scope_of};
use crate::pooler::terms::RouteTerms;
use crate::route::cache::Reading;
use crate::route::decide::{Attempt, Outlook, Target};
use crate::route::dialect::Spoken;
use crate::route::lull::Lull;
use crate::route::plan::{Counting, Desk, Journey, Plan, Rules, Standing, Trial, plan};
use crate::route::segment::Alone;
use crate::route::session::{HoldBegin, Pin, Session};
use crate::session::client_state::{ClientError, ClientState};
use crate::session::from_client::{FromClient, skip};
use crate::session::params::ParamSet;
use crate::session::server_state::ServerState;
use crate::sql::Effect;
use crate::telemetry::stats::ServerRole;

/// What routing keeps of one client.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) session: Session,
    pub(super) cluster: Arc<LiveCluster>,
    pub(super) terms: RouteTerms,
    pub(super) writes: Option<Arc<SharedWrites>>,
    /// Pools of single hosts that this client has used.
    pub(super) pools: Vec<(HostId, PoolId)>,
    pub(super) next: Option<Journey>,
    pub(super) link: Option<Link>,
    /// Servers on which the segment at hand has failed.
    pub(super) failures: u8,
    /// How the client writes SQL.
    spoken: Spoken,
    pub(super) lull: Lull,
    /// What the segment at hand must show: writes that end while it waits need not be in it.
    pub(super) scope: Scope,
}

fn role(target: Option<Target>) -> ServerRole {
    match target {
        Some(Target::Replica(_)) => ServerRole::Replica,
        Some(Target::Primary) | None => ServerRole::Primary,
    }
}

/// The server at hand.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) target: Target,
    /// Which host that is, and in which epoch, where it is known.
    pub(super) host: Option<(HostId, u32)>,
    pub(super) gauge: Option<Arc<Gauge>>,
    pub(super) began: StdInstant,
    pub(super) wrote: Wrote,
}

/// Whether something has gone to the server that may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrote {
    Nothing,
    Perhaps,
}

/// Whether the server in hand may be used for what was planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StillGood {
    Yes,
    /// It has come back at an older position meanwhile.
    No,
}

impl Route {
    /// For a client of a cluster.
    fn new(
        cluster: Arc<LiveCluster>,
        terms: RouteTerms,
        user: &Arc<str>,
        params: &Arc<ParamSet>,
    ) -> Self {
        let writes = cluster.shared_writes(terms.scope, user);
        Self {
            session: Session::default(),
            cluster,
            terms,
            writes,
            pools: Vec::new(),
            next: None,
            link: None,
            failures: 0,
            spoken: Spoken::with(params),
            lull: Lull::default(),
            scope: Scope::Off,
        }
    }

    /// The role of the server at hand.
    pub(super) fn role(&self) -> ServerRole {
        role(self.link.as_ref().map(|link| link.target))
    }

    /// The role of the server that the next segment waits for.
    pub(super) fn next_role(&self) -> ServerRole {
        role(self.next.map(|next| next.decision.target))
    }

    /// Whether the client keeps its connection when it is at rest.
    pub(super) fn keeps_connection(&self) -> bool {
        self.session.pin == Pin::Yes
    }

    /// Where the next segment goes, once that is decided.
    pub(super) fn next_target(&self) -> Option<Target> {
        self.next.map(|next| next.decision.target)
    }

    /// Whether the server must be asked what the client has left there.
    pub(super) fn must_ask(&self) -> bool {
        self.session.pin == Pin::Ask
    }

    /// The server has been asked.
    pub(super) fn pin(&mut self, pin: Pin) {
        self.session.pin = pin;
    }

    /// Others must see what this link has written: to be told when a reply has come and its client has
    /// not got it yet.
    pub(super) fn writes(&self) -> Option<&SharedWrites> {
        let link = self.link.as_ref()?;
        let writes = self.writes.as_deref()?;
        (link.wrote == Wrote::Perhaps).then_some(writes)
    }

    /// New terms count from the next transaction on.
    fn refresh(&mut self, cluster: Arc<LiveCluster>, terms: RouteTerms, user: &Arc<str>) {
        if !Arc::ptr_eq(&self.cluster, &cluster) {
            // The entry had no replicas for a while: the numbers of these hosts are others'.
            let now = Instant::now().into_std();
            self.session.position.strayed(now);
            self.writes = cluster.shared_writes(terms.scope, user);
            self.cluster = cluster;
        } else if self.terms != terms {
            self.writes = self.cluster.shared_writes(terms.scope, user);
        }
        self.terms = terms;
        self.pools.clear();
    }

    pub(super) fn standing(&self, server: Option<&ServerState>) -> Standing {
        let (Some(link), Some(server)) = (&self.link, server) else {
            return Standing::Unlinked;
        };
        if self.session.pin == Pin::Yes {
            Standing::Pinned(link.target)
        } else if server.is_outside_transaction() {
            Standing::Between(link.target)
        } else {
            Standing::InTransaction(link.target)
        }
    }

    /// Lets a segment through to the server at hand.
    pub(super) fn grant(&mut self, journey: &Journey, client: &mut ClientState, input: &[u8]) {
        let segment = input.get(..journey.bytes);
        let on_trial = match (journey.trial, segment) {
            (Trial::Yes(until), Some(segment)) => client.grant_on_trial(segment, until),
            (Trial::Yes(_) | Trial::No, _) => false,
        };
        if !on_trial && let Some(routed) = client.routed.as_deref_mut() {
            routed.grant(journey.bytes);
        }
        if let Some(link) = &mut self.link
            && journey.may_write()
        {
            link.wrote = Wrote::Perhaps;
        }
        if journey.may_pin() {
            self.session.pin = Pin::Ask;
        }
        if journey.verdict.effects.has(Effect::ChangesFunctions) {
            self.cluster.forget_functions();
        }
    }

    pub(super) fn end_link(&mut self, now: StdInstant) {
        self.session.transaction_ended();
        let Some(link) = self.link.take() else {
            return;
        };
        match link.host {
            Some((host, epoch)) => self.session.position.touched(host, epoch, now),
            None => self.session.position.strayed(now),
        }
        if let Some(gauge) = link.gauge {
            gauge.ended(now.saturating_duration_since(link.began));
        }
    }
}

impl Client {
    /// Routes the client's statements, or no longer, as its terms say.
    pub(super) fn adopt_route(&mut self) {
        let card = &self.facts.card;
        let cluster = || {
            let now = Instant::now().into_std();
            self.pooler.clusters.enter(&card.database, now)
        };
        match (&mut self.route, self.terms.route) {
            (Some(route), Some(terms)) => route.refresh(cluster(), terms, &card.user),
            (None, Some(terms)) => {
                let (user, params) = (&card.user, &self.state.params);
                self.route = Some(Box::new(Route::new(cluster(), terms, user, params)));
                self.state.routed = Some(Box::default());
            }
            // What has begun here is sent first.
            (Some(route), None) if route.session.has_begun() => {}
            (Some(_) | None, None) => {
                self.route = None;
                self.state.routed = None;
            }
        }
    }

    /// Without a server: answers what needs none, and decides where the rest goes.
    pub(super) fn deal_with_routed(&mut self) -> Result<FromClient, ClientError> {
        loop {
            if self.input.is_empty() || !self.state.is_between_frames() {
                return self.deal_with_input();
            }
            let before = self.input.len();
            match self.plan(Alone::Allowed, None, Counting::Once) {
                Plan::More => return Ok(FromClient::Drained),
                Plan::Answered(bytes) => {
                    skip(&mut self.input, bytes);
                    release(&mut self.input);
                    self.state.tally.queries += 1;
                }
                Plan::Go(journey) => return Ok(self.sets_out(journey)),
                Plan::Later => return Ok(FromClient::NeedServer),
                Plan::Own | Plan::Loose(_) => match self.deal_with_input()? {
                    FromClient::NeedServer => return Ok(self.needs_some_server()),
                    FromClient::Drained if self.input.len() != before => {}
                    outcome => return Ok(outcome),
                },
            }
        }
    }

    fn sets_out(&mut self, journey: Journey) -> FromClient {
        if let Some(route) = self.route.as_deref_mut() {
            route.next = Some(journey);
        }
        FromClient::NeedServer
    }

    /// The session cannot answer what it was left to.
    fn needs_some_server(&mut self) -> FromClient {
        match self.plan(Alone::NeedsServer, None, Counting::Once) {
            Plan::Go(journey) => self.sets_out(journey),
            Plan::More | Plan::Own | Plan::Answered(_) | Plan::Loose(_) | Plan::Later => {
                FromClient::Drained
            }
        }
    }

    /// What comes next, with that server at hand.
    pub(super) fn plan(
        &mut self,
        alone: Alone,
        server: Option<&ServerState>,
        counting: Counting,
    ) -> Plan {
        let Some(route) = self.route.as_deref_mut() else {
            return Plan::Own;
        };
        let standing = match (route.standing(server), self.terms.mode) {
            // In a session pool the first statement has chosen the server for all others.
            (Standing::Between(target), PoolMode::Session) => Standing::Pinned(target),
            (standing, _) => standing,
        };
        let Route {
            session,
            cluster,
            terms,
            writes,
            failures,
            spoken,
            scope,
            ..
        } = route;
        match counting {
            Counting::Once => *scope = scope_of(terms.scope, writes.as_deref()),
            Counting::Instead(_) | Counting::Not => {}
        }
        let dialect = spoken.now(&self.state.params);
        let hold = match (terms.mode, self.terms.mode, terms.role) {
            (RouteMode::On, PoolMode::Transaction, Role::Auto) => HoldBegin::Yes,
            _ => HoldBegin::No,
        };
        let functions = cluster.functions();
        let view = cluster.view();
        let made = cluster.with_cache(self.worker, |cache| {
            let mut desk = Desk {
                session,
                rules: Rules {
                    mode: terms.mode,
                    role: terms.role,
                    hold,
                },
                access: dialect.access,
                view: &view,
                scope: *scope,
                standing,
                alone,
                counting,
                attempt: match failures {
                    0 => Attempt::First,
                    _ => Attempt::Again,
                },
                now: Instant::now().into_std(),
                chance: Chance::new(cache.draw()),
            };
            let mut reading = Reading {
                cache,
                catalog: &functions.catalog,
                generation: functions.generation,
                quoting: dialect.quoting,
                encoding: dialect.encoding,
            };
            let out = &mut self.output.bytes;
            plan(&self.input, &self.state, &mut reading, &mut desk, out)
        });
        if let Plan::Go(journey) = &made
            && journey.decision.outlook == Outlook::Pending
        {
            cluster.demand(Demand::Wanted);
        }
        made
    }
}
