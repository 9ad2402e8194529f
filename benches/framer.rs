//! How long does it take to look at the messages of a client and a server, without any socket?

mod measure;

use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use measure::measure;
use pgweir::net::buffers::{Size, take};
use pgweir::net::flow::release;
use pgweir::session::client_state::{ClientState, SimpleQuery, Tracking};
use pgweir::session::from_client::{ClientBytes, from_client};
use pgweir::session::from_server::from_server;
use pgweir::session::params::ParamSet;
use pgweir::session::prepared::Registry;
use pgweir::session::server_state::ServerState;

/// What a read from a socket gives at most.
const READ_MAX: usize = 64 << 10;

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.put_u32(u32::try_from(body.len() + 4).expect("short"));
    out.put_slice(body);
    out
}

/// Both conversations and the buffers, which come from and go back to the thread as in the program.
struct Pair {
    client: ClientState,
    server: ServerState,
}

impl Pair {
    fn new(tracking: Tracking) -> Self {
        let params = Arc::new(ParamSet::new());
        let registry = Arc::new(Registry::default());
        let simple = SimpleQuery::Allowed;
        let client = ClientState::new(Arc::clone(&params), registry, tracking, simple, 1 << 30);
        let server = ServerState::new(params);
        Self { client, server }
    }

    fn client_says(&mut self, bytes: &[u8]) {
        let mut input = take(Size::Small);
        let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
        for piece in bytes.chunks(READ_MAX) {
            if input.capacity() == 0 {
                input = take(Size::Small);
            }
            input.put_slice(piece);
            let bytes = ClientBytes {
                input: &mut input,
                to_server: &mut to_server,
                to_client: &mut to_client,
            };
            from_client(&mut self.client, Some(&mut self.server), bytes).expect("legal");
            release(&mut input);
            to_server.clear(); // written
            release(&mut to_server);
        }
    }

    fn server_says(&mut self, bytes: &[u8]) {
        let (mut input, mut to_client) = (BytesMut::new(), BytesMut::new());
        for piece in bytes.chunks(READ_MAX) {
            if input.capacity() == 0 {
                input = take(Size::Large);
            }
            input.put_slice(piece);
            from_server(
                &mut self.client,
                &mut self.server,
                &mut input,
                &mut to_client,
            )
            .expect("in sync");
            release(&mut input);
            to_client.clear(); // written
            release(&mut to_client);
        }
    }

    fn turn(&mut self, from_client: &[u8], from_server: &[u8]) -> bool {
        self.client_says(from_client);
        self.server_says(from_server);
        assert!(self.server.is_at_rest());
        true
    }
}

fn case(name: &str, tracking: Tracking, first: (&[u8], &[u8]), then: (&[u8], &[u8])) {
    let mut pair = Pair::new(tracking);
    if !first.0.is_empty() {
        pair.turn(first.0, first.1);
    }
    let bytes = then.0.len() + then.1.len();
    measure(name, bytes, || pair.turn(then.0, then.1));
}

/// The frames that the cases are put together from.
struct Frames {
    query: Vec<u8>,
    sync: Vec<u8>,
    columns: Vec<u8>,
    row: Vec<u8>,
    done: Vec<u8>,
    ready: Vec<u8>,
}

impl Frames {
    fn new() -> Self {
        let field = b"abalance\0\0\0\x40\0\0\x03\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0";
        Self {
            query: frame(
                b'Q',
                b"select abalance from pgbench_accounts where aid = 4711\0",
            ),
            sync: frame(b'S', b""),
            columns: frame(b'T', &[&b"\0\x01"[..], field].concat()),
            row: frame(b'D', b"\0\x01\0\0\0\x0412.3"),
            done: frame(b'C', b"SELECT 1\0"),
            ready: frame(b'Z', b"I"),
        }
    }

    fn answer(&self, rows: &[u8]) -> Vec<u8> {
        [&self.columns[..], rows, &self.done, &self.ready].concat()
    }
}

const ON: Tracking = Tracking::On { limit: 200 };
const NOTHING: (&[u8], &[u8]) = (b"", b"");

fn simple(frames: &Frames) {
    let (query, answer) = (&frames.query, frames.answer(&frames.row));
    case(
        "simple query and its row",
        Tracking::Off,
        NOTHING,
        (query, &answer),
    );
    let (queries, answers) = (query.repeat(100), answer.repeat(100));
    case(
        "100 queries in one piece",
        ON,
        NOTHING,
        (&queries, &answers),
    );
    let thousand = frames.answer(&frames.row.repeat(1000));
    case("1000 small rows", ON, NOTHING, (query, &thousand));
    let wide = frame(
        b'D',
        &[&b"\0\x01\0\0\x40\0"[..], &[b'x'; 16 << 10]].concat(),
    );
    let bulk = frames.answer(&wide.repeat(64));
    case(
        "64 rows of 16 KiB, 64 KiB a read",
        ON,
        NOTHING,
        (query, &bulk),
    );
}

fn extended(frames: &Frames) {
    let text = b"s1\0select abalance from pgbench_accounts where aid = $1\0\0\0";
    let prepare = [frame(b'P', text), frames.sync.clone()].concat();
    let prepared = [frame(b'1', b""), frames.ready.clone()].concat();
    let bind = frame(b'B', b"\0s1\0\0\0\0\x01\0\0\0\x044711\0\0");
    let (describe, execute) = (frame(b'D', b"P\0"), frame(b'E', b"\0\0\0\0\0"));
    let run = [&bind[..], &describe, &execute, &frames.sync].concat();
    let rows = [frame(b'2', b""), frames.answer(&frames.row)].concat();
    let (first, then) = ((&prepare[..], &prepared[..]), (&run[..], &rows[..]));
    case("bind, describe, execute, sync: renamed", ON, first, then);
    case(
        "bind, describe, execute, sync: as it is",
        Tracking::Off,
        first,
        then,
    );

    let (parse, bind) = (
        frame(b'P', b"\0select 1\0\0\0"),
        frame(b'B', b"\0\0\0\0\0\0\0\0"),
    );
    let run = [&parse[..], &bind, &execute, &frames.sync].concat();
    let heads = [frame(b'1', b""), frame(b'2', b"")].concat();
    let rows = [&heads[..], &frames.row, &frames.done, &frames.ready].concat();
    case(
        "parse, bind, execute, sync: unnamed",
        ON,
        NOTHING,
        (&run, &rows),
    );
}

fn main() {
    let frames = Frames::new();
    simple(&frames);
    extended(&frames);
}
