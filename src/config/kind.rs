//! Sans-IO. The kinds of values that settings take, and what can be wrong with one.

use super::value::{boolean, integer, seconds};

/// What values a setting takes. Drives the reader, `SHOW CONFIG` and the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 0 or 1; also off/on, no/yes, false/true.
    Bool,
    /// A whole number.
    Int {
        /// The least that is allowed.
        min: i64,
        /// The most that is allowed.
        max: i64,
    },
    /// A whole number of bytes.
    Bytes {
        /// The least that is allowed.
        min: i64,
        /// The most that is allowed.
        max: i64,
    },
    /// A count; 0 (or less) means that there is no limit.
    Limit,
    /// A file mode, octal with its leading zero.
    Mode,
    /// A time in seconds; 0 has a meaning of its own or none.
    Seconds {
        /// The least that is allowed.
        least: u32,
    },
    /// A time in seconds between two doings of the same, never 0.
    Interval {
        /// The least that is allowed, in milliseconds.
        least_ms: u32,
    },
    /// A time in seconds; 0 switches the thing off.
    Timeout,
    /// A time in whole milliseconds; 0 switches the thing off.
    Milliseconds,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `secure`, `all`, or versions of TLS.
    TlsProtocols,
    /// `auto` or a number of threads.
    Workers,
    /// An address and a port to listen on.
    HttpAddress,
    /// Names with commas between.
    List,
    /// A file or directory.
    Path,
    /// Any text.
    Text,
    /// Any text that may hold a secret: never shown.
    SecretText,
    /// SQL.
    Sql,
}

/// Largest number of worker threads that can be asked for.
pub const WORKERS_MAX: usize = 1024;

/// Why a text is no value of its kind. Says what was expected, never what was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not a boolean.
    #[error("expected 0 or 1")]
    NotBool,
    /// Not a number.
    #[error("expected a whole number")]
    NotInt,
    /// A number outside its range.
    #[error("expected a whole number from {min} to {max}")]
    OutOfRange {
        /// The least that is allowed.
        min: i64,
        /// The most that is allowed.
        max: i64,
    },
    /// Not a file mode.
    #[error("expected an octal file mode from 0000 to 0777, with its leading zero")]
    NotMode,
    /// Not a time.
    #[error("expected a number of seconds, {0} or more")]
    NotSeconds(u32),
    /// Not a time, or one that would keep a processor busy.
    #[error("expected a number of seconds, {} or more", f64::from(*.0) / 1000.0)]
    NotInterval(u32),
    /// Not one of the words.
    #[error("expected {}{hint}", allowed.join(", "))]
    NotChoice {
        /// The words.
        allowed: &'static [&'static str],
        /// `, did you mean ...?` or nothing.
        hint: String,
    },
    /// A way to log in that is not built.
    #[error("auth_type={0} is not built yet, and a weaker way to log in will not stand in for it")]
    AuthTypeNotBuilt(&'static str),
    /// Not a list of TLS versions.
    #[error("expected secure, all, or a list of tlsv1.2 and tlsv1.3")]
    NotTlsProtocols,
    /// Only versions of TLS that are not offered.
    #[error("expected at least one of tlsv1.2 and tlsv1.3, older versions are not built")]
    NoTlsProtocol,
    /// Neither `auto` nor a number.
    #[error("expected auto or a whole number from 1 to {WORKERS_MAX}")]
    NotWorkers,
    /// Not an address and a port.
    #[error("expected address:port, for example 127.0.0.1:9127, [::1]:9127 or *:9127")]
    NotHttpAddress,
    /// The admin console where a database is wanted.
    #[error("expected a database other than the admin console")]
    Console,
    /// A zero byte, which the protocol cannot carry.
    #[error("expected text without a zero byte or a line break")]
    NotOneLine,
}

impl Kind {
    /// The numbers allowed; all for the kinds that are no numbers.
    pub(super) fn range(&self) -> (i64, i64) {
        match *self {
            Self::Int { min, max } | Self::Bytes { min, max } => (min, max),
            Self::Limit => (i64::from(i32::MIN), i64::from(i32::MAX)),
            Self::Milliseconds => (0, i64::from(i32::MAX)),
            Self::Mode => (0, 0o777),
            Self::Bool
            | Self::Seconds { .. }
            | Self::Interval { .. }
            | Self::Timeout
            | Self::Choice(_)
            | Self::TlsProtocols
            | Self::Workers
            | Self::HttpAddress
            | Self::List
            | Self::Path
            | Self::Text
            | Self::SecretText
            | Self::Sql => (i64::MIN, i64::MAX),
        }
    }

    /// The value as `SHOW CONFIG` prints it: numbers in decimal, words in lower case. `raw` has
    /// been read before, so what cannot be read is shown as it is.
    pub fn show(&self, raw: &str) -> String {
        let shown = match self {
            Self::Bool => boolean(raw).ok().map(|on| u8::from(on).to_string()),
            Self::Int { .. }
            | Self::Bytes { .. }
            | Self::Limit
            | Self::Milliseconds
            | Self::Mode => integer(raw).ok().map(|number| number.to_string()),
            Self::Seconds { .. } | Self::Interval { .. } | Self::Timeout => seconds(raw, 0)
                .ok()
                .map(|time| time.as_secs_f64().to_string()),
            Self::Choice(_) | Self::Workers => Some(raw.to_ascii_lowercase()),
            Self::SecretText if !raw.is_empty() => Some("***".to_owned()),
            Self::TlsProtocols
            | Self::HttpAddress
            | Self::List
            | Self::Path
            | Self::Text
            | Self::SecretText
            | Self::Sql => None,
        };
        shown.unwrap_or_else(|| raw.to_owned())
    }
}
