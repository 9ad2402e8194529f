//! The admin console: what a client sees which connects to the database `pgbouncer`.
//!
//! `command` reads one command, `rows` knows the columns of every `SHOW`, `console` holds the
//! conversation (simple and extended protocol), `host` is what the rest of the program must offer,
//! `run` connects the two and `serve` does the reading and writing. Not here: who may log in
//! (`client`); what a pool does when it is paused (`pool`).

pub mod answer;
pub mod command;
pub mod console;
pub mod host;
pub mod rows;
pub mod run;
pub mod serve;
pub mod table;
pub mod welcome;

#[cfg(test)]
mod fixture;

pub use command::{Command, CommandError, Role, Scope, Show, ShutdownMode};
pub use console::{Console, Step};
pub use host::{ConsoleError, ConsoleEvent, ConsoleHost};
pub use serve::{Ended, Leftover, serve};
