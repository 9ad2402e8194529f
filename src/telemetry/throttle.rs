//! Sans-IO. Keeps a repeated warning from filling the log.
//!
//! One token bucket for each event name: a burst of [`BURST`] lines, then one line each
//! [`REFILL`]. What was held back is counted and told with the next line that passes. Event names
//! are literals of this crate, so the table is bounded by their number.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Lines of one event that may follow each other without a pause.
pub const BURST: u32 = 10;
/// Time after which a spent token comes back.
pub const REFILL: Duration = Duration::from_secs(1);

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Write it; so many earlier ones of the same event were held back since the last.
    Write {
        /// Lines held back.
        suppressed: u64,
    },
    /// Hold it back.
    Suppress,
}

#[derive(Debug)]
struct Bucket {
    tokens: u32,
    refilled: Instant,
    suppressed: u64,
}

/// The buckets of all events.
#[derive(Debug, Default)]
pub struct Throttle {
    buckets: HashMap<String, Bucket>,
}

impl Throttle {
    /// Asks whether a line of `event` may be written at `now`.
    pub fn admit(&mut self, event: &str, now: Instant) -> Admission {
        let Some(bucket) = self.buckets.get_mut(event) else {
            let first = Bucket {
                tokens: BURST - 1,
                refilled: now,
                suppressed: 0,
            };
            self.buckets.insert(event.to_owned(), first);
            return Admission::Write { suppressed: 0 };
        };
        bucket.refill(now);
        if bucket.tokens == 0 {
            bucket.suppressed = bucket.suppressed.saturating_add(1);
            return Admission::Suppress;
        }
        bucket.tokens -= 1;
        Admission::Write {
            suppressed: std::mem::take(&mut bucket.suppressed),
        }
    }
}

impl Bucket {
    fn refill(&mut self, now: Instant) {
        let periods = now.saturating_duration_since(self.refilled).as_secs() / REFILL.as_secs();
        let periods = u32::try_from(periods).unwrap_or(u32::MAX);
        if periods > 0 {
            self.tokens = self.tokens.saturating_add(periods).min(BURST);
            self.refilled = if self.tokens == BURST {
                now
            } else {
                self.refilled + REFILL * periods
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "any fixed moment will do; none is compared"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_burst_passes_and_the_rest_is_counted() {
        let (mut throttle, now) = (Throttle::default(), start());
        for _ in 0..BURST {
            assert_eq!(throttle.admit("a", now), Admission::Write { suppressed: 0 });
        }
        for _ in 0..7 {
            assert_eq!(throttle.admit("a", now), Admission::Suppress);
        }
        assert_eq!(
            throttle.admit("a", now + REFILL),
            Admission::Write { suppressed: 7 }
        );
        assert_eq!(throttle.admit("a", now + REFILL), Admission::Suppress);
    }

    #[test]
    fn events_do_not_share_a_bucket() {
        let (mut throttle, now) = (Throttle::default(), start());
        for _ in 0..=BURST {
            throttle.admit("a", now);
        }
        assert_eq!(throttle.admit("b", now), Admission::Write { suppressed: 0 });
    }

    #[test]
    fn a_long_silence_gives_a_full_burst_and_no_more() {
        let (mut throttle, now) = (Throttle::default(), start());
        for _ in 0..=BURST {
            throttle.admit("a", now);
        }
        let later = now + REFILL * 1000;
        let written = (0..2 * BURST)
            .filter(|_| throttle.admit("a", later) != Admission::Suppress)
            .count();
        assert_eq!(written, 10);
    }
}
