//! Accepts connections and gives each to the worker with the fewest.

use std::sync::Arc;

use tokio::time::sleep;

use super::worker::Worker;
use crate::net::Incoming;
use crate::net::listener::{AcceptStop, EXHAUSTED_PAUSE, Listener};
use crate::telemetry::events;

/// Connections accepted for one wake-up at most.
const BATCH: usize = 64;

/// The worker that accepts for all: what it keeps for itself needs no other thread to wake up.
pub const PORTER: usize = 0;

/// Accepts until the listener breaks. Runs on the [`PORTER`]. Cancel-safe: dropping it closes the listener.
pub async fn accept(listener: Listener, workers: Arc<[Worker]>) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let stopped = listener.accept(&mut batch, BATCH).await;
        for incoming in batch.drain(..) {
            distribute(incoming, &workers);
        }
        match stopped {
            Ok(()) => {}
            Err(AcceptStop::Exhausted(error)) => {
                events::internal_error("accept", &error);
                sleep(EXHAUSTED_PAUSE).await;
            }
            Err(AcceptStop::Broken(error)) => {
                events::internal_error("accept", &error);
                return;
            }
        }
    }
}

fn distribute(mut incoming: Incoming, workers: &[Worker]) {
    let numbered = || workers.iter().enumerate();
    let Some((first, _)) = numbered().min_by_key(|(_, worker)| worker.load()) else {
        return;
    };
    // The others follow for the case that its queue is full.
    let others = numbered().filter(|(number, _)| *number != first);
    for (number, worker) in numbered().skip(first).take(1).chain(others) {
        if number == PORTER {
            return worker.keep(incoming);
        }
        match incoming.loose() {
            Ok(loose) => incoming = loose,
            Err(error) => return events::internal_error("accept", &error),
        }
        match worker.give(incoming) {
            Ok(()) => return,
            Err(refused) => incoming = refused,
        }
    }
}
