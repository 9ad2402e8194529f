//! Sans-IO. The untyped packets that open a connection, as clients send them.
//!
//! Not here: who may log in, and what the parameters do. Invariant: a packet is read only within its
//! own length word, which is between 8 and 10000 bytes (`MAX_STARTUP_PACKET_LENGTH` of `PostgreSQL`),
//! and only when every byte of it has been accounted for.

use std::fmt::Write as _;

use super::cancel_key::{self, CANCEL_CODE};
use super::reader::{Reader, array_at};

mod options;
#[cfg(test)]
mod tests;

pub use options::{classify_parameters, parse_options};

/// Longest opening packet in bytes, its length word included.
pub const PACKET_LEN_MAX: usize = 10_000;

/// Shortest opening packet in bytes: length word and code.
pub const PACKET_LEN_MIN: usize = 8;

/// Longest user name in bytes (`PgBouncer` `MAX_USERNAME` less its terminator).
pub const USER_LEN_MAX: usize = 127;

/// Longest database name in bytes (`PgBouncer` `MAX_DBNAME` less its terminator).
pub const DATABASE_LEN_MAX: usize = 63;

/// Code of an `SSLRequest` in the place of a protocol version.
pub const SSL_CODE: u32 = 80_877_103;

/// Code of a `GSSENCRequest` in the place of a protocol version.
pub const GSS_CODE: u32 = 80_877_104;

/// First byte of a TLS handshake record: direct TLS, without an `SSLRequest`.
pub const TLS_HANDSHAKE_BYTE: u8 = 0x16;

/// What a client says first.
#[derive(Clone, PartialEq, Eq)]
pub enum FirstPacket {
    /// The client asks for TLS; one byte is the answer.
    SslRequest,
    /// The client asks for GSSAPI encryption; one byte is the answer.
    GssEncRequest,
    /// The client wants another connection's query cancelled.
    Cancel {
        /// Process id and secret, 8 to 260 bytes.
        key: Vec<u8>,
    },
    /// The client wants to log in.
    Startup(StartupPacket),
}

impl std::fmt::Debug for FirstPacket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SslRequest => f.write_str("SslRequest"),
            Self::GssEncRequest => f.write_str("GssEncRequest"),
            Self::Cancel { .. } => f.write_str("Cancel(..)"),
            Self::Startup(packet) => packet.fmt(f),
        }
    }
}

/// Kind of connection that the `replication` parameter asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replication {
    /// An ordinary connection.
    None,
    /// A walsender without a database (`replication=true`).
    Physical,
    /// A walsender in a database (`replication=database`).
    Logical,
}

/// A `StartupMessage` of protocol 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartupPacket {
    /// Minor protocol version that the client asks for.
    pub minor: u16,
    /// User name: 1 to 127 bytes.
    pub user: String,
    /// Database name, the user's name when the client gave none: at most 63 bytes when given.
    pub database: String,
    /// Kind of connection.
    pub replication: Replication,
    /// The `options` parameter as it came.
    pub options: Option<String>,
    /// The `application_name` parameter.
    pub application_name: Option<String>,
    /// All other parameters and `application_name`, in the order of the packet.
    pub parameters: Vec<(String, String)>,
    /// Names of the `_pq_.` protocol options, none of which we know.
    pub protocol_options: Vec<String>,
}

/// Why an opening packet was refused. The client is to blame; `Display` is what it is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartupError {
    /// The length word or the code makes no sense; holds up to eight bytes as hexadecimal digits.
    #[error("bad packet header: '{0}'")]
    BadHeader(String),
    /// Protocol 2, which `PostgreSQL` dropped in version 14.
    #[error("old V2 protocol not supported")]
    OldProtocol,
    /// The parameter list does not end with its terminator, or not there.
    #[error("invalid startup packet layout: expected terminator as last byte")]
    BadLayout,
    /// A name or value is not UTF-8, so it could be taken for another one.
    #[error("startup packet contains text that is not valid UTF-8")]
    NotUtf8,
    /// No user, or an empty one.
    #[error("no username supplied")]
    NoUser,
    /// The user name is longer than 127 bytes.
    #[error("username too long")]
    UserTooLong,
    /// The database name is longer than 63 bytes.
    #[error("database name too long")]
    DatabaseTooLong,
    /// `replication` is neither a boolean nor `database`.
    #[error("invalid value for parameter \"replication\": \"{0}\"")]
    BadReplication(String),
    /// `options` has another form than the two we read.
    #[error(
        "unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed"
    )]
    BadOptions,
    /// A parameter is neither tracked nor ignored.
    #[error("unsupported startup parameter: {0}")]
    UnsupportedParameter(String),
    /// A parameter inside `options` is neither tracked nor ignored.
    #[error("unsupported startup parameter in options: {0}")]
    UnsupportedOption(String),
}

/// Bytes of the packet at the start of `buf`; `None` until its eight bytes of header are there.
pub fn packet_len(buf: &[u8]) -> Result<Option<usize>, StartupError> {
    let Some(word) = array_at::<4>(buf, 0) else {
        return Ok(None);
    };
    match usize::try_from(u32::from_be_bytes(word)) {
        Ok(length @ PACKET_LEN_MIN..=PACKET_LEN_MAX) => Ok(Some(length)),
        Ok(_) | Err(_) => Err(bad_header(buf)),
    }
}

fn bad_header(buf: &[u8]) -> StartupError {
    let mut hex = String::with_capacity(16);
    for byte in buf.iter().take(8) {
        write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
    }
    StartupError::BadHeader(hex)
}

impl FirstPacket {
    /// Reads one whole packet; `packet` must be what [`packet_len`] measured.
    pub fn parse(packet: &[u8]) -> Result<Self, StartupError> {
        let mut reader = Reader::new(packet);
        let (Ok(length), Ok(code)) = (reader.u32(), reader.u32()) else {
            return Err(bad_header(packet));
        };
        if usize::try_from(length) != Ok(packet.len()) {
            return Err(bad_header(packet));
        }
        let body = reader.rest();
        match (code, code >> 16) {
            (SSL_CODE, _) if body.is_empty() => Ok(Self::SslRequest),
            (GSS_CODE, _) if body.is_empty() => Ok(Self::GssEncRequest),
            (CANCEL_CODE, _) if cancel_key::check_key(body).is_ok() => {
                Ok(Self::Cancel { key: body.to_vec() })
            }
            (_, 2) => Err(StartupError::OldProtocol),
            (_, 3) => {
                let minor = u16::try_from(code & 0xffff).map_err(|_| bad_header(packet))?;
                StartupPacket::parse(minor, body).map(Self::Startup)
            }
            _ => Err(bad_header(packet)),
        }
    }
}

impl StartupPacket {
    /// Reads the parameter list: pairs of strings, then one zero byte, which is the last byte.
    fn parse(minor: u16, body: &[u8]) -> Result<Self, StartupError> {
        let mut packet = Self {
            minor,
            user: String::new(),
            database: String::new(),
            replication: Replication::None,
            options: None,
            application_name: None,
            parameters: Vec::new(),
            protocol_options: Vec::new(),
        };
        let mut reader = Reader::new(body);
        loop {
            let name = reader.cstr().map_err(|_| StartupError::BadLayout)?;
            if name.is_empty() {
                break;
            }
            let value = reader.cstr().map_err(|_| StartupError::BadLayout)?;
            packet.take(name, value)?;
        }
        reader.finish().map_err(|_| StartupError::BadLayout)?;
        packet.check_names()?;
        Ok(packet)
    }

    /// Takes one parameter. Of a name that comes twice the last value counts.
    fn take(&mut self, name: &[u8], value: &[u8]) -> Result<(), StartupError> {
        let name = text(name)?;
        if name == "application_name" {
            let value = printable(value);
            self.application_name = Some(value.clone());
            self.parameters.push((name.to_owned(), value));
            return Ok(());
        }
        let value = text(value)?;
        match name {
            "user" => value.clone_into(&mut self.user),
            "database" => value.clone_into(&mut self.database),
            "options" => self.options = Some(value.to_owned()),
            "replication" => self.replication = replication(value)?,
            other if other.starts_with("_pq_.") => self.protocol_options.push(other.to_owned()),
            other => self.parameters.push((other.to_owned(), value.to_owned())),
        }
        Ok(())
    }

    fn check_names(&mut self) -> Result<(), StartupError> {
        if self.user.is_empty() {
            return Err(StartupError::NoUser);
        }
        if self.user.len() > USER_LEN_MAX {
            return Err(StartupError::UserTooLong);
        }
        if self.database.len() > DATABASE_LEN_MAX {
            return Err(StartupError::DatabaseTooLong);
        }
        if self.database.is_empty() {
            self.database.clone_from(&self.user);
        }
        Ok(())
    }

    /// Whether the client must be told, by `NegotiateProtocolVersion`, that we speak 3.0 and know
    /// none of its protocol options; those are the list to send.
    pub fn negotiation(&self) -> Option<&[String]> {
        (self.minor > 0 || !self.protocol_options.is_empty())
            .then_some(self.protocol_options.as_slice())
    }
}

fn text(bytes: &[u8]) -> Result<&str, StartupError> {
    std::str::from_utf8(bytes).map_err(|_| StartupError::NotUtf8)
}

/// An application name in any encoding, as UTF-8 or else with its foreign bytes spelled `\xNN`, as
/// `PostgreSQL` does. It names nothing that we look up, so a client is not refused because of it.
fn printable(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}").expect("writing to a string cannot fail");
        }
    }
    out
}

/// `PostgreSQL`'s spellings of a boolean, any case, and `database`.
fn replication(value: &str) -> Result<Replication, StartupError> {
    match value.to_ascii_lowercase().as_str() {
        "database" => Ok(Replication::Logical),
        "t" | "tr" | "tru" | "true" | "y" | "ye" | "yes" | "on" | "1" => Ok(Replication::Physical),
        "f" | "fa" | "fal" | "fals" | "false" | "n" | "no" | "of" | "off" | "0" => {
            Ok(Replication::None)
        }
        _ => Err(StartupError::BadReplication(value.to_owned())),
    }
}
