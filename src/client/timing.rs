//! Sans-IO. When a client's query and transaction began, for statistics and timeouts.

use std::time::{Duration, Instant};

use crate::pooler::terms::Timeouts;

/// What a server is doing for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It is told our settings, which the client's query waits for and which count as part of it.
    Setup,
    /// It owes replies.
    Busy,
    /// It waits for the client inside a transaction.
    IdleInTransaction,
    /// It waits for the client outside one.
    Idle,
}

/// Which limit was passed. `Display` is the text of the client's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Overdue {
    /// `query_timeout`.
    #[error("query timeout")]
    Query,
    /// `idle_transaction_timeout`.
    #[error("idle transaction timeout")]
    IdleTransaction,
    /// `transaction_timeout`.
    #[error("transaction timeout")]
    Transaction,
    /// `client_idle_timeout`.
    #[error("client_idle_timeout")]
    ClientIdle,
}

/// Time spent, in microseconds, since it was last taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// In queries.
    pub query_us: u64,
    /// In transactions.
    pub transaction_us: u64,
}

impl Spent {
    fn add(&mut self, ended: Ended) {
        let (query, transaction) = match ended {
            Ended::Nothing => return,
            Ended::Query(query) => (query, 0),
            Ended::Single(time) => (time, time),
            Ended::Last { query, transaction } => (query, transaction),
            Ended::Transaction(transaction) => (0, transaction),
        };
        self.query_us += query;
        self.transaction_us += transaction;
    }
}

/// What has ended, and how many microseconds it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Nothing.
    Nothing,
    /// A query inside a transaction.
    Query(u64),
    /// A transaction that was one query.
    Single(u64),
    /// The last query of a transaction, and the transaction.
    Last {
        /// The query's time.
        query: u64,
        /// The transaction's.
        transaction: u64,
    },
    /// A transaction whose last query had ended before.
    Transaction(u64),
}

/// The clocks of one client while it has a server.
#[derive(Debug)]
pub struct Timing {
    activity: Activity,
    changed: Instant,
    transaction_began: Option<Instant>,
    spent: Spent,
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Timing {
    /// A client that got its server now.
    pub fn new(now: Instant) -> Self {
        Self {
            activity: Activity::Idle,
            changed: now,
            transaction_began: None,
            spent: Spent::default(),
        }
    }

    /// What the server was doing when last seen.
    pub fn activity(&self) -> Activity {
        self.activity
    }

    /// When that began.
    pub fn changed(&self) -> Instant {
        self.changed
    }

    /// The server does something else now.
    pub fn change(&mut self, activity: Activity, now: Instant) -> Ended {
        match (self.activity, activity) {
            (Activity::Setup, Activity::Busy) => {
                self.transaction_began.get_or_insert(self.changed);
                self.activity = activity;
                return Ended::Nothing;
            }
            // The query that it was for is about to be sent.
            (Activity::Setup, Activity::Idle | Activity::IdleInTransaction) => {
                return Ended::Nothing;
            }
            (before, after) if before == after => return Ended::Nothing,
            (Activity::Busy | Activity::Idle | Activity::IdleInTransaction, _)
            | (Activity::Setup, Activity::Setup) => {}
        }
        let since = |began| micros(now.saturating_duration_since(began));
        let query = (self.activity == Activity::Busy).then(|| since(self.changed));
        let began = match activity {
            Activity::Idle => self.transaction_began.take(),
            Activity::Busy | Activity::IdleInTransaction => {
                self.transaction_began.get_or_insert(now);
                None
            }
            Activity::Setup => None,
        };
        let ended = match (query, began) {
            (None, None) => Ended::Nothing,
            (Some(query), None) => Ended::Query(query),
            (Some(query), Some(began)) if began == self.changed => Ended::Single(query),
            (Some(query), Some(began)) => Ended::Last {
                query,
                transaction: since(began),
            },
            (None, Some(began)) => Ended::Transaction(since(began)),
        };
        self.spent.add(ended);
        self.activity = activity;
        self.changed = now;
        ended
    }

    /// Takes what has been counted.
    pub fn take_spent(&mut self) -> Spent {
        std::mem::take(&mut self.spent)
    }

    /// The next limit that will be passed if nothing happens.
    pub fn deadline(&self, limits: &Timeouts) -> Option<(Instant, Overdue)> {
        let whole = self
            .transaction_began
            .and_then(|began| Some((began + limits.transaction?, Overdue::Transaction)));
        let part = match self.activity {
            Activity::Setup | Activity::Busy => limits
                .query
                .map(|limit| (self.changed + limit, Overdue::Query)),
            Activity::IdleInTransaction => limits
                .idle_transaction
                .map(|limit| (self.changed + limit, Overdue::IdleTransaction)),
            Activity::Idle => limits
                .client_idle
                .map(|limit| (self.changed + limit, Overdue::ClientIdle)),
        };
        [whole, part]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn start() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[test]
    fn queries_and_transactions_are_measured_apart() {
        let t0 = start();
        let mut timing = Timing::new(t0);
        timing.change(Activity::Busy, t0);
        timing.change(Activity::IdleInTransaction, t0 + SECOND);
        timing.change(Activity::Busy, t0 + 3 * SECOND);
        timing.change(Activity::Idle, t0 + 4 * SECOND);
        let spent = timing.take_spent();
        assert_eq!(
            spent,
            Spent {
                query_us: 2_000_000,
                transaction_us: 4_000_000
            }
        );
        assert_eq!(timing.take_spent(), Spent::default());
    }

    #[test]
    fn our_settings_are_a_part_of_the_query_that_waits_for_them() {
        let t0 = start();
        let mut timing = Timing::new(t0);
        assert_eq!(timing.change(Activity::Setup, t0), Ended::Nothing);
        assert_eq!(timing.change(Activity::Idle, t0 + SECOND), Ended::Nothing);
        assert_eq!(timing.change(Activity::Busy, t0 + SECOND), Ended::Nothing);
        let ended = timing.change(Activity::Idle, t0 + 3 * SECOND);
        assert_eq!(ended, Ended::Single(3_000_000));
    }

    #[test]
    fn each_query_and_each_transaction_ends_once() {
        let t0 = start();
        let mut timing = Timing::new(t0);
        let mut ended = Vec::new();
        for (second, activity) in [
            (0, Activity::Busy),
            (1, Activity::Busy),
            (2, Activity::Idle),
            (3, Activity::Busy),
            (4, Activity::IdleInTransaction),
            (6, Activity::Busy),
            (7, Activity::Idle),
            (8, Activity::Busy),
            (9, Activity::IdleInTransaction),
            (10, Activity::Idle),
        ] {
            ended.push(timing.change(activity, t0 + second * SECOND));
        }
        ended.retain(|ended| *ended != Ended::Nothing);
        let expected = [
            Ended::Single(2_000_000),
            Ended::Query(1_000_000),
            Ended::Last {
                query: 1_000_000,
                transaction: 4_000_000,
            },
            Ended::Query(1_000_000),
            Ended::Transaction(2_000_000),
        ];
        assert_eq!(ended, expected);
        let spent = timing.take_spent();
        assert_eq!(
            (spent.query_us, spent.transaction_us),
            (5_000_000, 8_000_000)
        );
    }

    #[test]
    fn the_limit_that_comes_first_counts() {
        let t0 = start();
        let limits = Timeouts {
            query: Some(5 * SECOND),
            idle_transaction: Some(2 * SECOND),
            transaction: Some(6 * SECOND),
            client_idle: Some(9 * SECOND),
        };
        let mut timing = Timing::new(t0);
        assert_eq!(
            timing.deadline(&limits),
            Some((t0 + 9 * SECOND, Overdue::ClientIdle))
        );
        timing.change(Activity::Busy, t0);
        assert_eq!(
            timing.deadline(&limits),
            Some((t0 + 5 * SECOND, Overdue::Query))
        );
        timing.change(Activity::IdleInTransaction, t0 + 3 * SECOND);
        assert_eq!(
            timing.deadline(&limits),
            Some((t0 + 5 * SECOND, Overdue::IdleTransaction))
        );
        timing.change(Activity::Busy, t0 + 4 * SECOND);
        assert_eq!(
            timing.deadline(&limits),
            Some((t0 + 6 * SECOND, Overdue::Transaction))
        );
        assert_eq!(timing.deadline(&Timeouts::default()), None);
    }
}
