//! Sans-IO. One host of a cluster as its monitor knows it: its run, its positions, its health.
//!
//! Not here: who is primary (`roles`), what follows for the others (`state`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::gauge::Gauge;
use super::observation::{Demand, Failure, Observation, Policy, Role};
use super::view::{Distance, HostId, HostState, HostView, Lag, Lending, Sample, Samples};

/// Shortest pause after a failure; it doubles with each one, up to the check period.
const RETRY: Duration = Duration::from_millis(50);

/// While a session waits, a host is asked so many times as often as `fence_interval` says.
const HURRY: u32 = 5;

/// What the configuration and the console say of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSpec {
    /// The database entry that leads to it alone: `app@HOST:PORT`.
    pub name: Arc<str>,
    /// Its share of the load, compared with the others'.
    pub weight: u32,
    /// Where it is.
    pub distance: Distance,
    /// Whether anybody gets a connection there.
    pub lending: Lending,
}

impl HostSpec {
    /// A host of that name, of which nothing more is said.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            weight: 1,
            distance: Distance::Near,
            lending: Lending::Open,
        }
    }
}

/// How the last question ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// It has not been asked yet.
    Unasked,
    /// With an answer.
    Up,
    /// With a failure that may mean nothing; the last answer counts.
    Doubtful,
    /// With a failure.
    Down,
}

/// One host.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) id: HostId,
    spec: HostSpec,
    gauge: Arc<Gauge>,
    pub(super) health: Health,
    pub(super) state: HostState,
    /// The last answer; it counts while the host is up or doubtful.
    pub(super) seen: Option<Observation>,
    /// The timeline of this epoch.
    pub(super) timeline: u32,
    pub(super) lag: Option<Lag>,
    pub(super) back_since: Option<Instant>,
    epoch: u32,
    samples: Samples,
    asked_at: Option<Instant>,
    failures: u32,
    retry_at: Option<Instant>,
}

impl Host {
    pub(super) fn new(id: HostId, spec: HostSpec) -> Self {
        Self {
            id,
            spec,
            gauge: Arc::default(),
            health: Health::Unasked,
            state: HostState::Unknown,
            seen: None,
            timeline: 0,
            lag: None,
            back_since: None,
            epoch: 0,
            samples: Samples::default(),
            asked_at: None,
            failures: 0,
            retry_at: None,
        }
    }

    /// New words of the configuration; what is known of the host stays.
    pub(super) fn with_spec(self, spec: HostSpec) -> Self {
        Self { spec, ..self }
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.spec.name
    }

    /// The last answer, while the host is not down.
    pub(super) fn standing(&self) -> Option<&Observation> {
        match self.health {
            Health::Up | Health::Doubtful => self.seen.as_ref(),
            Health::Unasked | Health::Down => None,
        }
    }

    /// It has answered. A new epoch gets the number after `epochs`.
    pub(super) fn observed(&mut self, new: Observation, epochs: &mut u32) {
        let old = self.seen.replace(new);
        let same_run = old.is_some_and(|old| {
            (old.connection, old.started_at, old.role) == (new.connection, new.started_at, new.role)
        });
        // A replica whose receiver is gone for the moment names an older timeline than it is on.
        let timeline = match new.role {
            Role::Replica if same_run => new.timeline.max(self.timeline),
            Role::Replica | Role::Primary => new.timeline,
        };
        let back = self
            .samples
            .last()
            .is_some_and(|last| new.shown < last.shown);
        if !same_run || timeline != self.timeline || back {
            *epochs = epochs.wrapping_add(1);
            self.epoch = *epochs;
            self.samples.clear();
        }
        self.timeline = timeline;
        self.samples.push(Sample {
            asked_at: new.asked_at,
            shown: new.shown,
            bound: new.bound,
        });
        self.gauge.fade();
        self.health = Health::Up;
        self.asked_at = Some(new.asked_at);
        self.failures = 0;
        self.retry_at = None;
    }

    /// An attempt has failed; the next one comes later each time, and not at the same time as those
    /// of other processes.
    pub(super) fn failed(&mut self, how: Failure, policy: &Policy, now: Instant, jitter: u8) {
        let first = self.failures == 0 && self.health == Health::Up;
        let primary = self.state == HostState::Primary;
        self.failures = self.failures.saturating_add(1);
        self.asked_at = Some(now);
        let doubtful = match how {
            Failure::Lost => first,
            Failure::TimedOut => first && primary,
            Failure::Refused => false,
        };
        if doubtful {
            self.health = Health::Doubtful;
            self.retry_at = Some(now);
            return;
        }
        self.health = Health::Down;
        let doublings = self.failures.saturating_sub(1).min(16);
        let pause = RETRY.saturating_mul(1 << doublings);
        let pause = pause.min(policy.check_period.max(RETRY));
        // Up to a quarter less.
        let less = pause / 4 * u32::from(jitter) / 256;
        self.retry_at = Some(now + pause.saturating_sub(less));
    }

    /// A client could not connect.
    pub(super) fn reported(&mut self, now: Instant) {
        if self.health == Health::Up {
            match self.state {
                // Its own monitor decides: too much depends on it.
                HostState::Primary => {}
                HostState::Replica(_)
                | HostState::Refused(_)
                | HostState::Unknown
                | HostState::Down => self.health = Health::Down,
            }
            self.retry_at = Some(now);
        }
    }

    pub(super) fn next_probe(&self, policy: &Policy, demand: Demand, now: Instant) -> Instant {
        let pause = match demand {
            Demand::Idle => policy.check_period,
            Demand::Wanted => policy.fence_interval.min(policy.check_period),
            Demand::Awaited => (policy.fence_interval / HURRY).min(policy.check_period),
        };
        let regular = self.asked_at.map_or(now, |asked_at| asked_at + pause);
        self.retry_at.unwrap_or(regular)
    }

    pub(super) fn view(&self) -> HostView {
        HostView {
            id: self.id,
            name: Arc::clone(&self.spec.name),
            state: self.state,
            epoch: self.epoch,
            timeline: self.timeline,
            samples: self.samples.clone(),
            lag: self.lag,
            back_since: self.back_since,
            weight: self.spec.weight,
            distance: self.spec.distance,
            lending: self.spec.lending,
            gauge: Arc::clone(&self.gauge),
        }
    }
}
