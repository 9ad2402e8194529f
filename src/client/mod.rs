//! One client: login, the life of its connection, the bytes to and from the server lent to it.

pub mod auth;
pub mod exchange;
pub mod fault;
pub mod lookup;
pub mod terms;
pub mod timing;
