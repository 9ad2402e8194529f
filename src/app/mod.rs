//! The program put together: the levers behind the console and the signals.

pub mod commands;
pub mod host;
pub mod logging;
pub mod reload;
pub mod shutdown;
pub mod stats;
pub mod tls;
