//! `pgweir check` and `pgweir docs`: what they print, and how they end.

use std::fmt::Write as _;

use crate::cli::Document;
use crate::config::{docs, report};

use super::reload::Source;

/// What a command prints to standard output, and its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// The text, with its last newline.
    pub text: String,
    /// Whether the program's exit code is 0.
    pub verdict: Verdict,
}

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Exit code 0.
    Good,
    /// Exit code 1.
    Bad,
}

/// `pgweir check FILE`: what is wrong with a configuration, then what is in effect. Reads whatever
/// the configuration names that a start would read, and starts nothing.
pub fn check(source: &Source) -> Printed {
    let outcome = source.load();
    let mut text = report::check(&source.path, &outcome);
    let mut verdict = match &outcome {
        Ok(_) => Verdict::Good,
        Err(_) => Verdict::Bad,
    };
    if let Ok(loaded) = &outcome {
        for problem in super::reload::problems(&loaded.config) {
            writeln!(text, "ERROR {problem}").expect("a string takes every text");
            verdict = Verdict::Bad;
        }
    }
    Printed { text, verdict }
}

/// `pgweir docs`.
pub fn docs(document: Document) -> Printed {
    let text = match document {
        Document::Sample => docs::sample_ini(),
        Document::Settings => docs::settings_markdown(),
    };
    Printed {
        text,
        verdict: Verdict::Good,
    }
}
