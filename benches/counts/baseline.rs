//! The committed numbers of instructions, and what a new count says about them.

use std::fmt;

/// A case may take so many per cent more than its baseline.
pub const TOLERANCE: u64 = 3;

/// A case and its instructions for one operation.
pub type Count = (String, u64);

/// Why a baseline cannot be read: this line is not a name and a number.
#[derive(Debug, PartialEq, Eq)]
pub struct BadLine(pub usize);

/// The numbers of one compiler on one architecture.
#[derive(Debug, PartialEq, Eq)]
pub struct Baseline {
    /// What they were made with, as `rustc 1.90.0 x86_64`.
    pub made_with: String,
    /// In the order of the cases.
    pub counts: Vec<Count>,
}

const MADE_WITH: &str = "# made with ";

impl Baseline {
    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Result<Self, BadLine> {
        let (mut made_with, mut counts) = (String::new(), Vec::new());
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(words) = line.strip_prefix(MADE_WITH) {
                words.clone_into(&mut made_with);
            } else if !line.starts_with('#') {
                let (name, count) = line.rsplit_once(' ').ok_or(BadLine(number))?;
                let count = count.parse().map_err(|_| BadLine(number))?;
                counts.push((name.trim_end().to_owned(), count));
            }
        }
        Ok(Self { made_with, counts })
    }

    fn find(&self, name: &str) -> Option<u64> {
        let found = self.counts.iter().find(|(known, _)| known == name);
        found.map(|(_, count)| *count)
    }

    /// Every case of the baseline and of `now`, with what has become of it.
    pub fn compare(&self, now: &[Count]) -> Report {
        let mut lines: Vec<Line> = Vec::new();
        for (name, count) in now {
            lines.push(Line {
                name: name.clone(),
                baseline: self.find(name),
                now: Some(*count),
            });
        }
        for (name, count) in &self.counts {
            if !now.iter().any(|(known, _)| known == name) {
                lines.push(Line {
                    name: name.clone(),
                    baseline: Some(*count),
                    now: None,
                });
            }
        }
        Report { lines }
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# Instructions for one operation. To count again: benches/counts/run --update"
        )?;
        writeln!(f, "{MADE_WITH}{}", self.made_with)?;
        for (name, count) in &self.counts {
            writeln!(f, "{name:52} {count:9}")?;
        }
        Ok(())
    }
}

/// One case, in the baseline and now; `None` where it is missing.
#[derive(Debug)]
pub struct Line {
    name: String,
    baseline: Option<u64>,
    now: Option<u64>,
}

/// What a case's count says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Within the tolerance.
    Same,
    /// Fewer instructions than the tolerance explains.
    Better,
    /// More of them.
    Worse,
    /// The baseline does not know the case.
    Unknown,
    /// Only the baseline knows the case.
    Missing,
}

impl Line {
    /// What it says.
    pub fn verdict(&self) -> Verdict {
        let (Some(baseline), Some(now)) = (self.baseline, self.now) else {
            return if self.now.is_some() {
                Verdict::Unknown
            } else {
                Verdict::Missing
            };
        };
        if now * 100 > baseline * (100 + TOLERANCE) {
            Verdict::Worse
        } else if now * 100 < baseline * (100 - TOLERANCE) {
            Verdict::Better
        } else {
            Verdict::Same
        }
    }

    /// Change in tenths of a per cent, with its sign.
    fn change(&self) -> Option<String> {
        let (baseline, now) = (self.baseline.filter(|count| *count > 0)?, self.now?);
        let tenths = now.abs_diff(baseline) * 1000 / baseline;
        let sign = if now < baseline { '-' } else { '+' };
        Some(format!("{sign}{}.{} %", tenths / 10, tenths % 10))
    }
}

/// The comparison of all cases. `Display` is a table.
#[derive(Debug)]
pub struct Report {
    lines: Vec<Line>,
}

impl Report {
    /// How many cases have this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        let such = self.lines.iter().filter(|line| line.verdict() == verdict);
        such.count()
    }

    /// Whether a case got worse, or the baseline is not one of these cases.
    pub fn has_failed(&self) -> bool {
        let bad = [Verdict::Worse, Verdict::Unknown, Verdict::Missing];
        bad.iter().any(|verdict| self.count(*verdict) > 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |count: Option<u64>| count.map_or("-".to_owned(), |count| count.to_string());
        let head = (
            "instructions for one operation",
            "baseline",
            "now",
            "change",
        );
        writeln!(f, "{:52} {:>9} {:>9} {:>9}", head.0, head.1, head.2, head.3)?;
        for line in &self.lines {
            let (baseline, now) = (number(line.baseline), number(line.now));
            let change = line.change().unwrap_or_default();
            let word = match line.verdict() {
                Verdict::Same => "",
                Verdict::Better => "  better",
                Verdict::Worse => "  WORSE",
                Verdict::Unknown => "  NOT IN THE BASELINE",
                Verdict::Missing => "  NO SUCH CASE",
            };
            writeln!(
                f,
                "{:52} {baseline:>9} {now:>9} {change:>9}{word}",
                line.name
            )?;
        }
        Ok(())
    }
}
