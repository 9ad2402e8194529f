//! A strict reader of Prometheus' text format: what it takes, Prometheus takes.

use std::collections::{BTreeMap, BTreeSet};

/// A scrape.
#[derive(Debug, Default)]
pub struct Scrape {
    /// Type of each family.
    pub types: BTreeMap<String, String>,
    /// Value of each series, by its name with sorted labels: `name{a="b",c="d"}`.
    pub series: BTreeMap<String, f64>,
}

impl Scrape {
    /// Reads a text; whatever is not as it should be fails the test.
    pub fn read(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line has no end");
        let mut scrape = Self::default();
        let mut helped = BTreeSet::new();
        let mut current = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
                name.clone_into(&mut current);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(
                    name == current && matches!(kind, "counter" | "gauge" | "histogram"),
                    "{line}"
                );
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                let before = scrape.types.insert(name.to_owned(), kind.to_owned());
                assert_eq!(before, None, "{line}");
            } else {
                scrape.sample(line, &current);
            }
        }
        scrape.check_histograms();
        scrape
    }

    fn sample(&mut self, line: &str, family: &str) {
        let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
        let kind = self.types.get(family).map(String::as_str);
        let suffix = name.strip_prefix(family);
        let fits = match kind {
            Some("histogram") => matches!(suffix, Some("_bucket" | "_sum" | "_count")),
            _ => kind.is_some() && suffix == Some(""),
        };
        assert!(fits, "{line:?} in the family {family}");
        let (labels, value) = labels(rest);
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        let series = format!("{name}{{{}}}", labels.join(","));
        assert_eq!(self.series.insert(series, value), None, "twice: {line}");
    }

    /// Buckets grow, and the last one has all.
    fn check_histograms(&self) {
        for (series, count) in &self.series {
            let Some((name, labels)) = series.split_once("_count{") else {
                continue;
            };
            if self.types.get(name).map(String::as_str) != Some("histogram") {
                continue;
            }
            let own = labels.trim_end_matches('}');
            let mut buckets = Vec::new();
            for (series, up_to) in &self.series {
                if let Some(rest) = series.strip_prefix(&format!("{name}_bucket{{"))
                    && let Some((bound, rest)) = without_bound(rest)
                    && rest == own
                {
                    buckets.push((bound, *up_to));
                }
            }
            buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
            assert!(
                buckets.is_sorted_by_key(|(_, up_to)| *up_to),
                "{series}: {buckets:?}"
            );
            assert_eq!(buckets.last(), Some(&(f64::INFINITY, *count)), "{series}");
        }
    }

    /// The value of a series.
    pub fn value(&self, series: &str) -> Option<f64> {
        self.series.get(series).copied()
    }

    /// Names of series that begin so.
    pub fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        let found = self
            .series
            .iter()
            .filter(move |(name, _)| name.starts_with(prefix));
        found.map(|(name, value)| (name.as_str(), *value))
    }
}

/// The bound of a bucket, and its other labels.
fn without_bound(labels: &str) -> Option<(f64, String)> {
    let labels = labels.trim_end_matches('}');
    let mut bound = None;
    let others: Vec<_> = labels
        .split("\",")
        .map(|label| label.trim_end_matches('"'))
        .filter(|label| match label.strip_prefix("le=\"") {
            Some(value) => {
                bound = Some(value.parse::<f64>().unwrap());
                false
            }
            None => true,
        })
        .map(|label| format!("{label}\""))
        .collect();
    Some((bound?, others.join(",")))
}

/// Sorted labels as they stand, and what is behind them.
fn labels(text: &str) -> (Vec<String>, &str) {
    let Some(mut rest) = text.strip_prefix('{') else {
        return (Vec::new(), text.strip_prefix(' ').unwrap());
    };
    let mut found: Vec<String> = Vec::new();
    loop {
        let (name, tail) = rest.split_once("=\"").unwrap();
        let proper = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        assert!(proper && !name.is_empty(), "label {name:?}");
        let mut escaped = false;
        let end = tail.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let (value, tail) = tail.split_at(end.unwrap());
        found.push(format!("{name}=\"{value}\""));
        let Some(tail) = tail.strip_prefix("\",") else {
            rest = tail.strip_prefix("\"} ").unwrap();
            break;
        };
        rest = tail;
    }
    found.sort();
    let names: BTreeSet<_> = found.iter().map(|label| label.split('=').next()).collect();
    assert_eq!(names.len(), found.len(), "a label twice: {text}");
    (found, rest)
}
