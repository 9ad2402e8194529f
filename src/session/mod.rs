//! Sans-IO. Conversations with clients and servers: what may be said, and what follows from it.

pub mod client_login;
pub mod server_login;
