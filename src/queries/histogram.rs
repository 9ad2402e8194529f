//! Sans-IO. How often times were how long, in four parts of each doubling.

use std::fmt;

/// Parts of a doubling, as a power of two.
const PART_BITS: u32 = 2;

/// Buckets: the last one begins after two hours, and takes what is longer.
const BUCKETS: usize = 128;

/// Times in microseconds. A percentile is right within a quarter of its value.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: [u32; BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: [0; BUCKETS],
        }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filled = self.counts.iter().enumerate().filter(|(_, n)| **n > 0);
        f.debug_map().entries(filled).finish()
    }
}

/// The bucket that a time belongs to.
#[inline]
fn bucket(micros: u64) -> usize {
    let bits = u64::BITS - micros.leading_zeros();
    let shift = bits.saturating_sub(PART_BITS + 1);
    let part = (micros >> shift) + (u64::from(shift) << PART_BITS);
    usize::try_from(part).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// The longest time that belongs to a bucket.
fn longest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let part = 1_u64 << PART_BITS;
    if bucket < 2 * part {
        return bucket;
    }
    let shift = bucket / part - 1;
    (((bucket % part) + part + 1) << shift) - 1
}

impl Histogram {
    /// Counts a time.
    #[inline]
    pub fn add(&mut self, micros: u64) {
        if let Some(count) = self.counts.get_mut(bucket(micros)) {
            *count = count.saturating_add(1);
        }
    }

    /// Adds those of another.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine = mine.saturating_add(theirs);
        }
    }

    /// The time that so many per cent of all times do not exceed, as the end of its bucket.
    pub fn percentile(&self, percent: u32) -> u64 {
        let all: u64 = self.counts.iter().map(|count| u64::from(*count)).sum();
        let wanted = (all * u64::from(percent)).div_ceil(100).max(1);
        let mut seen = 0;
        for (at, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted {
                return longest(at);
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_and_end_where_the_next_begins() {
        for at in 0..BUCKETS - 1 {
            let end = longest(at);
            assert_eq!(bucket(end), at, "{end} us");
            assert_eq!(bucket(end + 1), at + 1, "{} us", end + 1);
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert!(longest(BUCKETS - 2) > 2 * 3600 * 1_000_000);
    }

    #[test]
    fn a_percentile_is_within_a_quarter_of_the_truth() {
        let mut times: Vec<u64> = (0..1000).map(|n| n * n * 7 % 1_000_003).collect();
        let mut histogram = Histogram::default();
        for time in &times {
            histogram.add(*time);
        }
        times.sort_unstable();
        for percent in [1, 50, 95, 99, 100] {
            let truth = times[usize::try_from(percent * 10 - 1).unwrap()];
            let found = histogram.percentile(percent);
            assert!(found >= truth, "p{percent}: {found}, not below {truth}");
            assert!(
                found <= truth + truth / 4 + 1,
                "p{percent}: {found}, {truth}"
            );
        }
    }

    #[test]
    fn without_times_all_percentiles_are_zero() {
        assert_eq!(Histogram::default().percentile(99), 0);
    }

    #[test]
    fn two_together_are_as_one_that_saw_all() {
        let (mut one, mut other, mut both) = <(Histogram, Histogram, Histogram)>::default();
        for time in 0..100 {
            if time % 3 == 0 { &mut one } else { &mut other }.add(time);
            both.add(time);
        }
        one.merge(&other);
        assert_eq!(one, both);
    }
}
