//! Sans-IO. What a server may say that nobody expects: the connection is closed then.

/// A reply that does not fit what the server owes. The connection must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutOfSync {
    /// The type does not answer the first entry.
    #[error("server sent 0x{tag:02x} while it owed {expected}")]
    Unexpected {
        /// Message type.
        tag: u8,
        /// What was owed.
        expected: &'static str,
    },
    /// The body could not be read.
    #[error("server sent a malformed message of type 0x{tag:02x}")]
    Malformed {
        /// Message type.
        tag: u8,
    },
    /// A copy failed that had ignored, or not, a `Sync`, and a reply of ours waits behind it: nobody can
    /// say where its place is.
    #[error("a copy failed and it is not known what the server answers next")]
    CopyUncertain,
    /// The server refused our parameter settings.
    #[error("invalid server parameter")]
    SetupRefused,
    /// The server refused a `BEGIN` that the client has been told was done.
    #[error("server refused to begin a transaction")]
    BeginRefused,
}
