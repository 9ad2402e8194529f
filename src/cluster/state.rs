//! Sans-IO. A cluster as its monitors see it: answers and failures go in, views and events come out.
//!
//! ```text
//!           ┌────────────── Down ◄─────────────────┐ failed, a client could not connect
//!           ▼ answered                             │
//!  Unknown ──► Primary ◄─► Replica(Ready) ◄─► Replica(Lagging, OtherTimeline) ◄─► Refused
//! ```
//! Not here: asking (`pooler::monitor`). Invariant: there is at most one primary, it is the one that
//! `roles` believes, and every ready replica is on its timeline.

use std::sync::Arc;
use std::time::Instant;

pub use super::host::HostSpec;
use super::host::{Health, Host};
use super::lag::History;
use super::observation::{Demand, Event, Failure, Left, Observation, Policy, Role};
use super::roles::{Claim, Office, Reign, Standards};
use super::view::{ClusterView, HostId, HostState, Lag, NOWHERE, Refused, Standing};
use crate::lsn::Lsn;

/// What the hosts are judged anew for.
#[derive(Debug, Clone, Copy)]
enum Cause {
    Answer,
    Failure(Failure),
    Report,
    /// It is about another host.
    Other,
}

/// A cluster.
#[derive(Debug)]
pub struct Cluster {
    hosts: Vec<Host>,
    policy: Policy,
    last: Option<Reign>,
    timeline_begun: Lsn,
    history: History,
    generation: u64,
    /// Numbers that have been given out, to hosts that may have gone since.
    numbers: u16,
    /// Epochs that have been given out, to whatever host: no two are the same.
    epochs: u32,
    view: Arc<ClusterView>,
}

/// What a new list of hosts means for those who ask them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosts {
    /// They are the same, in the same order.
    Same,
    /// Some have come, have gone, or have other numbers.
    Other,
}

impl Cluster {
    /// Nothing is known of these hosts yet. The first is the declared primary.
    pub fn new(hosts: Vec<HostSpec>, policy: Policy) -> Self {
        let span = policy.max_lag.unwrap_or(policy.check_period * 64);
        let mut cluster = Self {
            hosts: Vec::new(),
            policy: policy.clone(),
            last: None,
            timeline_begun: Lsn::default(),
            history: History::reaching(span),
            generation: 0,
            numbers: 0,
            epochs: 0,
            view: Arc::default(),
        };
        cluster.reconfigure(hosts, policy);
        cluster
    }

    /// Other hosts, limits, weights or zones. What is known of a host stays, and so does its number;
    /// with another declared primary it is another cluster, of which nothing is known.
    pub fn reconfigure(&mut self, hosts: Vec<HostSpec>, policy: Policy) -> Hosts {
        self.policy = policy;
        let names = self.hosts.iter().map(Host::name);
        let same = names.clone().eq(hosts.iter().map(|spec| &spec.name));
        let declared = names.clone().next() == hosts.first().map(|spec| &spec.name);
        let mut old = std::mem::take(&mut self.hosts);
        if !declared {
            old.clear();
            self.last = None;
            self.history.clear();
        }
        for spec in hosts {
            let known = old.iter().position(|host| *host.name() == spec.name);
            let host = match known {
                Some(place) => old.swap_remove(place).with_spec(spec),
                None => Host::new(self.next_number(), spec),
            };
            self.hosts.push(host);
        }
        if let Some(last) = &mut self.last
            && self.hosts.iter().all(|host| host.id != last.holder)
        {
            last.office = Office::Empty;
        }
        self.renew_view();
        if same { Hosts::Same } else { Hosts::Other }
    }

    /// A number that no host has, and none had for as long as it matters.
    fn next_number(&mut self) -> HostId {
        loop {
            let number = HostId(self.numbers);
            self.numbers = (self.numbers + 1) % NOWHERE.0;
            if self.hosts.iter().all(|host| host.id != number) {
                return number;
            }
        }
    }

    fn host(&self, id: HostId) -> Option<&Host> {
        self.hosts.iter().find(|host| host.id == id)
    }

    /// What is known now.
    pub fn view(&self) -> Arc<ClusterView> {
        Arc::clone(&self.view)
    }

    /// A host has answered.
    pub fn observed(&mut self, id: HostId, observation: Observation) -> Vec<Event> {
        let Self { hosts, epochs, .. } = self;
        let Some(host) = host_mut(hosts, id) else {
            return Vec::new();
        };
        host.observed(observation, epochs);
        self.judge((id, Cause::Answer), observation.answered_at)
    }

    /// A host has not answered. `jitter` is drawn by chance.
    pub fn failed(&mut self, id: HostId, how: Failure, now: Instant, jitter: u8) -> Vec<Event> {
        let Some(host) = host_mut(&mut self.hosts, id) else {
            return Vec::new();
        };
        host.failed(how, &self.policy, now, jitter);
        self.judge((id, Cause::Failure(how)), now)
    }

    /// A client could not connect to a host: others need not try, and its monitor asks at once.
    pub fn report_failure(&mut self, id: HostId, now: Instant) -> Vec<Event> {
        let Some(host) = host_mut(&mut self.hosts, id) else {
            return Vec::new();
        };
        host.reported(now);
        self.judge((id, Cause::Report), now)
    }

    /// When to ask a host again.
    pub fn next_probe(&self, id: HostId, now: Instant, demand: Demand) -> Instant {
        let host = self.host(id);
        host.map_or(now + self.policy.check_period, |host| {
            host.next_probe(&self.policy, demand, now)
        })
    }

    /// Decides anew what everybody is.
    fn judge(&mut self, (about, cause): (HostId, Cause), now: Instant) -> Vec<Event> {
        let mut events = Vec::new();
        let standards = self.standards();
        let claims: Vec<_> = self.hosts.iter().filter_map(claim).collect();
        let heard = || self.hosts.iter().all(|host| host.health != Health::Unasked);
        // The first decision waits until everybody had a chance to say something.
        let primary = if self.last.is_some() || heard() {
            standards.elect(&claims)
        } else {
            None
        };
        self.enthrone(primary, &mut events);
        self.follow_primary(about, primary);
        // The others are judged by the primary that there is now.
        let standards = self.standards();
        for place in 0..self.hosts.len() {
            let is_it = self.hosts.get(place).is_some_and(|host| host.id == about);
            let cause = if is_it { cause } else { Cause::Other };
            self.assess(place, (primary, &standards, cause), now, &mut events);
        }
        self.renew_view();
        events
    }

    fn standards(&self) -> Standards {
        let system_id = self.last.map(|last| last.system_id).or_else(|| {
            // Before there was a primary: what the declared one says, else what all say.
            let said = |host: &Host| host.standing().map(|seen| seen.system_id);
            let declared = self.hosts.first().and_then(said);
            let mut all = self.hosts.iter().filter_map(said);
            let first = all.next();
            declared.or(first.filter(|first| all.all(|other| other == *first)))
        });
        let ours = self.hosts.iter().filter(|host| {
            let seen = host.standing();
            seen.is_some_and(|seen| Some(seen.system_id) == system_id)
        });
        Standards {
            last: self.last,
            system_id,
            newest: ours.map(|host| host.timeline).max().unwrap_or(0),
            declared: self.hosts.first().map_or(NOWHERE, |host| host.id),
        }
    }

    /// Takes note of who is primary from now on.
    fn enthrone(&mut self, primary: Option<Claim>, events: &mut Vec<Event>) {
        let Some(claim) = primary else {
            if let Some(last) = &mut self.last
                && last.office == Office::Held
            {
                last.office = Office::Empty;
                events.push(Event::PrimaryLost { host: last.holder });
            }
            return;
        };
        let (to, timeline) = (claim.host, claim.timeline);
        match &mut self.last {
            Some(last) if (last.holder, last.timeline) == (to, timeline) => {
                if last.office == Office::Empty {
                    events.push(Event::PrimaryBack { host: to });
                }
                last.office = Office::Held;
                return;
            }
            Some(_) | None => {}
        }
        let from = self.last.map(|last| last.holder);
        self.last = Some(Reign {
            holder: to,
            office: Office::Held,
            timeline,
            system_id: claim.system_id,
        });
        let seen = self.host(to).and_then(Host::standing);
        self.timeline_begun = seen.map(|seen| seen.shown).unwrap_or_default();
        self.history.clear();
        events.push(Event::PrimaryChanged { from, to, timeline });
    }

    /// Remembers where the primary was.
    fn follow_primary(&mut self, about: HostId, primary: Option<Claim>) {
        if primary.is_some_and(|claim| claim.host == about)
            && let Some(seen) = self.host(about).and_then(Host::standing)
        {
            self.history.push(seen.asked_at, seen.shown);
        }
    }

    /// What one host is from now on.
    fn assess(
        &mut self,
        place: usize,
        (primary, standards, cause): (Option<Claim>, &Standards, Cause),
        now: Instant,
        events: &mut Vec<Event>,
    ) {
        let Some(host) = self.hosts.get(place) else {
            return;
        };
        // Only its own answer says how far it is: the primary has gone on since the last one.
        let lag = match cause {
            Cause::Answer => self.lag_of(host),
            Cause::Failure(_) | Cause::Report | Cause::Other => host.lag,
        };
        let new = match (host.health, host.standing()) {
            (Health::Unasked, _) => HostState::Unknown,
            (Health::Down, _) | (_, None) => HostState::Down,
            (Health::Up | Health::Doubtful, Some(seen)) => match seen.role {
                Role::Primary => self.claimant(host, primary, standards),
                Role::Replica => self.replica(host, seen, lag, standards),
            },
        };
        let Some(host) = self.hosts.get_mut(place) else {
            return;
        };
        let (id, old) = (host.id, std::mem::replace(&mut host.state, new));
        host.lag = lag;
        if old == new {
            return;
        }
        let ready = HostState::Replica(Standing::Ready);
        if new == ready {
            host.back_since = (old != HostState::Unknown).then_some(now);
            events.push(Event::ReplicaReady { host: id });
        }
        if old == ready {
            let why = why_left(new, cause);
            events.push(Event::ReplicaLeft { host: id, why });
        }
        if let HostState::Refused(why) = new {
            events.push(Event::HostRefused { host: id, why });
        }
    }

    /// A host that says it is the primary.
    fn claimant(&self, host: &Host, primary: Option<Claim>, standards: &Standards) -> HostState {
        let Some(own) = claim(host) else {
            return HostState::Unknown;
        };
        if primary.is_some_and(|primary| primary.host == host.id) {
            return HostState::Primary;
        }
        match standards.refuses(&own) {
            Some(Refused::WrongSystem) if standards.system_id.is_none() => HostState::Unknown,
            Some(why) => HostState::Refused(why),
            None if self.last.is_none() && primary.is_none() => HostState::Unknown,
            None => HostState::Refused(Refused::SecondPrimary),
        }
    }

    /// A host that says it is a replica.
    fn replica(
        &self,
        host: &Host,
        seen: &Observation,
        lag: Option<Lag>,
        standards: &Standards,
    ) -> HostState {
        match standards.system_id {
            None => return HostState::Unknown,
            Some(system_id) if system_id != seen.system_id => {
                return HostState::Refused(Refused::WrongSystem);
            }
            Some(_) => {}
        }
        let Some(last) = self.last else {
            return HostState::Unknown;
        };
        if host.timeline != last.timeline {
            return HostState::Replica(Standing::OtherTimeline);
        }
        // One that was too far behind has to come well within the limits.
        let part = match host.state {
            HostState::Replica(Standing::Lagging) => 2,
            HostState::Replica(Standing::Ready | Standing::OtherTimeline)
            | HostState::Unknown
            | HostState::Primary
            | HostState::Refused(_)
            | HostState::Down => 1,
        };
        let lag = lag.unwrap_or_default();
        let bytes = self.policy.max_lag_bytes.map(|max| max / part);
        let time = self
            .policy
            .max_lag
            .map(|max| max / u32::try_from(part).unwrap_or(1));
        let over =
            bytes.is_some_and(|max| lag.bytes > max) || time.is_some_and(|max| lag.time > max);
        HostState::Replica(if over {
            Standing::Lagging
        } else {
            Standing::Ready
        })
    }

    fn lag_of(&self, host: &Host) -> Option<Lag> {
        let seen = host.standing()?;
        match seen.role {
            Role::Primary => None,
            Role::Replica => self.history.lag(seen.shown, seen.asked_at),
        }
    }

    fn renew_view(&mut self) {
        self.generation += 1;
        let primary = self.last.filter(|last| last.office == Office::Held);
        self.view = Arc::new(ClusterView {
            primary: primary.map(|last| last.holder),
            hosts: self.hosts.iter().map(Host::view).collect(),
            timeline: self.last.map_or(0, |last| last.timeline),
            timeline_begun: self.timeline_begun,
            generation: self.generation,
            slow_start: self.policy.slow_start,
        });
    }
}

fn host_mut(hosts: &mut [Host], id: HostId) -> Option<&mut Host> {
    hosts.iter_mut().find(|host| host.id == id)
}

fn claim(host: &Host) -> Option<Claim> {
    let seen = host.standing()?;
    match seen.role {
        Role::Replica => None,
        Role::Primary => Some(Claim {
            host: host.id,
            timeline: host.timeline,
            system_id: seen.system_id,
        }),
    }
}

fn why_left(new: HostState, cause: Cause) -> Left {
    match new {
        HostState::Primary => Left::Promoted,
        HostState::Replica(Standing::Lagging) => Left::Lagging,
        HostState::Refused(why) => Left::Refused(why),
        HostState::Replica(Standing::Ready | Standing::OtherTimeline) => Left::OtherTimeline,
        HostState::Unknown | HostState::Down => match cause {
            Cause::Failure(how) => Left::Failed(how),
            Cause::Report | Cause::Answer | Cause::Other => Left::NoConnection,
        },
    }
}

#[cfg(test)]
mod tests;
