//! The composition root: builds every part once and hands it down.

pub mod acceptor;
pub mod commands;
pub mod console;
pub mod host;
pub mod http;
pub mod listening;
pub mod logging;
pub mod reload;
pub mod serve;
pub mod shutdown;
pub mod stats;
pub mod tls;
pub mod worker;
