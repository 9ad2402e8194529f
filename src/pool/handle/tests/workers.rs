//! Several workers on threads of their own share one pool: its limit holds, connections stay with
//! their worker, and nobody starves.
//!
//! The pool's clock goes on with the connections that come back, so that what is measured is who
//! overtakes whom, and not how the machine schedules threads.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use super::add_pool;
use crate::pool::action::{Pooled, Verdict};
use crate::pool::handle::{Opener, PendingOpen, PoolHandle, clock};
use crate::pool::key::{PoolId, WorkerId};
use crate::pool::limits::PoolLimits;
use crate::pool::mailbox::Waiting;
use crate::pool::pools::Request;
use crate::pool::reason::Why;
use crate::pool::waitlist::{PATIENCE, WaiterKind};
use crate::pool::{Lease, Mailbox};

const POOL_SIZE: u32 = 4;
/// Clients of each worker. The first one's only client is the one to fear for.
const CLIENTS: [usize; 3] = [1, 100, 50];
/// How often the lone client takes a connection.
const ROUNDS: usize = 500;
/// Connections that come back before it begins, so that the others are all in the queue.
const WARM_UP: usize = 1000;
/// The pool's time from one returned connection to the next.
const TICK: Duration = Duration::from_micros(100);

#[derive(Debug)]
struct Conn {
    home: WorkerId,
    created_at: Instant,
    is_lent: AtomicBool,
}

impl Pooled for Conn {
    fn home(&self) -> WorkerId {
        self.home
    }

    fn created_at(&self) -> Instant {
        self.created_at
    }
}

/// Opens at once, for the worker that asks.
struct Counting(Arc<AtomicU32>);

impl Opener<Conn> for Counting {
    fn open(&self, pending: PendingOpen<Conn>) {
        let opened = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        assert!(opened <= POOL_SIZE, "over the limit");
        let created_at = clock();
        let conn = Conn {
            home: pending.home().expect("only waiters ask"),
            created_at,
            is_lent: AtomicBool::new(false),
        };
        pending.opened(conn, created_at);
    }

    fn retire(&self, _: Conn, why: Why) {
        panic!("closed: {why}");
    }
}

/// What the clients of all workers know of each other.
struct World {
    handle: PoolHandle<Conn>,
    pool: PoolId,
    start: Instant,
    /// Connections that have come back: the pool's clock.
    returned: AtomicUsize,
    /// Connections that came from another worker.
    moved: AtomicUsize,
    over: AtomicBool,
}

impl World {
    fn now(&self) -> Instant {
        let ticks = self.returned.load(Ordering::Relaxed);
        self.start + TICK * u32::try_from(ticks).unwrap()
    }

    /// Uses a connection for a while, as the only one who has it.
    async fn enjoy(&self, mut lease: Lease<Conn>, worker: WorkerId, turns: usize) {
        let was_lent = lease.is_lent.swap(true, Ordering::Relaxed);
        assert!(!was_lent, "lent to two clients");
        if lease.home != worker {
            lease.home = worker;
            self.moved.fetch_add(1, Ordering::Relaxed);
        }
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        lease.is_lent.store(false, Ordering::Relaxed);
        self.returned.fetch_add(1, Ordering::Relaxed);
        lease.finish(Verdict::Keep, self.now());
    }
}

/// Wakes a task, and remembers how many connections had come back until then.
struct Bell {
    world: Arc<World>,
    task: Waker,
    rung_at: Mutex<Option<usize>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let returned = self.world.returned.load(Ordering::Relaxed);
        self.rung_at.lock().unwrap().get_or_insert(returned);
        self.task.wake_by_ref();
    }
}

/// One wait, and how many connections came back to the pool during it.
async fn wait(
    world: &Arc<World>,
    mailbox: &mut Mailbox<Conn>,
    worker: WorkerId,
) -> (Lease<Conn>, usize) {
    let request = Request {
        home: worker,
        kind: WaiterKind::Established,
        deadline: None,
    };
    let began = world.returned.load(Ordering::Relaxed);
    let mut acquire = mailbox.acquire(world.pool, &request, world.now());
    let task = poll_fn(|cx| std::task::Poll::Ready(cx.waker().clone())).await;
    let bell = Arc::new(Bell {
        world: Arc::clone(world),
        task,
        rung_at: Mutex::new(None),
    });
    let waker = Waker::from(Arc::clone(&bell));
    let answer = poll_fn(|_| acquire.poll_next(&mut Context::from_waker(&waker))).await;
    let Ok(Waiting::Lease(lease)) = answer else {
        panic!("nobody refuses, and no notice is due: {answer:?}");
    };
    let again = acquire.poll_next(&mut Context::from_waker(Waker::noop()));
    assert!(again.is_pending(), "answered once");
    let ended = bell.rung_at.lock().unwrap().unwrap_or(began);
    (lease, ended.saturating_sub(began))
}

/// One worker's thread: its clients ask again and again, until the lone one has had enough.
fn work(world: &Arc<World>, worker: WorkerId, clients: usize, done: &Sender<Vec<usize>>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let waits = runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..clients {
            let world = Arc::clone(world);
            tasks.spawn(async move {
                let mut mailbox = world.handle.mailbox();
                let mut waits = Vec::new();
                while clients == 1 && world.returned.load(Ordering::Relaxed) < WARM_UP {
                    tokio::task::yield_now().await;
                }
                while !world.over.load(Ordering::Relaxed) {
                    let (lease, others) = wait(&world, &mut mailbox, worker).await;
                    world.enjoy(lease, worker, 1 + number % 3).await;
                    waits.push(others);
                    if clients == 1 && waits.len() == ROUNDS {
                        world.over.store(true, Ordering::Relaxed);
                    }
                }
                waits
            });
        }
        tasks.join_all().await.concat()
    });
    done.send(waits).unwrap();
}

#[test]
fn workers_share_a_limit_and_keep_their_connections_and_nobody_starves() {
    let opened = Arc::new(AtomicU32::new(0));
    let handle = PoolHandle::new(Counting(Arc::clone(&opened)));
    let limits = PoolLimits {
        pool_size: POOL_SIZE,
        server_check_delay: None,
        query_wait_notify: None,
        ..PoolLimits::default()
    };
    let pool = add_pool(&handle, limits);
    let world = Arc::new(World {
        handle: handle.clone(),
        pool,
        start: clock(),
        returned: AtomicUsize::new(0),
        moved: AtomicUsize::new(0),
        over: AtomicBool::new(false),
    });
    let threads = CLIENTS.into_iter().zip(0..).map(|(clients, worker)| {
        let (world, (done, finished)) = (Arc::clone(&world), channel());
        std::thread::spawn(move || work(&world, WorkerId(worker), clients, &done));
        finished
    });
    let threads: Vec<_> = threads.collect();
    let results = threads.into_iter().map(|finished| {
        let waits = finished.recv_timeout(Duration::from_secs(60));
        waits.expect("a client hangs, or its worker has panicked")
    });
    let results: Vec<Vec<usize>> = results.collect();
    let row = handle.with(|pools, _| {
        pools.check_invariants(world.now());
        pools.snapshot(world.now()).remove(0)
    });
    assert_eq!((row.cl_waiting, row.sv_active), (0, 0));
    let returned = world.returned.load(Ordering::Relaxed);
    let leases: usize = results.iter().map(Vec::len).sum();
    assert_eq!(leases, returned, "each lease came back");
    assert_eq!(results[0].len(), ROUNDS);
    // Everybody may be before it once, and again whoever asks before its patience ends, and again
    // while the one move at a time is for another client. Twice that, since a thread may be stopped
    // between a decision and the wake-up.
    let patience = usize::try_from(PATIENCE.as_nanos() / TICK.as_nanos()).unwrap();
    let most = 2 * (CLIENTS.iter().sum::<usize>() + 2 * patience);
    let mut waits = results[0].clone();
    waits.sort_unstable();
    let usual = waits[ROUNDS / 2];
    assert!(usual <= most, "overtaken by {usual}, allowed are {most}");
    let moved = world.moved.load(Ordering::Relaxed);
    assert!(moved * 4 < returned, "{moved} of {returned} moved");
}
