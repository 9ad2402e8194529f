//! Sans-IO. Where a client's next statements go: to the primary or to a replica, and why.
//!
//! Invariant: a replica only for what is known to be a read, whole and outside of a transaction that
//! has begun elsewhere. Not here: what a statement is (`sql`), the servers (`cluster`), the bytes
//! (`session`).

pub mod cache;
pub mod decide;
pub mod dialect;
pub mod lull;
mod memo;
pub mod plan;
pub mod segment;
pub mod session;
mod unfollowed;
pub mod why;
pub mod wishes;
