//! Sockets, TLS and buffers.
pub mod buffers;
pub mod flow;
