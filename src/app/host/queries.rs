//! What statements cost: for `SHOW QUERIES`, and for whoever else asks.

use crate::admin::rows::QueryRow;
use crate::pooler::Pooler;
use crate::queries::{QueryStats, Sums};

/// All statements that were called since the last reset, in no order, and the row of all others, where
/// there are any.
pub fn queries(pooler: &Pooler) -> Vec<QueryRow> {
    let list = pooler.queries.list();
    let mut rows: Vec<_> = list.queries.iter().map(row).collect();
    if list.rest.calls > 0 {
        rows.push(sums(&list.rest));
    }
    rows
}

fn row(query: &QueryStats) -> QueryRow {
    QueryRow {
        database: Some(query.database.to_string()),
        user: Some(query.user.to_string()),
        fingerprint: Some(query.fingerprint.0),
        query: Some(query.text.to_string()),
        ..sums(&query.sums)
    }
}

fn sums(sums: &Sums) -> QueryRow {
    QueryRow {
        calls: sums.calls,
        total_us: sums.total_us,
        mean_us: sums.mean_us(),
        p50_us: sums.percentile_us(50),
        p95_us: sums.percentile_us(95),
        p99_us: sums.percentile_us(99),
        max_us: sums.max_us,
        wait_us: sums.wait_us,
        rows: sums.rows,
        errors: sums.errors,
        bytes: sums.bytes,
        replica_percent: sums.replica_percent(),
        ..QueryRow::default()
    }
}
