//! Statements looked at by their tokens: what every query pays.

use std::hint::black_box;

use pgweir::sql::command::{command, verdict_of};
use pgweir::sql::fingerprint::fingerprint;
use pgweir::sql::lexer::Quoting;

use crate::meter::Meter;

const SEED: u64 = 1;
const SMALL: &str = "SELECT abalance FROM pgbench_accounts WHERE aid = 12345678;";

/// A statement of about four kilobytes, with few bytes between its tokens.
fn large() -> String {
    let condition = "(u.created_at >= '2024-01-01 00:00:00' AND o.status <> 'cancelled' AND o.total > 12.50) OR ";
    let start = "SELECT u.id, count(o.id) FROM users u JOIN orders o ON o.user_id = u.id WHERE ";
    let end = "u.id = 42 GROUP BY u.id ORDER BY 2 LIMIT 10";
    let conditions = (4096 - start.len() - end.len()) / condition.len();
    [start, &condition.repeat(conditions), end].concat()
}

/// Measures every case.
pub fn all(measure: &mut Meter<'_>) {
    let quoting = Quoting::Standard;
    let (small, large) = (SMALL.as_bytes(), large());
    let large = large.as_bytes();
    for (name, sql) in [
        ("fingerprint of 60 bytes", small),
        ("fingerprint of 4 KiB", large),
    ] {
        measure(name, sql.len(), &mut || {
            black_box(fingerprint(black_box(sql), quoting, SEED));
        });
    }
    let rows = format!("INSERT INTO t VALUES (1, 'x'){}", ", (2, 'y')".repeat(400));
    measure("fingerprint of 400 rows", rows.len(), &mut || {
        black_box(fingerprint(black_box(rows.as_bytes()), quoting, SEED));
    });
    measure("leading keyword of 60 bytes", small.len(), &mut || {
        black_box(verdict_of(&command(black_box(small), quoting)));
    });
}
