//! Sans-IO. The `PostgreSQL` wire protocol (v3): frames, views into them, and what pgweir says itself.
//!
//! Rules of this module: a frame is cut by its own length first and read only inside that slice;
//! every length is checked; bytes that are only forwarded are never decoded and encoded again.
//! `pgwire` is used here and nowhere else, and only to *encode* messages that pgweir authors: its
//! decoders panic on malformed frames and do not honour a frame's length.
#![deny(clippy::indexing_slicing)]

pub mod backend;
pub mod cancel_key;
pub mod frame;
pub mod frontend;
pub mod reader;
pub mod reply;
pub mod startup;
pub mod types;

pub use frame::{FrameError, HEADER_LEN, Header, peek_header, whole_frames};
pub use reader::{ReadError, Reader};
pub use types::{Severity, SqlState, TransactionStatus};
