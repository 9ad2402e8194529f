//! Sans-IO. What statements cost: calls, times, rows and errors by fingerprint, in bounded room.
//!
//! ```text
//!   text ──shape──► place in the worker's book ──► call under way (`session`) ──► counted at that place
//!                          all books ──► one list, and a rest for what has no place
//! ```
//! Each worker has a book of its own; they are put together when somebody asks. Invariants: no text has a
//! value in it, and what is shown adds up to what was counted, the rest included.

mod book;
mod histogram;
mod list;
mod sums;

pub use book::{Book, MAX_READ, Owner, Place};
pub use histogram::Histogram;
pub use list::{Books, QueryList, QueryStats, WorkerBook};
pub use sums::{Answered, Host, Outcome, Sums};
