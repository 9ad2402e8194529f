//! Sans-IO. One log line: its fields, and its two written forms.
//!
//! The text form is `PgBouncer`'s, byte for byte, since log parsers (fail2ban and others) read it:
//! `2026-11-22 02:03:34.596 UTC [pid] LOG C-0x2a: db/user@127.0.0.1:5000 text`.
//! The JSON form has one object a line. Invariant: a record becomes exactly one line; names that a
//! peer chose cannot start a second one, because control characters are escaped.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;

use super::clock::UtcTime;
use crate::ids::ConnId;

/// Importance of a line, most important first. The words are `PgBouncer`'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The process ends because of it.
    Fatal,
    /// Ours or the configuration's fault.
    Error,
    /// Something a person should look at.
    Warning,
    /// Ordinary news.
    Log,
    /// Shown with `-v`.
    Debug,
    /// Shown with `-vv`.
    Noise,
}

impl Level {
    const ALL: [Self; 6] = [
        Self::Fatal,
        Self::Error,
        Self::Warning,
        Self::Log,
        Self::Debug,
        Self::Noise,
    ];

    /// The word in a line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fatal => "FATAL",
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Log => "LOG",
            Self::Debug => "DEBUG",
            Self::Noise => "NOISE",
        }
    }

    /// The level of a word in a line.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == word)
    }

    /// Severity of RFC 5424, for syslog.
    pub fn syslog_severity(self) -> u8 {
        match self {
            Self::Fatal => 2,
            Self::Error => 3,
            Self::Warning => 4,
            Self::Log => 6,
            Self::Debug | Self::Noise => 7,
        }
    }

    /// Whether a line of this level is written at `verbose` (setting `verbose` or count of `-v`).
    pub fn shown_at(self, verbose: u8) -> bool {
        match self {
            Self::Fatal | Self::Error | Self::Warning | Self::Log => true,
            Self::Debug => verbose >= 1,
            Self::Noise => verbose >= 2,
        }
    }
}

/// Form of the lines (setting `log_format`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `PgBouncer`'s line.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Which side of the pooler a connection is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A client's connection to the pooler: `C-`.
    Client,
    /// The pooler's connection to a server: `S-`.
    Server,
}

impl Side {
    fn letter(self) -> char {
        match self {
            Self::Client => 'C',
            Self::Server => 'S',
        }
    }

    /// The word in JSON lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// The other end of a connection, as lines show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerAddress<'a> {
    /// `127.0.0.1:5000`, `[::1]:5000`.
    Tcp(SocketAddr),
    /// `unix(pid):port`; 0 when the process is not known.
    Unix {
        /// Process at the other end.
        pid: u32,
        /// Port number in the socket's name.
        port: u16,
    },
    /// A server that has not been resolved yet: `name:port`.
    Host(&'a str, u16),
}

impl fmt::Display for PeerAddress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix { pid, port } => write!(f, "unix({pid}):{port}"),
            Self::Host(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

/// The connection that a line is about. A borrowed view, made where the line is made, so that an
/// idle connection keeps nothing for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Who<'a> {
    /// Client or server.
    pub side: Side,
    /// Its number; the address in the line is made of it.
    pub id: ConnId,
    /// Database as the client named it; `None` until known.
    pub database: Option<&'a str>,
    /// User; `None` until known.
    pub user: Option<&'a str>,
    /// The other end.
    pub peer: PeerAddress<'a>,
}

/// The stand-in for a socket's address, `0x2a`: what `ptr` and `link` of the console show too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pointer(pub ConnId);

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0.0)
    }
}

impl fmt::Display for Who<'_> {
    /// The prefix of a line: `C-0x2a: db/user@127.0.0.1:5000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}-{}: {}/{}@{}",
            self.side.letter(),
            Pointer(self.id),
            self.database.unwrap_or("(nodb)"),
            self.user.unwrap_or("(nouser)"),
            self.peer
        )
    }
}

/// All that one line says, collected from an event's fields. Cleared and used again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Name of the event, fixed: the key for whoever filters JSON lines.
    pub event: Option<String>,
    /// `client` or `server`.
    pub side: Option<String>,
    /// Number of the connection.
    pub id: Option<u64>,
    /// Database.
    pub database: Option<String>,
    /// User.
    pub user: Option<String>,
    /// The other end of the connection.
    pub peer: Option<String>,
    /// Why, in the words that the client or the console sees.
    pub reason: Option<String>,
    /// What failed.
    pub error: Option<String>,
    /// How long it took or lasted.
    pub elapsed_ms: Option<u64>,
    /// The prefix of the text form, without which the fields above appear in JSON only.
    pub prefix: Option<String>,
    /// The sentence of the text form.
    pub message: String,
}

/// What the process knows about a line besides its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// When.
    pub time: UtcTime,
    /// This process.
    pub pid: u32,
    /// How important.
    pub level: Level,
}

/// Appends one line with its newline to `out`. Returns where the text without time, process and
/// level begins, which is what syslog wants (it adds those itself).
pub fn write_line(out: &mut String, format: Format, stamp: Stamp, record: &Record) -> usize {
    let body = match format {
        Format::Text => write_text(out, stamp, record),
        Format::Json => write_json(out, stamp, record),
    };
    out.push('\n');
    body
}

fn write_text(out: &mut String, stamp: Stamp, record: &Record) -> usize {
    let level = stamp.level.as_str();
    write!(out, "{} [{}] {level} ", stamp.time.log(), stamp.pid).expect("a String takes all text");
    let body = out.len();
    if let Some(prefix) = &record.prefix {
        push_visible(out, prefix);
        out.push(' ');
    }
    push_visible(out, &record.message);
    body
}

/// Appends `text` with its control characters escaped.
fn push_visible(out: &mut String, text: &str) {
    if !text.contains(char::is_control) {
        out.push_str(text);
        return;
    }
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
}

fn write_json(out: &mut String, stamp: Stamp, record: &Record) -> usize {
    let body = out.len();
    let level = stamp.level.as_str();
    write!(
        out,
        "{{\"ts\":\"{}\",\"level\":\"{level}\"",
        stamp.time.rfc3339()
    )
    .expect("a String takes all text");
    push_number(out, "pid", Some(u64::from(stamp.pid)));
    push_text(out, "event", record.event.as_deref());
    push_text(out, "side", record.side.as_deref());
    push_number(out, "id", record.id);
    push_text(out, "database", record.database.as_deref());
    push_text(out, "user", record.user.as_deref());
    push_text(out, "peer", record.peer.as_deref());
    push_text(out, "reason", record.reason.as_deref());
    push_text(out, "error", record.error.as_deref());
    push_number(out, "elapsed_ms", record.elapsed_ms);
    push_text(out, "message", Some(&record.message));
    out.push('}');
    body
}

fn push_number(out: &mut String, key: &str, value: Option<u64>) {
    if let Some(value) = value {
        write!(out, ",\"{key}\":{value}").expect("a String takes all text");
    }
}

fn push_text(out: &mut String, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        let quoted = serde_json::to_string(value).expect("text is always valid JSON");
        write!(out, ",\"{key}\":").expect("a String takes all text");
        push_json_visible(out, &quoted);
    }
}

/// Appends a JSON string. Control characters above 0x7e are legal in JSON, but terminals obey them.
fn push_json_visible(out: &mut String, quoted: &str) {
    for c in quoted.chars() {
        if c.is_control() {
            write!(out, "\\u{:04x}", u32::from(c)).expect("a String takes all text");
        } else {
            out.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        time: UtcTime::EPOCH,
        pid: 77,
        level: Level::Log,
    };

    fn written(format: Format, record: &Record) -> String {
        let mut out = String::new();
        write_line(&mut out, format, STAMP, record);
        out
    }

    fn client(peer: PeerAddress<'_>) -> String {
        let who = Who {
            side: Side::Client,
            id: ConnId(42),
            database: Some("bench"),
            user: None,
            peer,
        };
        who.to_string()
    }

    #[test]
    fn a_prefix_names_side_pointer_database_user_and_peer() {
        let table = [
            (
                PeerAddress::Tcp("127.0.0.1:5000".parse().unwrap()),
                "127.0.0.1:5000",
            ),
            (
                PeerAddress::Tcp("[::1]:5000".parse().unwrap()),
                "[::1]:5000",
            ),
            (
                PeerAddress::Unix {
                    pid: 12,
                    port: 6432,
                },
                "unix(12):6432",
            ),
            (PeerAddress::Host("db.internal", 5432), "db.internal:5432"),
        ];
        for (peer, shown) in table {
            assert_eq!(client(peer), format!("C-0x2a: bench/(nouser)@{shown}"));
        }
    }

    #[test]
    fn the_text_form_is_pgbouncers() {
        let record = Record {
            prefix: Some("C-0x2a: db/u@127.0.0.1:5000".to_owned()),
            message: "closing because: client close request (age=0s)".to_owned(),
            ..Record::default()
        };
        assert_eq!(
            written(Format::Text, &record),
            "1970-01-01 00:00:00.000 UTC [77] LOG C-0x2a: db/u@127.0.0.1:5000 \
             closing because: client close request (age=0s)\n"
        );
    }

    #[test]
    fn a_name_with_a_newline_cannot_forge_a_second_line() {
        let record = Record {
            prefix: Some("C-0x1: db/evil\n2026 [1] FATAL x@h:1".to_owned()),
            message: "a\r\n\u{1b}[31mb\u{85}c".to_owned(),
            ..Record::default()
        };
        for format in [Format::Text, Format::Json] {
            let line = written(format, &record);
            assert_eq!(
                line.matches(char::is_control).collect::<Vec<_>>(),
                ["\n"],
                "{line:?}"
            );
            assert!(line.ends_with('\n'));
        }
    }

    #[test]
    fn a_json_line_has_the_fields_that_are_known_and_reads_back() {
        let record = Record {
            event: Some("client_closing".to_owned()),
            side: Some("client".to_owned()),
            id: Some(42),
            database: Some("say \"hi\"\\".to_owned()),
            elapsed_ms: Some(9),
            message: "closing because: x (age=0s)".to_owned(),
            ..Record::default()
        };
        let line = written(Format::Json, &record);
        let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
        let expected = serde_json::json!({
            "ts": "1970-01-01T00:00:00.000Z", "level": "LOG", "pid": 77,
            "event": "client_closing", "side": "client", "id": 42,
            "database": "say \"hi\"\\", "elapsed_ms": 9,
            "message": "closing because: x (age=0s)",
        });
        assert_eq!(parsed, expected);
    }

    #[test]
    fn the_body_starts_behind_time_process_and_level() {
        let mut out = "earlier line\n".to_owned();
        let record = Record {
            message: "process up".to_owned(),
            ..Record::default()
        };
        let body = write_line(&mut out, Format::Text, STAMP, &record);
        assert_eq!(&out[body..], "process up\n");
    }

    #[test]
    fn verbosity_shows_debug_at_one_and_noise_at_two() {
        let shown = |verbose| {
            Level::ALL
                .iter()
                .filter(|level| level.shown_at(verbose))
                .count()
        };
        assert_eq!([shown(0), shown(1), shown(2), shown(3)], [4, 5, 6, 6]);
    }
}
