//! Sans-IO. What an SQL statement is: read or write, and what it leaves behind in its session.
//!
//! ```text
//!   text ──lexer──► fingerprint ──(cache)──► verdict
//!            │                                  ▲
//!            └► command ── sqlparser ── functions
//! ```
//! Texts with equal fingerprints have equal verdicts, so a verdict may be kept by fingerprint.
//! Invariant: a statement that is not understood, not known or doubtful is never called a read.
//! Not here: which server it goes to (`route`).

pub mod catalog;
pub mod classify;
pub mod command;
mod eight;
pub mod encoding;
pub mod fingerprint;
mod functions;
pub mod lexer;
pub mod pieces;
mod shape;
pub mod statements;
mod telltale;
pub mod verdict;
pub mod wish;

pub use catalog::{Catalog, CatalogError, Knowledge};
pub use classify::classify;
pub use fingerprint::{Fingerprint, fingerprint, normalize};
pub use shape::shape;
pub use verdict::{Class, Effect, Effects, Reason, Verdict};
