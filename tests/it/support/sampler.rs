//! Counts server connections again and again while a test runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::fixture::Fixture;
use super::wait::pause;

/// A thread that looks at `pg_stat_activity`.
#[derive(Debug)]
pub struct Sampler {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u32>,
}

impl Sampler {
    /// Counts the connections for which `condition` holds, over a connection of its own.
    pub fn start(condition: &str) -> Self {
        let sql = format!("select count(*) from pg_stat_activity where {condition}");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let mut server = Fixture::get().superuser("postgres");
        let thread = std::thread::spawn(move || {
            let mut highest = 0;
            while !stopped.load(Ordering::Relaxed) {
                highest = highest.max(server.value(&sql).parse().unwrap());
                pause();
            }
            highest
        });
        Self { stop, thread }
    }

    /// Stops counting, and gives the highest count.
    pub fn finish(self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
