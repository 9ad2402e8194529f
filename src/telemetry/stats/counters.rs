//! Sans-IO. Counters of one pool: a block for each worker, summed by whoever reads.
//!
//! Invariant: only its worker writes a block, so an increment is a plain load and store, with no
//! locked instruction and no cache line that two workers fight for. A reader sees each counter at
//! some moment, and never one that goes back.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::errors::{Errors, ErrorsRead};
use super::times::{ServerRole, Times, TimesRead};

/// What is counted: the columns of the console's `SHOW STATS`, in its order, and behind them what only
/// the metrics show. Times are in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Counter {
    /// Times that a server connection was given to a client.
    ServerAssignments,
    /// Transactions.
    Transactions,
    /// Queries: SQL commands of the simple protocol, pipelines up to `Sync` of the extended one.
    Queries,
    /// Bytes received from clients.
    BytesReceived,
    /// Bytes sent to clients.
    BytesSent,
    /// Time that clients spent in transactions, idle or not.
    TransactionTime,
    /// Time that servers spent on queries.
    QueryTime,
    /// Time that clients waited for a server.
    WaitTime,
    /// Named prepared statements that clients made.
    ClientParses,
    /// Named prepared statements that pgweir made on servers.
    ServerParses,
    /// Named prepared statements that were bound.
    Binds,
    /// Logins that succeeded.
    ClientLogins,
    /// Named prepared statements that clients made and nothing was sent for.
    LocalParses,
    /// Times that a named prepared statement was needed on a server that had it.
    StatementHits,
    /// Times that it had to be prepared there first.
    StatementMisses,
}

impl Counter {
    /// How many there are.
    pub const COUNT: usize = 15;

    /// All of them, in this order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::ServerAssignments,
        Self::Transactions,
        Self::Queries,
        Self::BytesReceived,
        Self::BytesSent,
        Self::TransactionTime,
        Self::QueryTime,
        Self::WaitTime,
        Self::ClientParses,
        Self::ServerParses,
        Self::Binds,
        Self::ClientLogins,
        Self::LocalParses,
        Self::StatementHits,
        Self::StatementMisses,
    ];

    fn index(self) -> usize {
        usize::from(self as u8)
    }
}

/// One value for each counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals([u64; Counter::COUNT]);

impl Totals {
    /// The value of `counter`.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0[counter.index()]
    }

    /// Sets the value of `counter`.
    pub fn set(&mut self, counter: Counter, value: u64) {
        self.0[counter.index()] = value;
    }

    /// Adds `other`, counter by counter.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = mine.saturating_add(theirs);
        }
    }

    /// How much `counter` has grown since `older`.
    pub fn growth(&self, older: &Self, counter: Counter) -> u64 {
        self.get(counter).saturating_sub(older.get(counter))
    }
}

/// The counters that one worker keeps for one pool. Aligned to two cache lines, since processors
/// fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Block {
    cells: [AtomicU64; Counter::COUNT],
    primary: Times,
    /// Only where reads are routed.
    replica: OnceLock<Box<Times>>,
    /// Only where there were some.
    errors: OnceLock<Box<Errors>>,
}

/// Counters of one pool.
#[derive(Debug)]
pub struct PoolStats {
    blocks: Box<[Arc<Block>]>,
}

impl PoolStats {
    /// Zeroed counters for `workers` workers (at least one).
    pub fn new(workers: usize) -> Self {
        Self {
            blocks: (0..workers.max(1)).map(|_| Arc::default()).collect(),
        }
    }

    /// The handle of a worker, numbered from 0. A worker takes only its own number: two threads
    /// with handles of one number would lose increments (and nothing worse).
    pub fn worker(&self, number: usize) -> WorkerStats {
        let block = &self.blocks[number % self.blocks.len()];
        WorkerStats {
            block: Arc::clone(block),
            one_thread: PhantomData,
        }
    }

    /// The times of all workers with servers of a role.
    pub fn times(&self, role: ServerRole) -> TimesRead {
        let mut sum = TimesRead::default();
        for block in &self.blocks {
            let times = match role {
                ServerRole::Primary => Some(&block.primary),
                ServerRole::Replica => block.replica.get().map(Box::as_ref),
            };
            if let Some(times) = times {
                sum.add(&times.read());
            }
        }
        sum
    }

    /// The errors of all workers.
    pub fn errors(&self) -> ErrorsRead {
        let mut sum = ErrorsRead::default();
        for errors in self.blocks.iter().filter_map(|block| block.errors.get()) {
            errors.add_to(&mut sum);
        }
        sum
    }

    /// Sum over all workers.
    pub fn sum(&self) -> Totals {
        let mut totals = Totals::default();
        for block in &self.blocks {
            for (total, cell) in totals.0.iter_mut().zip(&block.cells) {
                *total = total.saturating_add(cell.load(Ordering::Relaxed));
            }
        }
        totals
    }
}

/// One worker's handle to the counters of one pool. Not `Sync`: it stays on one thread.
#[derive(Debug, Clone)]
pub struct WorkerStats {
    block: Arc<Block>,
    one_thread: PhantomData<Cell<()>>,
}

impl WorkerStats {
    /// Adds `amount` to `counter`.
    pub fn add(&self, counter: Counter, amount: u64) {
        let cell = &self.block.cells[counter.index()];
        // Single writer, so load and store cannot lose another increment.
        cell.store(
            cell.load(Ordering::Relaxed).wrapping_add(amount),
            Ordering::Relaxed,
        );
    }

    /// Where errors are counted.
    pub fn errors(&self) -> &Errors {
        self.block.errors.get_or_init(Box::default)
    }

    /// Where times with servers of a role are recorded.
    pub fn times(&self, role: ServerRole) -> &Times {
        match role {
            ServerRole::Primary => &self.block.primary,
            ServerRole::Replica => self.block.replica.get_or_init(Box::default),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_at_its_place_in_the_console_order() {
        for (place, counter) in Counter::ALL.into_iter().enumerate() {
            assert_eq!(counter.index(), place);
        }
    }

    #[test]
    fn the_sum_has_what_every_worker_added_from_its_own_thread() {
        let stats = PoolStats::new(4);
        std::thread::scope(|scope| {
            for number in 0..4 {
                let mine = stats.worker(number);
                scope.spawn(move || {
                    for _ in 0..10_000 {
                        mine.add(Counter::Queries, 1);
                        mine.add(Counter::BytesSent, 3);
                    }
                });
            }
        });
        let sum = stats.sum();
        assert_eq!(sum.get(Counter::Queries), 40_000);
        assert_eq!(sum.get(Counter::BytesSent), 120_000);
        assert_eq!(sum.get(Counter::WaitTime), 0);
    }

    #[test]
    fn the_blocks_of_two_workers_share_no_cache_line() {
        assert!(align_of::<Block>() >= 128);
        assert_eq!(size_of::<Block>() % 128, 0);
    }
}
