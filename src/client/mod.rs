//! One client: login, the life of its connection, the bytes to and from the server lent to it.

pub mod exchange;
