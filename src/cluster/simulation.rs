//! A random world of servers, monitors, pools and sessions around the rules: logs grow, replicas
//! replay with delays, servers crash and come back older, replicas are promoted, old primaries
//! diverge, answers arrive late.
//!
//! What each server shows is known here exactly, so each read is compared with all that its session
//! wrote and saw before. What a promotion has lost does not count. A failure prints the seed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::observation::{Demand, Event, Failure, Observation, Policy, Role};
use super::position::{MayRead, Position, Scope, SharedWrites};
use super::state::{Cluster, HostSpec};
use super::view::{ClusterView, HostId, HostView};
use super::{Chance, Choice, Lsn, choose};

/// Bytes of a record.
const RECORD: u64 = 8;

/// Chance for a whole world.
struct Dice(Chance);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0.next()
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.0.below(end as u64)).unwrap()
    }

    fn one_in(&mut self, chance: usize) -> bool {
        self.below(chance) == 0
    }
}

/// A precaution that is left out, to show that it is needed and that this world can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Without {
    Nothing,
    /// The fence.
    Fence,
    /// The touch counts from when the statement began, so that a sample asked before its end does.
    EndOfStatement,
    /// The replica's answer gives what it has replayed as a bound of what it shows.
    ReceivedBound,
    /// A new connection of the monitor has the number of the old one.
    Runs,
    /// Clients get a connection before the monitor has seen the run that it belongs to.
    Vouching,
    /// A client does not ask again when it has the connection.
    SecondLook,
    /// Replicas do not tell their timeline.
    Timelines,
    /// Numbers and epochs begin anew when hosts come or go.
    Numbers,
}

/// The name of a host, and which server it is.
fn name(place: usize) -> Arc<str> {
    format!("app@h{place}:5432").into()
}

fn spec(place: usize) -> HostSpec {
    HostSpec::named(&name(place))
}

fn policy() -> Policy {
    Policy {
        max_lag: Some(Duration::from_millis(500)),
        max_lag_bytes: None,
        check_period: Duration::from_millis(50),
        fence_interval: Duration::from_millis(5),
        slow_start: Duration::from_millis(20),
    }
}

struct Server {
    up: bool,
    role: Role,
    /// Changes at each start: connections of an older one are dead.
    run: u64,
    timeline: u32,
    /// Records it has.
    log: Vec<u64>,
    /// Of these, how many are visible.
    visible: usize,
    /// Of these, how many count as replayed.
    counted: usize,
    /// Whose log it gets.
    upstream: usize,
}

/// The monitor's connection.
#[derive(Clone, Copy)]
struct Link {
    run: u64,
    number: u64,
}

/// A question under way.
struct Question {
    asked_at: Instant,
    link: Link,
    answer: Option<Observation>,
}

/// A server connection of a pool.
#[derive(Clone, Copy)]
struct Conn {
    host: usize,
    run: u64,
    opened_at: Instant,
    vouched: bool,
}

#[derive(Clone, Copy)]
enum Doing {
    Nothing,
    /// Chose a host and waits for a connection.
    Waiting(HostId),
    /// Has a connection, and has looked at the view.
    Holding {
        conn: Conn,
        host: HostId,
        epoch: u32,
        at: Instant,
    },
    /// The statement has run; its end is not known yet.
    Ran {
        host: HostId,
        epoch: u32,
        at: Instant,
        wrote: Option<u64>,
    },
}

struct Session {
    position: Position,
    doing: Doing,
    /// Records that it wrote or saw, and so all that came before them in their logs.
    known: Vec<u64>,
    /// Those that must be visible to the read under way because others wrote them.
    must: Vec<u64>,
    /// The same as its fence sees it.
    scope: Scope,
}

struct World {
    seed: u64,
    without: Without,
    shared: Option<SharedWrites>,
    dice: Dice,
    now: Instant,
    servers: Vec<Server>,
    links: Vec<Option<Link>>,
    questions: Vec<Option<Question>>,
    conns: Vec<Conn>,
    sessions: Vec<Session>,
    cluster: Cluster,
    /// Which servers the configuration names.
    listed: [bool; 4],
    /// Writes that clients were told of.
    told: Vec<u64>,
    /// The record before each one. Numbers grow along every log.
    before: BTreeMap<u64, u64>,
    next: u64,
    reads: BTreeMap<&'static str, u64>,
    violation: Option<String>,
}

impl World {
    fn new(seed: u64, without: Without) -> Self {
        let mut dice = Dice(Chance::new(seed));
        let now = tokio::time::Instant::now().into_std();
        let server = |place: usize| Server {
            up: true,
            role: if place == 0 {
                Role::Primary
            } else {
                Role::Replica
            },
            run: place as u64,
            timeline: 1,
            log: Vec::new(),
            visible: 0,
            counted: 0,
            upstream: 0,
        };
        let session = || Session {
            position: Position::default(),
            doing: Doing::Nothing,
            known: Vec::new(),
            must: Vec::new(),
            scope: Scope::Off,
        };
        let shared = dice.one_in(3).then(|| SharedWrites::new(now));
        Self {
            seed,
            without,
            shared,
            dice,
            now,
            servers: (0..4).map(server).collect(),
            links: vec![None; 4],
            questions: (0..4).map(|_| None).collect(),
            conns: Vec::new(),
            sessions: (0..4).map(|_| session()).collect(),
            cluster: Cluster::new((0..4).map(spec).collect(), policy()),
            listed: [true; 4],
            told: Vec::new(),
            before: BTreeMap::new(),
            next: 100,
            reads: BTreeMap::new(),
            violation: None,
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            self.now += Duration::from_micros(1 + self.dice.next() % 400);
            let place = self.dice.below(4);
            match self.dice.below(100) {
                0..=10 => self.replicate(place),
                11..=21 => self.replay(place),
                22 => self.insert_by_strangers(),
                23..=52 => self.monitor(place),
                53..=59 => self.open(place),
                60 if self.dice.one_in(4) => self.crash(place),
                60..=61 => self.start(place),
                62 if self.dice.one_in(16) => self.promote(place),
                62..=63 => self.follow_another(place),
                64 => self.report(place),
                65 if self.dice.one_in(8) => self.reload(place),
                _ => self.session(place),
            }
            if self.violation.is_some() {
                return;
            }
        }
    }

    /// The server whose history counts: that of the newest timeline.
    fn truth(&self) -> usize {
        (0..4)
            .filter(|place| self.servers[*place].role == Role::Primary)
            .max_by_key(|place| self.servers[*place].timeline)
            .unwrap()
    }

    /// Of a record and all before it, the last one that is not lost.
    fn survivor(&self, record: u64) -> u64 {
        let log = &self.servers[self.truth()].log;
        let mut record = record;
        while record != 0 && log.binary_search(&record).is_err() {
            record = self.before[&record];
        }
        record
    }

    fn replicate(&mut self, place: usize) {
        let upstream = self.servers[place].upstream;
        let (source, server) = (&self.servers[upstream], &self.servers[place]);
        let (log, timeline) = (&source.log, source.timeline);
        let sends = source.up && source.role == Role::Primary;
        let fits = log.starts_with(&server.log) && timeline >= server.timeline;
        if !server.up || server.role == Role::Primary || !sends || !fits {
            return;
        }
        let more = (log.len() - server.log.len()).min(1 + self.dice.below(6));
        let more = log[server.log.len()..server.log.len() + more].to_vec();
        self.servers[place].timeline = timeline;
        self.servers[place].log.extend(more);
    }

    fn replay(&mut self, place: usize) {
        let server = &mut self.servers[place];
        if !server.up || server.role == Role::Primary {
            return;
        }
        // A record is visible a moment before it counts as replayed.
        match self.dice.below(3) {
            0 => server.counted = server.visible,
            1 => {
                server.counted = server.visible;
                server.visible = (server.visible + 1).min(server.log.len());
            }
            _ => {
                let more = self.dice.below(8);
                server.visible = (server.visible + more).min(server.log.len());
                server.counted = server.visible;
            }
        }
    }

    fn insert(&mut self, place: usize) -> u64 {
        let record = self.number();
        let server = &mut self.servers[place];
        let before = server.log.last().copied().unwrap_or(0);
        self.before.insert(record, before);
        server.log.push(record);
        server.visible = server.log.len();
        server.counted = server.visible;
        record
    }

    fn insert_by_strangers(&mut self) {
        for place in 0..4 {
            if self.servers[place].up && self.servers[place].role == Role::Primary {
                self.insert(place);
            }
        }
    }

    /// Comes back older: what was not flushed is forgotten, and a replica has to replay again.
    fn crash(&mut self, place: usize) {
        let others = self.servers.iter().enumerate();
        let received = others
            .filter(|(other, _)| *other != place)
            .map(|(_, server)| shared_prefix(&server.log, &self.servers[place].log))
            .max();
        let server = &mut self.servers[place];
        server.up = false;
        let whole = server.log.len();
        match server.role {
            Role::Primary => {
                let least = received.unwrap_or(0).min(whole);
                server
                    .log
                    .truncate(least + self.dice.below(whole - least + 1));
                server.visible = server.log.len();
            }
            Role::Replica => server.visible -= self.dice.below(server.visible.min(20) + 1),
        }
        server.counted = server.visible;
    }

    fn start(&mut self, place: usize) {
        let run = self.number();
        let server = &mut self.servers[place];
        if !server.up {
            server.up = true;
            server.run = run;
        }
    }

    /// Most often because the primary is dead, but not always.
    fn promote(&mut self, place: usize) {
        let newest = self
            .servers
            .iter()
            .map(|server| server.timeline)
            .max()
            .unwrap();
        let server = &mut self.servers[place];
        // More than one fork of the same history is beyond any fence.
        if !server.up || server.role == Role::Primary || server.timeline != newest {
            return;
        }
        server.log.truncate(server.visible);
        server.counted = server.visible;
        server.role = Role::Primary;
        server.timeline = newest + 1;
        let old: Vec<_> = (0..4).filter(|other| *other != place).collect();
        for other in old {
            if self.servers[other].role == Role::Primary && !self.dice.one_in(3) {
                self.crash(other);
            }
        }
    }

    /// A replica goes over to the newest primary if it can; one that has diverged is made anew.
    fn follow_another(&mut self, place: usize) {
        let newest = self.truth();
        if place == newest {
            return;
        }
        let (log, timeline) = (
            self.servers[newest].log.clone(),
            self.servers[newest].timeline,
        );
        let (run, rewind) = (self.number(), self.dice.one_in(4));
        let server = &mut self.servers[place];
        server.upstream = newest;
        let diverged = !log.starts_with(&server.log);
        let demoted = server.role == Role::Primary;
        if (diverged || demoted) && rewind && server.timeline < timeline {
            server.log.truncate(shared_prefix(&server.log, &log));
            server.visible = server.visible.min(server.log.len());
            server.counted = server.visible;
            server.role = Role::Replica;
            server.timeline = timeline;
            server.run = run;
            server.up = true;
        }
    }

    /// A host leaves the configuration, or comes back.
    fn reload(&mut self, place: usize) {
        if place == 0 {
            return; // the declared primary stays
        }
        self.listed[place] = !self.listed[place];
        let hosts: Vec<_> = (0..4).filter(|place| self.listed[*place]).collect();
        let hosts: Vec<_> = hosts.into_iter().map(spec).collect();
        if self.without == Without::Numbers {
            self.cluster = Cluster::new(hosts, policy());
        } else {
            self.cluster.reconfigure(hosts, policy());
        }
        // Its monitor ends, and so does its pool.
        (self.links[place], self.questions[place]) = (None, None);
        self.conns.retain(|conn| conn.host != place);
    }

    fn id(&self, place: usize) -> Option<HostId> {
        self.cluster.view().named(&name(place)).map(|host| host.id)
    }

    /// One step of a host's monitor.
    fn monitor(&mut self, place: usize) {
        let Some(id) = self.id(place) else {
            return;
        };
        let alive = self.servers[place].up;
        let run = self.servers[place].run;
        let Some(question) = self.questions[place].take() else {
            let due = self.cluster.next_probe(id, self.now, Demand::Wanted);
            if self.now < due {
                return;
            }
            match self.links[place] {
                Some(link) => {
                    self.questions[place] = Some(Question {
                        asked_at: self.now,
                        link,
                        answer: None,
                    });
                }
                None if alive => {
                    let fresh = self.number();
                    let kept = self.without == Without::Runs;
                    let number = if kept { 0 } else { fresh };
                    self.links[place] = Some(Link { run, number });
                }
                None => self.failed(id, Failure::Refused),
            }
            return;
        };
        match question.answer {
            // It arrives.
            Some(answer) => {
                let answered_at = self.now;
                let answer = Observation {
                    answered_at,
                    ..answer
                };
                let before = self.cluster.view();
                let events = self.cluster.observed(id, answer);
                self.check(&before, &events);
            }
            None if !alive || question.link.run != run => {
                self.links[place] = None;
                self.failed(id, Failure::Lost);
            }
            // The server answers; the answer is under way.
            None => {
                let answer = Some(self.answer(place, &question));
                self.questions[place] = Some(Question { answer, ..question });
            }
        }
    }

    fn answer(&mut self, place: usize, question: &Question) -> Observation {
        let server = &self.servers[place];
        let shown = Lsn(server.counted as u64 * RECORD);
        let received = Lsn(server.log.len() as u64 * RECORD);
        let unknown = self.dice.one_in(8);
        let bound = match server.role {
            Role::Primary => Some(shown),
            Role::Replica if self.without == Without::ReceivedBound => Some(shown),
            Role::Replica => (!unknown).then_some(received),
        };
        let lies = self.without == Without::Timelines && server.role == Role::Replica;
        let timeline = if lies {
            self.cluster.view().timeline
        } else {
            server.timeline
        };
        Observation {
            role: server.role,
            timeline,
            system_id: 1,
            shown,
            bound,
            started_at: 0,
            connection: question.link.number,
            asked_at: question.asked_at,
            answered_at: self.now,
        }
    }

    fn failed(&mut self, id: HostId, how: Failure) {
        let jitter = u8::try_from(self.dice.below(256)).unwrap();
        let before = self.cluster.view();
        let events = self.cluster.failed(id, how, self.now, jitter);
        self.check(&before, &events);
    }

    fn report(&mut self, place: usize) {
        if let Some(id) = self.id(place).filter(|_| !self.servers[place].up) {
            let before = self.cluster.view();
            let events = self.cluster.report_failure(id, self.now);
            self.check(&before, &events);
        }
    }

    /// What must hold from one view to the next; and what the pools do.
    fn check(&mut self, before: &ClusterView, events: &[Event]) {
        let after = self.cluster.view();
        assert!(after.generation > before.generation);
        assert!(after.timeline >= before.timeline, "seed {}", self.seed);
        for (old, new) in before.hosts.iter().zip(&after.hosts) {
            let ordered = old.epoch != new.epoch || old.position() <= new.position();
            assert!(ordered, "{:?} went back, seed {}", new.id, self.seed);
            let other = after.primary != Some(new.id);
            assert!(other || new.state == super::HostState::Primary);
            assert!(!new.is_ready() || new.timeline == after.timeline);
            let was = before.host(new.id).is_some_and(HostView::is_ready);
            let told = |event: &Event| match event {
                Event::ReplicaLeft { host, .. } => was && *host == new.id,
                Event::ReplicaReady { host } => !was && *host == new.id,
                Event::PrimaryChanged { .. }
                | Event::PrimaryBack { .. }
                | Event::PrimaryLost { .. }
                | Event::HostRefused { .. } => false,
            };
            let changes = usize::from(was != new.is_ready());
            let count = events.iter().filter(|event| told(event)).count();
            assert_eq!(count, changes, "seed {}", self.seed);
        }
    }

    /// The pools open connections, and give them out once the monitor has seen their run.
    fn open(&mut self, place: usize) {
        let server = &self.servers[place];
        if server.up
            && self.listed[place]
            && self.conns.iter().filter(|conn| conn.host == place).count() < 3
        {
            self.conns.push(Conn {
                host: place,
                run: server.run,
                opened_at: self.now,
                vouched: self.without == Without::Vouching,
            });
        }
        let view = self.cluster.view();
        for conn in &mut self.conns {
            let host = view.named(&name(conn.host));
            conn.vouched |= host.is_some_and(|host| host.samples.is_after(conn.opened_at));
        }
        // A pool hears soon that a connection is dead, but not at once.
        if self.dice.one_in(3) {
            let servers = &self.servers;
            self.conns.retain(|conn| {
                let server = &servers[conn.host];
                server.up && server.run == conn.run
            });
        }
    }

    fn session(&mut self, place: usize) {
        let view = self.cluster.view();
        match self.sessions[place].doing {
            Doing::Nothing => self.begin(place, &view),
            Doing::Waiting(host) => self.lend(place, &view, host),
            Doing::Holding {
                conn,
                host,
                epoch,
                at,
            } => {
                let server = &self.servers[conn.host];
                self.sessions[place].doing = Doing::Nothing;
                if !server.up || server.run != conn.run {
                    return;
                }
                // The primary's pool was told of a new primary before clients were.
                if server.role == Role::Primary && view.primary != Some(host) {
                    return;
                }
                let wrote = self.execute(place, conn.host);
                self.sessions[place].doing = Doing::Ran {
                    host,
                    epoch,
                    at,
                    wrote,
                };
            }
            Doing::Ran {
                host,
                epoch,
                at,
                wrote,
            } => {
                let early = self.without == Without::EndOfStatement;
                let ended = if early { at } else { self.now };
                if let (Some(record), Some(shared)) = (wrote, &self.shared) {
                    shared.wrote(ended);
                    let truth = &self.servers[self.truth()].log;
                    let newer = self.told.iter().any(|told| *told > record);
                    // One that survives stands for all before it.
                    if shows(truth, record) && !newer {
                        self.told.retain(|told| !shows(truth, *told));
                    }
                    self.told.push(record);
                }
                let session = &mut self.sessions[place];
                session.position.touched(host, epoch, ended);
                session.doing = Doing::Nothing;
            }
        }
    }

    fn begin(&mut self, place: usize, view: &ClusterView) {
        let primary = view.primary;
        let chance = Chance::new(self.dice.next());
        let writes = self.dice.one_in(12);
        let anywhere = self.dice.below(4);
        let anywhere = self.id(anywhere).filter(|_| self.dice.one_in(2));
        let scope = scope(self.without, self.shared.as_ref());
        let session = &mut self.sessions[place];
        session.must = self.told.clone();
        session.scope = scope;
        let position = &mut session.position;
        let choice = choose(view, position, scope, self.now, chance);
        let (word, host) = match choice {
            _ if writes => ("write", primary),
            // The choice stays where it is more often than this world needs.
            _ if let Some(host) = anywhere => {
                let may = position.may_read(view, host, scope) == MayRead::Yes;
                (
                    "anywhere",
                    Some(host).filter(|host| may && primary != Some(*host)),
                )
            }
            Choice::Replica(host) | Choice::Stay { host, .. } => ("replica", Some(host)),
            Choice::Unknown => ("unknown", primary.filter(|_| self.dice.one_in(16))),
            Choice::Behind => ("behind", primary.filter(|_| self.dice.one_in(16))),
            Choice::NoReplica => ("none", primary.filter(|_| self.dice.one_in(16))),
        };
        *self.reads.entry(word).or_default() += 1;
        if let Some(host) = host {
            self.sessions[place].doing = Doing::Waiting(host);
        }
    }

    fn lend(&mut self, place: usize, view: &ClusterView, host: HostId) {
        let named = view.host(host);
        let free =
            |conn: &&Conn| named.is_some_and(|host| host.name == name(conn.host)) && conn.vouched;
        let conn = self.conns.iter().find(free).copied();
        let (Some(conn), Some(named)) = (conn, named) else {
            self.sessions[place].doing = Doing::Nothing;
            return;
        };
        let session = &mut self.sessions[place];
        let looked = session.position.may_read(view, host, session.scope);
        let trusting = self.without == Without::SecondLook;
        session.doing = if looked == MayRead::Yes || trusting {
            let (epoch, at) = (named.epoch, self.now);
            Doing::Holding {
                conn,
                host,
                epoch,
                at,
            }
        } else {
            Doing::Nothing
        };
    }

    /// The statement runs: a write and a read on a primary, a read on a replica.
    fn execute(&mut self, place: usize, host: usize) -> Option<u64> {
        let wrote = match self.servers[host].role {
            Role::Primary => Some(self.insert(host)),
            Role::Replica => None,
        };
        let server = &self.servers[host];
        let shown = &server.log[..server.visible];
        let session = &self.sessions[place];
        let mut known = session.known.iter().chain(&session.must).copied();
        // A primary is always right, and what a false one does not show is out of sight from now on.
        let hidden = |record: u64| server.role == Role::Replica && !shows(shown, record);
        if known.any(|record| hidden(self.survivor(record))) {
            self.violation = Some(format!("seed {}: too old on {host}", self.seed));
        }
        let last = shown.last().copied();
        let session = &mut self.sessions[place];
        match server.role {
            Role::Primary => session.known.clear(),
            Role::Replica => {
                session.known.retain(|record| !shows(shown, *record));
                *self.reads.entry("checked").or_default() += 1;
            }
        }
        session.known.extend(last);
        wrote
    }
}

/// Whether a log has a record; 0 is the beginning of all logs.
fn shows(log: &[u64], record: u64) -> bool {
    record == 0 || log.binary_search(&record).is_ok()
}

fn scope(without: Without, shared: Option<&SharedWrites>) -> Scope {
    match (without, shared) {
        (Without::Fence, _) => Scope::Off,
        (_, Some(shared)) => Scope::Shared(shared.last()),
        (_, None) => Scope::Session,
    }
}

fn shared_prefix(one: &[u64], other: &[u64]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

fn worlds() -> u64 {
    std::env::var("PGWEIR_SIMULATIONS").map_or(60, |text| text.parse().unwrap())
}

#[test]
fn nobody_ever_reads_what_is_older_than_what_he_wrote_or_saw() {
    let mut reads = BTreeMap::new();
    for seed in 0..worlds() {
        let mut world = World::new(seed, Without::Nothing);
        world.run(6000);
        assert_eq!(world.violation, None);
        for (word, count) in world.reads {
            *reads.entry(word).or_insert(0) += count;
        }
    }
    // Most of what may be read is read: a rule that says no is always right.
    let count = |word: &str| reads.get(word).copied().unwrap_or(0);
    assert!(count("checked") > worlds() * 50, "{reads:?}");
}

#[test]
fn every_precaution_is_needed() {
    for without in [
        Without::Fence,
        Without::EndOfStatement,
        Without::ReceivedBound,
        Without::Runs,
        Without::Vouching,
        Without::SecondLook,
        Without::Timelines,
        Without::Numbers,
    ] {
        let found = (0..2000).find(|seed| {
            let mut world = World::new(*seed, without);
            world.run(6000);
            world.violation.is_some()
        });
        assert!(found.is_some(), "nothing goes wrong without {without:?}");
    }
}

#[test]
fn a_session_carries_little() {
    assert!(size_of::<Position>() <= 40);
    let _: Arc<ClusterView> = Arc::default();
}
