use std::sync::Arc;

use super::*;
use crate::cluster::gauge::Gauge;
use crate::cluster::view::{Distance, HostState, HostView, Lending, Sample, Samples, Standing};

const P: HostId = HostId(0);
const R: HostId = HostId(1);
const S: HostId = HostId(2);
const READY: HostState = HostState::Replica(Standing::Ready);

/// A time in milliseconds after a beginning, and positions that hosts showed at such times.
struct Clock(Instant);

impl Clock {
    fn new() -> Self {
        Self(tokio::time::Instant::now().into_std())
    }

    fn at(&self, ms: u64) -> Instant {
        self.0 + Duration::from_millis(ms)
    }

    fn host(&self, id: HostId, state: HostState, samples: &[(u64, u64)]) -> HostView {
        let mut ring = Samples::default();
        for (ms, position) in samples {
            ring.push(Sample {
                asked_at: self.at(*ms),
                shown: Lsn(*position),
                bound: Some(Lsn(*position)),
            });
        }
        HostView {
            id,
            name: "app@h:5432".into(),
            state,
            epoch: 1,
            timeline: 1,
            samples: ring,
            lag: None,
            back_since: None,
            weight: 1,
            distance: Distance::Near,
            lending: Lending::Open,
            gauge: Arc::new(Gauge::default()),
        }
    }

    /// A primary and two replicas with these samples.
    fn view(&self, samples: [&[(u64, u64)]; 3]) -> ClusterView {
        let [primary, first, second] = samples;
        ClusterView {
            primary: Some(P),
            hosts: vec![
                self.host(P, HostState::Primary, primary),
                self.host(R, READY, first),
                self.host(S, READY, second),
            ],
            timeline: 1,
            ..ClusterView::default()
        }
    }
}

fn ask(position: &mut Position, view: &ClusterView, host: HostId) -> MayRead {
    position.may_read(view, host, Scope::Session)
}

#[test]
fn a_write_is_waited_for_until_a_later_sample_tells_how_far_it_was() {
    let clock = Clock::new();
    let mut position = Position::default();
    position.touched(P, 1, clock.at(10));
    let before = clock.view([&[(5, 100)], &[(5, 100)], &[(5, 100)]]);
    assert_eq!(ask(&mut position, &before, R), MayRead::Unknown);
    assert_eq!(ask(&mut position, &before, P), MayRead::Yes);
    assert_eq!(position.lsn(&before), None);
    let after = clock.view([&[(11, 120)], &[(11, 119)], &[(12, 120)]]);
    assert_eq!(ask(&mut position, &after, R), MayRead::Behind);
    assert_eq!(ask(&mut position, &after, S), MayRead::Yes);
    assert_eq!(position.lsn(&after), Some(Lsn(120)));
    // The bound stays, however far the primary goes on.
    let later = clock.view([&[(20, 900)], &[(20, 121)], &[(20, 121)]]);
    assert_eq!(ask(&mut position, &later, R), MayRead::Yes);
}

#[test]
fn who_reads_on_stays_where_he_is_and_needs_no_sample() {
    let clock = Clock::new();
    let view = clock.view([&[(5, 100)], &[(5, 100)], &[(5, 100)]]);
    let mut position = Position::default();
    position.touched(R, 1, clock.at(10));
    assert_eq!(ask(&mut position, &view, R), MayRead::Yes);
    assert_eq!(ask(&mut position, &view, S), MayRead::Unknown);
    let mut restarted = view;
    restarted.hosts[1].epoch = 2;
    assert_eq!(ask(&mut position, &restarted, R), MayRead::Unknown);
}

#[test]
fn what_a_replica_showed_is_bounded_by_its_own_answer_while_it_gives_one() {
    let clock = Clock::new();
    let mut position = Position::default();
    position.touched(R, 1, clock.at(10));
    // The primary has answered since, and the replica has not: it may have left this primary.
    let view = clock.view([&[(11, 100)], &[(5, 100)], &[(11, 100)]]);
    assert_eq!(ask(&mut position, &view, S), MayRead::Unknown);
    // It has: what was read there is of a timeline whose primary nobody knows yet.
    let mut gone_over = clock.view([&[(12, 100)], &[(12, 130)], &[(12, 100)]]);
    let other = HostState::Replica(Standing::OtherTimeline);
    (gone_over.hosts[1].state, gone_over.hosts[1].epoch) = (other, 2);
    gone_over.hosts[1].timeline = 2;
    assert_eq!(ask(&mut position, &gone_over, S), MayRead::Unknown);
    // It is dead: the primary's answer will do, for no replica is ahead of it.
    let mut dead = clock.view([&[(12, 100)], &[(5, 100)], &[(12, 100)]]);
    (dead.hosts[1].state, dead.hosts[1].epoch) = (HostState::Down, 1);
    assert_eq!(ask(&mut position, &dead, S), MayRead::Yes);
}

#[test]
fn what_a_promotion_has_lost_is_not_waited_for_unless_it_was_asked_for_by_number() {
    let clock = Clock::new();
    let view = clock.view([&[(11, 500)], &[(11, 100)], &[(11, 100)]]);
    let mut position = Position::default();
    position.touched(P, 1, clock.at(10));
    assert_eq!(ask(&mut position, &view, R), MayRead::Behind);
    let mut given = position;
    given.raise(Lsn(600));
    let mut promoted = clock.view([&[], &[(21, 150)], &[(21, 150)]]);
    promoted.hosts[0].state = HostState::Down;
    promoted.hosts[1].state = HostState::Primary;
    (promoted.primary, promoted.timeline) = (Some(R), 2);
    promoted.timeline_begun = Lsn(150);
    assert_eq!(ask(&mut position, &promoted, S), MayRead::Yes);
    assert_eq!(ask(&mut given, &promoted, S), MayRead::Behind);
}

#[test]
fn a_shared_write_counts_for_all_from_then_on() {
    let clock = Clock::new();
    let writes = SharedWrites::new(clock.at(0));
    let mut other = Position::default();
    let shared = |writes: &SharedWrites| Scope::Shared(writes.last());
    let earlier = shared(&writes);
    let before = clock.view([&[(5, 100)], &[(5, 100)], &[(5, 100)]]);
    assert_eq!(other.may_read(&before, R, earlier), MayRead::Yes);
    writes.wrote(clock.at(10));
    let shared = shared(&writes);
    assert_eq!(other.may_read(&before, R, shared), MayRead::Unknown);
    let asked_before = other.may_read(&before, R, earlier);
    assert_eq!(
        asked_before,
        MayRead::Yes,
        "it may have come before the write"
    );
    assert_eq!(ask(&mut other, &before, R), MayRead::Yes, "its own scope");
    let after = clock.view([&[(11, 120)], &[(11, 119)], &[(11, 120)]]);
    assert_eq!(other.may_read(&after, R, shared), MayRead::Behind);
    assert_eq!(other.may_read(&after, S, shared), MayRead::Yes);
}

#[test]
fn a_read_that_ignored_the_rule_leaves_nothing_certain_but_the_primary() {
    let clock = Clock::new();
    let mut position = Position::default();
    position.touched(P, 1, clock.at(10));
    position.strayed(clock.at(12));
    let view = clock.view([&[(11, 120)], &[(13, 130)], &[(13, 110)]]);
    assert_eq!(ask(&mut position, &view, R), MayRead::Unknown);
    let after = clock.view([&[(13, 120)], &[(13, 130)], &[(13, 110)]]);
    assert_eq!(ask(&mut position, &after, R), MayRead::Yes);
    assert_eq!(ask(&mut position, &after, S), MayRead::Behind);
}

#[test]
fn a_host_that_is_not_ready_is_not_read_and_without_a_fence_any_ready_one_is() {
    let clock = Clock::new();
    let mut view = clock.view([&[(5, 100)], &[(5, 90)], &[(5, 80)]]);
    view.hosts[2].state = HostState::Replica(Standing::Lagging);
    let mut position = Position::default();
    position.touched(P, 1, clock.at(10));
    assert_eq!(position.may_read(&view, R, Scope::Off), MayRead::Yes);
    assert_eq!(position.may_read(&view, S, Scope::Off), MayRead::NotServing);
}
