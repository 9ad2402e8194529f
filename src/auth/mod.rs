//! Sans-IO. Secrets and proofs: what a password looks like at rest, and how it is shown to be known.
//!
//! Not here: the conversations that carry the proofs (`session::client_login`,
//! `session::server_login`), and who is asked by which method (`config`). Rules of this module: what
//! a peer sent is length-checked before anything is done with it, secrets compare in constant time,
//! and none of them shows in `Debug`.
#![deny(clippy::indexing_slicing)]

pub mod key;
pub mod md5;
pub mod saslprep;
pub mod scram;
pub mod secret;
pub mod userlist;

pub use self::key::Key32;
pub use self::md5::Md5Hash;
pub use self::secret::{Password, Secret, SecretError, Verifier};
