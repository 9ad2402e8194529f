//! Sans-IO. `SHOW QUERIES`: what statements cost, in the order that is asked for.

use std::cmp::Ordering;

use super::columns;
use crate::admin::table::{Column, Value};

/// One statement of one user in one database, or all that have no row of their own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueryRow {
    /// The database; `None` in the row of all others.
    pub database: Option<String>,
    /// The user.
    pub user: Option<String>,
    /// Number of the statement, the same for all who say it.
    pub fingerprint: Option<u64>,
    /// How often it was called.
    pub calls: u64,
    /// Time of the servers.
    pub total_us: u64,
    /// Its average.
    pub mean_us: u64,
    /// The time that half of the calls did not exceed.
    pub p50_us: u64,
    /// That 95 of 100 did not exceed.
    pub p95_us: u64,
    /// That 99 of 100 did not exceed.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
    /// Time in which clients waited for a server.
    pub wait_us: u64,
    /// Rows that were returned or changed.
    pub rows: u64,
    /// Calls that failed.
    pub errors: u64,
    /// Bytes of the answers.
    pub bytes: u64,
    /// Share of the calls that ran on replicas.
    pub replica_percent: u64,
    /// Its text without values; `None` in the row of all others.
    pub query: Option<String>,
}

/// What stands for the text in the row of all others.
const OTHERS: &str = "(all others)";

/// Columns of `SHOW QUERIES`.
pub const QUERY_COLUMNS: &[Column<QueryRow>] = columns! {
    "database" Text |row| row.database.as_ref().into();
    "user" Text |row| row.user.as_ref().into();
    "fingerprint" Text |row| row.fingerprint.map(|print| format!("{print:016x}")).into();
    "calls" Int8 |row| row.calls.into();
    "total_us" Int8 |row| row.total_us.into();
    "mean_us" Int8 |row| row.mean_us.into();
    "p50_us" Int8 |row| row.p50_us.into();
    "p95_us" Int8 |row| row.p95_us.into();
    "p99_us" Int8 |row| row.p99_us.into();
    "max_us" Int8 |row| row.max_us.into();
    "wait_us" Int8 |row| row.wait_us.into();
    "rows" Int8 |row| row.rows.into();
    "errors" Int8 |row| row.errors.into();
    "bytes" Int8 |row| row.bytes.into();
    "replica_percent" Int8 |row| row.replica_percent.into();
    "query" Text |row| row.query.as_deref().unwrap_or(OTHERS).into();
};

/// Which way rows are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// `ASC`
    Ascending,
    /// `DESC`
    Descending,
}

/// Which rows are wanted, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryView {
    /// Name of a column.
    column: &'static str,
    direction: Direction,
    limit: Option<usize>,
}

impl Default for QueryView {
    fn default() -> Self {
        Self {
            column: "total_us",
            direction: Direction::Descending,
            limit: None,
        }
    }
}

impl QueryView {
    /// Reads what may follow `SHOW QUERIES`: `[ORDER BY column [ASC|DESC]] [LIMIT n]`. Without a
    /// direction the largest numbers come first, and texts in their order.
    pub fn read<'a>(words: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut words = words.peekable();
        let mut view = Self::default();
        if words
            .next_if(|word| word.eq_ignore_ascii_case("order"))
            .is_some()
        {
            words.next_if(|word| word.eq_ignore_ascii_case("by"))?;
            let name = words.next()?;
            let mut columns = QUERY_COLUMNS.iter();
            let column = columns.find(|column| column.name.eq_ignore_ascii_case(name))?;
            view.column = column.name;
            view.direction = match (column.value)(&QueryRow::default()) {
                Value::Number(_) => Direction::Descending,
                Value::Text(_) | Value::Null => Direction::Ascending,
            };
            for (word, direction) in [
                ("asc", Direction::Ascending),
                ("desc", Direction::Descending),
            ] {
                if words
                    .next_if(|next| next.eq_ignore_ascii_case(word))
                    .is_some()
                {
                    view.direction = direction;
                    break;
                }
            }
        }
        if words
            .next_if(|word| word.eq_ignore_ascii_case("limit"))
            .is_some()
        {
            let number = words.next()?;
            let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
            view.limit = Some(number.parse().ok().filter(|_| is_number)?);
        }
        words.next().is_none().then_some(view)
    }

    /// The rows as they are wanted. That of all others stands behind them, whatever the order and
    /// the limit are.
    pub fn apply(&self, mut rows: Vec<QueryRow>) -> Vec<QueryRow> {
        let (mut shown, others): (Vec<_>, Vec<_>) =
            rows.drain(..).partition(|row| row.query.is_some());
        if let Some(column) = QUERY_COLUMNS
            .iter()
            .find(|column| column.name == self.column)
        {
            shown.sort_by(|one, other| {
                let order = compare(&(column.value)(one), &(column.value)(other));
                match self.direction {
                    Direction::Ascending => order,
                    Direction::Descending => order.reverse(),
                }
                .then_with(|| one.query.cmp(&other.query))
            });
        }
        shown.truncate(self.limit.unwrap_or(usize::MAX));
        shown.extend(others);
        shown
    }
}

fn compare(one: &Value<'_>, other: &Value<'_>) -> Ordering {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.cmp(other),
        (Value::Text(one), Value::Text(other)) => one.cmp(other),
        // A column is of one kind.
        (Value::Number(_) | Value::Text(_) | Value::Null, _) => Ordering::Equal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<QueryView> {
        QueryView::read(text.split_ascii_whitespace())
    }

    fn row(query: &str, calls: u64, total_us: u64) -> QueryRow {
        QueryRow {
            query: Some(query.to_owned()),
            calls,
            total_us,
            ..QueryRow::default()
        }
    }

    fn shown(view: &str) -> Vec<String> {
        let others = QueryRow {
            calls: 1000,
            ..QueryRow::default()
        };
        let rows = vec![others, row("b", 3, 10), row("a", 3, 30), row("c", 1, 20)];
        let rows = read(view).unwrap().apply(rows).into_iter();
        rows.map(|row| row.query.unwrap_or_default()).collect()
    }

    #[test]
    fn rows_come_in_the_order_that_is_asked_for_and_all_others_last() {
        for (view, expected) in [
            ("", ["a", "c", "b", ""]),
            ("order by calls", ["a", "b", "c", ""]),
            ("ORDER BY Total_us ASC", ["b", "c", "a", ""]),
            ("order by query", ["a", "b", "c", ""]),
            ("order by query desc", ["c", "b", "a", ""]),
        ] {
            assert_eq!(shown(view), expected, "{view}");
        }
        assert_eq!(shown("limit 1"), ["a", ""]);
        assert_eq!(shown("order by calls asc limit 2"), ["c", "a", ""]);
        assert_eq!(shown("limit 0"), [""]);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "order",
            "order by",
            "order calls",
            "order by nothing",
            "order by calls up",
            "limit",
            "limit -1",
            "limit +1",
            "limit x",
            "limit 1 2",
            "limit 1 order by calls",
            "where x",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn each_column_can_be_sorted_by() {
        for column in QUERY_COLUMNS {
            assert!(read(&format!("order by {}", column.name)).is_some());
        }
    }
}
