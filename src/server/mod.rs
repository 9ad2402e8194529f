//! One connection to `PostgreSQL`: finding the host, connecting, login, small errands, cancelling.

pub mod conn;
pub mod connect;
pub mod dns;
pub mod errand;
pub mod facts;
pub mod login;
pub mod open;
