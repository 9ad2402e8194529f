//! Watches idle server connections, so that one that dies is closed at once and not found dead.
//!
//! Each worker has one watch: a task whose waker stays with every idle connection of that worker.
//! Costs nothing until a server says something.

use std::future::poll_fn;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use super::{Pooler, Server};
use crate::pool::WorkerId;
use crate::server::conn::Fitness;

/// The wakers of all workers' watches.
#[derive(Debug)]
pub struct Watches {
    wakers: Box<[OnceLock<Waker>]>,
}

impl Watches {
    /// Places for so many workers.
    pub fn new(workers: usize) -> Self {
        Self {
            wakers: (0..workers).map(|_| OnceLock::new()).collect(),
        }
    }

    fn place(&self, worker: WorkerId) -> Option<&OnceLock<Waker>> {
        self.wakers.get(usize::from(worker.0))
    }

    /// Hears what a connection's server has said so far, and has the worker's watch hear the rest.
    pub fn hear(&self, worker: WorkerId, conn: &mut Server) -> Fitness {
        let waker = self
            .place(worker)
            .and_then(OnceLock::get)
            .unwrap_or(Waker::noop());
        conn.hear(&mut Context::from_waker(waker))
    }
}

/// One worker's watch. Runs for ever.
pub async fn watch(pooler: Arc<Pooler>, worker: WorkerId) {
    poll_fn(|cx| {
        if let Some(place) = pooler.watches.place(worker) {
            place.get_or_init(|| cx.waker().clone()); // a task's waker stays the same
        }
        let now = Instant::now().into_std();
        pooler.pools.with(|pools, out| {
            let unfit = |conn: &mut Server| conn.home == worker && conn.hear(cx) == Fitness::Unfit;
            pools.close_unfit(unfit, now, out);
        });
        Poll::<()>::Pending
    })
    .await;
}
