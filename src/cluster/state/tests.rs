use std::time::Duration;

use super::*;

const READY: HostState = HostState::Replica(Standing::Ready);
const LAGGING: HostState = HostState::Replica(Standing::Lagging);
const OTHER: HostState = HostState::Replica(Standing::OtherTimeline);
const P: HostId = HostId(0);
const R: HostId = HostId(1);
const S: HostId = HostId(2);

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A cluster, a clock, and what its hosts say.
struct World {
    cluster: Cluster,
    now: Instant,
    said: Vec<Event>,
}

fn specs() -> Vec<HostSpec> {
    let spec = |place| HostSpec::named(&format!("app@h{place}:5432"));
    (0..3).map(spec).collect()
}

impl World {
    fn new(change: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = Policy {
            max_lag: None,
            max_lag_bytes: None,
            check_period: ms(1000),
            fence_interval: ms(10),
            slow_start: ms(5000),
        };
        change(&mut policy);
        Self {
            cluster: Cluster::new(specs(), policy),
            now: tokio::time::Instant::now().into_std(),
            said: Vec::new(),
        }
    }

    /// All three say what they are declared to be, at position 100.
    fn usual(change: impl FnOnce(&mut Policy)) -> Self {
        let mut world = Self::new(change);
        world.says(P, (Role::Primary, 1), 100);
        world.says(R, (Role::Replica, 1), 100);
        world.says(S, (Role::Replica, 1), 100);
        world.said.clear();
        world
    }

    fn answer(&self, (role, timeline): (Role, u32), shown: u64) -> Observation {
        Observation {
            role,
            timeline,
            system_id: 7,
            shown: Lsn(shown),
            bound: Some(Lsn(shown)),
            started_at: 0,
            connection: 1,
            asked_at: self.now,
            answered_at: self.now,
        }
    }

    fn says(&mut self, host: HostId, what: (Role, u32), shown: u64) {
        self.answers(host, self.answer(what, shown));
    }

    fn answers(&mut self, host: HostId, answer: Observation) {
        self.now += ms(1);
        let events = self.cluster.observed(host, answer);
        self.said.extend(events);
    }

    fn fails(&mut self, host: HostId, how: Failure) {
        let events = self.cluster.failed(host, how, self.now, 0);
        self.said.extend(events);
    }

    fn states(&self) -> Vec<HostState> {
        self.cluster
            .view()
            .hosts
            .iter()
            .map(|host| host.state)
            .collect()
    }

    fn heard(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.said)
    }

    fn wait_until_asked(&self, host: HostId, demand: Demand) -> Duration {
        let at = self.cluster.next_probe(host, self.now, demand);
        at.saturating_duration_since(self.now)
    }
}

#[test]
fn the_first_decision_waits_until_everybody_had_a_chance() {
    let mut world = World::new(|_| {});
    world.says(P, (Role::Primary, 1), 100);
    world.fails(R, Failure::Refused);
    assert_eq!(world.cluster.view().primary, None);
    assert!(world.heard().is_empty());
    // The declared primary is an old one that has come back.
    world.says(S, (Role::Primary, 2), 90);
    let changed = Event::PrimaryChanged {
        from: None,
        to: S,
        timeline: 2,
    };
    let refused = Event::HostRefused {
        host: P,
        why: Refused::OldTimeline,
    };
    assert_eq!(world.heard(), [changed, refused]);
    let view = world.cluster.view();
    assert_eq!((view.primary, view.timeline), (Some(S), 2));
    assert_eq!(view.timeline_begun, Lsn(90));
}

#[test]
fn one_lost_connection_is_no_lost_server_but_a_reason_to_look_at_once() {
    let mut world = World::usual(|_| {});
    for host in [P, R] {
        world.fails(host, Failure::Lost);
        assert_eq!(world.wait_until_asked(host, Demand::Idle), Duration::ZERO);
    }
    assert_eq!(world.states(), [HostState::Primary, READY, READY]);
    world.fails(R, Failure::Refused);
    world.fails(P, Failure::Lost);
    assert_eq!(world.states(), [HostState::Down, HostState::Down, READY]);
    let left = Event::ReplicaLeft {
        host: R,
        why: Left::Failed(Failure::Refused),
    };
    assert_eq!(world.heard(), [left, Event::PrimaryLost { host: P }]);
    assert_eq!(world.cluster.view().primary, None);
    world.says(P, (Role::Primary, 1), 100);
    assert_eq!(world.heard(), [Event::PrimaryBack { host: P }]);
}

#[test]
fn a_primary_may_miss_one_answer_and_a_replica_none() {
    let mut world = World::usual(|_| {});
    world.fails(P, Failure::TimedOut);
    world.fails(R, Failure::TimedOut);
    assert_eq!(world.states(), [HostState::Primary, HostState::Down, READY]);
    world.fails(P, Failure::TimedOut);
    assert_eq!(world.states()[0], HostState::Down);
}

#[test]
fn a_replica_that_a_client_cannot_reach_is_skipped_at_once_and_a_primary_is_asked() {
    let mut world = World::usual(|_| {});
    for host in [P, R] {
        let events = world.cluster.report_failure(host, world.now);
        world.said.extend(events);
        assert_eq!(world.wait_until_asked(host, Demand::Idle), Duration::ZERO);
    }
    assert_eq!(world.states(), [HostState::Primary, HostState::Down, READY]);
    let why = Left::NoConnection;
    assert_eq!(world.heard(), [Event::ReplicaLeft { host: R, why }]);
    world.says(R, (Role::Replica, 1), 100);
    assert_eq!(world.heard(), [Event::ReplicaReady { host: R }]);
    let view = world.cluster.view();
    let since = |host: HostId| view.host(host).unwrap().back_since;
    assert!(since(R).is_some(), "it starts slowly");
    assert!(since(S).is_none(), "it was there from the start");
}

#[test]
fn questions_come_sooner_when_somebody_waits_and_later_after_each_failure() {
    let mut world = World::usual(|_| {});
    world.says(S, (Role::Replica, 1), 100);
    assert_eq!(world.wait_until_asked(S, Demand::Idle), ms(999));
    assert_eq!(world.wait_until_asked(S, Demand::Wanted), ms(9));
    for pause in [50, 100, 200, 400, 800, 1000, 1000] {
        world.fails(S, Failure::Refused);
        assert_eq!(world.wait_until_asked(S, Demand::Wanted), ms(pause));
    }
    let events = world.cluster.failed(S, Failure::Refused, world.now, 255);
    assert!(events.is_empty());
    let pause = world.wait_until_asked(S, Demand::Idle);
    assert!(
        pause > ms(750) && pause < ms(760),
        "up to a quarter less: {pause:?}"
    );
}

#[test]
fn a_replica_that_is_too_many_bytes_behind_has_to_come_well_near_again() {
    let mut world = World::usual(|policy| policy.max_lag_bytes = Some(50));
    world.says(P, (Role::Primary, 1), 200);
    assert_eq!(world.states()[1], READY, "it has not been asked since");
    world.says(R, (Role::Replica, 1), 149);
    assert_eq!(world.states()[1], LAGGING);
    let why = Left::Lagging;
    assert_eq!(world.heard(), [Event::ReplicaLeft { host: R, why }]);
    world.says(R, (Role::Replica, 1), 160);
    assert_eq!(world.states()[1], LAGGING);
    world.says(R, (Role::Replica, 1), 175);
    assert_eq!(world.states()[1], READY);
    world.says(P, (Role::Primary, 1), 225);
    world.says(R, (Role::Replica, 1), 175);
    assert_eq!(world.states()[1], READY, "50 are allowed");
}

#[test]
fn time_behind_is_since_the_primary_was_there() {
    let mut world = World::usual(|policy| policy.max_lag = Some(ms(3000)));
    for position in 101..=105 {
        world.now += ms(999);
        world.says(P, (Role::Primary, 1), position);
    }
    world.says(R, (Role::Replica, 1), 102);
    let view = world.cluster.view();
    let lag = view.hosts[1].lag.unwrap();
    assert_eq!(lag.bytes, 3);
    assert!(lag.time > ms(1990) && lag.time < ms(2010), "{lag:?}");
    assert_eq!(world.states()[1], READY);
    world.says(S, (Role::Replica, 1), 100);
    assert_eq!(world.states()[2], LAGGING);
    // An idle primary makes nobody late.
    world.now += ms(60_000);
    world.says(P, (Role::Primary, 1), 105);
    world.says(R, (Role::Replica, 1), 105);
    assert_eq!(world.cluster.view().hosts[1].lag, Some(Lag::default()));
}

#[test]
fn after_a_promotion_a_replica_counts_once_it_follows_the_new_timeline() {
    let mut world = World::usual(|_| {});
    world.says(R, (Role::Primary, 2), 110);
    let changed = Event::PrimaryChanged {
        from: Some(P),
        to: R,
        timeline: 2,
    };
    assert_eq!(world.said[0], changed);
    assert_eq!(
        world.states(),
        [
            HostState::Refused(Refused::OldTimeline),
            HostState::Primary,
            OTHER
        ]
    );
    world.says(S, (Role::Replica, 2), 115);
    assert_eq!(world.states()[2], READY);
    // Its receiver is gone for a moment, and only the control file is left to tell.
    world.says(S, (Role::Replica, 1), 116);
    assert_eq!(world.states()[2], READY);
    let mut restarted = world.answer((Role::Replica, 1), 116);
    restarted.connection = 2;
    world.answers(S, restarted);
    assert_eq!(world.states()[2], OTHER);
    // The old primary has become a replica.
    world.says(P, (Role::Replica, 2), 117);
    assert_eq!(world.states()[0], READY);
}

#[test]
fn a_replica_that_goes_over_before_its_primary_is_known_answers_no_reads() {
    let mut world = World::usual(|_| {});
    world.says(R, (Role::Replica, 2), 110);
    assert_eq!(world.states(), [HostState::Primary, OTHER, READY]);
    // The old primary dies and comes back: it must not be taken for the new one.
    world.fails(P, Failure::Refused);
    world.says(P, (Role::Primary, 1), 120);
    assert_eq!(world.states()[0], HostState::Refused(Refused::OldTimeline));
    world.says(S, (Role::Primary, 2), 130);
    assert_eq!(world.cluster.view().primary, Some(S));
    assert_eq!(world.states()[1], READY);
}

#[test]
fn a_second_primary_and_another_cluster_are_refused() {
    let mut world = World::usual(|_| {});
    world.says(R, (Role::Primary, 1), 500);
    let stranger = Observation {
        system_id: 8,
        ..world.answer((Role::Replica, 1), 100)
    };
    world.answers(S, stranger);
    assert_eq!(
        world.states(),
        [
            HostState::Primary,
            HostState::Refused(Refused::SecondPrimary),
            HostState::Refused(Refused::WrongSystem),
        ]
    );
    let refused: Vec<_> = world
        .heard()
        .into_iter()
        .filter(|event| matches!(event, Event::HostRefused { .. }))
        .collect();
    assert_eq!(refused.len(), 2);
    world.says(R, (Role::Primary, 1), 501);
    assert!(world.heard().is_empty(), "it is told once");
}

#[test]
fn a_new_epoch_begins_whenever_something_may_be_forgotten() {
    let mut world = World::usual(|_| {});
    let epoch = |world: &World| world.cluster.view().hosts[1].epoch;
    let usual = world.answer((Role::Replica, 1), 100);
    let first = epoch(&world);
    world.answers(R, usual);
    assert_eq!(epoch(&world), first);
    let changes: [fn(&mut Observation); 4] = [
        |answer| answer.connection = 2,
        |answer| answer.started_at = 1,
        |answer| answer.shown = Lsn(99),
        |answer| answer.timeline = 2,
    ];
    let (mut answer, mut last) = (usual, first);
    for change in changes {
        change(&mut answer);
        world.answers(R, answer);
        let next = epoch(&world);
        assert!(next > last, "{answer:?}");
        last = next;
        let view = world.cluster.view();
        assert_eq!(view.hosts[1].position(), Some(answer.shown));
    }
}

#[test]
fn a_reload_keeps_what_is_known() {
    let mut world = World::usual(|_| {});
    let mut hosts = specs();
    hosts[1].weight = 5;
    let policy = world.cluster.policy.clone();
    let outcome = world.cluster.reconfigure(hosts.clone(), policy);
    let view = world.cluster.view();
    assert_eq!(outcome, Hosts::Same);
    assert_eq!((view.hosts[1].weight, view.primary), (5, Some(P)));
}

#[test]
fn hosts_that_come_and_go_leave_the_others_what_they_are() {
    let mut world = World::usual(|_| {});
    let policy = world.cluster.policy.clone();
    let before = world.cluster.view();
    let [primary, first, second] = specs().try_into().unwrap();
    let hosts = vec![primary.clone(), second.clone()];
    let outcome = world.cluster.reconfigure(hosts, policy.clone());
    let view = world.cluster.view();
    assert_eq!(outcome, Hosts::Other);
    assert_eq!(view.primary, Some(P));
    assert!(view.generation > before.generation);
    let (old, new) = (&before.hosts[2], &view.hosts[1]);
    assert_eq!((&new.name, new.id), (&old.name, old.id));
    assert_eq!((new.state, new.epoch), (old.state, old.epoch));
    // Whoever comes back is a stranger, with a number and an epoch that nobody had before.
    let hosts = vec![primary, first, second];
    world.cluster.reconfigure(hosts, policy);
    let back = world.cluster.view().hosts[1].clone();
    assert_eq!((back.id, back.state), (HostId(3), HostState::Unknown));
    world.says(back.id, (Role::Replica, 1), 100);
    let epoch = world.cluster.view().hosts[1].epoch;
    assert!(before.hosts.iter().all(|host| host.epoch != epoch));
}

#[test]
fn another_declared_primary_is_another_cluster() {
    let mut world = World::usual(|_| {});
    let policy = world.cluster.policy.clone();
    let mut hosts = specs();
    hosts[0].name = "app@elsewhere:5432".into();
    world.cluster.reconfigure(hosts, policy);
    let view = world.cluster.view();
    assert_eq!((view.primary, view.timeline), (None, 0));
    assert!(
        view.hosts
            .iter()
            .all(|host| host.state == HostState::Unknown)
    );
}

#[test]
fn a_primary_that_leaves_the_list_is_lost_and_what_is_older_than_it_refused() {
    let mut world = World::usual(|_| {});
    world.says(R, (Role::Primary, 2), 200);
    assert_eq!(world.cluster.view().primary, Some(R));
    let policy = world.cluster.policy.clone();
    let mut hosts = specs();
    hosts.remove(1);
    world.cluster.reconfigure(hosts, policy);
    assert_eq!(world.cluster.view().primary, None);
    world.says(P, (Role::Primary, 1), 300);
    let view = world.cluster.view();
    assert_eq!(view.primary, None);
    assert_eq!(
        view.hosts[0].state,
        HostState::Refused(Refused::OldTimeline)
    );
}
