//! A client whose statements may go to more than one server: looks ahead, opens the gate, and keeps
//! the books of where it has been.
//!
//! Thin: `route` says what goes where, `session` holds back what must not go yet, `cluster` knows what
//! each server shows. Invariant: a segment goes only to the server that a plan has named, and what a
//! session has seen is written down before its next plan is made.

use std::sync::Arc;
use std::time::{Duration, Instant as StdInstant};

use tokio::time::Instant;

use super::exchange::Again;
use super::fault::Fault;
use super::life::{Client, Goodbye};
use crate::cluster::choice::Chance;
use crate::cluster::gauge::Gauge;
use crate::cluster::position::{MayRead, SharedWrites};
use crate::cluster::view::HostId;
use crate::config::{PoolMode, Role, RouteMode};
use crate::net::flow::release;
use crate::pool::{PoolId, Refusal};
use crate::pooler::clusters::{LiveCluster, scope_of};
use crate::pooler::terms::RouteTerms;
use crate::route::cache::{Lesson, Reading};
use crate::route::decide::{Attempt, Outlook, Target};
use crate::route::plan::{Desk, Journey, Plan, Rules, Standing, Trial, plan, quoting};
use crate::route::segment::Alone;
use crate::route::session::{HoldBegin, Pin, Session};
use crate::session::client_state::{ClientError, ClientState};
use crate::session::from_client::{FromClient, skip};
use crate::session::from_server::begin;
use crate::session::routed::{Place, Routed};
use crate::session::server_state::ServerState;
use crate::sql::Effect;
use bytes::BytesMut;

/// The most failures of one segment before its client is told.
const MAX_FAILURES: u8 = 4;

/// The same where the last one was the primary's: it may have been killed for what it did.
const MAX_ON_PRIMARY: u8 = 2;

/// The longest wait for a connection to a replica; behind it the read goes to the primary.
const PATIENCE: Duration = Duration::from_secs(1);

/// What routing keeps of one client.
#[derive(Debug)]
pub(super) struct Route {
    session: Session,
    cluster: Arc<LiveCluster>,
    terms: RouteTerms,
    writes: Option<Arc<SharedWrites>>,
    /// Pools of single hosts that this client has used.
    pools: Vec<(HostId, PoolId)>,
    next: Option<Journey>,
    link: Option<Link>,
    /// Servers on which the segment at hand has failed.
    failures: u8,
}

/// The server at hand.
#[derive(Debug)]
struct Link {
    target: Target,
    /// Which host that is, and in which epoch, where it is known.
    host: Option<(HostId, u32)>,
    gauge: Option<Arc<Gauge>>,
    began: StdInstant,
    wrote: Wrote,
}

/// Whether something has gone to the server that may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrote {
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
    pub(super) fn new(cluster: Arc<LiveCluster>, terms: RouteTerms, user: &Arc<str>) -> Self {
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
        }
    }

    /// Whether the client keeps its connection when it is at rest.
    pub(super) fn keeps_connection(&self) -> bool {
        self.session.pin == Pin::Yes
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
    pub(super) fn refresh(&mut self, terms: RouteTerms, user: &Arc<str>) {
        if self.terms != terms {
            self.writes = self.cluster.shared_writes(terms.scope, user);
            self.terms = terms;
        }
        self.pools.clear(); // hosts may have other places in the list
    }

    fn standing(&self, server: Option<&ServerState>) -> Standing {
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
    fn grant(&mut self, journey: &Journey, client: &mut ClientState, input: &[u8]) {
        let segment = input
            .get(..journey.bytes)
            .filter(|_| journey.trial == Trial::Yes);
        if !segment.is_some_and(|segment| client.grant_on_trial(segment))
            && let Some(routed) = client.routed.as_deref_mut()
        {
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

    fn end_link(&mut self, now: StdInstant) {
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
        match (&mut self.route, self.terms.route) {
            (Some(route), Some(terms)) => route.refresh(terms, &card.user),
            (None, Some(terms)) => {
                let now = Instant::now().into_std();
                let cluster = self.pooler.clusters.enter(&card.database, now);
                self.route = Some(Box::new(Route::new(cluster, terms, &card.user)));
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
            match self.plan(Alone::Allowed, None) {
                Plan::More => return Ok(FromClient::Drained),
                Plan::Answered(bytes) => {
                    skip(&mut self.input, bytes);
                    release(&mut self.input);
                    self.state.tally.queries += 1;
                }
                Plan::Go(journey) => return Ok(self.sets_out(journey)),
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
    /// The session cannot answer what it was left to.
    fn needs_some_server(&mut self) -> FromClient {
        match self.plan(Alone::NeedsServer, None) {
            Plan::Go(journey) => self.sets_out(journey),
            Plan::More | Plan::Own | Plan::Answered(_) | Plan::Loose(_) => FromClient::Drained,
        }
    }

    /// What comes next, with that server at hand.
    fn plan(&mut self, alone: Alone, server: Option<&ServerState>) -> Plan {
        let Some(route) = self.route.as_deref_mut() else {
            return Plan::Own;
        };
        let standing = route.standing(server);
        let Route {
            session,
            cluster,
            terms,
            writes,
            failures,
            ..
        } = route;
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
                view: &view,
                scope: scope_of(terms.scope, writes.as_deref()),
                standing,
                alone,
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
                quoting: quoting(&self.state.params),
            };
            let out = &mut self.output.bytes;
            plan(&self.input, &self.state, &mut reading, &mut desk, out)
        });
        if let Plan::Go(journey) = &made
            && journey.decision.outlook == Outlook::Pending
        {
            cluster.demand();
        }
        made
    }

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
        let scope = scope_of(route.terms.scope, route.writes.as_deref());
        match route.session.position.may_read(&view, host, scope) {
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
        let plan = self.plan(Alone::NeedsServer, Some(server));
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
            Plan::Own | Plan::Answered(_) => grant(state, input.len()),
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
        self.learn(lesson);
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

    /// Looks at the segment once more, so that its statements are the ones that came back.
    fn learn(&mut self, lesson: Lesson) {
        self.plan(Alone::NeedsServer, None);
        if let Some(route) = self.route.as_deref_mut() {
            route
                .cluster
                .with_cache(self.worker, |cache| cache.came_back(lesson));
        }
    }

    /// The link is over.
    pub(super) fn end_journey(&mut self, now: StdInstant, outcome: Journeyed) {
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
