//! The calls of a client: for whom they are counted, and the log of slow ones.

use std::time::Instant;

use super::journey::Journeyed;
use super::life::Client;
use super::routing::Route;
use super::visitor::Visitor;
use crate::queries::Host;
use crate::route::decide::Target;
use crate::session::calls::LinkStart;
use crate::session::server_state::ServerState;
use crate::telemetry::events::{self, SlowQuery};

impl Client {
    /// A link begins.
    pub(super) fn begin_calls(&self, server: &mut ServerState, now: Instant) {
        let Some(terms) = self.terms.calls else {
            server.ignore_calls();
            return;
        };
        let queries = &self.pooler.queries;
        let card = &self.facts.card;
        let start = LinkStart {
            book: (queries.of(usize::from(self.worker.0)), queries.seed),
            names: (&card.database, &card.user),
            terms,
            host: match self.route.as_deref().and_then(Route::next_target) {
                Some(Target::Replica(_)) => Host::Replica,
                Some(Target::Primary) | None => Host::Primary,
            },
        };
        server.begin_calls(&start, &self.state.params, now);
    }

    /// The link is over.
    pub(super) fn end_calls(&self, server: &mut ServerState, outcome: Journeyed, now: Instant) {
        match outcome {
            Journeyed::Arrived => server.end_calls(now),
            Journeyed::Again => server.take_calls_back(),
        }
        if server.has_slow_calls() {
            self.log_slow_calls(server);
        }
    }

    #[cold]
    pub(super) fn log_slow_calls(&self, server: &mut ServerState) {
        let visitor = Visitor::of(&self.facts.card);
        for slow in server.take_slow_calls() {
            let words = slow.words.as_ref();
            let query = SlowQuery {
                waited_us: slow.waited_us,
                server_us: slow.server_us,
                fingerprint: words.map(|(print, _)| print.0),
                text: words.map_or("", |(_, text)| text),
            };
            events::slow_query(&visitor.who(), &query);
        }
    }
}
