//! The composition root: builds every part once and hands it down.

pub mod acceptor;
pub mod console;
pub mod serve;
pub mod tls;
pub mod worker;
