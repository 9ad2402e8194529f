//! Sans-IO. The table that the demo prints.

use std::fmt::Write as _;
use std::time::Duration;

use super::bench::{Measurement, Via, Workload};

/// One row: what was run over which way, and what came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What was run.
    pub workload: Workload,
    /// Over which way.
    pub via: Via,
    /// What came out.
    pub measurement: Measurement,
}

const HEADER: [&str; 6] = [
    "workload",
    "via",
    "tps",
    "p50 ms",
    "p99 ms",
    "server connections",
];
/// Columns from this one on hold numbers, which end at the right.
const FIRST_NUMBER: usize = 2;

/// The table as text. Rows of one workload stand together, in the order they came in.
pub fn render(rows: &[Row]) -> String {
    let mut lines = vec![HEADER.map(str::to_owned)];
    for workload in Workload::ALL {
        let of_workload = rows.iter().filter(|row| row.workload == workload);
        for (index, row) in of_workload.enumerate() {
            lines.push(cells(row, index == 0));
        }
    }
    let mut text = String::new();
    for line in &lines {
        let mut end = String::new();
        for (column, cell) in line.iter().enumerate() {
            let width = lines
                .iter()
                .filter_map(|line| line.get(column))
                .map(String::len)
                .max();
            let width = width.unwrap_or_default();
            let written = if column < FIRST_NUMBER {
                write!(end, "{cell:<width$}   ")
            } else {
                write!(end, "{cell:>width$}   ")
            };
            written.expect("writing into a String cannot fail");
        }
        text.push_str(end.trim_end());
        text.push('\n');
    }
    text
}

fn cells(row: &Row, first_of_workload: bool) -> [String; 6] {
    let workload = if first_of_workload {
        row.workload.title()
    } else {
        ""
    };
    let Measurement {
        tps,
        p50,
        p99,
        server_connections,
    } = &row.measurement;
    [
        workload.to_owned(),
        row.via.title().to_owned(),
        thousands(*tps),
        milliseconds(*p50),
        milliseconds(*p99),
        server_connections.to_string(),
    ]
}

fn milliseconds(length: Duration) -> String {
    format!("{:.2}", length.as_secs_f64() * 1000.0)
}

/// A number without decimals, in groups of three digits.
pub fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(workload: Workload, via: Via, tps: f64) -> Row {
        let measurement = Measurement {
            tps,
            p50: Duration::from_micros(1_234),
            p99: Duration::from_millis(17),
            server_connections: 16,
        };
        Row {
            workload,
            via,
            measurement,
        }
    }

    #[test]
    fn rows_are_grouped_by_workload_and_numbers_end_at_the_right() {
        let rows = [
            row(Workload::ReadOnly, Via::Direct, 12_345.6),
            row(Workload::ReadWrite, Via::Direct, 876.4),
            row(Workload::ReadOnly, Via::Pgweir, 9_999.0),
        ];
        let expected = "\
workload                    via         tps   p50 ms   p99 ms   server connections
read only (select by key)   direct   12,346     1.23    17.00                   16
                            pgweir    9,999     1.23    17.00                   16
read/write (like TPC-B)     direct      876     1.23    17.00                   16
";
        assert_eq!(render(&rows), expected);
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (value, expected) in [
            (0.0, "0"),
            (999.4, "999"),
            (999.5, "1,000"),
            (12_345.0, "12,345"),
            (1_234_567.0, "1,234,567"),
        ] {
            assert_eq!(thousands(value), expected);
        }
    }
}
