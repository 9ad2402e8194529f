//! How long does a client need to get a server connection of the pool, and to give it back?

mod measure;

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use measure::measure;
use pgweir::pool::{
    DatabaseLimits, Lease, Mailbox, Opener, PendingOpen, PoolHandle, PoolId, PoolLimits, Pooled,
    Request, UserLimits, Verdict, WaiterKind, Waiting, Why, WorkerId,
};

/// A connection without a socket.
#[derive(Debug)]
struct Conn {
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

/// Opens at once.
struct Instantly;

impl Opener<Conn> for Instantly {
    fn open(&self, pending: PendingOpen<Conn>) {
        let created_at = now();
        pending.opened(Conn { created_at }, created_at);
    }

    fn retire(&self, _: Conn, _: Why) {}
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn pool_of(size: u32) -> (PoolHandle<Conn>, PoolId) {
    let handle = PoolHandle::new(Instantly);
    let limits = PoolLimits {
        pool_size: size,
        connect_parallelism: size,
        ..PoolLimits::default()
    };
    let pool = handle.with(|pools, out| {
        let database = pools.add_database(&"db".into(), DatabaseLimits::default(), now(), out);
        let limits = (limits, UserLimits::default());
        pools.add_pool((database, &"user".into()), limits, now(), out)
    });
    (handle, pool.expect("the database is new"))
}

const REQUEST: Request = Request {
    home: WorkerId(0),
    kind: WaiterKind::Established,
    deadline: None,
};

/// The connection that must be there now.
fn lease(mailbox: &mut Mailbox<Conn>, pool: PoolId, at: Instant) -> Lease<Conn> {
    let mut waiting = mailbox.acquire(pool, &REQUEST, at);
    if let Some(lease) = waiting.take_ready() {
        return lease;
    }
    match waiting.poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(Waiting::Lease(lease))) => lease,
        other => unreachable!("the pool has a connection, not {other:?}"),
    }
}

fn main() {
    let at = now();
    let (handle, pool) = pool_of(20);
    let mut mailbox = handle.mailbox();
    measure("an idle connection, and back", 0, || {
        lease(&mut mailbox, pool, at).finish(Verdict::Keep, at);
    });

    let mut crowd: Vec<_> = (0..20).map(|_| handle.mailbox()).collect();
    measure("20 connections taken, then 20 given back", 0, || {
        let leases: Vec<_> = crowd
            .iter_mut()
            .map(|mailbox| lease(mailbox, pool, at))
            .collect();
        for lease in leases {
            lease.finish(Verdict::Keep, at);
        }
    });

    let (handle, pool) = pool_of(1);
    let (mut one, mut other) = (handle.mailbox(), handle.mailbox());
    let mut held = Some(lease(&mut one, pool, at));
    measure("handed to a waiter, twice", 0, || {
        for mailbox in [&mut other, &mut one] {
            let mut context = Context::from_waker(Waker::noop());
            let mut waiting = mailbox.acquire(pool, &REQUEST, at);
            assert!(waiting.poll_next(&mut context).is_pending());
            held.take()
                .into_iter()
                .for_each(|lease| lease.finish(Verdict::Keep, at));
            if let Poll::Ready(Ok(Waiting::Lease(lease))) = waiting.poll_next(&mut context) {
                held = Some(lease);
            }
        }
        assert!(held.is_some());
    });

    let (handle, pool) = pool_of(20);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut mailbox = handle.mailbox();
            while !stop.load(Ordering::Relaxed) {
                lease(&mut mailbox, pool, at).finish(Verdict::Keep, at);
            }
        });
        let mut mailbox = handle.mailbox();
        measure("an idle connection, and back; two threads", 0, || {
            lease(&mut mailbox, pool, at).finish(Verdict::Keep, at);
        });
        stop.store(true, Ordering::Relaxed);
    });
}
