//! Reads expressions of `PromQL`, as far as to say whether what they name exists in a scrape.

use std::collections::{BTreeMap, BTreeSet};

use super::exposition::Scrape;

/// Prefixes of the names of metrics.
const PREFIXES: [&str; 3] = ["pgweir_", "pgbouncer_", "process_"];

/// Labels that Prometheus adds.
const ADDED: [&str; 2] = ["instance", "job"];

/// Labels of a metric, with the values that they have.
type Labels = BTreeMap<String, BTreeSet<String>>;

/// What a scrape has.
#[derive(Debug, Default)]
pub struct Known {
    metrics: BTreeMap<String, Labels>,
}

impl Known {
    pub fn of(scrape: &Scrape) -> Self {
        let mut known = Self::default();
        // Without a certificate its end has no series; its family is there all the same.
        for name in scrape.types.keys() {
            known.metrics.insert(name.clone(), Labels::new());
        }
        for series in scrape.series.keys() {
            let (name, labels) = series.split_once('{').unwrap();
            let metric = known.metrics.entry(name.to_owned()).or_default();
            let labels = labels.trim_end_matches('}').split("\",");
            for (label, value) in labels.filter_map(|label| label.split_once("=\"")) {
                let values = metric.entry(label.to_owned()).or_default();
                values.insert(value.trim_end_matches('"').to_owned());
            }
        }
        known
    }

    /// What an expression, and the labels shown of its result, name in vain.
    pub fn missing(&self, expression: &str, shown: &[&str]) -> Vec<String> {
        let mut missing = Vec::new();
        let mut labels: BTreeSet<&str> = ADDED.into();
        for (metric, matchers) in selectors(expression) {
            let Some(known) = self.metrics.get(metric) else {
                missing.push(metric.to_owned());
                continue;
            };
            labels.extend(known.keys().map(String::as_str));
            let wrong = matchers
                .iter()
                .filter(|matcher| !matcher.can_match(known, metric));
            missing.extend(wrong.map(|wrong| format!("{metric}: {wrong:?}")));
        }
        let kept = grouped(expression);
        let wrong = kept.iter().filter(|label| !labels.contains(*label));
        missing.extend(wrong.map(|label| format!("by or on {label}")));
        let lost = |label: &&&str| {
            let is_kept = kept.is_empty() || kept.contains(**label);
            !is_kept || !labels.contains(**label)
        };
        let has_series = !labels.iter().all(|label| ADDED.contains(label));
        let wrong = shown.iter().filter(|label| has_series && lost(label));
        missing.extend(wrong.map(|label| format!("{label} of {expression}")));
        missing
    }
}

/// A label and what it must be.
#[derive(Debug)]
struct Matcher<'a> {
    label: &'a str,
    values: Vec<&'a str>,
}

impl Matcher<'_> {
    /// Whether the metric has the label, and each of the values that are named.
    fn can_match(&self, known: &Labels, metric: &str) -> bool {
        if ADDED.contains(&self.label) || known.is_empty() {
            return true;
        }
        let Some(values) = known.get(self.label) else {
            return false;
        };
        assert!(!values.is_empty(), "{metric}");
        let is_known = |value: &&str| value.starts_with('$') || values.contains(*value);
        self.values.iter().all(is_known)
    }
}

/// The metrics of a text, each with its matchers.
fn selectors(text: &str) -> Vec<(&str, Vec<Matcher<'_>>)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_name) {
        rest = &rest[start..];
        let (name, behind) = rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len()));
        rest = behind;
        if !PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let braces = behind.strip_prefix('{');
        let inside = braces.and_then(|behind| behind.split_once('}'));
        rest = inside.map_or(behind, |(_, behind)| behind);
        let inside = inside.map_or("", |(inside, _)| inside);
        found.push((name, inside.split("\",").filter_map(matcher).collect()));
    }
    found
}

fn matcher(text: &str) -> Option<Matcher<'_>> {
    let (label, values) = text.split_once('"')?;
    Some(Matcher {
        label: label.trim_end_matches(['=', '~', '!']),
        values: values.trim_end_matches('"').split('|').collect(),
    })
}

/// Labels in the lists of `by` and `on`.
fn grouped(text: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for opening in ["by (", "on ("] {
        for list in text.split(opening).skip(1) {
            let list = list.split(')').next().unwrap_or_default();
            found.extend(list.split(", ").filter(|label| *label != "le"));
        }
    }
    found
}

#[test]
fn what_a_scrape_does_not_have_is_missing() {
    let text = "# HELP pgweir_a_total a\n# TYPE pgweir_a_total counter\n\
        pgweir_a_total{state=\"up\",user=\"u\"} 1\n";
    let known = Known::of(&Scrape::read(text));
    for (expression, shown, count) in [
        (
            "sum by (state) (rate(pgweir_a_total{state=~\"up\",user=~\"$user\"}[5m]))",
            "state",
            0,
        ),
        ("pgweir_a_total{instance=\"i\"}", "user", 0),
        ("pgweir_b_total", "user", 1),
        ("pgweir_a_total{state=~\"up|gone\"}", "user", 1),
        ("pgweir_a_total{sort=\"up\"}", "user", 1),
        ("sum by (sort) (pgweir_a_total)", "instance", 2),
        ("sum by (state) (pgweir_a_total)", "user", 1),
        ("pgweir_a_total", "sort", 1),
    ] {
        let missing = known.missing(expression, &[shown]);
        assert_eq!(missing.len(), count, "{expression} {shown}: {missing:?}");
    }
}
