//! `SHOW REPLICAS`, `SHOW ROUTES`, `EXPLAIN ROUTE`: what the clusters know at this moment.

use std::cmp::Reverse;
use std::collections::HashMap;

use tokio::time::Instant;

use crate::admin::rows::{ExplainedRoute, ReplicaRow, RouteRow};
use crate::cluster::choice::Chance;
use crate::cluster::position::{Position, Scope};
use crate::cluster::view::HostView;
use crate::config::Role;
use crate::pooler::Pooler;
use crate::pooler::clusters::LiveCluster;
use crate::route::decide::{Attempt, Case, Preference, Target, decide};
use crate::route::why::Why;
use crate::sql::lexer::Quoting;
use crate::sql::wish::{self, wish};
use crate::sql::{Class, Verdict, classify, normalize};

/// Most rows of `SHOW ROUTES`.
const MOST_ROUTES: usize = 500;

/// Longest text that `EXPLAIN ROUTE` shows, in bytes.
const MAX_TEXT: usize = 2048;

/// `SHOW REPLICAS`
pub fn replicas(pooler: &Pooler) -> Vec<ReplicaRow> {
    let mut rows = Vec::new();
    for cluster in pooler.clusters.all() {
        let view = cluster.view();
        rows.extend(view.hosts.iter().map(|host| replica(&cluster, host)));
    }
    rows
}

fn replica(cluster: &LiveCluster, host: &HostView) -> ReplicaRow {
    let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    ReplicaRow {
        database: cluster.name.to_string(),
        name: host.name.to_string(),
        state: host.state.word(),
        timeline: host.timeline,
        position: host.position().map(|position| position.to_string()),
        lag_bytes: host.lag.map(|lag| lag.bytes),
        lag_us: host.lag.map(|lag| micros(lag.time)),
        weight: host.weight,
        in_flight: host.gauge.in_flight(),
        latency_us: host.gauge.latency_us(),
    }
}

/// `SHOW ROUTES`: the most frequent statements first.
pub fn routes(pooler: &Pooler) -> Vec<RouteRow> {
    let mut rows = Vec::new();
    for cluster in pooler.clusters.all() {
        let mut found: HashMap<String, RouteRow> = HashMap::new();
        cluster.each_cache(|cache| {
            for (print, known) in cache.known() {
                let row = found
                    .entry(known.text.to_string())
                    .or_insert_with(|| RouteRow {
                        database: cluster.name.to_string(),
                        fingerprint: print.0,
                        class: class_word(known.verdict()),
                        reason: None,
                        primary: 0,
                        replica: 0,
                        again: 0,
                        query: known.text.to_string(),
                    });
                row.reason = known.why.map(Why::word).or(row.reason);
                row.primary += known.counts.primary;
                row.replica += known.counts.replica;
                row.again += known.counts.again;
            }
        });
        rows.extend(found.into_values());
    }
    rows.sort_by(|a, b| {
        let order = |row: &RouteRow| Reverse(row.primary.saturating_add(row.replica));
        order(a).cmp(&order(b)).then_with(|| a.query.cmp(&b.query))
    });
    rows.truncate(MOST_ROUTES);
    rows
}

fn class_word(verdict: Verdict) -> &'static str {
    match verdict.class {
        Class::Read => "read",
        Class::Primary(reason) => reason.word(),
    }
}

/// `EXPLAIN ROUTE sql`: a row for each entry with replicas.
pub fn explain(pooler: &Pooler, sql: &[u8]) -> Vec<ExplainedRoute> {
    let config = pooler.config();
    let clusters = pooler.clusters.all();
    let rows = clusters.iter().map(|cluster| {
        let role = config.database(&cluster.name).map(|entry| entry.spec.role);
        explain_in(cluster, sql, role.unwrap_or(Role::Auto))
    });
    rows.collect()
}

fn explain_in(cluster: &LiveCluster, sql: &[u8], role: Role) -> ExplainedRoute {
    let (functions, view) = (cluster.functions(), cluster.view());
    let wished = wish(sql, Quoting::Standard).and_then(|wish| wish.target);
    let case = Case {
        verdict: classify(sql, Quoting::Standard, &functions.catalog),
        preference: match wished {
            Some(wish::Target::Primary) => Preference::Primary,
            Some(wish::Target::Replica) => Preference::Replica,
            None => Preference::Auto,
        },
        role,
        attempt: Attempt::First,
        view: &view,
        scope: Scope::Session,
        now: Instant::now().into_std(),
        chance: Chance::new(0),
    };
    let decision = decide(&case, &mut Position::default());
    let host = match decision.target {
        Target::Primary => view.primary_host(),
        Target::Replica(host) => view.host(host),
    };
    ExplainedRoute {
        database: cluster.name.to_string(),
        target: host.map(|host| host.name.to_string()),
        reason: decision.why.word(),
        query: normalize(sql, Quoting::Standard, MAX_TEXT),
    }
}
