//! Whole queries and their answers, relayed over streams in memory.

#[path = "pipe.rs"]
mod pipe;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use pgweir::client::exchange::{Course, Exchange, Hold, Stop};
use pgweir::net::buffers::small;
use pgweir::net::flow::{Outbox, Side};
use pgweir::net::wake_up::WakeUp;
use pgweir::queries::{Books, Host};
use pgweir::session::calls::{CallTerms, Counting, LinkStart};
use pgweir::session::client_state::{ClientState, SimpleQuery, Tracking};
use pgweir::session::from_server::link;
use pgweir::session::params::ParamSet;
use pgweir::session::prepared::Registry;
use pgweir::session::server_state::ServerState;
use pgweir::telemetry::stats::Times;
use pipe::Pipe;

use crate::frames::Frames;
use crate::meter::Meter;

/// A peer's stream and the bytes around it.
#[derive(Default)]
struct End {
    stream: Pipe,
    input: BytesMut,
    output: Outbox,
    wake_up: WakeUp,
}

impl End {
    fn side(&mut self) -> Side<'_, Pipe> {
        Side {
            stream: &mut self.stream,
            input: &mut self.input,
            output: &mut self.output,
            wake_up: &mut self.wake_up,
        }
    }
}

/// A client and a server with the relay between them; everything happens on this thread.
struct Wire {
    client: End,
    server: End,
    client_state: ClientState,
    server_state: ServerState,
    times: Times,
    /// Where queries are counted: their books, database and user.
    counted: Option<(Books, [Arc<str>; 2])>,
}

impl Wire {
    fn new() -> Self {
        let params = Arc::new(ParamSet::new());
        let (registry, tracking) = (Arc::new(Registry::default()), Tracking::On { limit: 200 });
        let simple = SimpleQuery::Allowed;
        let own = Arc::clone(&params);
        let mut client_state = ClientState::new(own, registry, tracking, simple, 1 << 30);
        client_state.lend = small;
        Self {
            client: End::default(),
            server: End::default(),
            client_state,
            server_state: ServerState::new(params),
            times: Times::default(),
            counted: None,
        }
    }

    fn begin_calls(&mut self, now: std::time::Instant) {
        let Some((books, [database, user])) = self.counted.as_ref() else {
            return;
        };
        let start = LinkStart {
            book: (books.of(0), books.seed),
            names: (database, user),
            terms: CallTerms {
                counting: Counting::On,
                most: 1000,
                slow_us: Some(1_000_000),
            },
            host: Host::Primary,
        };
        let params = &self.client_state.params;
        self.server_state.begin_calls(&start, params, now);
    }

    /// They are brought together, the client asks, the relay passes it on, the server answers, the
    /// relay passes that back.
    fn query(&mut self, query: &[u8], answer: &[u8]) {
        let now = tokio::time::Instant::now().into_std();
        self.begin_calls(now);
        let output = &mut self.server.output.bytes;
        link(&mut self.client_state, &mut self.server_state, output);
        let mut course = Course::new(now);
        let mut exchange = Exchange {
            client: &mut self.client_state,
            client_side: self.client.side(),
            server: &mut self.server_state,
            server_side: self.server.side(),
            hold: Hold::Transaction,
            course: &mut course,
            times: &self.times,
            writes: None,
        };
        let mut context = Context::from_waker(Waker::noop());
        exchange.client_side.stream.send(query);
        assert!(exchange.poll(&mut context).is_pending());
        // The names of statements may have become longer on the way.
        assert!(exchange.server_side.stream.receive() >= query.len());
        exchange.server_side.stream.send(answer);
        let stopped = exchange.poll(&mut context);
        assert!(matches!(stopped, Poll::Ready(Stop::Rest)));
        assert_eq!(exchange.client_side.stream.receive(), answer.len());
    }
}

/// End of the names of cases in which queries are counted.
const COUNTED: &str = "with query statistics";

/// Measures every case.
pub fn all(measure: &mut Meter<'_>) {
    let frames = Frames::new();
    let row = &frames.row;
    let mut case = |name: &str, (query, answer): (Vec<u8>, Vec<u8>)| {
        let mut wire = Wire::new();
        if name.ends_with(COUNTED) {
            let names = ["database", "user"].map(Arc::from);
            wire.counted = Some((Books::new(1, 7), names));
        }
        let (prepare, prepared) = frames.prepare();
        wire.query(&prepare, &prepared);
        let bytes = query.len() + answer.len();
        measure(name, bytes, &mut || wire.query(&query, &answer));
    };
    let query = || frames.query.clone();
    case("simple", (query(), frames.answer(row)));
    case("extended", frames.unnamed());
    case("prepared", frames.prepared());
    let (run, rows) = frames.prepared();
    case(
        "16 prepared in one piece",
        (run.repeat(16), rows.repeat(16)),
    );
    let thousand = frames.answer(&row.repeat(1000));
    case("simple, 1000 rows", (query(), thousand));
    case(&format!("simple, {COUNTED}"), (query(), frames.answer(row)));
    case(&format!("prepared, {COUNTED}"), frames.prepared());
}
