//! The task that lets time pass in the pools.
//!
//! It sleeps until the time that the pools asked for, or until an event asks for an earlier one.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::Instant;

use super::action::Pooled;
use super::handle::{PoolHandle, clock};

/// Shortest time between two ticks: deadlines that come in a dense row are answered in batches,
/// so that an overloaded pool does not pay for one walk through its queue for each of them.
/// `PgBouncer`'s janitor runs every 333 ms.
pub const MIN_PAUSE: Duration = Duration::from_millis(10);

/// Runs for ever; one for the process, on any worker. Cancel-safe: dropping it stops it, and
/// another one may take over.
pub async fn run<C: Pooled>(handle: PoolHandle<C>) -> Infallible {
    loop {
        let ticked = Instant::now();
        let mut next = handle.with(|pools, out| pools.tick(clock(), out));
        while nap(&handle, ticked, next).await == Woken::ForEarlier {
            next = handle.with(|pools, _| pools.next_tick());
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Woken {
    InTime,
    ForEarlier,
}

/// Sleeps until `next`, or until an event announces an earlier time.
async fn nap<C: Pooled>(
    handle: &PoolHandle<C>,
    ticked: Instant,
    next: Option<std::time::Instant>,
) -> Woken {
    let until = next.map(|next| Instant::from_std(next).max(ticked + MIN_PAUSE));
    let sleep = async {
        match until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        // Both are cancel-safe: a wake-up that is not consumed stays a permit of the `Notify`.
        () = handle.earlier().notified() => Woken::ForEarlier,
        () = sleep => Woken::InTime,
    }
}
