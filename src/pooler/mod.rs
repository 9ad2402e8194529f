//! What all workers share: configuration, pools, directories, credentials.

pub mod admission;
pub mod client_facts;
pub mod control;
pub mod credentials;
pub mod directory;
pub mod limits;
pub mod room;
