//! What the HTTP side needs from the rest of the program: what the console shows, and a little more.

use std::future::Future;
use std::sync::Arc;

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

/// Limits from the settings, 0 where there is none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// `max_client_conn`
    pub clients: usize,
    /// `max_user_connections`
    pub user_connections: usize,
}

/// Clients that metrics do not tell apart.
#[derive(Debug)]
pub struct ClientKind {
    /// The database that they asked for.
    pub database: Arc<str>,
    /// Who they are.
    pub user: Arc<str>,
    /// What they say they are.
    pub application_name: Arc<str>,
    /// The word of `SHOW CLIENTS` for what they do.
    pub state: &'static str,
    /// How many there are.
    pub count: u64,
}

/// The rest of the program, as the HTTP side sees it.
pub trait Source: ConsoleHost + Send + Sync + 'static {
    /// What stands in the way of new clients, as far as that is known without asking a server.
    fn obstacle(&self) -> Option<Readiness>;

    /// Whether a primary can be reached. Takes its time where servers must be tried.
    fn has_primary(&self) -> impl Future<Output = bool> + Send;

    /// Limits that metrics show. Not through `SHOW CONFIG`, which would be all settings as text.
    fn limits(&self) -> Limits;

    /// The clients, in the order in which the first of each kind came. Not through `SHOW CLIENTS`,
    /// which would be as long as there are clients.
    fn client_kinds(&self) -> Vec<ClientKind>;

    /// What only we count.
    fn numbers(&self) -> Numbers;

    /// Most databases, and most pools, that metrics name.
    fn most_named(&self) -> usize;
}
