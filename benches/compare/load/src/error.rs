//! What can go wrong, with the facts that a user needs to see.

use std::fmt;
use std::io;

/// Why the program, or one of its clients, cannot go on.
#[derive(Debug)]
pub enum LoadError {
    /// The command line makes no sense.
    Usage(String),
    /// The operating system refused something.
    Io(io::Error),
    /// The peer closed the connection where an answer was due.
    Closed,
    /// The peer sent an error.
    Refused {
        /// Its SQLSTATE.
        state: String,
        /// Its text.
        text: String,
    },
    /// The peer sent what the protocol does not have here.
    Protocol(&'static str),
    /// The peer wants a login that is not built here.
    Login(u32),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) => write!(f, "{text}"),
            Self::Io(error) => write!(f, "{error}"),
            Self::Closed => write!(f, "the connection was closed"),
            Self::Refused { state, text } => write!(f, "{state} {text}"),
            Self::Protocol(what) => write!(f, "protocol: {what}"),
            Self::Login(code) => write!(f, "login method {code} is not supported"),
        }
    }
}

impl std::error::Error for LoadError {}

impl From<io::Error> for LoadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl LoadError {
    /// The error that an `ErrorResponse` with this body tells of.
    pub fn from_response(body: &[u8]) -> Self {
        let field = |code: u8| {
            let mut fields = body.split(|&byte| byte == 0);
            let found = fields.find_map(|field| field.strip_prefix(&[code]));
            String::from_utf8_lossy(found.unwrap_or_default()).into_owned()
        };
        Self::Refused {
            state: field(b'C'),
            text: field(b'M'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_response_gives_its_state_and_text() {
        let error = LoadError::from_response(b"SERROR\0C22012\0Mdivision by zero\0\0");
        assert_eq!(error.to_string(), "22012 division by zero");
    }
}
