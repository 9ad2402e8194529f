//! Sans-IO. What a server tells about itself during a login, within bounds.

use std::fmt;

use super::{ServerLoginError, malformed};
use crate::protocol::{Reader, SqlState, TransactionStatus};

/// Most parameters that are kept.
pub const PARAMETERS_MAX: usize = 256;

/// Most bytes of parameters that are kept, names and values together.
pub const PARAMETER_BYTES_MAX: usize = 64 * 1024;

/// Longest message of an error that is kept, in bytes.
const MESSAGE_BYTES_MAX: usize = 1024;

/// A parameter of a session and its value, in whatever encoding it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name, as the sender spells it.
    pub name: Box<[u8]>,
    /// Its value.
    pub value: Box<[u8]>,
}

impl Parameter {
    /// A parameter from its two strings.
    pub fn new(name: &[u8], value: &[u8]) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

/// A server connection that is ready.
#[derive(Debug)]
pub struct LoggedIn {
    /// `ParameterStatus` values in the order they came, each name once with its last value.
    pub parameters: Vec<Parameter>,
    /// For cancelling queries; some servers that only speak like `PostgreSQL` give none.
    pub key: Option<BackendKey>,
    /// From `ReadyForQuery`: always idle.
    pub status: TransactionStatus,
}

/// Names a server's session in a `CancelRequest`.
#[derive(Clone, PartialEq, Eq)]
pub struct BackendKey {
    /// Process id on the server.
    pub process_id: u32,
    /// The secret: 4 bytes in protocol 3.0, up to 256 later.
    pub secret: Box<[u8]>,
}

impl fmt::Debug for BackendKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BackendKey({}, ..)", self.process_id)
    }
}

/// A server's `ErrorResponse`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("server refused login: {message}")]
pub struct Refusal {
    /// `C` field; `None` when it is missing or is no SQLSTATE (CVE-2026-6666 of `PgBouncer`).
    pub code: Option<SqlState>,
    /// `M` field, cut at 1024 bytes; bytes that are not UTF-8 are replaced.
    pub message: String,
}

impl Refusal {
    /// Reads what can be read of an error's fields; nothing in it is relied upon.
    pub(super) fn read(body: &[u8]) -> Self {
        let mut reader = Reader::new(body);
        let mut code = None;
        let mut message = None;
        while let (Ok(field @ 1..), Ok(text)) = (reader.u8(), reader.cstr()) {
            match field {
                b'C' => code = SqlState::from_bytes(text),
                b'M' => message = Some(bounded(text)),
                _ => {}
            }
        }
        let message = message.unwrap_or_else(|| "server sent an error without a message".into());
        Self { code, message }
    }
}

fn bounded(text: &[u8]) -> String {
    let (kept, _) = text.split_at(text.len().min(MESSAGE_BYTES_MAX));
    String::from_utf8_lossy(kept).into_owned()
}

/// What has been told so far.
#[derive(Debug, Default)]
pub(super) struct Collected {
    parameters: Vec<Parameter>,
    bytes: usize,
    key: Option<BackendKey>,
}

impl Collected {
    /// `ParameterStatus`.
    pub fn parameter(&mut self, body: &[u8]) -> Result<(), ServerLoginError> {
        let mut reader = Reader::new(body);
        let name = reader.cstr().map_err(malformed(b'S'))?;
        let value = reader.cstr().map_err(malformed(b'S'))?;
        reader.finish().map_err(malformed(b'S'))?;
        // Replaced values count too: the bound is on what a server sends.
        self.bytes += body.len();
        if self.bytes > PARAMETER_BYTES_MAX {
            let (what, limit) = ("parameter bytes", PARAMETER_BYTES_MAX);
            return Err(ServerLoginError::TooMuch { what, limit });
        }
        if let Some(known) = self
            .parameters
            .iter_mut()
            .find(|known| *known.name == *name)
        {
            known.value = value.into();
            return Ok(());
        }
        if self.parameters.len() == PARAMETERS_MAX {
            let (what, limit) = ("parameters", PARAMETERS_MAX);
            return Err(ServerLoginError::TooMuch { what, limit });
        }
        self.parameters.push(Parameter::new(name, value));
        Ok(())
    }

    /// `BackendKeyData`, at most once.
    pub fn backend_key(&mut self, body: &[u8]) -> Result<(), ServerLoginError> {
        if self.key.is_some() {
            return Err(ServerLoginError::OutOfOrder { tag: b'K' });
        }
        let mut reader = Reader::new(body);
        let process_id = reader.u32().map_err(malformed(b'K'))?;
        let secret = reader.rest();
        if !(4..=256).contains(&secret.len()) {
            let length = secret.len();
            return Err(ServerLoginError::BadKey { length });
        }
        let secret = secret.into();
        self.key = Some(BackendKey { process_id, secret });
        Ok(())
    }

    /// `ReadyForQuery`.
    pub fn finish(self, status: TransactionStatus) -> LoggedIn {
        LoggedIn {
            parameters: self.parameters,
            key: self.key,
            status,
        }
    }
}
