//! Sans-IO. The text format of Prometheus, version 0.0.4.
//!
//! Ours, and not a recorder's: at a scrape all values are there already, counters of pools begin
//! again with their pools, times are counters with a fraction, and histograms come as buckets that
//! are full. Invariant: the samples of a family stand together, behind its help and type.

use std::fmt::{self, Display, Write};
use std::time::Duration;

/// `Content-Type` of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the numbers of a family are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// They only grow, until what they count begins anew.
    Counter,
    /// They are of this moment.
    Gauge,
    /// Counts by size.
    Histogram,
}

impl Type {
    fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole one.
    Whole(u64),
    /// One with a fraction.
    Real(f64),
    /// A time in microseconds, which is written in seconds.
    Micros(u64),
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<u32> for Number {
    fn from(number: u32) -> Self {
        Self::Whole(number.into())
    }
}

impl From<usize> for Number {
    fn from(number: usize) -> Self {
        Self::Whole(u64::try_from(number).unwrap_or(u64::MAX))
    }
}

impl From<Duration> for Number {
    fn from(time: Duration) -> Self {
        Self::Micros(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
    }
}

impl From<bool> for Number {
    fn from(flag: bool) -> Self {
        Self::Whole(flag.into())
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Whole(number) => write!(f, "{number}"),
            Self::Micros(micros) => {
                let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
                match rest {
                    0 => write!(f, "{seconds}"),
                    _ => write!(
                        f,
                        "{seconds}.{}",
                        format!("{rest:06}").trim_end_matches('0')
                    ),
                }
            }
            Self::Real(number) if number.is_nan() => f.write_str("NaN"),
            Self::Real(number) if number.is_infinite() => {
                f.write_str(if number > 0.0 { "+Inf" } else { "-Inf" })
            }
            Self::Real(number) => write!(f, "{number}"),
        }
    }
}

/// A label: name and value.
pub type Label<'a> = (&'static str, &'a str);

/// So many bytes are written in one go, some twenty microseconds of work.
const STRETCH: usize = 4 << 10;

/// The text, as far as it is written.
#[derive(Debug)]
pub struct Exposition {
    text: String,
    /// Called after each stretch.
    rest: fn(),
    rested: usize,
}

/// A family whose samples are being written.
#[derive(Debug)]
pub struct Family<'a> {
    out: &'a mut Exposition,
    name: &'a str,
}

impl Default for Exposition {
    fn default() -> Self {
        Self::resting(|| ())
    }
}

impl Exposition {
    /// One that calls `rest` now and then, for others to go on in the meantime.
    pub fn resting(rest: fn()) -> Self {
        Self {
            text: String::new(),
            rest,
            rested: 0,
        }
    }

    /// Begins a family. Each name once.
    pub fn family<'a>(&'a mut self, name: &'a str, kind: Type, help: &str) -> Family<'a> {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let kind = kind.word();
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Family { out: self, name }
    }

    /// A family with one sample and no labels.
    pub fn single(&mut self, name: &str, kind: Type, help: &str, number: impl Into<Number>) {
        self.family(name, kind, help).sample(&[], number);
    }

    /// All of it.
    pub fn finish(self) -> String {
        self.text
    }

    fn put(&mut self, words: fmt::Arguments<'_>) {
        let written = self.text.write_fmt(words);
        written.expect("memory takes every byte");
        if self.text.len() - self.rested >= STRETCH {
            self.rested = self.text.len();
            (self.rest)();
        }
    }
}

impl Family<'_> {
    /// One sample.
    pub fn sample(&mut self, labels: &[Label<'_>], number: impl Into<Number>) {
        self.line("", &joined(labels), None, number.into());
    }

    /// A histogram: how many were at most that large, for each bound, ascending; sum and count.
    pub fn histogram(
        &mut self,
        labels: &[Label<'_>],
        buckets: impl Iterator<Item = (Number, u64)>,
        (sum, count): (Number, u64),
    ) {
        let labels = joined(labels);
        for (bound, up_to) in buckets {
            self.line("_bucket", &labels, Some(bound), Number::Whole(up_to));
        }
        let all = Some(Number::Real(f64::INFINITY));
        self.line("_bucket", &labels, all, Number::Whole(count));
        self.line("_sum", &labels, None, sum);
        self.line("_count", &labels, None, Number::Whole(count));
    }

    fn line(&mut self, suffix: &str, labels: &str, bound: Option<Number>, number: Number) {
        let (out, name) = (&mut *self.out, self.name);
        match (labels, bound) {
            ("", None) => out.put(format_args!("{name}{suffix} {number}\n")),
            ("", Some(le)) => out.put(format_args!("{name}{suffix}{{le=\"{le}\"}} {number}\n")),
            (_, None) => out.put(format_args!("{name}{suffix}{{{labels}}} {number}\n")),
            (_, Some(le)) => out.put(format_args!(
                "{name}{suffix}{{{labels},le=\"{le}\"}} {number}\n"
            )),
        }
    }
}

/// Labels as they stand between the braces.
fn joined(labels: &[Label<'_>]) -> String {
    let mut text = String::new();
    for (name, value) in labels {
        let comma = if text.is_empty() { "" } else { "," };
        let written = write!(text, "{comma}{name}=\"{}\"", Escaped(value));
        written.expect("memory takes every byte");
    }
    text
}

/// A label's value as it is written between quotes.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.contains(['\\', '"', '\n']) {
            return f.write_str(self.0);
        }
        for letter in self.0.chars() {
            match letter {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn samples_stand_behind_help_and_type_and_labels_are_escaped() {
        let mut out = Exposition::default();
        out.single("up", Type::Gauge, "whether\nit is \\up", 1_u64);
        let mut family = out.family("q_total", Type::Counter, "queries");
        family.sample(&[("database", "a\"b\\c\nd"), ("user", "ü")], 7_u32);
        assert_eq!(
            out.finish(),
            "# HELP up whether\\nit is \\\\up\n# TYPE up gauge\nup 1\n\
             # HELP q_total queries\n# TYPE q_total counter\n\
             q_total{database=\"a\\\"b\\\\c\\nd\",user=\"ü\"} 7\n"
        );
    }

    #[test]
    fn a_histogram_ends_with_all_its_sum_and_its_count() {
        let mut out = Exposition::default();
        let buckets = [(Number::Micros(500), 1), (Number::Micros(2_000_000), 3)];
        out.family("t_seconds", Type::Histogram, "time").histogram(
            &[("user", "u")],
            buckets.into_iter(),
            (Number::Micros(1_000_250), 4),
        );
        let lines: Vec<_> = out.text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "t_seconds_bucket{user=\"u\",le=\"0.0005\"} 1",
                "t_seconds_bucket{user=\"u\",le=\"2\"} 3",
                "t_seconds_bucket{user=\"u\",le=\"+Inf\"} 4",
                "t_seconds_sum{user=\"u\"} 1.00025",
                "t_seconds_count{user=\"u\"} 4",
            ]
        );
    }

    #[test]
    fn a_histogram_without_labels_has_its_bounds() {
        let mut out = Exposition::default();
        let buckets = [(Number::Whole(1), 2)].into_iter();
        let sum = (Number::Whole(3), 4);
        out.family("n", Type::Histogram, "numbers")
            .histogram(&[], buckets, sum);
        let lines: Vec<_> = out.text.lines().skip(2).collect();
        let expected = [
            "n_bucket{le=\"1\"} 2",
            "n_bucket{le=\"+Inf\"} 4",
            "n_sum 3",
            "n_count 4",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_long_text_is_written_with_rests() {
        static RESTS: AtomicUsize = AtomicUsize::new(0);
        let mut out = Exposition::resting(|| {
            RESTS.fetch_add(1, Ordering::Relaxed);
        });
        let mut family = out.family("n", Type::Gauge, "numbers");
        while family.out.text.len() < 3 * STRETCH + 100 {
            family.sample(&[], 1_u64);
        }
        assert_eq!(RESTS.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn numbers_without_end_and_none_have_their_words() {
        let words = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.25];
        let words = words.map(|number| Number::Real(number).to_string());
        assert_eq!(words, ["NaN", "+Inf", "-Inf", "0.25"]);
    }
}
