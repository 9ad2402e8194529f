//! What the HTTP side needs from the rest of the program: what the console shows, and a little more.

use std::future::Future;

use super::own::Numbers;
use crate::admin::host::ConsoleHost;

/// Whether new clients should be sent here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// They should.
    Ready,
    /// The process is on its way out.
    ShuttingDown,
    /// `PAUSE` holds all clients.
    Paused,
    /// No primary can be reached.
    NoPrimary,
}

impl Readiness {
    /// The word for it, which `/readyz` answers.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::ShuttingDown => "shutting down",
            Self::Paused => "paused",
            Self::NoPrimary => "no primary can be reached",
        }
    }
}

/// The rest of the program, as the HTTP side sees it.
pub trait Source: ConsoleHost + Send + Sync + 'static {
    /// What stands in the way of new clients, as far as that is known without asking a server.
    fn obstacle(&self) -> Option<Readiness>;

    /// Whether a primary can be reached. Takes its time where servers must be tried.
    fn has_primary(&self) -> impl Future<Output = bool> + Send;

    /// What only we count.
    fn numbers(&self) -> Numbers;

    /// Most databases, and most pools, that metrics name.
    fn most_named(&self) -> usize;
}
