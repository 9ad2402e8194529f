//! One connection to `PostgreSQL`: finding the host, connecting, cancelling.

pub mod connect;
pub mod dns;
