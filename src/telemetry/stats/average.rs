//! Sans-IO. Averages as `PgBouncer` makes them: growth since the tick before the last one.
//!
//! At each `stats_period` the newer snapshot becomes the older one. An average asked for in between
//! covers the time since the older snapshot, so between one and two periods.

use std::fmt;
use std::time::{Duration, Instant};

use super::counters::{Counter, Totals};

/// Averages: counts and bytes per second, times in microseconds per transaction, query or
/// assignment. Integers, rounded down, as in `PgBouncer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Averages(Totals);

impl Averages {
    /// Averages of the growth from `older` to `now` within `elapsed`.
    pub fn between(older: &Totals, now: &Totals, elapsed: Duration) -> Self {
        let micros = elapsed.as_micros();
        let mut averages = Totals::default();
        if micros == 0 {
            return Self(averages);
        }
        for counter in Counter::ALL {
            let growth = now.growth(older, counter);
            let value = match divisor(counter) {
                None => per_second(growth, micros),
                Some(events) => growth.checked_div(now.growth(older, events)).unwrap_or(0),
            };
            averages.set(counter, value);
        }
        Self(averages)
    }

    /// The average of `counter`.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0.get(counter)
    }
}

/// The counter whose events share a time; `None` for what is averaged over seconds.
fn divisor(counter: Counter) -> Option<Counter> {
    match counter {
        Counter::TransactionTime => Some(Counter::Transactions),
        Counter::QueryTime => Some(Counter::Queries),
        Counter::WaitTime => Some(Counter::ServerAssignments),
        Counter::ServerAssignments
        | Counter::Transactions
        | Counter::Queries
        | Counter::BytesReceived
        | Counter::BytesSent
        | Counter::ClientParses
        | Counter::ServerParses
        | Counter::Binds
        | Counter::ClientLogins
        | Counter::LocalParses
        | Counter::StatementHits
        | Counter::StatementMisses => None,
    }
}

fn per_second(growth: u64, micros: u128) -> u64 {
    u64::try_from(u128::from(growth) * 1_000_000 / micros).unwrap_or(u64::MAX)
}

impl fmt::Display for Averages {
    /// The `stats:` line of the log, which is also the status for the service manager.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "stats: {} xacts/s, {} queries/s, {} client parses/s, {} server parses/s, \
             {} binds/s, {} client logins/s, in {} B/s, out {} B/s, \
             xact {} us, query {} us, wait {} us",
            self.get(Counter::Transactions),
            self.get(Counter::Queries),
            self.get(Counter::ClientParses),
            self.get(Counter::ServerParses),
            self.get(Counter::Binds),
            self.get(Counter::ClientLogins),
            self.get(Counter::BytesReceived),
            self.get(Counter::BytesSent),
            self.get(Counter::TransactionTime),
            self.get(Counter::QueryTime),
            self.get(Counter::WaitTime),
        )
    }
}

/// The moments of the two last ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Averager {
    older: Option<Instant>,
    newer: Instant,
}

impl Averager {
    /// Begins at `now`. Until the first tick averages cover the time since then and one second
    /// more, so that the first moments do not show enormous rates.
    pub fn new(now: Instant) -> Self {
        Self {
            older: None,
            newer: now,
        }
    }

    /// A `stats_period` has passed.
    pub fn tick(&mut self, now: Instant) {
        self.older = Some(self.newer);
        self.newer = now;
    }

    /// The time that averages asked for at `now` cover.
    pub fn elapsed(&self, now: Instant) -> Duration {
        match self.older {
            Some(older) => now.saturating_duration_since(older),
            None => now.saturating_duration_since(self.newer) + Duration::from_secs(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(values: &[(Counter, u64)]) -> Totals {
        let mut totals = Totals::default();
        for (counter, value) in values {
            totals.set(*counter, *value);
        }
        totals
    }

    #[test]
    fn counts_are_per_second_and_times_per_event() {
        let older = totals(&[(Counter::Queries, 100), (Counter::QueryTime, 5_000)]);
        let now = totals(&[
            (Counter::Queries, 140),
            (Counter::QueryTime, 5_000 + 40 * 250),
            (Counter::Transactions, 20),
            (Counter::TransactionTime, 20 * 900),
            (Counter::ServerAssignments, 4),
            (Counter::WaitTime, 4_000),
            (Counter::BytesSent, 1_999),
        ]);
        let averages = Averages::between(&older, &now, Duration::from_secs(10));
        assert_eq!(averages.get(Counter::Queries), 4);
        assert_eq!(averages.get(Counter::QueryTime), 250);
        assert_eq!(averages.get(Counter::Transactions), 2);
        assert_eq!(averages.get(Counter::TransactionTime), 900);
        assert_eq!(averages.get(Counter::ServerAssignments), 0);
        assert_eq!(averages.get(Counter::WaitTime), 1_000);
        assert_eq!(averages.get(Counter::BytesSent), 199);
    }

    #[test]
    fn no_time_or_no_event_averages_to_zero() {
        let now = totals(&[(Counter::QueryTime, 7), (Counter::Queries, 1)]);
        let none = Averages::between(&Totals::default(), &now, Duration::ZERO);
        assert_eq!(none, Averages::default());
        let only_time = totals(&[(Counter::QueryTime, 7)]);
        let averages = Averages::between(&Totals::default(), &only_time, Duration::from_secs(1));
        assert_eq!(averages.get(Counter::QueryTime), 0);
    }

    #[test]
    fn huge_counters_do_not_overflow() {
        let now = totals(&[(Counter::BytesSent, u64::MAX)]);
        let averages = Averages::between(&Totals::default(), &now, Duration::from_micros(1));
        assert_eq!(averages.get(Counter::BytesSent), u64::MAX);
    }

    #[test]
    fn averages_cover_the_time_since_the_tick_before_the_last() {
        let start = tokio_free_start();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut averager = Averager::new(start);
        assert_eq!(averager.elapsed(at(3)), Duration::from_secs(4));
        averager.tick(at(60));
        assert_eq!(averager.elapsed(at(70)), Duration::from_secs(70));
        averager.tick(at(120));
        assert_eq!(averager.elapsed(at(120)), Duration::from_secs(60));
        assert_eq!(averager.elapsed(at(150)), Duration::from_secs(90));
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "any fixed moment will do; none is compared"
    )]
    fn tokio_free_start() -> Instant {
        Instant::now()
    }

    #[test]
    fn the_line_has_pgbouncers_words() {
        let averages = Averages(totals(&[
            (Counter::BytesReceived, 16),
            (Counter::WaitTime, 579_499),
        ]));
        assert_eq!(
            averages.to_string(),
            "stats: 0 xacts/s, 0 queries/s, 0 client parses/s, 0 server parses/s, 0 binds/s, \
             0 client logins/s, in 16 B/s, out 0 B/s, xact 0 us, query 0 us, wait 579499 us"
        );
    }
}
