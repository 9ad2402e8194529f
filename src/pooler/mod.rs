//! What all workers share: configuration, pools, directories, credentials.

pub mod client_facts;
pub mod control;
pub mod directory;
