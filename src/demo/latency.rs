//! Sans-IO. What pgbench writes, and percentiles of it.

use std::time::Duration;

/// The most transactions whose latency is kept: four bytes each.
const SAMPLES_MAX: usize = 30_000_000;

/// The latency in one line of pgbench's transaction log, in microseconds.
///
/// A line is `client transaction latency_us script epoch_s us`; the latency of a transaction that
/// was skipped or failed is a word.
pub fn latency_us(line: &str) -> Option<u32> {
    let mut fields = line.split_ascii_whitespace();
    let latency = fields.nth(2)?.parse().ok()?;
    // A line that was cut short could end inside the number.
    fields.next()?;
    Some(latency)
}

/// The transactions per second in pgbench's report.
pub fn transactions_per_second(report: &str) -> Option<f64> {
    let after = report.rsplit_once("tps = ")?.1;
    after.split_ascii_whitespace().next()?.parse().ok()
}

/// Latencies of one run.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    us: Vec<u32>,
}

impl Latencies {
    /// Adds one, in microseconds. Beyond a bound that no demo reaches, it is left out.
    pub fn add(&mut self, us: u32) {
        if self.us.len() < SAMPLES_MAX {
            self.us.push(us);
        }
    }

    /// The shortest latency that `percent` per cent of the transactions did not exceed.
    pub fn percentile(&mut self, percent: usize) -> Option<Duration> {
        let rank = (self.us.len() * percent).div_ceil(100);
        let index = rank.saturating_sub(1);
        if index >= self.us.len() {
            return None;
        }
        let (_, us, _) = self.us.select_nth_unstable(index);
        Some(Duration::from_micros((*us).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transaction_lines_are_read() {
        for (line, expected) in [
            ("0 199 2241 0 1175850568 995598", Some(2241)),
            ("0 82 2 0 1412881037 914578 4000", Some(2)),
            ("3 0 47423 0 1499414498 34501 0 1", Some(47423)),
            ("3 0 failed 0 1499414498 34501", None),
            ("1 5 skipped 0 1412881038 76484 21", None),
            ("0 199 22", None),
            ("", None),
        ] {
            assert_eq!(latency_us(line), expected, "{line:?}");
        }
    }

    #[test]
    fn the_rate_is_read_from_reports_of_old_and_new_versions() {
        let new = "latency average = 1.2 ms\ntps = 12345.678 (without initial connection time)\n";
        assert_eq!(transactions_per_second(new), Some(12345.678));
        let old = "tps = 85.1 (including connections establishing)\n\
                   tps = 85.3 (excluding connections establishing)\n";
        assert_eq!(transactions_per_second(old), Some(85.3));
        assert_eq!(transactions_per_second("pgbench: error: no"), None);
    }

    #[test]
    fn percentiles_are_measured_values() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile(50), None);
        latencies.add(7);
        assert_eq!(latencies.percentile(99), Some(Duration::from_micros(7)));
        let mut latencies = Latencies::default();
        (1..=200).rev().for_each(|us| latencies.add(us));
        let us = |value| Some(Duration::from_micros(value));
        assert_eq!(latencies.percentile(50), us(100));
        assert_eq!(latencies.percentile(99), us(198));
        assert_eq!(latencies.percentile(100), us(200));
        assert_eq!(latencies.percentile(0), us(1));
    }
}
