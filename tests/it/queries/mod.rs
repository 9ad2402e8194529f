//! Statistics of queries and the log of slow ones.

mod counts;
mod replicas;
mod slow;

use crate::support::Weir;

/// A row of `SHOW QUERIES`, found by its text: the values of these columns.
fn row<const N: usize>(weir: &Weir, query: &str, columns: [&str; N]) -> Option<[String; N]> {
    let answer = weir.console().query("show queries");
    let names = answer.names();
    let at = |name: &str| names.iter().position(|known| known == name).unwrap();
    let rows = answer.rows();
    let found = rows.iter().find(|row| row[at("query")] == query)?;
    Some(columns.map(|column| found[at(column)].clone()))
}

/// Calls, rows and errors of a statement.
fn counts(weir: &Weir, query: &str) -> [u64; 3] {
    let found = row(weir, query, ["calls", "rows", "errors"]);
    found.map_or([0; 3], |found| found.map(|number| number.parse().unwrap()))
}
