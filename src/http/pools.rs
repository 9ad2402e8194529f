//! Sans-IO. The metrics of pools and databases that are ours, by name up to a bound.

use std::collections::BTreeMap;
use std::time::Duration;

use super::exposition::{Exposition, Family, Label, Number, Type};
use super::own::Numbers;
use super::pgbouncer::Shown;
use super::seats::{AllSeats, OTHER};
use crate::admin::rows::Counters;
use crate::telemetry::stats::{
    Connect, ConnectCounts, Counter, DatabaseConnects, Distribution, ErrorsRead, PoolTotals,
    ServerRole, TimesRead, Totals,
};

/// A counter of pools: the end of its name, what it means.
const COUNTS: &[(&str, &str, Counter)] = &[
    ("queries_total", "Queries", Counter::Queries),
    ("transactions_total", "Transactions", Counter::Transactions),
    (
        "received_bytes_total",
        "Bytes received from clients",
        Counter::BytesReceived,
    ),
    (
        "sent_bytes_total",
        "Bytes sent to clients",
        Counter::BytesSent,
    ),
    (
        "server_assignments_total",
        "Servers given to clients",
        Counter::ServerAssignments,
    ),
    (
        "client_parses_total",
        "Prepared statements that clients made",
        Counter::ClientParses,
    ),
    (
        "server_parses_total",
        "Prepared statements made on servers",
        Counter::ServerParses,
    ),
    ("binds_total", "Prepared statements bound", Counter::Binds),
    (
        "local_parses_total",
        "Prepared statements that clients made and nothing was sent for: they were known",
        Counter::LocalParses,
    ),
    (
        "statement_hits_total",
        "Times that a prepared statement was needed on a server that had it",
        Counter::StatementHits,
    ),
    (
        "statement_misses_total",
        "Times that it had to be prepared there first",
        Counter::StatementMisses,
    ),
];

/// A histogram of pools: its name, what it means, and where it is.
type Times = (&'static str, &'static str, fn(&TimesRead) -> &Distribution);

const TIMES: &[Times] = &[
    (
        "pgweir_queue_wait_seconds",
        "How long clients waited for a server, also where they did not have to",
        |times| &times.waits,
    ),
    (
        "pgweir_query_seconds",
        "How long a server worked without a pause",
        |times| &times.queries,
    ),
    (
        "pgweir_transaction_seconds",
        "How long clients had a server: transactions with the pauses in them",
        |times| &times.transactions,
    ),
];

/// The pools of one pair of names.
#[derive(Debug, Clone, Default)]
struct Pair {
    totals: Totals,
    times: BTreeMap<ServerRole, TimesRead>,
    errors: ErrorsRead,
    maxwait: Duration,
}

impl Pair {
    fn add(&mut self, pool: &PoolTotals) {
        self.totals.add(&pool.totals);
        self.errors.add(&pool.errors);
        for (role, times) in &pool.times {
            self.times.entry(*role).or_default().add(times);
        }
    }
}

/// What pools without a name of their own had counted before they were forgotten: it stays in `other`,
/// which would go back else.
#[derive(Debug, Default)]
pub struct Gone {
    pools: Option<Pair>,
    databases: Option<Counters>,
}

impl Gone {
    /// Takes in what has gone since the last time.
    pub fn note(
        &mut self,
        forgotten: &[(PoolTotals, Counters)],
        seats: &mut AllSeats,
        most: usize,
    ) {
        for (pool, counters) in forgotten {
            if seats.pools.place([&pool.database, &pool.user], most) == [OTHER; 2] {
                self.pools.get_or_insert_default().add(pool);
            }
            if seats.databases.place([&pool.database], most) == [OTHER] {
                self.databases.get_or_insert_default().add(counters);
            }
        }
    }

    /// What databases without a name have counted.
    pub fn databases(&self) -> Option<&Counters> {
        self.databases.as_ref()
    }
}

/// Writes all of them. At most `most` pools and databases have names.
pub fn write(
    out: &mut Exposition,
    (shown, numbers, gone): (&Shown, &Numbers, &Gone),
    seats: &mut AllSeats,
    most: usize,
) {
    let mut pairs: BTreeMap<[&str; 2], Pair> = BTreeMap::new();
    pairs.extend(gone.pools.clone().map(|pools| ([OTHER; 2], pools)));
    for pool in &numbers.pools {
        let pair = pairs
            .entry(seats.pools.place([&pool.database, &pool.user], most))
            .or_default();
        pair.add(pool);
    }
    for row in &shown.pools {
        let pair = pairs
            .entry(seats.pools.place([&row.database, &row.user], most))
            .or_default();
        pair.maxwait = pair.maxwait.max(row.maxwait);
    }
    totals(out, &pairs);
    times(out, &pairs);
    connects(out, (shown, &numbers.connects), seats, most);
}

fn totals(out: &mut Exposition, pairs: &BTreeMap<[&str; 2], Pair>) {
    for (name, help, counter) in COUNTS {
        let name = format!("pgweir_{name}");
        let mut family = out.family(&name, Type::Counter, help);
        for ([database, user], pair) in pairs {
            let labels = [("database", *database), ("user", *user)];
            family.sample(&labels, pair.totals.get(*counter));
        }
    }
    let help = "How long the first waiting client has waited";
    let mut family = out.family("pgweir_oldest_wait_seconds", Type::Gauge, help);
    for ([database, user], pair) in pairs {
        family.sample(&[("database", database), ("user", user)], pair.maxwait);
    }
    let help = "Errors that servers have sent, by the class of their SQLSTATE";
    let mut family = out.family("pgweir_errors_total", Type::Counter, help);
    for ([database, user], pair) in pairs {
        for (class, count) in pair.errors.shown() {
            let labels = [("database", *database), ("user", *user), ("class", class)];
            family.sample(&labels, count);
        }
    }
}

fn times(out: &mut Exposition, pairs: &BTreeMap<[&str; 2], Pair>) {
    for (name, help, of) in TIMES {
        let mut family = out.family(name, Type::Histogram, help);
        for ([database, user], pair) in pairs {
            for (role, times) in &pair.times {
                let labels = [
                    ("database", *database),
                    ("user", *user),
                    ("role", role.word()),
                ];
                histogram(&mut family, &labels, of(times));
            }
        }
    }
}

/// Nothing, where nothing was recorded: most pools know one role of servers only.
fn histogram(family: &mut Family<'_>, labels: &[Label<'_>], read: &Distribution) {
    let count = read.count();
    if count > 0 {
        let buckets = read
            .up_to()
            .map(|(bound, up_to)| (Number::Micros(bound), up_to));
        family.histogram(labels, buckets, (Number::Micros(read.sum_us), count));
    }
}

/// Those of a database are there before the first attempt.
fn connects(
    out: &mut Exposition,
    (shown, counted): (&Shown, &[DatabaseConnects]),
    seats: &mut AllSeats,
    most: usize,
) {
    let mut sums: BTreeMap<&str, ConnectCounts> = BTreeMap::new();
    let known = shown.databases.iter().map(|row| (&*row.name, [0; _]));
    let counted = counted.iter();
    let counted = counted.map(|row| (row.database.as_deref().unwrap_or(OTHER), row.counts));
    for (name, counts) in known.chain(counted) {
        let [name] = seats.databases.place([name], most);
        let sum = sums.entry(name).or_default();
        for (sum, count) in sum.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    let help = "Attempts to open a server connection";
    let mut family = out.family("pgweir_server_connects_total", Type::Counter, help);
    for (database, counts) in sums {
        for (outcome, count) in Connect::ALL.into_iter().zip(counts) {
            family.sample(
                &[("database", database), ("outcome", outcome.word())],
                count,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::pgbouncer;

    fn pool(database: &str, queries: u64) -> PoolTotals {
        let mut totals = Totals::default();
        totals.set(Counter::Queries, queries);
        PoolTotals {
            database: database.into(),
            user: "u".into(),
            totals,
            times: ServerRole::ALL.map(|role| (role, TimesRead::default())),
            errors: ErrorsRead::default(),
        }
    }

    #[test]
    fn what_pools_without_a_name_have_counted_stays_when_they_go() {
        let (mut seats, mut gone) = (AllSeats::default(), Gone::default());
        let shown = Shown::default();
        let mut scrape = |pools: Vec<PoolTotals>, forgotten: Vec<PoolTotals>| {
            let counters = |pool: &PoolTotals| Counters {
                queries: pool.totals.get(Counter::Queries),
                ..Counters::default()
            };
            let forgotten = forgotten.into_iter();
            let numbers = Numbers {
                pools,
                forgotten: forgotten
                    .map(|pool| (pool.clone(), counters(&pool)))
                    .collect(),
                ..Numbers::default()
            };
            let mut out = Exposition::default();
            gone.note(&numbers.forgotten, &mut seats, 1);
            pgbouncer::write(&mut out, (&shown, &gone), &mut seats, 1);
            write(&mut out, (&shown, &numbers, &gone), &mut seats, 1);
            let text = out.finish();
            let value = |series: &str| {
                let line = text.lines().find(|line| line.starts_with(series));
                line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            };
            (
                value("pgweir_queries_total{database=\"a\""),
                value("pgweir_queries_total{database=\"other\""),
                value("pgbouncer_stats_queries_pooled_total{database=\"other\""),
            )
        };
        let all = || vec![pool("a", 1), pool("b", 20), pool("c", 300)];
        assert_eq!(scrape(all(), Vec::new()), (Some(1), Some(320), None));
        // One that has a name takes its numbers along, the others leave them.
        let (a, b) = (pool("a", 2), pool("b", 25));
        let left = scrape(vec![pool("c", 300)], vec![a, b]);
        assert_eq!(left, (None, Some(325), Some(25)));
        let back = scrape(vec![pool("a", 1), pool("c", 301)], Vec::new());
        assert_eq!((back.0, back.1), (Some(1), Some(326)));
    }
}
