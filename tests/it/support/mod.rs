//! What the tests stand on: a shared server, pgweir processes, and a client that counts bytes.

pub mod dice;
pub mod fixture;
pub mod guard;
pub mod message;
pub mod sampler;
pub mod wait;
pub mod weir;
pub mod wire;

pub use fixture::Fixture;
pub use weir::{Setup, Weir};
pub use wire::Wire;
