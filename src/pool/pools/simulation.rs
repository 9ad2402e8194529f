//! A random world around the pools: every event in every order, checked after each step against
//! a model that knows only what came in and what came out.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Pools, Request};
use crate::pool::action::{Action, Actions, CancelTicket, Lent, OpenTicket, Pooled, Use, Verdict};
use crate::pool::key::{PoolId, PoolKey, Scope, SlotId, WaiterId, WorkerId};
use crate::pool::limits::{DatabaseLimits, KeepMinimum, Order, PoolLimits, UserLimits};
use crate::pool::reason::{OpenFailure, Refusal, Why};
use crate::pool::waitlist::{PATIENCE, WaiterKind};
use crate::protocol::SqlState;

/// The generator "splitmix64": small, seeded, good enough to mix events.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn one_in(&mut self, chance: usize) -> bool {
        self.below(chance) == 0
    }

    fn up_to(&mut self, most: u32) -> u32 {
        u32::try_from(self.below(most as usize + 1)).unwrap()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn take<T>(&mut self, from: &mut Vec<T>) -> Option<T> {
        let index = if from.is_empty() {
            return None;
        } else {
            self.below(from.len())
        };
        Some(from.swap_remove(index))
    }
}

struct Conn {
    number: u32,
    home: WorkerId,
    created_at: Instant,
}

impl Pooled for Conn {
    fn home(&self) -> WorkerId {
        self.home
    }

    fn created_at(&self) -> Instant {
        self.created_at
    }
}

struct Waiting {
    id: WaiterId,
    deadline: Option<Instant>,
}

/// A waiter as its pool's queue knows it.
#[derive(Clone, Copy)]
struct Queued {
    waiter: u32,
    home: WorkerId,
    since: Instant,
}

#[derive(PartialEq)]
enum Late {
    Wakes,
    Oversleeps,
}

struct World {
    dice: Dice,
    now: Instant,
    alarm: Option<Instant>,
    pools: Pools<Conn, u32>,
    names: Vec<PoolKey>,
    /// Per pool in order of arrival.
    queues: HashMap<PoolId, VecDeque<Queued>>,
    /// When a connection of the pool last went to a waiter of another worker although one of its own
    /// waited.
    moved: HashMap<PoolId, Instant>,
    waiting: HashMap<u32, Waiting>,
    /// The waiter whose checkout is under way: it may be answered before it has an id.
    asking: Option<(u32, PoolId, WorkerId)>,
    lent: Vec<(SlotId, Conn)>,
    tickets: Vec<OpenTicket>,
    /// Cancel requests under way, with the connection's number.
    cancels: Vec<(CancelTicket, u32)>,
    alive: HashSet<u32>,
    next: u32,
    joined: Vec<PoolId>,
    answered: usize,
}

const DATABASES: [&str; 3] = ["a", "b", "c"];
const USERS: [&str; 2] = ["x", "y"];
/// The first has most of the clients.
const WORKERS: [u16; 5] = [0, 0, 0, 1, 2];

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            dice: Dice(seed),
            now: tokio::time::Instant::now().into_std(),
            alarm: None,
            pools: Pools::new(),
            names: Vec::new(),
            queues: HashMap::new(),
            moved: HashMap::new(),
            waiting: HashMap::new(),
            asking: None,
            lent: Vec::new(),
            tickets: Vec::new(),
            cancels: Vec::new(),
            alive: HashSet::new(),
            next: 0,
            joined: Vec::new(),
            answered: 0,
        };
        for database in DATABASES {
            for user in USERS {
                world.names.push(PoolKey::new(database, user));
            }
        }
        world
    }

    fn event<R>(&mut self, f: impl FnOnce(&mut Self, &mut Actions<Conn, u32>) -> R) -> R {
        let mut out = Actions::new();
        let result = f(self, &mut out);
        self.obey_all(out);
        result
    }

    fn obey_all(&mut self, out: Actions<Conn, u32>) {
        for action in out {
            if let Action::Open(ticket) = &action {
                self.check_limits(ticket.pool());
            }
            self.obey(action);
        }
    }

    /// Right after an event that opened a connection every limit is kept.
    fn check_limits(&self, pool: PoolId) {
        let slots = self
            .pools
            .slots
            .get(pool.0)
            .expect("opens for a pool that exists");
        assert!(
            slots.size() <= slots.limits().ceiling(),
            "over pool_size and reserve"
        );
        assert!(
            !self.pools.database(slots.database).quota.is_over(),
            "over the database"
        );
        assert!(
            !self.pools.user(slots.user).quota.is_over(),
            "over the user"
        );
        let at_once = slots.limits().connect_parallelism.max(1) as usize;
        assert!(slots.opening <= at_once, "over connect_parallelism");
        let wanted = slots.opening <= slots.waiting.len() || slots.size() <= slots.limits().floor();
        assert!(wanted, "opened for nobody");
    }

    fn obey(&mut self, action: Action<Conn, u32>) {
        match action {
            Action::Assign { waiter, lent } => {
                let home = self.check_turn(waiter, lent.conn.home());
                self.answer(waiter);
                self.lend(lent, home);
            }
            Action::Refuse { waiter, refusal } => {
                if refusal == Refusal::QueryWaitTimeout {
                    let deadline = self.waiting[&waiter].deadline;
                    assert!(
                        deadline.is_some_and(|at| at <= self.now),
                        "timed out too early"
                    );
                }
                self.answer(waiter);
            }
            Action::Notify { waiter } => assert!(self.waiting.contains_key(&waiter)),
            Action::Open(ticket) => self.tickets.push(ticket),
            Action::Retire { conn, why } => {
                assert!(self.alive.remove(&conn.number), "closed twice: {why}");
            }
            Action::WakeJanitor(at) => {
                assert!(
                    self.alarm.is_none_or(|alarm| at < alarm),
                    "a needless alarm"
                );
                self.alarm = Some(at);
            }
            Action::Drained(id) => assert!(self.pools.is_drained(Scope::Database(id))),
            Action::Renewed(_) | Action::PoolRemoved(_) | Action::DatabaseRemoved(_) => {}
        }
    }

    /// Whoever is served is the oldest of its worker, and passes over nobody that came much earlier.
    /// Tells its worker.
    fn check_turn(&mut self, waiter: u32, conn: WorkerId) -> WorkerId {
        if let Some((asking, pool, home)) = self.asking
            && asking == waiter
        {
            let queue = self.queues.get(&pool);
            let empty = queue.is_none_or(VecDeque::is_empty);
            assert!(empty, "waiter {waiter} overtakes the whole queue");
            return home;
        }
        let known = self.waiting.get(&waiter).expect("answered once");
        let pool = known.id.pool;
        let queue = &self.queues[&pool];
        let place = queue.iter().position(|other| other.waiter == waiter);
        let place = place.expect("in its queue");
        let next = queue[place];
        let settling = self
            .moved
            .get(&pool)
            .is_some_and(|at| self.now < *at + PATIENCE);
        for older in queue.range(..place) {
            let Queued { waiter, home, .. } = older;
            assert_ne!(*home, next.home, "waiter {waiter} was passed over at home");
            let early = next.since > older.since + PATIENCE;
            assert!(settling || !early, "waiter {waiter} was passed over");
        }
        let own = queue.iter().find(|other| other.home == conn);
        if let Some(own) = own.filter(|own| own.waiter != waiter) {
            assert_eq!(place, 0, "moved for one that is not the oldest");
            assert!(!settling, "moved two at once");
            let early = own.since > next.since + PATIENCE;
            assert!(early, "moved for one that did not wait long");
            self.moved.insert(pool, self.now);
        }
        next.home
    }

    /// Takes a waiter out of the model.
    fn answer(&mut self, waiter: u32) {
        self.answered += 1;
        let known = self.waiting.remove(&waiter);
        let pool = match (known, self.asking) {
            (Some(known), _) => known.id.pool,
            (None, Some((asking, ..))) if asking == waiter => {
                self.asking = None;
                return;
            }
            (None, _) => panic!("waiter {waiter} was answered twice"),
        };
        let queue = self.queues.get_mut(&pool).expect("a queue for each waiter");
        let index = queue.iter().position(|other| other.waiter == waiter);
        queue.remove(index.expect("in its queue"));
    }

    /// A client takes a connection to its own worker.
    fn lend(&mut self, lent: Lent<Conn>, home: WorkerId) {
        let number = lent.conn.number;
        assert!(self.alive.contains(&number), "a closed connection was lent");
        let canceled = self.cancels.iter().any(|(_, other)| *other == number);
        assert!(!canceled, "lent while it is being canceled");
        let conn = Conn { home, ..lent.conn };
        self.lent.push((lent.slot, conn));
    }

    fn limits(&mut self) -> PoolLimits {
        let dice = &mut self.dice;
        let seconds = |dice: &mut Dice, most| Duration::from_secs(dice.up_to(most).into());
        PoolLimits {
            pool_size: dice.up_to(4),
            min_pool_size: dice.up_to(3),
            keep_minimum: dice.pick(&[KeepMinimum::Always, KeepMinimum::WithClients]),
            reserve_pool_size: dice.up_to(2),
            reserve_pool_timeout: seconds(dice, 5),
            connect_parallelism: dice.up_to(3),
            server_idle_timeout: dice.pick(&[None, Some(Duration::from_secs(20))]),
            server_lifetime: seconds(dice, 100),
            server_login_retry: seconds(dice, 15),
            server_check_delay: dice.pick(&[None, Some(Duration::from_secs(3))]),
            order: dice.pick(&[Order::Lifo, Order::Fifo]),
            query_wait_notify: dice.pick(&[None, Some(Duration::from_secs(2))]),
            pool_idle_timeout: dice.pick(&[None, Some(Duration::from_secs(30))]),
        }
    }

    fn cap(&mut self) -> Option<u32> {
        let cap = 1 + self.dice.up_to(4);
        self.dice.pick(&[None, Some(cap)])
    }

    fn database_limits(&mut self) -> DatabaseLimits {
        let idle = Some(Duration::from_secs(60));
        DatabaseLimits {
            max_db_connections: self.cap(),
            autodb_idle_timeout: self.dice.pick(&[None, idle]),
        }
    }

    fn user_limits(&mut self) -> UserLimits {
        let max_user_connections = self.cap();
        UserLimits {
            max_user_connections,
        }
    }

    /// A pool, made if it is not there.
    fn pool(&mut self) -> PoolId {
        let index = self.dice.below(self.names.len());
        let key = self.names[index].clone();
        if let Some(pool) = self.pools.find_pool(&key) {
            return pool;
        }
        let (limits, database, user) = (self.limits(), self.database_limits(), self.user_limits());
        self.event(|world, out| {
            let now = world.now;
            let id = world.pools.add_database(&key.database, database, now, out);
            let added = world
                .pools
                .add_pool((id, &key.user), (limits, user), now, out);
            added.expect("the database is there")
        })
    }

    fn scope(&mut self) -> Scope {
        let name = self.dice.pick(&DATABASES);
        match self.pools.find_database(name) {
            Some(id) if !self.dice.one_in(3) => Scope::Database(id),
            Some(_) | None => Scope::All,
        }
    }

    fn ask(&mut self) {
        let pool = self.pool();
        let kind = self
            .dice
            .pick(&[WaiterKind::Established, WaiterKind::Login]);
        let deadline = self.now + Duration::from_secs(self.dice.up_to(20).into());
        let home = WorkerId(self.dice.pick(&WORKERS));
        let request = Request {
            home,
            kind,
            deadline: self.dice.pick(&[None, Some(deadline)]),
        };
        let waiter = self.next;
        self.next += 1;
        self.asking = Some((waiter, pool, home));
        let mut out = Actions::new();
        let id = self
            .pools
            .checkout(pool, waiter, &request, self.now, &mut out);
        if let Some(id) = id {
            self.asking = None;
            let deadline = request.deadline;
            self.waiting.insert(waiter, Waiting { id, deadline });
            let since = self.now;
            let queued = Queued {
                waiter,
                home,
                since,
            };
            self.queues.entry(pool).or_default().push_back(queued);
        }
        self.obey_all(out);
        assert!(self.asking.is_none(), "neither answered nor queued");
    }

    fn give_up(&mut self) {
        let mut waiters: Vec<_> = self.waiting.keys().copied().collect();
        waiters.sort_unstable();
        let Some(waiter) = self.dice.take(&mut waiters) else {
            return;
        };
        let id = self.waiting[&waiter].id;
        let found = self.event(|world, out| world.pools.cancel_wait(id, world.now, out));
        assert_eq!(found, Some(waiter));
        self.answer(waiter);
        let again = self.event(|world, out| world.pools.cancel_wait(id, world.now, out));
        assert_eq!(again, None);
    }

    fn give_back(&mut self, verdict: Verdict) {
        let Some((slot, conn)) = self.dice.take(&mut self.lent) else {
            return;
        };
        self.event(|world, out| world.pools.checkin(slot, conn, verdict, world.now, out));
    }

    fn open(&mut self) {
        let Some(ticket) = self.dice.take(&mut self.tickets) else {
            return;
        };
        let conn = Conn {
            number: self.next,
            home: ticket
                .home()
                .unwrap_or_else(|| WorkerId(self.dice.pick(&WORKERS))),
            created_at: self.now,
        };
        self.next += 1;
        self.alive.insert(conn.number);
        self.event(|world, out| world.pools.opened(ticket, conn, world.now, out));
    }

    fn fail_to_open(&mut self) {
        let Some(ticket) = self.dice.take(&mut self.tickets) else {
            return;
        };
        let failure = if self.dice.one_in(2) {
            OpenFailure::Unreachable("connect failed".into())
        } else {
            OpenFailure::Rejected {
                code: self
                    .dice
                    .pick(&[SqlState::CANNOT_CONNECT_NOW, SqlState::INVALID_PASSWORD]),
                message: "no".into(),
            }
        };
        self.event(|world, out| world.pools.open_failed(ticket, failure, world.now, out));
    }

    fn cancel(&mut self) {
        if self.lent.is_empty() {
            return;
        }
        let index = self.dice.below(self.lent.len());
        let (slot, number) = (self.lent[index].0, self.lent[index].1.number);
        if let Some(ticket) = self.pools.cancel_started(slot) {
            self.cancels.push((ticket, number));
        }
        self.pools.set_use(slot, Use::Tested);
    }

    fn cancel_over(&mut self) {
        let Some((ticket, _)) = self.dice.take(&mut self.cancels) else {
            return;
        };
        self.event(|world, out| world.pools.cancel_finished(ticket, world.now, out));
    }

    fn reconfigure(&mut self) {
        let pool = self.pool();
        let key = self.pools.key(pool).expect("just found").clone();
        let database = self.pools.database_of(pool).expect("just found");
        let (limits, of_database, of_user) =
            (self.limits(), self.database_limits(), self.user_limits());
        let what = self.dice.below(3);
        self.event(|world, out| match what {
            0 => world.pools.set_pool_limits(pool, limits, world.now, out),
            1 => world
                .pools
                .set_database_limits(database, of_database, world.now, out),
            _ => world
                .pools
                .set_user_limits(&key.user, of_user, world.now, out),
        });
    }

    fn command(&mut self) {
        let scope = self.scope();
        let what = self.dice.below(8);
        self.event(|world, out| match (what, scope) {
            (0, _) => drop(world.pools.pause(scope, world.now, out)),
            (1..=3, _) => drop(world.pools.resume(scope, world.now, out)),
            (4 | 5, _) => world.pools.reconnect(scope, world.now, out),
            (6, Scope::Database(id)) => drop(world.pools.kill(id, world.now, out)),
            (7, Scope::Database(id)) => world.pools.drop_database(id, world.now, out),
            _ => {}
        });
    }

    fn come_and_go(&mut self) {
        if self.dice.one_in(2) {
            let pool = self.pool();
            let joined = self.event(|world, out| world.pools.join(pool, world.now, out));
            assert!(joined, "the pool was just found");
            self.joined.push(pool);
        } else if let Some(pool) = self.dice.take(&mut self.joined) {
            self.event(|world, out| world.pools.leave(pool, world.now, out));
        }
    }

    fn pass_time(&mut self, late: &Late) {
        let step = if self.dice.one_in(2) {
            Duration::from_micros(u64::from(self.dice.up_to(3000)))
        } else {
            Duration::from_millis(u64::from(self.dice.up_to(4000)))
        };
        let target = self.now + step;
        while *late == Late::Wakes
            && let Some(alarm) = self.alarm.filter(|alarm| *alarm <= target)
        {
            self.now = self.now.max(alarm);
            self.tick();
        }
        self.now = target;
        if *late == Late::Oversleeps {
            self.tick();
        }
    }

    fn tick(&mut self) {
        let before = self.alarm;
        self.alarm = None;
        let mut out = Actions::new();
        let next = self.pools.tick(self.now, &mut out);
        for action in out {
            match action {
                Action::WakeJanitor(_) => {}
                other => self.obey(other),
            }
        }
        self.alarm = next;
        assert!(
            next.is_none_or(|next| next > self.now),
            "asks for the past, after {before:?}"
        );
        for waiting in self.waiting.values() {
            let overdue = waiting
                .deadline
                .is_some_and(|deadline| deadline <= self.now);
            assert!(!overdue, "a waiter outlived its deadline");
        }
    }

    fn step(&mut self) {
        match self.dice.below(40) {
            0..=9 => self.ask(),
            10..=16 => self.give_back(Verdict::Keep),
            17 => self.give_back(Verdict::Untouched),
            18 | 19 => self.give_back(Verdict::Discard(Why::Crashed)),
            20..=25 => self.open(),
            26 => self.fail_to_open(),
            27 | 28 => self.give_up(),
            29 => self.cancel(),
            30 => self.cancel_over(),
            31 => self.reconfigure(),
            32 => self.command(),
            33 | 34 => self.come_and_go(),
            35..=38 => self.pass_time(&Late::Wakes),
            _ => self.pass_time(&Late::Oversleeps),
        }
    }

    fn check(&self) {
        self.pools.check_invariants(self.now);
        let rows = self.pools.snapshot(self.now);
        let inside: usize = rows
            .iter()
            .map(|row| {
                row.sv_active + row.sv_tested + row.sv_being_canceled + row.sv_idle + row.sv_used
            })
            .sum();
        assert_eq!(
            inside,
            self.alive.len(),
            "connections are neither made nor lost"
        );
        let opening: usize = rows.iter().map(|row| row.sv_login).sum();
        assert_eq!(opening, self.tickets.len(), "each opening has its ticket");
        let waiting: usize = rows.iter().map(|row| row.cl_waiting).sum();
        assert_eq!(
            waiting,
            self.waiting.len(),
            "each waiter waits in one queue"
        );
        for waiting in self.waiting.values() {
            let seen = waiting
                .deadline
                .is_none_or(|deadline| self.alarm.is_some_and(|alarm| alarm <= deadline));
            assert!(seen, "no tick for a deadline");
        }
    }

    /// From here on the servers answer, connections come back, and nobody new asks.
    fn settle(&mut self) {
        self.event(|world, out| drop(world.pools.resume(Scope::All, world.now, out)));
        for name in DATABASES {
            if let Some(id) = self.pools.find_database(name) {
                let scope = Scope::Database(id);
                self.event(|world, out| drop(world.pools.resume(scope, world.now, out)));
            }
        }
        for key in self.names.clone() {
            if let Some(pool) = self.pools.find_pool(&key) {
                let limits = PoolLimits {
                    pool_size: 1,
                    server_lifetime: Duration::from_secs(3600),
                    ..self.limits()
                };
                let now = self.now;
                self.event(|world, out| world.pools.set_pool_limits(pool, limits, now, out));
            }
        }
        for round in 0.. {
            if self.waiting.is_empty() {
                return;
            }
            assert!(
                round < 2000,
                "{} waiters are never answered",
                self.waiting.len()
            );
            self.open();
            self.cancel_over();
            self.give_back(Verdict::Keep);
            self.check();
            if round % 7 == 0 {
                self.pass_time(&Late::Wakes);
            }
        }
    }
}

fn run(seed: u64, steps: usize) -> usize {
    let mut world = World::new(seed);
    for _ in 0..steps {
        world.step();
        world.check();
    }
    world.settle();
    world.answered
}

#[test]
fn every_invariant_holds_in_every_random_world_and_nobody_waits_for_ever() {
    let worlds: u64 = std::env::var("POOL_WORLDS").map_or(60, |text| text.parse().unwrap());
    for seed in 0..worlds {
        let outcome = std::panic::catch_unwind(|| run(seed, 2500));
        let answered = outcome.unwrap_or_else(|_| panic!("failed with seed {seed}"));
        assert!(
            answered > 100,
            "seed {seed} tests nothing: {answered} answers"
        );
    }
}

#[test]
fn a_world_that_stops_refuses_everybody_and_drains() {
    for seed in 0..10 {
        let mut world = World::new(seed);
        for _ in 0..500 {
            world.step();
        }
        world.event(|world, out| world.pools.stop(world.now, out));
        assert!(world.waiting.is_empty(), "seed {seed}");
        while !(world.lent.is_empty() && world.tickets.is_empty()) {
            world.open();
            world.give_back(Verdict::Keep);
            world.check();
        }
        assert!(world.pools.is_drained(Scope::All), "seed {seed}");
        world.ask();
        assert!(world.waiting.is_empty(), "seed {seed}");
    }
}

/// Names are shared, not copied, however many pools there are.
#[test]
fn a_pool_key_shares_its_database_name() {
    let mut pools: Pools<Conn, u32> = Pools::new();
    let mut out = Actions::new();
    let now = tokio::time::Instant::now().into_std();
    let name: Arc<str> = "db".into();
    let id = pools.add_database(&name, DatabaseLimits::default(), now, &mut out);
    let user = "u".into();
    let limits = (PoolLimits::default(), UserLimits::default());
    let pool = pools.add_pool((id, &user), limits, now, &mut out).unwrap();
    assert!(Arc::ptr_eq(&pools.key(pool).unwrap().database, &name));
}
