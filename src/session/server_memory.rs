//! Sans-IO. What a server connection keeps from one client to the next: statements and parameters.
//!
//! Not here: the statements' order of use (`prepared`), what is owed (`server_state`). Invariant: what
//! is not known to be so is said again to the server before the next client relies on it.

use std::sync::Arc;

use super::owed::{CloseFor, Expect, ParseFor};
use super::params::{ParamSet, UNKNOWN};
use super::prepared::Binding;
use super::server_state::ServerState;

impl ServerState {
    /// The server has dropped all its statements: what was sent behind that will be prepared when it
    /// gets there. Returns the client's names among them.
    pub(super) fn discarded_statements(&mut self) -> Vec<Arc<Binding>> {
        let after = self.owed.replay_after_discard();
        self.prepared.clear();
        for statement in after.held {
            self.prepared.add(statement);
        }
        after.named
    }

    /// Whether our settings are still under way, so that the client's data must wait.
    pub fn is_in_setup(&self) -> bool {
        matches!(self.owed.front(), Some(Expect::Setup))
    }

    /// The server's unreported parameters are set to what `link` says; reported ones come by themselves.
    pub(super) fn assume_unreported(&mut self, client: &ParamSet) {
        let server = Arc::clone(&self.params);
        let mut assumed = ParamSet::clone(&server);
        let is_ours = |name: &str| self.reported.value(name).is_none();
        for (name, value) in client.iter().filter(|(name, _)| is_ours(name)) {
            assumed.set(name, value);
        }
        let gone = |name: &str| is_ours(name) && client.value(name).is_none();
        for (name, _) in server.iter().filter(|(name, _)| gone(name)) {
            assumed.remove(name);
        }
        self.params = Arc::new(assumed);
    }

    /// A command may have changed parameters: the server says so for what it reports, the rest must be
    /// set again for whoever comes next.
    pub(super) fn doubt_unreported(&mut self) {
        let server = Arc::clone(&self.params);
        let is_ours = |name: &str| self.reported.value(name).is_none();
        for (name, _) in server.iter().filter(|(name, _)| is_ours(name)) {
            Arc::make_mut(&mut self.params).set(name, UNKNOWN);
        }
    }

    /// A reset query has run: `DISCARD ALL` has taken the prepared statements with it.
    pub fn was_reset(&mut self, sql: &str) {
        let words = sql.to_ascii_uppercase();
        if words.contains("DISCARD ALL") || words.contains("DEALLOCATE ALL") {
            self.prepared.clear();
        }
        if words.contains("DISCARD ALL") || words.contains("RESET ALL") {
            self.doubt_unreported();
        }
    }

    /// Messages that an error has taken with it, newest first, have prepared and closed nothing.
    pub(super) fn undo_statements(&mut self, dropped: &[Expect]) {
        for entry in dropped {
            match entry {
                Expect::Parse(ParseFor::Injected(statement)) => {
                    self.prepared.forget(statement.id());
                }
                Expect::Parse(ParseFor::Client(binding)) => {
                    self.prepared.forget(binding.statement.id());
                }
                Expect::Close(CloseFor::Evicted(Some(statement))) => {
                    self.prepared.add(Arc::clone(statement));
                }
                Expect::Query
                | Expect::Function
                | Expect::Parse(ParseFor::Raw | ParseFor::Again | ParseFor::Duplicate(_))
                | Expect::Bind(_)
                | Expect::Describe(_)
                | Expect::Execute
                | Expect::Close(CloseFor::Raw | CloseFor::Evicted(None) | CloseFor::Stranger)
                | Expect::Sync
                | Expect::MaybeSync
                | Expect::ProbeSync
                | Expect::Probe
                | Expect::Setup
                | Expect::Begin
                | Expect::CopyEnd
                | Expect::Local(_) => {}
            }
        }
    }
}
