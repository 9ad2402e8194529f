//! One rule of the pool in each test.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{PoolSnapshot, Pools, Request};
use crate::pool::action::{Action, Actions, Check, Lent, OpenTicket, Pooled, Use, Verdict};
use crate::pool::key::{DatabaseId, PoolId, PoolKey, Scope, SlotId, WaiterId, WorkerId};
use crate::pool::limits::{DatabaseLimits, KeepMinimum, Order, PoolLimits, UserLimits};
use crate::pool::reason::{CommandError, OpenFailure, Refusal, Why};
use crate::pool::waitlist::WaiterKind;
use crate::protocol::SqlState;

#[derive(Debug, PartialEq, Eq)]
struct Conn {
    name: u32,
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

/// The pools, a clock, and what came out since the last look, in words.
struct Desk {
    pools: Pools<Conn, &'static str>,
    now: Instant,
    start: Instant,
    tickets: Vec<OpenTicket>,
    lent: Vec<Lent<Conn>>,
    said: Vec<String>,
    next: u32,
}

const HOME: WorkerId = WorkerId(0);

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn limits(pool_size: u32) -> PoolLimits {
    PoolLimits {
        pool_size,
        ..PoolLimits::default()
    }
}

impl Desk {
    fn new() -> Self {
        let now = tokio::time::Instant::now().into_std();
        Self {
            pools: Pools::new(),
            now,
            start: now,
            tickets: Vec::new(),
            lent: Vec::new(),
            said: Vec::new(),
            next: 0,
        }
    }

    fn event<R>(
        &mut self,
        event: impl FnOnce(
            &mut Pools<Conn, &'static str>,
            Instant,
            &mut Actions<Conn, &'static str>,
        ) -> R,
    ) -> R {
        let mut out = Actions::new();
        let result = event(&mut self.pools, self.now, &mut out);
        for action in out {
            let words = match action {
                Action::Assign { waiter, lent } => {
                    let words = format!("{waiter} gets {}", lent.conn.name);
                    self.lent.push(lent);
                    words
                }
                Action::Refuse { waiter, refusal } => format!("{waiter}: {refusal}"),
                Action::Notify { waiter } => format!("notice to {waiter}"),
                Action::Open(ticket) => {
                    self.tickets.push(ticket);
                    "open".to_owned()
                }
                Action::Retire { conn, why } => format!("close {}: {why}", conn.name),
                Action::WakeJanitor(_) => continue,
                Action::Drained(_) => "drained".to_owned(),
                Action::Renewed(_) => "renewed".to_owned(),
                Action::PoolRemoved(key) => format!("removed {key}"),
                Action::DatabaseRemoved(name) => format!("dropped {name}"),
            };
            self.said.push(words);
        }
        self.pools.check_invariants(self.now);
        result
    }

    fn heard(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }

    fn database(&mut self, name: &str, limits: DatabaseLimits) -> DatabaseId {
        let name: Arc<str> = name.into();
        self.event(|pools, now, out| pools.add_database(&name, limits, now, out))
    }

    fn pool_of(&mut self, database: &str, user: &str, limits: PoolLimits) -> PoolId {
        let id = self.pools.find_database(database);
        let id = id.unwrap_or_else(|| self.database(database, DatabaseLimits::default()));
        let user = user.into();
        let limits = (limits, UserLimits::default());
        self.event(|pools, now, out| pools.add_pool((id, &user), limits, now, out))
            .unwrap()
    }

    fn pool(&mut self, limits: PoolLimits) -> PoolId {
        self.pool_of("db", "user", limits)
    }

    fn ask_as(&mut self, pool: PoolId, name: &'static str, request: Request) -> Option<WaiterId> {
        self.event(|pools, now, out| pools.checkout(pool, name, &request, now, out))
    }

    fn ask(&mut self, pool: PoolId, name: &'static str) -> Option<WaiterId> {
        self.ask_as(pool, name, request())
    }

    /// Opens a connection on the oldest ticket.
    fn open_at(&mut self, home: WorkerId) {
        let ticket = self.tickets.remove(0);
        self.next += 1;
        let conn = Conn {
            name: self.next,
            home,
            created_at: self.now,
        };
        self.event(|pools, now, out| pools.opened(ticket, conn, now, out));
    }

    fn open(&mut self) {
        self.open_at(HOME);
    }

    fn fail(&mut self, failure: OpenFailure) {
        let ticket = self.tickets.remove(0);
        self.event(|pools, now, out| pools.open_failed(ticket, failure, now, out));
    }

    /// Gives the connection back that has been lent longest.
    fn give_back(&mut self, verdict: Verdict) -> SlotId {
        let Lent { slot, conn, .. } = self.lent.remove(0);
        self.event(|pools, now, out| pools.checkin(slot, conn, verdict, now, out));
        slot
    }

    /// A pool with this many idle connections, numbered from 1, idle since now.
    fn idle_pool(&mut self, limits: PoolLimits, count: usize) -> PoolId {
        let pool = self.pool(limits);
        self.fill(pool, count);
        pool
    }

    fn fill(&mut self, pool: PoolId, count: usize) {
        for _ in 0..count {
            self.ask(pool, "filler");
            self.open();
        }
        while !self.lent.is_empty() {
            self.give_back(Verdict::Keep);
        }
        self.said.clear();
    }

    /// Lets time pass and ticks, once.
    fn pass(&mut self, time: Duration) -> Option<Instant> {
        self.now += time;
        self.event(Pools::tick)
    }

    fn row(&self, pool: PoolId) -> PoolSnapshot {
        let rows = self.pools.snapshot(self.now);
        rows.into_iter().find(|row| row.pool == pool).unwrap()
    }
}

fn request() -> Request {
    Request {
        home: HOME,
        kind: WaiterKind::Established,
        deadline: None,
    }
}

fn unreachable_server() -> OpenFailure {
    OpenFailure::Unreachable("connect failed".into())
}

fn rejected(code: SqlState) -> OpenFailure {
    let message = "no".into();
    OpenFailure::Rejected { code, message }
}

#[test]
fn a_first_client_waits_for_an_opening_and_the_next_reuses_it() {
    let mut desk = Desk::new();
    let pool = desk.pool(limits(2));
    desk.ask(pool, "ann");
    assert_eq!(desk.heard(), ["open"]);
    desk.open();
    assert_eq!(desk.heard(), ["ann gets 1"]);
    desk.give_back(Verdict::Keep);
    desk.ask(pool, "bob");
    assert_eq!(desk.heard(), ["bob gets 1"]);
    assert_eq!(desk.lent[0].check, Check::NotNeeded);
}

#[test]
fn idle_connections_that_are_found_dead_are_closed_and_replaced_up_to_the_minimum() {
    let mut desk = Desk::new();
    let minimum = PoolLimits {
        min_pool_size: 2,
        keep_minimum: KeepMinimum::Always,
        ..limits(3)
    };
    let pool = desk.pool(minimum);
    while !desk.tickets.is_empty() {
        desk.open();
    }
    desk.said.clear();
    desk.event(|pools, now, out| pools.close_unfit(|conn| conn.name == 1, now, out));
    assert_eq!(desk.heard(), ["close 1: server conn crashed?", "open"]);
    assert_eq!(desk.row(pool).sv_idle, 1);
    desk.event(|pools, now, out| pools.close_unfit(|_| false, now, out));
    assert!(desk.heard().is_empty());
}

#[test]
fn checkin_hands_over_to_the_oldest_waiter() {
    let mut desk = Desk::new();
    let pool = desk.idle_pool(limits(1), 1);
    for name in ["ann", "bob", "cid"] {
        desk.ask(pool, name);
    }
    desk.give_back(Verdict::Keep);
    desk.give_back(Verdict::Keep);
    assert_eq!(desk.heard(), ["ann gets 1", "bob gets 1", "cid gets 1"]);
}

#[test]
fn idle_connections_are_taken_newest_first_or_oldest_first() {
    for (order, expected) in [(Order::Lifo, "ann gets 3"), (Order::Fifo, "ann gets 1")] {
        let mut desk = Desk::new();
        let pool = desk.idle_pool(PoolLimits { order, ..limits(3) }, 3);
        desk.ask(pool, "ann");
        assert_eq!(desk.heard(), [expected], "{order:?}");
    }
}

#[test]
fn an_idle_connection_of_the_own_worker_is_preferred() {
    let mut desk = Desk::new();
    let pool = desk.pool(limits(3));
    for home in [1, 0, 0] {
        desk.ask(pool, "filler");
        desk.open_at(WorkerId(home));
    }
    while !desk.lent.is_empty() {
        desk.give_back(Verdict::Keep);
    }
    desk.heard();
    let away = |home| Request {
        home: WorkerId(home),
        ..request()
    };
    desk.ask_as(pool, "ann", away(1));
    desk.ask_as(pool, "bob", away(7));
    assert_eq!(desk.heard(), ["ann gets 1", "bob gets 3"]);
}

#[test]
fn a_connection_idle_for_long_comes_with_a_check_until_it_has_been_used() {
    let mut desk = Desk::new();
    let pool = desk.idle_pool(limits(1), 1);
    desk.now += secs(30);
    assert_eq!((desk.row(pool).sv_idle, desk.row(pool).sv_used), (1, 0));
    desk.now += secs(1);
    assert_eq!((desk.row(pool).sv_idle, desk.row(pool).sv_used), (0, 1));
    desk.ask(pool, "ann");
    assert_eq!(desk.lent[0].check, Check::Needed);
    assert_eq!(desk.row(pool).sv_tested, 1);
    desk.ask(pool, "bob");
    desk.give_back(Verdict::Untouched);
    assert_eq!(desk.lent[0].check, Check::Needed, "ann never used it");
    desk.pools.set_use(desk.lent[0].slot, Use::Active);
    assert_eq!((desk.row(pool).sv_active, desk.row(pool).sv_tested), (1, 0));
    desk.ask(pool, "cid");
    desk.give_back(Verdict::Keep);
    assert_eq!(desk.lent[0].check, Check::NotNeeded);
}

#[test]
fn openings_are_bounded_by_parallelism_waiters_and_pool_size() {
    let mut desk = Desk::new();
    let parallel = |connect_parallelism| PoolLimits {
        connect_parallelism,
        ..limits(3)
    };
    let pool = desk.pool(parallel(2));
    desk.ask(pool, "ann");
    assert_eq!(desk.tickets.len(), 1, "one waiter, one opening");
    for name in ["bob", "cid", "dan", "eve"] {
        desk.ask(pool, name);
    }
    assert_eq!(desk.tickets.len(), 2, "two at once");
    desk.open();
    assert_eq!(desk.tickets.len(), 2);
    desk.open();
    assert_eq!(desk.tickets.len(), 1, "three in all");
    desk.open();
    assert!(desk.tickets.is_empty());
    assert_eq!(desk.row(pool).cl_waiting, 2);
}

#[test]
fn the_reserve_is_for_waiters_that_are_old() {
    let mut desk = Desk::new();
    let with_reserve = PoolLimits {
        reserve_pool_size: 2,
        ..limits(1)
    };
    let pool = desk.pool(with_reserve);
    desk.ask(pool, "ann");
    desk.open();
    desk.ask(pool, "bob");
    desk.now += secs(3);
    desk.ask(pool, "cid");
    assert!(desk.tickets.is_empty());
    let next = desk.pass(secs(2));
    assert_eq!(desk.tickets.len(), 1, "bob is five seconds old");
    assert!(next.is_some());
    desk.open();
    assert!(desk.tickets.is_empty(), "cid is two seconds old");
    assert_eq!(desk.row(pool).cl_waiting, 1);
    desk.pass(secs(3));
    assert_eq!(desk.tickets.len(), 1);
    desk.ask(pool, "dan");
    desk.open();
    desk.pass(secs(100));
    assert!(desk.tickets.is_empty(), "pool and reserve are used up");
}

#[test]
fn the_minimum_is_kept_while_clients_are_there_or_always() {
    for (keep_minimum, at_once) in [(KeepMinimum::Always, 1), (KeepMinimum::WithClients, 0)] {
        let mut desk = Desk::new();
        let pool = desk.pool(PoolLimits {
            min_pool_size: 2,
            keep_minimum,
            ..limits(5)
        });
        assert_eq!(desk.tickets.len(), at_once);
        desk.event(|pools, now, out| pools.join(pool, now, out));
        desk.open();
        desk.open();
        assert!(desk.tickets.is_empty(), "two are enough");
        desk.fill(pool, 0);
        desk.pass(secs(601));
        assert!(desk.heard().is_empty(), "not below the minimum");
        desk.ask(pool, "ann");
        desk.give_back(Verdict::Discard(Why::Crashed));
        assert_eq!(desk.tickets.len(), 1, "refilled");
        desk.open();
        desk.heard();
        desk.event(|pools, now, out| pools.leave(pool, now, out));
        desk.pass(secs(601));
        assert_eq!(desk.heard().len(), 2 - 2 * at_once, "{keep_minimum:?}");
    }
}

#[test]
fn idle_connections_are_closed_after_their_timeout_and_announced_before() {
    let mut desk = Desk::new();
    let pool = desk.idle_pool(limits(3), 2);
    let due = desk.pools.next_tick().unwrap();
    assert!(due <= desk.now + secs(600));
    let next = desk.pass(secs(599));
    assert_eq!(next, Some(desk.now + secs(1)));
    assert!(desk.heard().is_empty());
    desk.pass(secs(1));
    let expected = [
        "close 1: server idle timeout",
        "close 2: server idle timeout",
    ];
    assert_eq!(desk.heard(), expected);
    assert_eq!(desk.row(pool).sv_idle, 0);
    assert_eq!(desk.pools.next_tick(), None, "nothing is left to wait for");
}

#[test]
fn lifetimes_end_one_gap_apart_idle_or_returned() {
    let mut desk = Desk::new();
    let short = PoolLimits {
        server_lifetime: secs(100),
        ..limits(10)
    };
    let pool = desk.idle_pool(short, 3);
    desk.ask(pool, "ann");
    desk.heard();
    let next = desk.pass(secs(100));
    assert_eq!(desk.heard(), ["close 1: server lifetime over"]);
    assert_eq!(next, Some(desk.now + secs(10)));
    desk.give_back(Verdict::Keep);
    assert!(desk.heard().is_empty(), "too soon after the last one");
    desk.ask(pool, "bob");
    desk.now += secs(10);
    desk.heard();
    desk.give_back(Verdict::Keep);
    assert_eq!(desk.heard(), ["close 3: server lifetime over"]);
    desk.pass(secs(10));
    assert_eq!(desk.heard(), ["close 2: server lifetime over"]);
}

#[test]
fn a_lifetime_of_zero_means_single_use() {
    let mut desk = Desk::new();
    let single = PoolLimits {
        server_lifetime: Duration::ZERO,
        min_pool_size: 1,
        keep_minimum: KeepMinimum::Always,
        ..limits(1)
    };
    let pool = desk.pool(single);
    desk.open();
    desk.pass(secs(1));
    desk.heard();
    desk.ask(pool, "ann");
    desk.give_back(Verdict::Keep);
    assert_eq!(
        desk.heard(),
        ["ann gets 1", "close 1: server lifetime over", "open"]
    );
}

#[test]
fn a_waiter_is_noticed_once_and_refused_at_its_deadline() {
    let mut desk = Desk::new();
    let pool = desk.idle_pool(limits(1), 1);
    desk.ask(pool, "ann");
    let deadline = Some(desk.now + secs(120));
    desk.ask_as(
        pool,
        "bob",
        Request {
            deadline,
            ..request()
        },
    );
    desk.heard();
    assert_eq!(desk.row(pool).maxwait, Duration::ZERO);
    assert_eq!(desk.pass(secs(5)), Some(desk.start + secs(120)));
    assert_eq!(desk.heard(), ["notice to bob"]);
    assert_eq!(desk.row(pool).maxwait, secs(5));
    desk.pass(secs(114));
    assert!(desk.heard().is_empty());
    desk.pass(secs(1));
    assert_eq!(desk.heard(), ["bob: query_wait_timeout"]);
    assert_eq!(desk.row(pool).cl_waiting, 0);
}

#[test]
fn a_waiter_that_left_is_not_served_and_leaves_once() {
    let mut desk = Desk::new();
    let pool = desk.idle_pool(limits(1), 1);
    desk.ask(pool, "ann");
    let bob = desk.ask(pool, "bob").unwrap();
    desk.ask(pool, "cid");
    let left = desk.event(|pools, now, out| pools.cancel_wait(bob, now, out));
    assert_eq!(left, Some("bob"));
    let again = desk.event(|pools, now, out| pools.cancel_wait(bob, now, out));
    assert_eq!(again, None);
    desk.give_back(Verdict::Keep);
    assert_eq!(desk.heard(), ["ann gets 1", "cid gets 1"]);
}

#[test]
fn an_unreachable_server_fails_established_clients_and_lets_logins_wait() {
    let mut desk = Desk::new();
    let pool = desk.pool(limits(2));
    let login = Request {
        kind: WaiterKind::Login,
        ..request()
    };
    desk.ask_as(pool, "login", login);
    desk.ask(pool, "ann");
    desk.heard();
    desk.fail(unreachable_server());
    let cached = "server login has been failing, cached error: connect failed (server_login_retry)";
    assert_eq!(desk.heard(), [format!("ann: {cached}")]);
    desk.ask(pool, "bob");
    assert_eq!(
        desk.heard(),
        [format!("bob: {cached}")],
        "no attempt before the retry"
    );
    desk.pass(secs(14));
    assert!(desk.tickets.is_empty());
    desk.pass(secs(1));
    assert_eq!(desk.heard(), ["open"], "for the login");
    desk.ask(pool, "cid");
    assert!(
        desk.heard().is_empty(),
        "one attempt at a time after a failure"
    );
    desk.open();
    assert_eq!(desk.heard(), ["login gets 1", "open"]);
}

#[test]
fn a_rejected_login_is_relayed_to_all_unless_the_server_only_starts() {
    let login = Request {
        kind: WaiterKind::Login,
        ..request()
    };
    for (code, told) in [
        (SqlState::NO_SUCH_DATABASE, 2),
        (SqlState::CANNOT_CONNECT_NOW, 1),
    ] {
        let mut desk = Desk::new();
        let pool = desk.pool(limits(2));
        desk.ask_as(pool, "login", login);
        desk.ask(pool, "ann");
        desk.heard();
        desk.fail(rejected(code));
        assert_eq!(desk.heard().len(), told, "{code}");
    }
}

#[test]
fn a_failure_beside_a_live_connection_or_another_opening_refuses_nobody() {
    let mut desk = Desk::new();
    let pool = desk.pool(PoolLimits {
        connect_parallelism: 2,
        ..limits(3)
    });
    for name in ["ann", "bob", "cid"] {
        desk.ask(pool, name);
    }
    desk.heard();
    desk.fail(rejected(SqlState::TOO_MANY_CONNECTIONS));
    assert!(desk.heard().is_empty(), "another opening is under way");
    desk.open();
    assert_eq!(desk.heard()[0], "ann gets 1");
    while !desk.tickets.is_empty() {
        desk.fail(rejected(SqlState::TOO_MANY_CONNECTIONS));
    }
    desk.heard();
    desk.give_back(Verdict::Keep);
    assert_eq!(desk.heard(), ["bob gets 1"]);
}

#[test]
fn a_full_database_evicts_the_connection_idle_longest_for_a_waiter() {
    let mut desk = Desk::new();
    let max_db_connections = Some(2);
    desk.database(
        "db",
        DatabaseLimits {
            max_db_connections,
            ..DatabaseLimits::default()
        },
    );
    let one = desk.pool_of("db", "one", limits(5));
    let two = desk.pool_of("db", "two", limits(5));
    let three = desk.pool_of("db", "three", limits(5));
    desk.fill(one, 1);
    desk.now += secs(1);
    desk.fill(two, 1);
    desk.ask(three, "ann");
    assert_eq!(
        desk.heard(),
        ["close 1: evicted for max_db_connections", "open"]
    );
    desk.open();
    desk.ask(two, "bob");
    desk.ask(one, "cid");
    assert_eq!(
        desk.heard(),
        ["ann gets 3", "bob gets 2"],
        "cid waits: nobody is idle"
    );
    desk.give_back(Verdict::Keep);
    assert_eq!(
        desk.heard(),
        ["close 3: evicted for max_db_connections", "open"]
    );
    assert_eq!(
        desk.pools
            .database_connections(desk.pools.find_database("db").unwrap()),
        2
    );
}

#[test]
fn a_full_user_evicts_across_databases_and_a_minimum_evicts_nobody() {
    let mut desk = Desk::new();
    let one = desk.pool_of("one", "user", limits(5));
    let max_user_connections = Some(1);
    let user_limits = UserLimits {
        max_user_connections,
    };
    desk.event(|pools, now, out| pools.set_user_limits("user", user_limits, now, out));
    desk.fill(one, 1);
    let always = PoolLimits {
        min_pool_size: 1,
        keep_minimum: KeepMinimum::Always,
        ..limits(5)
    };
    let two = desk.pool_of("two", "user", always);
    assert!(desk.heard().is_empty(), "a minimum evicts nobody");
    desk.ask(two, "ann");
    assert_eq!(
        desk.heard(),
        ["close 1: evicted for max_user_connections", "open"]
    );
    assert_eq!(desk.pools.user_connections("user"), 1);
}

#[test]
fn a_busy_pool_gives_a_connection_to_a_neighbour_that_has_none() {
    let mut desk = Desk::new();
    let max_db_connections = Some(1);
    desk.database(
        "db",
        DatabaseLimits {
            max_db_connections,
            ..DatabaseLimits::default()
        },
    );
    let busy = desk.pool_of("db", "busy", limits(5));
    let starved = desk.pool_of("db", "starved", limits(5));
    desk.ask(busy, "b1");
    desk.open();
    desk.ask(starved, "ann");
    desk.now += Duration::from_millis(1);
    desk.ask(busy, "b2");
    desk.ask(busy, "b3");
    desk.heard();
    desk.give_back(Verdict::Keep);
    assert_eq!(desk.heard(), ["b2 gets 1"], "not at once");
    desk.now += secs(1);
    desk.give_back(Verdict::Keep);
    assert_eq!(
        desk.heard(),
        ["close 1: evicted for max_db_connections", "open"]
    );
    desk.open();
    assert_eq!(desk.heard(), ["ann gets 2"]);
}

#[test]
fn a_connection_being_canceled_is_held_back_until_the_request_is_over() {
    let mut desk = Desk::new();
    let pool = desk.idle_pool(limits(1), 1);
    desk.ask(pool, "ann");
    let slot = desk.lent[0].slot;
    let first = desk.pools.cancel_started(slot).unwrap();
    let second = desk.pools.cancel_started(slot).unwrap();
    desk.ask(pool, "bob");
    desk.heard();
    desk.give_back(Verdict::Keep);
    assert!(desk.heard().is_empty());
    let row = desk.row(pool);
    assert_eq!(
        (row.sv_active_cancel, row.sv_being_canceled, row.sv_active),
        (2, 1, 0)
    );
    assert!(
        desk.pools.cancel_started(slot).is_none(),
        "not lent any more"
    );
    desk.event(|pools, now, out| pools.cancel_finished(first, now, out));
    assert!(desk.heard().is_empty(), "one is still under way");
    desk.event(|pools, now, out| pools.cancel_finished(second, now, out));
    assert_eq!(desk.heard(), ["bob gets 1"]);
}

#[test]
fn a_cancel_request_may_outlive_its_connection() {
    let mut desk = Desk::new();
    let pool = desk.idle_pool(limits(1), 1);
    desk.ask(pool, "ann");
    let ticket = desk.pools.cancel_started(desk.lent[0].slot).unwrap();
    desk.give_back(Verdict::Discard(Why::Crashed));
    desk.ask(pool, "bob");
    desk.open();
    desk.heard();
    desk.event(|pools, now, out| pools.cancel_finished(ticket, now, out));
    assert!(desk.heard().is_empty());
    assert_eq!(desk.row(pool).sv_active_cancel, 0);
}

#[test]
fn pause_drains_and_resume_serves_those_who_waited() {
    let mut desk = Desk::new();
    let pool = desk.idle_pool(limits(2), 2);
    desk.ask(pool, "ann");
    desk.heard();
    desk.event(|pools, now, out| pools.pause(Scope::All, now, out))
        .unwrap();
    assert_eq!(desk.heard(), ["close 1: pause mode"]);
    desk.ask(pool, "bob");
    assert!(!desk.pools.is_drained(Scope::All));
    desk.give_back(Verdict::Keep);
    assert_eq!(desk.heard(), ["close 2: pause mode", "drained"]);
    assert!(desk.pools.is_drained(Scope::All) && desk.pools.is_all_paused());
    let again = desk.event(|pools, now, out| pools.pause(Scope::All, now, out));
    assert_eq!(again, Err(CommandError::AlreadyPaused));
    desk.event(|pools, now, out| pools.resume(Scope::All, now, out))
        .unwrap();
    assert_eq!(desk.heard(), ["open"]);
    desk.open();
    assert_eq!(desk.heard(), ["bob gets 3"]);
    let again = desk.event(|pools, now, out| pools.resume(Scope::All, now, out));
    assert_eq!(again.unwrap_err().to_string(), "pooler is not paused");
}

#[test]
fn pausing_one_database_leaves_the_others_alone() {
    let mut desk = Desk::new();
    let one = desk.pool_of("one", "user", limits(1));
    let two = desk.pool_of("two", "user", limits(1));
    let scope = Scope::Database(desk.pools.find_database("one").unwrap());
    let early = desk.event(|pools, now, out| pools.resume(scope, now, out));
    assert_eq!(early.unwrap_err().to_string(), "database one is not paused");
    desk.event(|pools, now, out| pools.pause(scope, now, out))
        .unwrap();
    assert_eq!(desk.heard(), ["drained"], "at once: there was nothing");
    desk.ask(one, "ann");
    desk.ask(two, "bob");
    assert_eq!(desk.heard(), ["open"]);
    desk.open();
    assert_eq!(desk.heard(), ["bob gets 1"]);
    desk.event(|pools, now, out| pools.resume(scope, now, out))
        .unwrap();
    assert_eq!(desk.heard(), ["open"]);
}

#[test]
fn an_opening_that_ends_in_a_pause_is_closed() {
    let mut desk = Desk::new();
    let pool = desk.pool(limits(1));
    desk.ask(pool, "ann");
    desk.event(|pools, now, out| pools.pause(Scope::All, now, out))
        .unwrap();
    desk.heard();
    desk.open();
    assert_eq!(desk.heard(), ["close 1: pause mode", "drained"]);
    assert_eq!(desk.row(pool).cl_waiting, 1);
}

#[test]
fn reconnect_replaces_every_connection_and_tells_when_it_is_done() {
    let mut desk = Desk::new();
    let pool = desk.idle_pool(limits(3), 2);
    desk.ask(pool, "ann");
    desk.ask(pool, "bob");
    desk.ask(pool, "cid");
    desk.give_back(Verdict::Keep);
    desk.heard();
    assert!(desk.pools.is_renewed(Scope::All));
    desk.event(|pools, now, out| pools.reconnect(Scope::All, now, out));
    assert!(desk.heard().is_empty(), "two are lent, one is being opened");
    assert!(
        desk.lent
            .iter()
            .all(|lent| desk.pools.is_close_needed(lent.slot))
    );
    desk.give_back(Verdict::Keep);
    desk.give_back(Verdict::Keep);
    assert_eq!(
        desk.heard(),
        ["close 1: close_needed", "close 2: close_needed"]
    );
    assert!(!desk.pools.is_renewed(Scope::All));
    desk.open();
    assert_eq!(
        desk.heard(),
        ["close 3: close_needed", "renewed"],
        "opened under the old entry"
    );
    assert!(desk.pools.is_renewed(Scope::All));
    desk.ask(pool, "dan");
    desk.open();
    desk.give_back(Verdict::Keep);
    desk.heard();
    desk.event(|pools, now, out| pools.reconnect(Scope::All, now, out));
    assert_eq!(desk.heard(), ["close 4: database configuration changed"]);
}

#[test]
fn kill_refuses_waiters_and_lets_nothing_old_come_back() {
    let mut desk = Desk::new();
    let pool = desk.idle_pool(limits(2), 2);
    desk.ask(pool, "ann");
    desk.ask(pool, "bob");
    desk.ask(pool, "cid");
    desk.give_back(Verdict::Keep);
    desk.ask(pool, "dan");
    desk.heard();
    let id = desk.pools.find_database("db").unwrap();
    desk.event(|pools, now, out| pools.kill(id, now, out))
        .unwrap();
    assert_eq!(desk.heard(), ["dan: database removed"]);
    assert!(desk.pools.is_paused(id));
    desk.event(|pools, now, out| pools.resume(Scope::Database(id), now, out))
        .unwrap();
    desk.give_back(Verdict::Keep);
    assert_eq!(desk.heard(), ["close 1: close_needed"]);
}

#[test]
fn a_dropped_database_goes_with_its_last_connection_and_its_name_is_free_at_once() {
    let mut desk = Desk::new();
    let pool = desk.idle_pool(limits(1), 1);
    desk.ask(pool, "ann");
    desk.ask(pool, "bob");
    desk.heard();
    let id = desk.pools.find_database("db").unwrap();
    desk.event(|pools, now, out| pools.drop_database(id, now, out));
    assert_eq!(desk.heard(), ["bob: database removed", "dropped db"]);
    assert_eq!(desk.pools.find_pool(&PoolKey::new("db", "user")), None);
    let again = desk.pool(limits(1));
    assert_ne!(again, pool);
    desk.give_back(Verdict::Keep);
    assert_eq!(
        desk.heard(),
        ["close 1: database removed", "drained", "removed db/user"]
    );
    desk.ask(pool, "cid");
    assert_eq!(desk.heard(), ["cid: database removed"]);
    assert!(desk.pools.find_database("db").is_some_and(|new| new != id));
}

#[test]
fn disable_is_remembered_until_enable() {
    let mut desk = Desk::new();
    let id = desk.database("db", DatabaseLimits::default());
    desk.pools.disable(id).unwrap();
    assert!(desk.pools.is_disabled(id));
    desk.pools.enable(id).unwrap();
    assert!(!desk.pools.is_disabled(id));
    desk.event(|pools, now, out| pools.drop_database(id, now, out));
    assert_eq!(desk.pools.disable(id), Err(CommandError::NoSuchDatabase));
}

#[test]
fn stopping_refuses_waiters_now_and_later() {
    let mut desk = Desk::new();
    let pool = desk.idle_pool(limits(1), 1);
    desk.ask(pool, "ann");
    desk.ask(pool, "bob");
    desk.heard();
    desk.event(Pools::stop);
    assert_eq!(desk.heard(), ["bob: server shutting down"]);
    desk.ask(pool, "cid");
    assert_eq!(desk.heard(), ["cid: server shutting down"]);
    desk.give_back(Verdict::Keep);
    assert_eq!(desk.heard(), ["close 1: pause mode", "drained"]);
    let resumed = desk.event(|pools, now, out| pools.resume(Scope::All, now, out));
    assert_eq!(resumed, Err(CommandError::ShuttingDown));
}

#[test]
fn lowered_limits_close_idle_connections_now_and_lent_ones_on_return() {
    let mut desk = Desk::new();
    let pool = desk.idle_pool(limits(3), 3);
    desk.ask(pool, "ann");
    desk.ask(pool, "bob");
    desk.heard();
    desk.event(|pools, now, out| pools.set_pool_limits(pool, limits(1), now, out));
    assert_eq!(desk.heard(), ["close 1: too many servers in the pool"]);
    desk.give_back(Verdict::Keep);
    assert_eq!(desk.heard(), ["close 3: too many servers in the pool"]);
    desk.give_back(Verdict::Keep);
    assert!(desk.heard().is_empty());
    let id = desk.pools.find_database("db").unwrap();
    let none = DatabaseLimits {
        max_db_connections: Some(0),
        ..DatabaseLimits::default()
    };
    desk.event(|pools, now, out| pools.set_database_limits(id, none, now, out));
    assert_eq!(desk.heard(), ["close 2: evicted for max_db_connections"]);
}

#[test]
fn raised_limits_serve_waiters_at_once() {
    let mut desk = Desk::new();
    let pool = desk.pool(limits(0));
    desk.ask(pool, "ann");
    assert!(desk.heard().is_empty());
    desk.event(|pools, now, out| pools.set_pool_limits(pool, limits(1), now, out));
    assert_eq!(desk.heard(), ["open"]);
}

#[test]
fn an_empty_pool_is_removed_after_its_timeout_unless_a_client_belongs_to_it() {
    let mut desk = Desk::new();
    let short = PoolLimits {
        pool_idle_timeout: Some(secs(10)),
        ..limits(1)
    };
    let pool = desk.pool(short);
    desk.event(|pools, now, out| pools.join(pool, now, out));
    desk.pass(secs(20));
    assert!(desk.heard().is_empty());
    desk.event(|pools, now, out| pools.leave(pool, now, out));
    assert_eq!(desk.pools.next_tick(), Some(desk.now + secs(10)));
    desk.pass(secs(10));
    assert_eq!(desk.heard(), ["removed db/user"]);
    assert_eq!(desk.pools.key(pool), None);
    assert_eq!(desk.pools.user_connections("user"), 0);
}

#[test]
fn an_automatic_database_is_dropped_when_nobody_has_used_it() {
    let mut desk = Desk::new();
    let autodb_idle_timeout = Some(secs(3600));
    desk.database(
        "auto",
        DatabaseLimits {
            autodb_idle_timeout,
            ..DatabaseLimits::default()
        },
    );
    let pool = desk.pool_of("auto", "user", limits(1));
    desk.event(|pools, now, out| pools.join(pool, now, out));
    desk.fill(pool, 1);
    desk.pass(secs(4000));
    assert_eq!(
        desk.heard(),
        ["close 1: server idle timeout"],
        "its client is still there"
    );
    desk.event(|pools, now, out| pools.leave(pool, now, out));
    desk.pass(secs(3599));
    assert!(desk.heard().is_empty());
    desk.pass(secs(1));
    assert_eq!(desk.heard(), ["removed auto/user", "dropped auto"]);
    assert_eq!(desk.pools.find_database("auto"), None);
}

#[test]
fn rows_are_sorted_by_database_and_user() {
    let mut desk = Desk::new();
    for (database, user) in [("b", "y"), ("a", "z"), ("b", "x")] {
        desk.pool_of(database, user, limits(1));
    }
    let rows = desk.pools.snapshot(desk.now);
    let keys: Vec<_> = rows.iter().map(|row| row.key.to_string()).collect();
    assert_eq!(keys, ["a/z", "b/x", "b/y"]);
}

#[test]
fn a_refusal_of_a_vanished_pool_is_an_answer() {
    let mut desk = Desk::new();
    let pool = desk.pool(limits(1));
    let id = desk.pools.find_database("db").unwrap();
    desk.event(|pools, now, out| pools.drop_database(id, now, out));
    desk.heard();
    desk.ask(pool, "ann");
    assert_eq!(desk.heard(), [format!("ann: {}", Refusal::DatabaseRemoved)]);
    let joined = desk.event(|pools, now, out| pools.join(pool, now, out));
    assert!(!joined);
}

#[test]
fn while_there_is_no_primary_clients_wait_and_openings_are_tried_again_soon() {
    let mut desk = Desk::new();
    let pool = desk.pool(limits(1));
    let patient = Request {
        deadline: Some(desk.now + secs(1)),
        ..request()
    };
    desk.ask_as(pool, "ann", patient);
    desk.ask(pool, "bob");
    assert_eq!(desk.heard(), ["open"]);
    desk.fail(OpenFailure::NoPrimary);
    assert!(desk.heard().is_empty(), "nobody is refused");
    desk.ask(pool, "cid");
    assert!(desk.heard().is_empty(), "who comes later is not either");
    desk.pass(Duration::from_millis(100));
    assert_eq!(desk.heard(), ["open"], "long before server_login_retry");
    desk.fail(OpenFailure::NoPrimary);
    desk.pass(secs(1));
    assert_eq!(desk.heard(), ["ann: query_wait_timeout", "open"]);
    desk.open();
    assert_eq!(desk.heard(), ["bob gets 1"]);
}

#[test]
fn a_server_that_can_be_reached_again_is_not_waited_for() {
    let mut desk = Desk::new();
    let pool = desk.pool(limits(1));
    let login = Request {
        kind: WaiterKind::Login,
        ..request()
    };
    desk.ask_as(pool, "login", login);
    desk.heard();
    desk.fail(unreachable_server());
    assert!(desk.heard().is_empty());
    let database = desk.pools.find_database("db").unwrap();
    desk.event(|pools, now, out| pools.try_again(Scope::Database(database), now, out));
    assert_eq!(desk.heard(), ["open"]);
    desk.event(|pools, now, out| pools.try_again(Scope::All, now, out));
    assert!(desk.heard().is_empty(), "it is tried already");
    desk.open();
    assert_eq!(desk.heard(), ["login gets 1"]);
}
