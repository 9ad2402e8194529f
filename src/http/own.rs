//! Sans-IO. The metrics that are ours: `pgweir_*`, and those of the process.

use std::collections::BTreeMap;
use std::time::Duration;

use super::exposition::{Exposition, Family, Label, Number, Type};
use super::pgbouncer::Shown;
use super::seats::{AllSeats, OTHER};
use crate::admin::rows::{Counters, ReplicaRow};
use crate::cluster::view::HostState;
use crate::route::cache::Counted;
use crate::route::why::Why;
use crate::telemetry::stats::{
    Counter, Distribution, ErrorsRead, Happening, PoolTotals, ServerRole, TimesRead, Totals,
};
use crate::version;

/// What only we count, at one moment.
#[derive(Debug, Default)]
pub struct Numbers {
    /// Counters and times of each pool.
    pub pools: Vec<PoolTotals>,
    /// Those that are gone since the last time, with what the console would show of them.
    pub forgotten: Vec<(PoolTotals, Counters)>,
    /// What has happened to connections.
    pub happenings: Vec<(Happening, u64)>,
    /// What each entry with replicas has counted.
    pub routes: Vec<(String, Counted)>,
    /// The hosts of such entries.
    pub replicas: Vec<ReplicaRow>,
    /// The threads that serve clients, in the order of their numbers.
    pub workers: Vec<WorkerNumbers>,
    /// The process.
    pub process: ProcessNumbers,
    /// When a certificate ends that is shown to clients, in seconds since 1970.
    pub certificate_end: Option<u64>,
    /// Whether all clients are paused.
    pub is_paused: bool,
    /// Whether the process is on its way out.
    pub is_stopping: bool,
}

/// One worker.
#[derive(Debug, Clone, Copy, Default)]
pub struct WorkerNumbers {
    /// Connections it serves.
    pub connections: usize,
    /// Tasks on its event loop.
    pub tasks: usize,
    /// Time in which it was not asleep.
    pub busy: Duration,
}

/// What the operating system knows of the process; `None` where it does not say.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessNumbers {
    /// Memory in RAM, in bytes.
    pub resident_bytes: Option<u64>,
    /// Address space, in bytes.
    pub virtual_bytes: Option<u64>,
    /// CPU time, in microseconds.
    pub cpu_us: Option<u64>,
    /// Open descriptors.
    pub open_descriptors: Option<u64>,
    /// Most descriptors that may be open.
    pub most_descriptors: Option<u64>,
    /// When it began, in microseconds since 1970.
    pub started_us: Option<u64>,
}

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

/// Writes all of them. At most `most` pools have names.
pub fn write(
    out: &mut Exposition,
    (shown, numbers, gone): (&Shown, &Numbers, &Gone),
    seats: &mut AllSeats,
    most: usize,
) {
    out.family("pgweir_build_info", Type::Gauge, "What runs")
        .sample(&[("version", version::OWN)], 1_u64);
    let help = "Whether PAUSE holds all clients";
    out.single("pgweir_paused", Type::Gauge, help, numbers.is_paused);
    let help = "Whether the process is on its way out";
    out.single(
        "pgweir_shutting_down",
        Type::Gauge,
        help,
        numbers.is_stopping,
    );
    let help = "When the first certificate ends that is shown";
    let mut family = out.family("pgweir_tls_certificate_end_seconds", Type::Gauge, help);
    if let Some(end) = numbers.certificate_end {
        family.sample(&[("side", "client")], end);
    }
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
    pools(out, &pairs);
    happenings(out, &numbers.happenings);
    routes(out, &numbers.routes);
    replicas(out, &numbers.replicas);
    workers(out, &numbers.workers);
    process(out, &numbers.process);
}

fn micros(time: Duration) -> Number {
    Number::Micros(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

fn pools(out: &mut Exposition, pairs: &BTreeMap<[&str; 2], Pair>) {
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
        family.sample(
            &[("database", database), ("user", user)],
            micros(pair.maxwait),
        );
    }
    let help = "Errors that servers have sent, by the class of their SQLSTATE";
    let mut family = out.family("pgweir_errors_total", Type::Counter, help);
    for ([database, user], pair) in pairs {
        for (class, count) in pair.errors.seen() {
            let labels = [("database", *database), ("user", *user), ("class", class)];
            family.sample(&labels, count);
        }
    }
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

fn happenings(out: &mut Exposition, counts: &[(Happening, u64)]) {
    for same in counts.chunk_by(|(one, _), (other, _)| one.subject() == other.subject()) {
        let Some((first, _)) = same.first() else {
            continue;
        };
        let subject = first.subject();
        let mut family = out.family(subject.name, Type::Counter, subject.help);
        for (happening, count) in same {
            family.sample(happening.labels(), *count);
        }
    }
}

/// A counter of entries with replicas: its name, what it means, its value.
type RouteCount = (&'static str, &'static str, fn(&Counted) -> Number);

const ROUTE_COUNTS: &[RouteCount] = &[
    (
        "pgweir_route_reconsidered_total",
        "Decisions that were made anew while the client waited",
        |counted| counted.reconsidered.into(),
    ),
    (
        "pgweir_route_replays_total",
        "Reads that a server refused, or was lost with, and that ran again",
        |counted| counted.again.into(),
    ),
    (
        "pgweir_route_parses_total",
        "Statements parsed because they were not known",
        |counted| counted.misses.into(),
    ),
    (
        "pgweir_fence_waits_total",
        "Waits for a replica that has its client's writes",
        |counted| counted.fence_waits.into(),
    ),
    (
        "pgweir_fence_wait_seconds_total",
        "Time of these waits",
        |counted| Number::Micros(counted.fence_wait_us),
    ),
];

fn routes(out: &mut Exposition, routes: &[(String, Counted)]) {
    let help = "Where statements went, by reason";
    let mut family = out.family("pgweir_route_decisions_total", Type::Counter, help);
    for (database, counted) in routes {
        for (why, count) in Why::all().zip(counted.decisions) {
            if count > 0 {
                family.sample(&[("database", database), ("reason", why.word())], count);
            }
        }
    }
    for (name, help, value) in ROUTE_COUNTS {
        let mut family = out.family(name, Type::Counter, help);
        for (database, counted) in routes {
            family.sample(&[("database", database)], value(counted));
        }
    }
}

fn replicas(out: &mut Exposition, rows: &[ReplicaRow]) {
    let help = "What a host is: 1 for its state, 0 for the others";
    let mut family = out.family("pgweir_replica_state", Type::Gauge, help);
    for row in rows {
        for state in HostState::ALL {
            let labels = [
                ("database", &*row.database),
                ("host", &*row.name),
                ("state", state.word()),
            ];
            family.sample(&labels, state.word() == row.state);
        }
    }
    let mut gauge = |name: &str, help: &str, value: &dyn Fn(&ReplicaRow) -> Option<Number>| {
        let mut family = out.family(name, Type::Gauge, help);
        for row in rows {
            if let Some(value) = value(row) {
                family.sample(&[("database", &*row.database), ("host", &*row.name)], value);
            }
        }
    };
    let help = "How far a replica is behind the primary, in time";
    gauge("pgweir_replica_lag_seconds", help, &|row| {
        row.lag_us.map(Number::Micros)
    });
    let help = "How far a replica is behind the primary, in bytes of the log";
    gauge("pgweir_replica_lag_bytes", help, &|row| {
        row.lag_bytes.map(Number::Whole)
    });
    let help = "Requests under way at a host";
    gauge("pgweir_replica_requests", help, &|row| {
        Some(row.in_flight.into())
    });
    let help = "Average time of requests at a host";
    gauge("pgweir_replica_latency_seconds", help, &|row| {
        Some(Number::Micros(row.latency_us.into()))
    });
}

fn workers(out: &mut Exposition, workers: &[WorkerNumbers]) {
    let mut each = |name: &str, kind, help: &str, value: &dyn Fn(&WorkerNumbers) -> Number| {
        let mut family = out.family(name, kind, help);
        for (number, worker) in workers.iter().enumerate() {
            family.sample(&[("worker", &number.to_string())], value(worker));
        }
    };
    let help = "Connections of clients that a worker serves";
    each("pgweir_worker_connections", Type::Gauge, help, &|worker| {
        worker.connections.into()
    });
    let help = "Tasks on a worker's event loop";
    each("pgweir_worker_tasks", Type::Gauge, help, &|worker| {
        worker.tasks.into()
    });
    let help = "Time in which a worker was not asleep";
    each(
        "pgweir_worker_busy_seconds_total",
        Type::Counter,
        help,
        &|worker| micros(worker.busy),
    );
}

fn process(out: &mut Exposition, process: &ProcessNumbers) {
    let whole = |value: Option<u64>| value.map(Number::Whole);
    let time = |value: Option<u64>| value.map(Number::Micros);
    for (name, kind, help, value) in [
        (
            "process_resident_memory_bytes",
            Type::Gauge,
            "Resident memory size in bytes.",
            whole(process.resident_bytes),
        ),
        (
            "process_virtual_memory_bytes",
            Type::Gauge,
            "Virtual memory size in bytes.",
            whole(process.virtual_bytes),
        ),
        (
            "process_cpu_seconds_total",
            Type::Counter,
            "Total user and system CPU time spent in seconds.",
            time(process.cpu_us),
        ),
        (
            "process_open_fds",
            Type::Gauge,
            "Number of open file descriptors.",
            whole(process.open_descriptors),
        ),
        (
            "process_max_fds",
            Type::Gauge,
            "Maximum number of open file descriptors.",
            whole(process.most_descriptors),
        ),
        (
            "process_start_time_seconds",
            Type::Gauge,
            "Start time of the process since unix epoch in seconds.",
            time(process.started_us),
        ),
    ] {
        if let Some(value) = value {
            out.single(name, kind, help, value);
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
