//! Sans-IO. What is wrong with a configuration, and where.
//!
//! Invariant: no text in here ever holds a password; the readers of secrets name the key only.

use std::fmt;
use std::sync::Arc;

/// Whether the configuration can be used all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is refused as a whole.
    Error,
    /// The configuration is used; the operator should look at this.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
        })
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origin {
    /// Nobody set it: the value is built in.
    #[default]
    Default,
    /// A line of a file, counted from one.
    Line {
        /// The file's name as it was given.
        file: Arc<str>,
        /// The line, counted from one.
        line: usize,
    },
    /// A file as a whole.
    File(Arc<str>),
    /// An environment variable, by its full name.
    Environment(String),
    /// An option of the command line.
    CommandLine,
    /// `SET` on the admin console.
    Console,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Line { file, line } => write!(f, "{file}:{line}"),
            Self::File(file) => f.write_str(file),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::CommandLine => f.write_str("command line"),
            Self::Console => f.write_str("console SET"),
        }
    }
}

/// One finding. `Display` gives `file:line: text`, without the severity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it stops the load.
    pub severity: Severity,
    /// Where.
    pub origin: Origin,
    /// What, in lower case and without a full stop.
    pub text: String,
}

impl Diagnostic {
    /// A finding that stops the load.
    pub fn error(origin: &Origin, text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            origin: origin.clone(),
            text: text.into(),
        }
    }

    /// A finding that does not stop the load.
    pub fn warning(origin: &Origin, text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            origin: origin.clone(),
            text: text.into(),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Default => f.write_str(&self.text),
            Origin::Line { .. }
            | Origin::File(_)
            | Origin::Environment(_)
            | Origin::CommandLine
            | Origin::Console => write!(f, "{}: {}", self.origin, self.text),
        }
    }
}
