//! One connection to `PostgreSQL`: getting it ready for a pool.

pub mod facts;
pub mod login;
