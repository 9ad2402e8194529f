//! Sans-IO. The statistics of all pools, by database and user.
//!
//! Totals and averages are kept for each pool and shown for each database, as `PgBouncer` does: a
//! pool that is removed takes its numbers along.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::average::{Averager, Averages};
use super::counters::{PoolStats, Totals};
use super::errors::ErrorsRead;
use super::times::{ServerRole, TimesRead};

/// Pools that are gone whose last numbers are kept until somebody takes them; then the oldest goes.
const FORGOTTEN: usize = 256;

/// The numbers of one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseStats {
    /// Its name, as clients use it.
    pub database: Arc<str>,
    /// Sums since its pools were made.
    pub totals: Totals,
    /// Averages of the last period.
    pub averages: Averages,
}

/// The numbers of one pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolTotals {
    /// Its database, as clients name it.
    pub database: Arc<str>,
    /// Its user.
    pub user: Arc<str>,
    /// Sums since it was made.
    pub totals: Totals,
    /// Times, with servers of each role.
    pub times: [(ServerRole, TimesRead); 2],
    /// Errors by class.
    pub errors: ErrorsRead,
}

impl PoolTotals {
    fn of((database, user): (Arc<str>, Arc<str>), stats: &PoolStats) -> Self {
        Self {
            database,
            user,
            totals: stats.sum(),
            times: ServerRole::ALL.map(|role| (role, stats.times(role))),
            errors: stats.errors(),
        }
    }
}

#[derive(Debug)]
struct Entry {
    stats: Arc<PoolStats>,
    older: Totals,
    newer: Totals,
}

#[derive(Debug)]
struct Pools {
    /// Ordered as the console lists them.
    by_key: BTreeMap<(Arc<str>, Arc<str>), Entry>,
    averager: Averager,
    /// Last numbers of pools that are gone, for whoever sums over more than those that are there.
    forgotten: VecDeque<PoolTotals>,
}

/// The registry. Workers come here once for each pool; readers when they show something.
#[derive(Debug)]
pub struct StatsBook {
    workers: usize,
    pools: Mutex<Pools>,
}

impl StatsBook {
    /// An empty book for a process with `workers` workers.
    pub fn new(workers: usize, now: Instant) -> Self {
        let pools = Pools {
            by_key: BTreeMap::new(),
            averager: Averager::new(now),
            forgotten: VecDeque::new(),
        };
        Self {
            workers,
            pools: Mutex::new(pools),
        }
    }

    /// The counters of a pool, made on first use.
    pub fn pool(&self, database: &str, user: &str) -> Arc<PoolStats> {
        let key = (Arc::from(database), Arc::from(user));
        self.with(|pools| {
            let entry = pools.by_key.entry(key).or_insert_with(|| Entry {
                stats: Arc::new(PoolStats::new(self.workers)),
                older: Totals::default(),
                newer: Totals::default(),
            });
            Arc::clone(&entry.stats)
        })
    }

    /// Forgets a pool. Handles that workers still hold count into nothing.
    pub fn forget(&self, database: &str, user: &str) {
        let key = (Arc::from(database), Arc::from(user));
        self.with(|pools| {
            let Some(entry) = pools.by_key.remove(&key) else {
                return;
            };
            if pools.forgotten.len() >= FORGOTTEN {
                pools.forgotten.pop_front();
            }
            pools.forgotten.push_back(PoolTotals::of(key, &entry.stats));
        });
    }

    /// The last numbers of pools that were forgotten since the last call, as far as they are kept.
    pub fn take_forgotten(&self) -> Vec<PoolTotals> {
        self.with(|pools| std::mem::take(&mut pools.forgotten).into())
    }

    /// A `stats_period` has passed. Returns the averages over all pools for the log.
    pub fn tick(&self, now: Instant) -> Averages {
        self.with(|pools| {
            for entry in pools.by_key.values_mut() {
                entry.older = entry.newer;
                entry.newer = entry.stats.sum();
            }
            pools.averager.tick(now);
            pools.all(now).1
        })
    }

    /// Totals and averages over all pools.
    pub fn all(&self, now: Instant) -> (Totals, Averages) {
        self.with(|pools| pools.all(now))
    }

    /// Totals and averages of each database, ordered by name.
    pub fn databases(&self, now: Instant) -> Vec<DatabaseStats> {
        self.with(|pools| pools.databases(now))
    }

    /// Totals and times of each pool, ordered by database and user.
    pub fn pools(&self) -> Vec<PoolTotals> {
        let known: Vec<_> = self.with(|pools| {
            let known = pools.by_key.iter();
            known
                .map(|(key, entry)| (key.clone(), Arc::clone(&entry.stats)))
                .collect()
        });
        // Summed without the lock, under which a login may wait.
        let rows = known.into_iter();
        rows.map(|(key, stats)| PoolTotals::of(key, &stats))
            .collect()
    }

    fn with<R>(&self, f: impl FnOnce(&mut Pools) -> R) -> R {
        f(&mut self.pools.lock().expect("nothing panics under this lock"))
    }
}

impl Pools {
    fn all(&self, now: Instant) -> (Totals, Averages) {
        let (mut current, mut older) = (Totals::default(), Totals::default());
        for entry in self.by_key.values() {
            current.add(&entry.stats.sum());
            older.add(&entry.older);
        }
        (
            current,
            Averages::between(&older, &current, self.averager.elapsed(now)),
        )
    }

    fn databases(&self, now: Instant) -> Vec<DatabaseStats> {
        let mut sums: BTreeMap<&Arc<str>, (Totals, Totals)> = BTreeMap::new();
        for ((database, _), entry) in &self.by_key {
            let (current, older) = sums.entry(database).or_default();
            current.add(&entry.stats.sum());
            older.add(&entry.older);
        }
        let elapsed = self.averager.elapsed(now);
        let row = |(database, (totals, older)): (&Arc<str>, (Totals, Totals))| DatabaseStats {
            database: Arc::clone(database),
            totals,
            averages: Averages::between(&older, &totals, elapsed),
        };
        sums.into_iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::stats::Counter;
    use std::time::Duration;

    #[expect(
        clippy::disallowed_methods,
        reason = "any fixed moment will do; none is compared"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_database_shows_the_sum_of_its_pools_and_databases_come_in_order() {
        let now = start();
        let book = StatsBook::new(2, now);
        book.pool("b", "u").worker(0).add(Counter::Queries, 5);
        book.pool("a", "u").worker(0).add(Counter::Queries, 1);
        book.pool("a", "v").worker(1).add(Counter::Queries, 2);
        let rows = book.databases(now);
        let shown = rows
            .iter()
            .map(|row| (&*row.database, row.totals.get(Counter::Queries)));
        assert_eq!(shown.collect::<Vec<_>>(), [("a", 3), ("b", 5)]);
        assert_eq!(book.all(now).0.get(Counter::Queries), 8);
    }

    #[test]
    fn averages_are_of_the_last_period_and_die_away() {
        let begin = start();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let book = StatsBook::new(1, begin);
        let worker = book.pool("a", "u").worker(0);
        worker.add(Counter::Queries, 600);
        // The first tick still covers the time before any snapshot.
        assert_eq!(book.tick(at(60)).get(Counter::Queries), 10);
        worker.add(Counter::Queries, 1_200);
        assert_eq!(book.tick(at(120)).get(Counter::Queries), 20);
        assert_eq!(book.tick(at(180)).get(Counter::Queries), 0);
        let row = &book.databases(at(181))[0];
        assert_eq!(row.averages.get(Counter::Queries), 0);
        assert_eq!(row.totals.get(Counter::Queries), 1_800);
    }

    #[test]
    fn a_forgotten_pool_takes_its_numbers_along() {
        let now = start();
        let book = StatsBook::new(1, now);
        book.pool("a", "u").worker(0).add(Counter::Queries, 1);
        book.forget("a", "u");
        assert_eq!(book.databases(now), []);
        assert_eq!(book.pool("a", "u").sum(), Totals::default());
        let forgotten = book.take_forgotten();
        assert_eq!(forgotten.len(), 1);
        assert_eq!(forgotten[0].totals.get(Counter::Queries), 1);
        assert_eq!(book.take_forgotten(), []);
    }
}
