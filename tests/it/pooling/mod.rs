//! Many clients over few server connections.

mod cancel;
mod departures;
mod limits;
mod logins;
mod memory;
mod sharing;
mod transport;
