//! Sans-IO. How long things took, by size: histograms that a worker owns.
//!
//! A bound is twice the one before, so the bucket of a time is the place of its highest bit. As the
//! counters: only its worker writes a histogram, with plain loads and stores.

use std::sync::atomic::{AtomicU64, Ordering};

/// The first bound is two to this power, in microseconds: 64 µs.
const FIRST: u32 = 6;

/// Number of bounds; the last one is 67 seconds.
const BOUNDS: usize = 21;

/// Buckets: one up to each bound, and one above the last.
const BUCKETS: usize = BOUNDS + 1;

/// The bucket of a time.
fn bucket(micros: u64) -> usize {
    // The smallest power of two that is not less than the time.
    let power = u64::BITS - micros.saturating_sub(1).leading_zeros();
    (power.saturating_sub(FIRST) as usize).min(BOUNDS)
}

fn grow(cell: &AtomicU64, by: u64) {
    // Single writer, so load and store cannot lose another increment.
    cell.store(
        cell.load(Ordering::Relaxed).wrapping_add(by),
        Ordering::Relaxed,
    );
}

/// One histogram of one worker.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

impl Histogram {
    /// Something took so long.
    pub fn record(&self, micros: u64) {
        if let Some(cell) = self.buckets.get(bucket(micros)) {
            grow(cell, 1);
        }
        grow(&self.sum_us, micros);
    }

    /// What is in it.
    pub fn read(&self) -> Distribution {
        let mut read = Distribution::default();
        for (count, cell) in read.counts.iter_mut().zip(&self.buckets) {
            *count = cell.load(Ordering::Relaxed);
        }
        read.sum_us = self.sum_us.load(Ordering::Relaxed);
        read
    }
}

/// What one or more histograms held at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Distribution {
    counts: [u64; BUCKETS],
    /// Sum of all times.
    pub sum_us: u64,
}

impl Distribution {
    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine = mine.saturating_add(theirs);
        }
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
    }

    /// How many times there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// For each bound, in microseconds: how many times were at most that long.
    pub fn up_to(&self) -> impl Iterator<Item = (u64, u64)> {
        let bounds = (FIRST..).map(|power| 1_u64 << power);
        let counts = self.counts.iter().take(BOUNDS).scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        bounds.zip(counts)
    }
}

/// Which kind of server a client was with or waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServerRole {
    /// The primary, or the only one.
    Primary,
    /// A replica that a read was sent to.
    Replica,
}

impl ServerRole {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Primary, Self::Replica];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
        }
    }
}

/// The times of one worker's clients of one pool with servers of one role.
#[derive(Debug, Default)]
pub struct Times {
    /// Waits for a server, also those of no length.
    pub waits: Histogram,
    /// Transactions of one query, which took as long as it: most of them.
    pub single: Histogram,
    /// Other queries.
    pub queries: Histogram,
    /// Other transactions.
    pub transactions: Histogram,
}

/// What [`Times`] of several workers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimesRead {
    /// Waits for a server.
    pub waits: Distribution,
    /// Queries: all that a server worked off without a pause.
    pub queries: Distribution,
    /// Transactions.
    pub transactions: Distribution,
}

impl Times {
    /// What is in them.
    pub fn read(&self) -> TimesRead {
        let single = self.single.read();
        let mut read = TimesRead {
            waits: self.waits.read(),
            queries: self.queries.read(),
            transactions: self.transactions.read(),
        };
        read.queries.add(&single);
        read.transactions.add(&single);
        read
    }
}

impl TimesRead {
    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        self.waits.add(&other.waits);
        self.queries.add(&other.queries);
        self.transactions.add(&other.transactions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_first_bucket_whose_bound_is_not_less() {
        for (micros, expected) in [
            (0, 64),
            (1, 64),
            (64, 64),
            (65, 128),
            (128, 128),
            (129, 256),
            (1_000, 1_024),
            (1_024, 1_024),
            (1_025, 2_048),
            (67_108_864, 67_108_864),
        ] {
            let histogram = Histogram::default();
            histogram.record(micros);
            let read = histogram.read();
            let first = read.up_to().find(|(_, count)| *count == 1);
            assert_eq!(first.map(|(bound, _)| bound), Some(expected), "{micros}");
            assert_eq!((read.count(), read.sum_us), (1, micros));
        }
    }

    #[test]
    fn what_is_longer_than_all_bounds_is_counted_and_in_no_bound() {
        let histogram = Histogram::default();
        histogram.record(67_108_865);
        histogram.record(u64::MAX);
        let read = histogram.read();
        assert_eq!(read.up_to().count(), BOUNDS);
        assert!(read.up_to().all(|(_, count)| count == 0));
        assert_eq!(read.count(), 2);
    }

    #[test]
    fn a_transaction_of_one_query_is_both() {
        let times = Times::default();
        times.single.record(100);
        times.queries.record(200);
        times.transactions.record(5_000);
        let read = times.read();
        assert_eq!((read.queries.count(), read.queries.sum_us), (2, 300));
        assert_eq!(
            (read.transactions.count(), read.transactions.sum_us),
            (2, 5_100)
        );
        assert_eq!(read.waits.count(), 0);
    }
}
