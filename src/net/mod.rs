//! Sockets: listening, accepting, TLS, and the one stream type that the rest of the program sees.
//!
//! Not here: anything that is said after the connection stands. This is the only user of
//! `tokio-rustls`, and of the startup negotiation's bytes on the wire.

pub mod accept;
mod at_once;
pub mod buffers;
pub mod chance;
pub mod flow;
pub mod listener;
pub mod socket;
pub mod stream;
pub mod tls;
pub mod wake_up;

pub use accept::{AcceptError, Accepted};
pub use listener::{Incoming, Listener};
pub use socket::SocketOptions;
pub use stream::{Peer, Stream};
pub use tls::{ClientTls, ServerTls, SslMode, TlsError, TlsOptions};
