//! The comparison that `benches/counts` makes: a benchmark has no tests of its own.

#[path = "../benches/counts/baseline.rs"]
mod baseline;

use baseline::{BadLine, Baseline, Count, Verdict};

fn counts(counts: &[(&str, u64)]) -> Vec<Count> {
    let owned = counts
        .iter()
        .map(|(name, count)| ((*name).to_owned(), *count));
    owned.collect()
}

fn baseline(of: &[(&str, u64)]) -> Baseline {
    Baseline {
        made_with: "rustc 1.90.0 x86_64".to_owned(),
        counts: counts(of),
    }
}

fn verdict(before: u64, now: u64) -> (Verdict, bool) {
    let report = baseline(&[("a", before)]).compare(&counts(&[("a", now)]));
    let all = [Verdict::Same, Verdict::Better, Verdict::Worse];
    let found = all.into_iter().find(|verdict| report.count(*verdict) == 1);
    (found.expect("it is on both sides"), report.has_failed())
}

#[test]
fn more_than_the_tolerance_fails_and_less_does_not() {
    assert_eq!(verdict(1000, 1030), (Verdict::Same, false));
    assert_eq!(verdict(1000, 1031), (Verdict::Worse, true));
    assert_eq!(verdict(1000, 970), (Verdict::Same, false));
    assert_eq!(verdict(1000, 969), (Verdict::Better, false));
    assert_eq!(verdict(0, 1), (Verdict::Worse, true));
}

#[test]
fn one_bad_case_among_good_ones_fails() {
    let before = baseline(&[("a", 100), ("b", 100), ("c", 100)]);
    let report = before.compare(&counts(&[("a", 90), ("b", 104), ("c", 100)]));
    assert!(report.has_failed());
    assert_eq!(report.count(Verdict::Worse), 1);
}

#[test]
fn a_case_that_only_one_of_both_knows_fails() {
    let before = baseline(&[("a", 100), ("gone", 100)]);
    let same = before.compare(&counts(&[("a", 100), ("gone", 100)]));
    assert!(!same.has_failed());
    let missing = before.compare(&counts(&[("a", 100)]));
    assert!(missing.has_failed());
    assert_eq!(missing.count(Verdict::Missing), 1);
    let unknown = before.compare(&counts(&[("a", 100), ("gone", 100), ("new", 1)]));
    assert!(unknown.has_failed());
    assert_eq!(unknown.count(Verdict::Unknown), 1);
}

#[test]
fn a_baseline_is_read_as_it_is_written() {
    let long = "a name, with words: longer than its column, as may be the case";
    let one = baseline(&[("pool: an idle one, and back", 12), (long, 123_456_789_012)]);
    assert_eq!(Baseline::parse(&one.to_string()), Ok(one));
}

#[test]
fn a_line_without_a_number_is_named() {
    assert_eq!(Baseline::parse("# x\na  1\nb\n"), Err(BadLine(3)));
    assert_eq!(Baseline::parse("a  1\nb  -1\n"), Err(BadLine(2)));
    assert_eq!(Baseline::parse("a  1\n\n"), Err(BadLine(2)));
}

#[test]
fn the_table_shows_each_case_with_its_change() {
    let before = baseline(&[("a", 1000), ("b", 1000), ("gone", 7)]);
    let report = before.compare(&counts(&[("a", 1045), ("b", 995), ("new", 3)]));
    let words: Vec<Vec<_>> = report
        .to_string()
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .collect();
    assert_eq!(words[0], ["a", "1000", "1045", "+4.5", "%", "WORSE"]);
    assert_eq!(words[1], ["b", "1000", "995", "-0.5", "%"]);
    assert_eq!(words[2], ["new", "-", "3", "NOT", "IN", "THE", "BASELINE"]);
    assert_eq!(words[3], ["gone", "7", "-", "NO", "SUCH", "CASE"]);
}
