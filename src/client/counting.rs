//! Takes what was counted on the way, without locks, into the worker's counters.

use super::exchange::Course;
use super::life::Client;
use crate::session::client_state::Tally;
use crate::session::server_state::ServerState;
use crate::telemetry::stats::Counter;

impl Client {
    /// Takes what a link has counted into the worker's counters.
    pub(super) fn count_link(&mut self, course: &mut Course) {
        let spent = course.timing.take_spent();
        let (from_client, from_server) = std::mem::take(&mut course.received);
        for (counter, amount) in [
            (Counter::BytesReceived, from_client),
            (Counter::BytesSent, from_server),
            (Counter::QueryTime, spent.query_us),
            (Counter::TransactionTime, spent.transaction_us),
        ] {
            self.stats.add(counter, amount);
        }
    }

    /// The same for what the conversation has counted.
    pub(super) fn count_answers(&mut self, server: &mut ServerState) {
        if !server.refusals.is_empty() {
            for (class, amount) in std::mem::take(&mut server.refusals).all() {
                self.stats.errors().add(class, amount);
            }
        }
        self.count();
    }

    /// Takes what the session has counted into the worker's counters.
    pub(super) fn count(&mut self) {
        let Tally {
            queries,
            transactions,
            client_parses,
            server_parses,
            binds,
            local_parses,
            statement_hits,
            statement_misses,
        } = std::mem::take(&mut self.state.tally);
        for (counter, amount) in [
            (Counter::Queries, queries),
            (Counter::Transactions, transactions),
            (Counter::ClientParses, client_parses),
            (Counter::ServerParses, server_parses),
            (Counter::Binds, binds),
            (Counter::LocalParses, local_parses),
            (Counter::StatementHits, statement_hits),
            (Counter::StatementMisses, statement_misses),
        ] {
            if amount > 0 {
                self.stats.add(counter, amount.into());
            }
        }
    }
}
