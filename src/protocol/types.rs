//! Sans-IO. Small words of the protocol: transaction status, severity, SQLSTATE.

use std::fmt;

/// Transaction status in `ReadyForQuery`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionStatus {
    /// `I`: not in a transaction block.
    Idle,
    /// `T`: in a transaction block.
    InBlock,
    /// `E`: in a failed block; queries are refused until it ends.
    Failed,
}

impl TransactionStatus {
    /// From the byte on the wire; `None` for any other byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'I' => Some(Self::Idle),
            b'T' => Some(Self::InBlock),
            b'E' => Some(Self::Failed),
            _ => None,
        }
    }

    /// The byte on the wire.
    pub fn byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::InBlock => b'T',
            Self::Failed => b'E',
        }
    }
}

/// Severity of an error or notice that pgweir authors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The connection closes after it.
    Fatal,
    /// The command failed, the connection goes on.
    Error,
    /// A warning.
    Warning,
    /// Information for the user.
    Notice,
}

impl Severity {
    /// The word on the wire (never localised).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fatal => "FATAL",
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Notice => "NOTICE",
        }
    }
}

/// A five-character SQLSTATE code.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState([u8; 5]);

impl SqlState {
    /// `protocol_violation`: what `PgBouncer` sends for every error of its own.
    pub const PROTOCOL_VIOLATION: Self = Self(*b"08P01");
    /// `successful_completion`, the code of plain notices.
    pub const SUCCESS: Self = Self(*b"00000");
    /// `connection_failure`.
    pub const CONNECTION_FAILURE: Self = Self(*b"08006");
    /// `invalid_authorization_specification`.
    pub const INVALID_AUTHORIZATION: Self = Self(*b"28000");
    /// `invalid_password`.
    pub const INVALID_PASSWORD: Self = Self(*b"28P01");
    /// `invalid_catalog_name`: no such database.
    pub const NO_SUCH_DATABASE: Self = Self(*b"3D000");
    /// `too_many_connections`.
    pub const TOO_MANY_CONNECTIONS: Self = Self(*b"53300");
    /// `admin_shutdown`.
    pub const ADMIN_SHUTDOWN: Self = Self(*b"57P01");
    /// `cannot_connect_now`.
    pub const CANNOT_CONNECT_NOW: Self = Self(*b"57P03");
    /// `query_canceled`.
    pub const QUERY_CANCELED: Self = Self(*b"57014");
    /// `idle_in_transaction_session_timeout`.
    pub const IDLE_IN_TRANSACTION_TIMEOUT: Self = Self(*b"25P03");
    /// `config_file_error`.
    pub const CONFIG_FILE_ERROR: Self = Self(*b"F0000");
    /// `invalid_parameter_value`.
    pub const INVALID_PARAMETER_VALUE: Self = Self(*b"22023");
    /// `feature_not_supported`.
    pub const FEATURE_NOT_SUPPORTED: Self = Self(*b"0A000");
    /// `program_limit_exceeded`.
    pub const PROGRAM_LIMIT_EXCEEDED: Self = Self(*b"54000");

    /// From the five bytes of an error's `C` field; `None` unless they are letters and digits.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let code: [u8; 5] = bytes.try_into().ok()?;
        code.iter()
            .all(u8::is_ascii_alphanumeric)
            .then_some(Self(code))
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XX000")
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
