//! What the metrics show and the console does not: a snapshot, taken without holding anybody up.

use std::sync::atomic::Ordering;

use super::{Host, clocks, routing, tables};
use crate::admin::rows::Counters;
use crate::app::shutdown::Stage;
use crate::http::own::{CertificateEnds, Numbers, ProcessNumbers, WorkerNumbers};
use crate::pool::WorkerId;
use crate::pooler::Pooler;
use crate::pooler::clusters::LiveCluster;
use crate::process::usage::{Usage, began};
use crate::route::cache::Counted;
use crate::telemetry::stats::PoolTotals;

/// All of it.
pub fn numbers(host: &Host) -> Numbers {
    let pooler = host.pooler();
    let clusters = pooler.clusters.all();
    Numbers {
        pools: pooler.stats.pools(),
        forgotten: forgotten(pooler),
        happenings: pooler.happenings.read(),
        connects: pooler.connects.read(),
        routes: clusters
            .iter()
            .map(|cluster| (cluster.name.to_string(), counted(cluster)))
            .collect(),
        replicas: routing::replicas(pooler),
        workers: workers(pooler),
        process: process(pooler),
        certificates: CertificateEnds {
            client: pooler.client_tls.load().ends(),
            server: pooler.server_tls.load().ends(),
            http: None, // its listener knows
        },
        is_paused: pooler.pools.with(|pools, _| pools.is_all_paused()),
        is_stopping: host.way_out().stage() > Stage::Serving,
    }
}

fn forgotten(pooler: &Pooler) -> Vec<(PoolTotals, Counters)> {
    let forgotten = pooler.stats.take_forgotten().into_iter();
    let shown = |pool: PoolTotals| {
        let counters = tables::counters(|counter| pool.totals.get(counter));
        (pool, counters)
    };
    forgotten.map(shown).collect()
}

fn counted(cluster: &LiveCluster) -> Counted {
    let mut sum = Counted::default();
    cluster.each_cache(|cache| sum.add(&cache.counted));
    sum
}

fn workers(pooler: &Pooler) -> Vec<WorkerNumbers> {
    let runtimes = (0..).zip(pooler.runtimes());
    let worker = |(number, runtime): (u16, &tokio::runtime::Handle)| {
        let metrics = runtime.metrics();
        WorkerNumbers {
            connections: pooler.load(WorkerId(number)).load(Ordering::Relaxed),
            tasks: metrics.num_alive_tasks(),
            busy: metrics.worker_total_busy_duration(0),
        }
    };
    runtimes.map(worker).collect()
}

fn process(pooler: &Pooler) -> ProcessNumbers {
    let (now, wall) = clocks();
    let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).ok();
    let age = std::time::Duration::from_micros(pooler.micros_since_start(now));
    let usage = Usage::now();
    ProcessNumbers {
        resident_bytes: usage.resident_bytes,
        virtual_bytes: usage.virtual_bytes,
        cpu_us: usage.cpu.and_then(micros),
        open_descriptors: usage.open_descriptors,
        most_descriptors: usage.most_descriptors,
        started_us: began(wall, age).and_then(micros),
    }
}
