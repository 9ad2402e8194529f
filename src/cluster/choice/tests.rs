use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::cluster::gauge::Gauge;
use crate::cluster::view::{HostState, Lending, Sample, Samples, Standing};
use crate::lsn::Lsn;

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn host(id: u16, state: HostState, at: Instant) -> HostView {
    let mut samples = Samples::default();
    samples.push(Sample {
        asked_at: at,
        shown: Lsn(100),
        bound: Some(Lsn(100)),
    });
    HostView {
        id: HostId(id),
        name: format!("app@h{id}:5432").into(),
        state,
        epoch: 1,
        timeline: 1,
        samples,
        lag: None,
        back_since: None,
        weight: 1,
        distance: Distance::Near,
        lending: Lending::Open,
        gauge: Arc::new(Gauge::default()),
    }
}

/// A primary and this many ready replicas, all at the same position.
fn view(replicas: u16, at: Instant) -> ClusterView {
    let ready = HostState::Replica(Standing::Ready);
    let mut hosts = vec![host(0, HostState::Primary, at)];
    hosts.extend((1..=replicas).map(|id| host(id, ready, at)));
    ClusterView {
        primary: Some(HostId(0)),
        hosts,
        timeline: 1,
        slow_start: Duration::from_secs(10),
        ..ClusterView::default()
    }
}

/// How often each host is chosen by new sessions, of a thousand.
fn shares(view: &ClusterView, at: Instant) -> Vec<u32> {
    let mut shares = vec![0; view.hosts.len()];
    for seed in 0..1000 {
        let mut position = Position::default();
        let chance = Chance::new(seed);
        match choose(view, &mut position, Scope::Session, at, chance) {
            Choice::Replica(id) => shares[usize::from(id.0)] += 1,
            other => panic!("{other:?}"),
        }
    }
    shares
}

fn measure(view: &ClusterView, id: usize, latency: Duration) {
    view.hosts[id].gauge.began();
    view.hosts[id].gauge.ended(latency);
}

#[test]
fn a_paused_replica_is_no_choice_even_for_a_session_that_reads_there() {
    let touched = now();
    let at = touched + Duration::from_millis(1);
    let mut view = view(2, at);
    view.hosts[1].lending = Lending::Paused;
    assert_eq!(shares(&view, at), [0, 0, 1000]);
    let mut position = Position::default();
    position.touched(HostId(1), 1, touched);
    let choice = choose(&view, &mut position, Scope::Session, at, Chance::new(1));
    assert_eq!(choice, Choice::Replica(HostId(2)));
}

#[test]
fn equal_replicas_get_equal_shares_and_the_primary_none() {
    let at = now();
    let shares = shares(&view(3, at), at);
    assert_eq!(shares[0], 0);
    for share in &shares[1..] {
        assert!((250..420).contains(share), "{shares:?}");
    }
}

#[test]
fn of_two_the_one_with_less_to_wait_for_is_chosen() {
    let at = now();
    let view = view(2, at);
    measure(&view, 1, Duration::from_micros(200));
    measure(&view, 2, Duration::from_micros(100));
    assert_eq!(shares(&view, at), [0, 0, 1000]);
    view.hosts[2].gauge.began();
    view.hosts[2].gauge.began();
    assert_eq!(shares(&view, at), [0, 1000, 0], "it has a queue now");
}

#[test]
fn weights_count_and_none_is_for_when_nobody_is_left() {
    let at = now();
    let mut view = view(2, at);
    view.hosts[1].weight = 0;
    assert_eq!(shares(&view, at), [0, 0, 1000]);
    view.hosts[2].state = HostState::Down;
    assert_eq!(shares(&view, at), [0, 1000, 0]);
    // Three times the weight takes three times the queue.
    let mut view = self::view(2, at);
    view.hosts[1].weight = 3;
    view.hosts[1].gauge.began();
    assert_eq!(shares(&view, at), [0, 1000, 0]);
}

#[test]
fn the_own_zone_comes_first() {
    let at = now();
    let mut view = view(3, at);
    view.hosts[1].distance = Distance::Far;
    view.hosts[2].distance = Distance::Far;
    assert_eq!(shares(&view, at), [0, 0, 0, 1000]);
    view.hosts[3].state = HostState::Down;
    assert_eq!(shares(&view, at)[3], 0);
}

#[test]
fn the_share_of_a_host_that_came_back_grows() {
    let at = now();
    let mut view = view(2, at);
    view.hosts[1].back_since = Some(at);
    let mut last = 0;
    for (seconds, least, most) in [(0, 0, 0), (2, 50, 200), (5, 180, 330), (10, 430, 570)] {
        let share = shares(&view, at + Duration::from_secs(seconds))[1];
        assert!((least..=most).contains(&share), "{seconds} s: {share}");
        assert!(share >= last);
        last = share;
    }
    view.hosts[2].state = HostState::Down;
    assert_eq!(shares(&view, at), [0, 1000, 0], "there is no other");
}

#[test]
fn a_session_stays_where_it_reads_unless_another_host_has_much_less_to_do() {
    let (before, at) = (now(), now() + Duration::from_secs(1));
    let view = view(2, before);
    let mut position = Position::default();
    position.touched(HostId(1), 1, at);
    measure(&view, 1, Duration::from_micros(100));
    measure(&view, 2, Duration::from_micros(50));
    let choice =
        |position: &mut Position| choose(&view, position, Scope::Session, at, Chance::new(1));
    assert_eq!(choice(&mut position), Choice::Replica(HostId(1)));
    for _ in 0..3 {
        view.hosts[1].gauge.began();
    }
    let expected = Choice::Stay {
        host: HostId(1),
        better: HostId(2),
    };
    assert_eq!(choice(&mut position), expected);
    // Where the other one is known to show enough, less of a difference will do.
    let mut position = Position::default();
    position.touched(
        HostId(1),
        1,
        before.checked_sub(Duration::from_secs(1)).unwrap(),
    );
    assert_eq!(choice(&mut position), Choice::Replica(HostId(2)));
}

#[test]
fn without_a_choice_it_is_told_what_could_help() {
    let (before, at) = (now(), now() + Duration::from_secs(1));
    let mut view = view(2, before);
    let choice = |view: &ClusterView, position: &mut Position| {
        choose(view, position, Scope::Session, at, Chance::new(1))
    };
    let mut position = Position::default();
    position.touched(HostId(0), 1, at);
    assert_eq!(choice(&view, &mut position), Choice::Unknown);
    let mut position = Position::default();
    position.raise(Lsn(101));
    assert_eq!(choice(&view, &mut position), Choice::Behind);
    view.hosts[1].state = HostState::Down;
    view.hosts[2].state = HostState::Replica(Standing::Lagging);
    assert_eq!(choice(&view, &mut position), Choice::NoReplica);
}
