//! One client: login, the life of its connection, the bytes to and from the server lent to it.

pub mod auth;
mod calls;
pub mod cancel;
mod counting;
pub mod enter;
pub mod exchange;
pub mod fault;
mod fencing;
pub mod greeting;
mod journey;
pub mod life;
pub mod linked;
pub mod lookup;
mod pins;
mod routing;
pub mod seat;
pub mod timing;
pub mod visitor;
pub mod waiting;
