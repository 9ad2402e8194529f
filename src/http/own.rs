//! Sans-IO. The metrics that are ours: `pgweir_*`, and those of the process.

use std::time::Duration;

use super::exposition::{Exposition, Number, Type};
use crate::admin::rows::{Counters, ReplicaRow};
use crate::cluster::view::HostState;
use crate::route::cache::Counted;
use crate::route::why::Why;
use crate::telemetry::stats::{DatabaseConnects, Happening, PoolTotals};
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
    /// Attempts to open server connections.
    pub connects: Vec<DatabaseConnects>,
    /// What each entry with replicas has counted.
    pub routes: Vec<(String, Counted)>,
    /// The hosts of such entries.
    pub replicas: Vec<ReplicaRow>,
    /// The threads that serve clients, in the order of their numbers.
    pub workers: Vec<WorkerNumbers>,
    /// The process.
    pub process: ProcessNumbers,
    /// When our certificates end.
    pub certificates: CertificateEnds,
    /// Whether all clients are paused.
    pub is_paused: bool,
    /// Whether the process is on its way out.
    pub is_stopping: bool,
}

/// When the certificates that we show end, in seconds since 1970; nothing where there is none.
#[derive(Debug, Clone, Copy, Default)]
pub struct CertificateEnds {
    /// To clients.
    pub client: Option<u64>,
    /// To servers.
    pub server: Option<u64>,
    /// To who asks over HTTP.
    pub http: Option<u64>,
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

/// Writes all but those of pools and databases.
pub fn write(out: &mut Exposition, numbers: &Numbers) {
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
    let help = "When the first certificate ends that is shown to clients, to servers, over HTTP";
    let mut family = out.family("pgweir_tls_certificate_end_seconds", Type::Gauge, help);
    let CertificateEnds {
        client,
        server,
        http,
    } = numbers.certificates;
    for (side, end) in [("client", client), ("server", server), ("http", http)] {
        if let Some(end) = end {
            family.sample(&[("side", side)], end);
        }
    }
    happenings(out, &numbers.happenings);
    routes(out, &numbers.routes);
    replicas(out, &numbers.replicas);
    workers(out, &numbers.workers);
    process(out, &numbers.process);
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
        &|worker| worker.busy.into(),
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
