//! Sans-IO. Several servers with the same data: who is primary, who lags, and who may answer a read.
//!
//! Not here: asking the servers (`pooler::monitor`), what a statement is (`sql`), where one statement
//! goes (`route`).

pub mod lsn;

pub use lsn::Lsn;
