//! The shell: giving up anywhere loses nothing, and no wake-up is lost between threads.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use crate::pool::action::{Actions, Pooled, Verdict};
use crate::pool::handle::{Opener, PendingOpen, PoolHandle, clock};
use crate::pool::janitor;
use crate::pool::key::{PoolId, Scope, WorkerId};
use crate::pool::limits::{DatabaseLimits, PoolLimits, UserLimits};
use crate::pool::mailbox::{Acquire, Mailbox, Waiting};
use crate::pool::pools::{PoolSnapshot, Request};
use crate::pool::reason::{OpenFailure, Refusal, Why};
use crate::pool::waitlist::WaiterKind;
use crate::pool::{Lease, Removed};

#[derive(Debug, PartialEq, Eq)]
struct Conn {
    name: u32,
    created_at: Instant,
}

impl Pooled for Conn {
    fn home(&self) -> WorkerId {
        WorkerId(0)
    }

    fn created_at(&self) -> Instant {
        self.created_at
    }
}

/// What the opener was asked for.
#[derive(Default)]
struct Log {
    pending: Mutex<Vec<PendingOpen<Conn>>>,
    retired: Mutex<Vec<(u32, Why)>>,
    removed: Mutex<Vec<Removed>>,
    next: AtomicU32,
}

impl Log {
    fn open_one(&self) {
        let pending = self.pending.lock().unwrap().remove(0);
        let name = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let created_at = clock();
        pending.opened(Conn { name, created_at }, created_at);
    }

    fn pending(&self) -> usize {
        self.pending.lock().unwrap().len()
    }

    fn retired(&self) -> Vec<(u32, Why)> {
        std::mem::take(&mut *self.retired.lock().unwrap())
    }
}

struct Recorder(Arc<Log>);

impl Opener<Conn> for Recorder {
    fn open(&self, pending: PendingOpen<Conn>) {
        self.0.pending.lock().unwrap().push(pending);
    }

    fn retire(&self, conn: Conn, why: Why) {
        self.0.retired.lock().unwrap().push((conn.name, why));
    }

    fn removed(&self, removed: Removed) {
        self.0.removed.lock().unwrap().push(removed);
    }
}

/// Opens at once, on the caller's stack.
struct Instantly(Arc<Log>);

impl Opener<Conn> for Instantly {
    fn open(&self, pending: PendingOpen<Conn>) {
        self.0.pending.lock().unwrap().push(pending);
        self.0.open_one();
    }

    fn retire(&self, conn: Conn, why: Why) {
        self.0.retired.lock().unwrap().push((conn.name, why));
    }
}

fn add_pool(handle: &PoolHandle<Conn>, limits: PoolLimits) -> PoolId {
    let name = "db".into();
    handle.with(|pools, out| {
        let database = pools.add_database(&name, DatabaseLimits::default(), clock(), out);
        let limits = (limits, UserLimits::default());
        pools
            .add_pool((database, &"user".into()), limits, clock(), out)
            .unwrap()
    })
}

fn pool_of(size: u32) -> (PoolHandle<Conn>, Arc<Log>, PoolId) {
    let log = Arc::new(Log::default());
    let handle = PoolHandle::new(Recorder(Arc::clone(&log)));
    let limits = PoolLimits {
        pool_size: size,
        connect_parallelism: size,
        ..PoolLimits::default()
    };
    let pool = add_pool(&handle, limits);
    (handle, log, pool)
}

fn request() -> Request {
    Request {
        home: WorkerId(0),
        kind: WaiterKind::Established,
        deadline: None,
    }
}

fn row(handle: &PoolHandle<Conn>) -> PoolSnapshot {
    handle.with(|pools, _| {
        pools.check_invariants(clock());
        pools.snapshot(clock()).remove(0)
    })
}

/// Counts wake-ups.
#[derive(Default)]
struct Alarm(AtomicUsize);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll(
    acquire: &mut Acquire<'_, Conn>,
    alarm: &Arc<Alarm>,
) -> Poll<Result<Waiting<Conn>, Refusal>> {
    let waker = Waker::from(Arc::clone(alarm));
    acquire.poll_next(&mut Context::from_waker(&waker))
}

fn lease(polled: Poll<Result<Waiting<Conn>, Refusal>>) -> Lease<Conn> {
    match polled {
        Poll::Ready(Ok(Waiting::Lease(lease))) => lease,
        other => panic!("expected a lease, got {other:?}"),
    }
}

fn take(mailbox: &mut Mailbox<Conn>, pool: PoolId) -> Lease<Conn> {
    let mut acquire = mailbox.acquire(pool, &request(), clock());
    lease(poll(&mut acquire, &Arc::default()))
}

#[test]
fn a_mailbox_serves_wait_after_wait_and_wakes_each_once() {
    let (handle, log, pool) = pool_of(1);
    let (mut ann, mut bob) = (handle.mailbox(), handle.mailbox());
    let mut first = ann.acquire(pool, &request(), clock());
    let alarm = Arc::new(Alarm::default());
    assert!(poll(&mut first, &alarm).is_pending());
    log.open_one();
    let mut held = lease(poll(&mut first, &alarm));
    assert_eq!((held.name, alarm.0.load(Ordering::Relaxed)), (1, 1));
    drop(first);
    for round in 0..5 {
        let alarm = Arc::new(Alarm::default());
        let mailbox = if round % 2 == 0 { &mut bob } else { &mut ann };
        let mut next = mailbox.acquire(pool, &request(), clock());
        assert!(poll(&mut next, &alarm).is_pending());
        held.finish(Verdict::Keep, clock());
        assert_eq!(alarm.0.load(Ordering::Relaxed), 1, "round {round}");
        held = lease(poll(&mut next, &alarm));
        assert!(poll(&mut next, &alarm).is_pending(), "answered once");
    }
    held.finish(Verdict::Keep, clock());
    assert_eq!(row(&handle).sv_idle, 1);
}

#[test]
fn dropping_a_wait_leaves_the_queue() {
    let (handle, log, pool) = pool_of(1);
    let (mut ann, mut bob) = (handle.mailbox(), handle.mailbox());
    let mut first = ann.acquire(pool, &request(), clock());
    assert!(poll(&mut first, &Arc::default()).is_pending());
    let mut second = bob.acquire(pool, &request(), clock());
    assert_eq!(row(&handle).cl_waiting, 2);
    drop(first);
    assert_eq!(row(&handle).cl_waiting, 1);
    log.open_one();
    assert_eq!(lease(poll(&mut second, &Arc::default())).name, 1);
}

#[test]
fn dropping_an_answered_wait_gives_the_connection_back_untouched() {
    let (handle, log, pool) = pool_of(1);
    let (mut ann, mut bob) = (handle.mailbox(), handle.mailbox());
    let first = ann.acquire(pool, &request(), clock());
    let mut second = bob.acquire(pool, &request(), clock());
    log.open_one();
    drop(first);
    let held = lease(poll(&mut second, &Arc::default()));
    held.finish(Verdict::Keep, clock());
    let ready = ann.acquire(pool, &request(), clock());
    assert_eq!(row(&handle).sv_active, 1);
    drop(ready);
    assert_eq!(row(&handle).sv_idle, 1);
    assert!(log.retired().is_empty(), "nobody closed it");
}

#[test]
fn an_answer_that_meets_an_abandoned_wait_goes_to_the_next_waiter() {
    let (handle, log, pool) = pool_of(1);
    let (mut ann, mut bob) = (handle.mailbox(), handle.mailbox());
    let wait = ann.acquire(pool, &request(), clock());
    log.open_one();
    drop(wait);
    let mut held = take(&mut ann, pool);
    let lent = held.lent_for_test();
    let first = ann.acquire(pool, &request(), clock());
    // Decided under the lock, not yet delivered: here the client leaves, and another comes.
    let mut out = Actions::new();
    handle.locked(|pools| {
        pools.checkin(lent.slot, lent.conn, Verdict::Keep, clock(), &mut out);
    });
    drop(first);
    let mut again = ann.acquire(pool, &request(), clock());
    let mut second = bob.acquire(pool, &request(), clock());
    handle.carry_out(out);
    let held = lease(poll(&mut again, &Arc::default()));
    assert!(poll(&mut second, &Arc::default()).is_pending());
    held.finish(Verdict::Keep, clock());
    lease(poll(&mut second, &Arc::default())).finish(Verdict::Keep, clock());
    assert_eq!(row(&handle).sv_idle, 1);
}

#[test]
fn a_lease_without_a_verdict_closes_its_connection() {
    let (handle, log, pool) = pool_of(1);
    let mut ann = handle.mailbox();
    let mut wait = ann.acquire(pool, &request(), clock());
    log.open_one();
    drop(lease(poll(&mut wait, &Arc::default())));
    assert_eq!(log.retired(), [(1, Why::LeaseDropped)]);
    let row = row(&handle);
    assert_eq!((row.sv_active, row.sv_idle), (0, 0));
}

#[test]
fn only_what_was_idle_is_ready_at_once() {
    let (handle, log, pool) = pool_of(1);
    let mut ann = handle.mailbox();
    let mut wait = ann.acquire(pool, &request(), clock());
    assert!(wait.take_ready().is_none());
    log.open_one();
    assert!(wait.take_ready().is_none(), "it is in the mailbox");
    drop(wait);
    let mut wait = ann.acquire(pool, &request(), clock());
    let held = wait.take_ready().unwrap();
    assert!(wait.take_ready().is_none());
    drop(wait);
    assert!(!held.is_close_needed());
    handle.with(|pools, out| pools.reconnect(Scope::All, clock(), out));
    assert!(held.is_close_needed());
    held.finish(Verdict::Keep, clock());
    assert_eq!(log.retired(), [(1, Why::CloseNeeded)]);
}

#[test]
fn an_abandoned_opening_counts_as_a_failure() {
    let (handle, log, pool) = pool_of(1);
    let mut ann = handle.mailbox();
    let mut wait = ann.acquire(pool, &request(), clock());
    let pending = log.pending.lock().unwrap().remove(0);
    assert_eq!(pending.pool(), Some(pool));
    drop(pending);
    let expected = OpenFailure::Unreachable("connect failed".into()).cached();
    match poll(&mut wait, &Arc::default()) {
        Poll::Ready(Err(refusal)) => assert_eq!(refusal, expected),
        other => panic!("expected a refusal, got {other:?}"),
    }
    assert_eq!(row(&handle).sv_login, 0);
}

#[test]
fn a_cancel_guard_holds_the_connection_back_and_membership_counts() {
    let (handle, log, pool) = pool_of(1);
    let member = handle.join(pool, clock()).unwrap();
    let (mut ann, mut bob) = (handle.mailbox(), handle.mailbox());
    let wait = ann.acquire(pool, &request(), clock());
    log.open_one();
    drop(wait);
    let held = take(&mut ann, pool);
    let slot = held.slot();
    let guard = handle.cancel(slot).unwrap();
    held.finish(Verdict::Keep, clock());
    assert!(handle.cancel(slot).is_none());
    let mut second = bob.acquire(pool, &request(), clock());
    assert!(poll(&mut second, &Arc::default()).is_pending());
    drop(guard);
    assert_eq!(lease(poll(&mut second, &Arc::default())).name, 1);
    drop(second);
    drop(member);
    let id = handle.with(|pools, _| pools.find_database("db").unwrap());
    handle.with(|pools, out| pools.drop_database(id, clock(), out));
    assert!(handle.join(pool, clock()).is_none());
    assert_eq!(log.removed.lock().unwrap().len(), 2, "pool and database");
}

#[tokio::test(start_paused = true)]
async fn the_janitor_notices_refuses_and_closes_in_time() {
    let (handle, log, pool) = pool_of(1);
    let janitor = tokio::spawn(janitor::run(handle.clone()));
    tokio::task::yield_now().await; // The janitor sleeps without a deadline now.
    let (mut ann, mut bob) = (handle.mailbox(), handle.mailbox());
    let start = tokio::time::Instant::now();
    let mut first = ann.acquire(pool, &request(), clock());
    log.open_one();
    let Ok(Waiting::Lease(held)) = first.next().await else {
        panic!("a connection is there")
    };
    drop(first);
    let deadline = Some(clock() + Duration::from_secs(120));
    let limited = Request {
        deadline,
        ..request()
    };
    let mut second = bob.acquire(pool, &limited, clock());
    assert!(matches!(second.next().await, Ok(Waiting::Notice)));
    assert_eq!(start.elapsed().as_secs(), 5);
    assert_eq!(second.next().await.unwrap_err(), Refusal::QueryWaitTimeout);
    assert_eq!(start.elapsed().as_secs(), 120);
    held.finish(Verdict::Keep, clock());
    tokio::time::sleep(Duration::from_secs(599)).await;
    assert!(log.retired().is_empty());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(log.retired(), [(1, Why::IdleTimeout)]);
    janitor.abort();
}

#[tokio::test(start_paused = true)]
async fn drained_and_renewed_return_when_the_last_connection_is_gone() {
    let (handle, log, pool) = pool_of(1);
    let mut ann = handle.mailbox();
    let wait = ann.acquire(pool, &request(), clock());
    log.open_one();
    drop(wait);
    handle.renewed(Scope::All).await; // Nothing to renew: returns at once.
    let held = take(&mut ann, pool);
    handle.with(|pools, out| {
        pools.reconnect(Scope::All, clock(), out);
        pools.pause(Scope::All, clock(), out).unwrap();
    });
    let both = async {
        handle.drained(Scope::All).await;
        handle.renewed(Scope::All).await;
    };
    let mut both = std::pin::pin!(both);
    let early = tokio::time::timeout(Duration::from_secs(9), both.as_mut()).await;
    assert!(early.is_err(), "a connection is still lent");
    held.finish(Verdict::Keep, clock());
    tokio::time::timeout(Duration::from_secs(9), both)
        .await
        .unwrap();
    assert_eq!(log.retired().len(), 1);
}

/// Four clients on two threads share one connection; half of the waits are given up, many of
/// them while the answer is on its way from the other thread. Any lost wake-up or connection
/// makes this hang, so it has a deadline.
#[test]
fn nothing_is_lost_between_threads() {
    const ROUNDS: usize = 3000;
    let log = Arc::new(Log::default());
    let handle = PoolHandle::new(Instantly(Arc::clone(&log)));
    let limits = PoolLimits {
        pool_size: 1,
        ..PoolLimits::default()
    };
    let pool = add_pool(&handle, limits);
    let (done, finished) = std::sync::mpsc::channel();
    for _ in 0..2 {
        let (handle, done) = (handle.clone(), done.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            let served = runtime.block_on(async {
                let one = client(handle.mailbox(), pool, ROUNDS, 2);
                let two = client(handle.mailbox(), pool, ROUNDS, 3);
                let (one, two) = tokio::join!(one, two);
                one + two
            });
            done.send(served).unwrap();
        });
    }
    for _ in 0..2 {
        let served = finished.recv_timeout(Duration::from_secs(60));
        assert!(served.expect("a client hangs") >= ROUNDS);
    }
    let row = row(&handle);
    assert_eq!((row.cl_waiting, row.sv_active, row.sv_idle), (0, 0, 1));
    assert!(log.retired().is_empty(), "every connection survived");
}

/// Takes a lease in every round; every `impatient`th wait is given up after one look.
async fn client(
    mut mailbox: Mailbox<Conn>,
    pool: PoolId,
    rounds: usize,
    impatient: usize,
) -> usize {
    let mut served = 0;
    for round in 0..rounds {
        let mut wait = mailbox.acquire(pool, &request(), clock());
        if round % impatient == 0 {
            let alarm = Arc::default();
            tokio::task::yield_now().await;
            if let Poll::Ready(Ok(Waiting::Lease(lease))) = poll(&mut wait, &alarm) {
                lease.finish(Verdict::Keep, clock());
            }
            continue;
        }
        let lease = loop {
            match wait.next().await.expect("nobody refuses") {
                Waiting::Lease(lease) => break lease,
                Waiting::Notice => {}
            }
        };
        served += 1;
        tokio::task::yield_now().await;
        lease.finish(Verdict::Keep, clock());
    }
    served
}
