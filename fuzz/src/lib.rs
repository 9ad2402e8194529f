//! What each fuzz target does with the fuzzer's bytes; `targets/` only binds these to libFuzzer.
//!
//! A target's input is a small script: single bytes are choices, so that a seed can be written by hand
//! and a mutation of it still means something. Beyond "does not panic" each target has claims of its
//! own, written down at the top of its module.

pub mod backend;
pub mod client_login;
pub mod console;
pub mod frontend;
pub mod ini;
mod input;
pub mod scram;
pub mod server_login;
pub mod sql;
pub mod startup;
mod table;
pub mod userlist;
mod wire;
