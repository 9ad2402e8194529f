//! Sans-IO. A histogram of durations with steps of 1.6 %, which costs nothing to write to.

use std::time::Duration;

/// Steps for each doubling.
const STEPS: u64 = 64;
/// Doublings; the last one ends far beyond an hour.
const DOUBLINGS: u64 = 48;

/// How often which duration was seen.
#[derive(Debug)]
pub struct Latencies {
    counts: Vec<u64>,
    total: u64,
}

impl Latencies {
    /// Nothing seen.
    pub fn new() -> Self {
        let size = usize::try_from(STEPS * DOUBLINGS).expect("a few thousand");
        Self {
            counts: vec![0; size],
            total: 0,
        }
    }

    /// One more.
    pub fn add(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let last = self.counts.len() - 1;
        let at = usize::try_from(step(nanos)).unwrap_or(last).min(last);
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
        self.total += 1;
    }

    /// How many were seen.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// In microseconds, the duration that `per_mille` of a thousand did not exceed.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a latency in nanoseconds has far fewer than 52 bits"
    )]
    pub fn quantile_us(&self, per_mille: u64) -> f64 {
        let wanted = (self.total * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (at, count) in (0_u64..).zip(&self.counts) {
            seen += count;
            if seen >= wanted {
                return lower_end(at) as f64 / 1000.0;
            }
        }
        0.0
    }
}

/// Below 64 each number has its step; from there each doubling has 64 of them.
fn step(nanos: u64) -> u64 {
    match nanos.checked_ilog2() {
        Some(power) if power >= 6 => {
            let power = u64::from(power);
            (power - 5) * STEPS + (nanos >> (power - 6)) % STEPS
        }
        _ => nanos,
    }
}

fn lower_end(step: u64) -> u64 {
    match step / STEPS {
        0 => step,
        doubling => (STEPS + step % STEPS) << (doubling - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_begins_at_most_a_sixtieth_below_what_it_holds() {
        for nanos in [
            0,
            1,
            63,
            64,
            65,
            127,
            128,
            1000,
            123_456,
            987_654_321,
            1 << 40,
        ] {
            let low = lower_end(step(nanos));
            assert!(low <= nanos && nanos - low <= nanos / 60, "{nanos}: {low}");
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_added() {
        let mut latencies = Latencies::new();
        for micros in 1..=1000 {
            latencies.add(Duration::from_micros(micros));
        }
        assert_eq!(latencies.total(), 1000);
        for (per_mille, expected) in [(500, 500.0), (990, 990.0), (1000, 1000.0)] {
            let found = latencies.quantile_us(per_mille);
            assert!(
                (found / expected - 1.0).abs() < 0.02,
                "{per_mille}: {found}"
            );
        }
    }
}
