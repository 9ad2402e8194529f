//! Sans-IO. How long a read waits for a replica of its own accord.
//!
//! A session that asks one thing right after the other is never known to stand anywhere: each read
//! on the primary may have seen something that the last positions do not cover. So it would stay on
//! the primary for good. A short pause ends that: positions are asked for, and replicas catch up
//! meanwhile. Such pauses take a small part of the session's time at most, and a smaller one each
//! time that they do not help.

use std::time::{Duration, Instant};

/// A session is kept from the replicas for so many times the length of a pause before it makes one.
const RARITY: u32 = 10;

/// Doublings of that, for a session that no pause has helped.
const MAX_DOUBLINGS: u8 = 8;

/// What a session has waited for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lull {
    /// Since when its reads have gone to the primary because nothing was known.
    kept_since: Option<Instant>,
    /// Pauses that did not help, since the last one that did.
    vain: u8,
}

impl Lull {
    /// A read goes to the primary that a replica might answer if more were known. How long it waits
    /// instead, where `length` is that of a pause.
    pub fn of_read(&mut self, now: Instant, length: Duration) -> Option<Duration> {
        let since = *self.kept_since.get_or_insert(now);
        let wait = length.saturating_mul(RARITY << self.vain.min(MAX_DOUBLINGS));
        if now.saturating_duration_since(since) < wait {
            return None;
        }
        self.kept_since = Some(now);
        self.vain = self.vain.saturating_add(1).min(MAX_DOUBLINGS);
        Some(length)
    }

    /// A read goes to a replica.
    pub fn over(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_millis(10);

    /// Reads all the time for that long; says how long of it was spent waiting.
    fn waited(lull: &mut Lull, time: Duration, helps: bool) -> Duration {
        let began = tokio::time::Instant::now().into_std();
        let (mut now, mut waited) = (began, Duration::ZERO);
        while now.duration_since(began) < time {
            now += Duration::from_micros(300);
            if let Some(wait) = lull.of_read(now, LENGTH) {
                now += wait;
                waited += wait;
                if helps {
                    lull.over();
                }
            }
        }
        waited
    }

    #[test]
    fn a_session_waits_for_a_small_part_of_its_time() {
        let waited = waited(&mut Lull::default(), Duration::from_secs(11), true);
        assert_eq!(waited, 99 * LENGTH, "one part in eleven of each 0.11 s");
    }

    #[test]
    fn waits_that_do_not_help_become_rare() {
        let mut lull = Lull::default();
        let first = waited(&mut lull, Duration::from_secs(10), false);
        assert!(first <= 7 * LENGTH, "{first:?}");
        let later = waited(&mut lull, Duration::from_secs(100), false);
        assert!(later <= 5 * LENGTH, "{later:?}");
    }

    #[test]
    fn a_read_that_is_not_kept_long_does_not_wait() {
        let mut lull = Lull::default();
        let now = tokio::time::Instant::now().into_std();
        assert_eq!(lull.of_read(now, LENGTH), None);
        assert_eq!(lull.of_read(now + 9 * LENGTH, LENGTH), None);
        lull.over();
        assert_eq!(
            lull.of_read(now + 12 * LENGTH, LENGTH),
            None,
            "it begins anew"
        );
        assert_eq!(lull.of_read(now + 22 * LENGTH, LENGTH), Some(LENGTH));
    }
}
