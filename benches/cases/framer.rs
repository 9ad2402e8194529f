//! Queries and their answers, looked at without any socket.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use pgweir::net::buffers::{Size, small, take};
use pgweir::net::flow::release;
use pgweir::session::client_state::{ClientState, SimpleQuery, Tracking};
use pgweir::session::from_client::{ClientBytes, from_client};
use pgweir::session::from_server::from_server;
use pgweir::session::params::ParamSet;
use pgweir::session::prepared::Registry;
use pgweir::session::server_state::ServerState;

use crate::frames::{Frames, frame};
use crate::meter::Meter;

/// What a read from a socket gives at most.
const READ_MAX: usize = 64 << 10;

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
        let mut client = ClientState::new(Arc::clone(&params), registry, tracking, simple, 1 << 30);
        client.lend = small;
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

    fn turn(&mut self, from_client: &[u8], from_server: &[u8]) {
        self.client_says(from_client);
        self.server_says(from_server);
        assert!(self.server.is_at_rest());
    }
}

const ON: Tracking = Tracking::On { limit: 200 };
const NOTHING: (&[u8], &[u8]) = (b"", b"");

/// Measures one turn of a conversation: the client's bytes and the server's answer to them.
struct Cases<'a> {
    frames: Frames,
    measure: &'a mut Meter<'a>,
}

impl Cases<'_> {
    fn case(
        &mut self,
        name: &str,
        tracking: Tracking,
        first: (&[u8], &[u8]),
        then: (&[u8], &[u8]),
    ) {
        let mut pair = Pair::new(tracking);
        if !first.0.is_empty() {
            pair.turn(first.0, first.1);
        }
        let bytes = then.0.len() + then.1.len();
        (self.measure)(name, bytes, &mut || pair.turn(then.0, then.1));
    }

    fn simple(&mut self) {
        let frames = &self.frames;
        let (query, row) = (frames.query.clone(), frames.row.clone());
        let answer = frames.answer(&row);
        let thousand = frames.answer(&row.repeat(1000));
        let wide = [&b"\0\x01\0\0\x40\0"[..], &[b'x'; 16 << 10]].concat();
        let bulk = frames.answer(&frame(b'D', &wide).repeat(64));
        let (queries, answers) = (query.repeat(100), answer.repeat(100));
        for (name, tracking, then) in [
            (
                "a simple query and its row",
                Tracking::Off,
                (&query, &answer),
            ),
            ("100 queries in one piece", ON, (&queries, &answers)),
            ("a query and 1000 small rows", ON, (&query, &thousand)),
            ("64 rows of 16 KiB, 64 KiB a read", ON, (&query, &bulk)),
        ] {
            self.case(name, tracking, NOTHING, (then.0, then.1));
        }
    }

    fn extended(&mut self) {
        let (prepare, prepared) = self.frames.prepare();
        let (run, rows) = self.frames.prepared();
        for (name, tracking) in [
            ("bind, describe, execute, sync: renamed", ON),
            ("bind, describe, execute, sync: as it is", Tracking::Off),
        ] {
            self.case(name, tracking, (&prepare, &prepared), (&run, &rows));
        }
        let (run, rows) = self.frames.unnamed();
        self.case(
            "parse, bind, describe, execute, sync",
            ON,
            NOTHING,
            (&run, &rows),
        );
    }
}

/// Measures every case.
pub fn all(measure: &mut Meter<'_>) {
    let frames = Frames::new();
    let mut cases = Cases { frames, measure };
    cases.simple();
    cases.extended();
}
