//! Sans-IO. The conversation between one client and the server that is lent to it.
//!
//! Bytes in, bytes out: nothing here reads a socket. What the server owes is a queue, not a counter
//! (`owed`); any surprise is an error, after which the connection is closed and never reused. The two
//! logins (`client_login`, `server_login`) are machines that consume their old state.
#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]

pub mod calls;
pub mod client_login;
pub mod client_state;
pub mod from_client;
mod from_client_calls;
mod from_client_statements;
mod from_client_unnamed;
pub mod from_server;
mod from_server_calls;
mod from_server_trial;
mod kept;
pub mod owed;
pub mod params;
pub mod prepared;
pub mod refusals;
pub mod routed;
pub mod server_login;
mod server_memory;
pub mod server_state;
pub mod surprise;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
