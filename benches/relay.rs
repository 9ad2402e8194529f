//! How long does it take to relay a whole query and its answer, over streams in memory?

mod measure;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{BufMut, BytesMut};
use measure::measure;
use pgweir::client::exchange::{Course, Exchange, Hold, Stop};
use pgweir::net::flow::{self, Outbox, Side};
use pgweir::session::client_state::{ClientState, SimpleQuery, Tracking};
use pgweir::session::params::ParamSet;
use pgweir::session::prepared::Registry;
use pgweir::session::server_state::ServerState;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.put_u32(u32::try_from(body.len() + 4).expect("short"));
    out.put_slice(body);
    out
}

fn write(stream: &mut DuplexStream, bytes: &[u8]) {
    let mut context = Context::from_waker(Waker::noop());
    let written = Pin::new(stream).poll_write(&mut context, bytes);
    assert!(
        matches!(written, Poll::Ready(Ok(count)) if count == bytes.len()),
        "there is room"
    );
}

fn read(stream: &mut DuplexStream, into: &mut [u8], count: usize) {
    let mut context = Context::from_waker(Waker::noop());
    let mut buffer = ReadBuf::new(into);
    while buffer.filled().len() < count {
        let done = Pin::new(&mut *stream).poll_read(&mut context, &mut buffer);
        assert!(matches!(done, Poll::Ready(Ok(()))), "it was sent before");
    }
    assert_eq!(buffer.filled().len(), count, "and nothing else");
}

/// Bytes that a stream in memory holds.
const STREAM: usize = 1 << 20;

/// The relay's end of a stream in memory.
struct End(DuplexStream);

impl AsyncRead for End {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for End {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl flow::Wire for End {
    fn poll_readable(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(())) // it cannot say; a read can
    }
}

/// A client and a server with the relay between them; everything happens on this thread.
struct Wire {
    client: DuplexStream,
    client_end: End,
    server: DuplexStream,
    server_end: End,
    client_state: ClientState,
    server_state: ServerState,
    client_input: BytesMut,
    client_output: Outbox,
    server_input: BytesMut,
    server_output: Outbox,
    scratch: Vec<u8>,
}

impl Wire {
    fn new() -> Self {
        let (client, client_end) = duplex(STREAM);
        let (server, server_end) = duplex(STREAM);
        let params = Arc::new(ParamSet::new());
        let (registry, tracking) = (Arc::new(Registry::default()), Tracking::On { limit: 200 });
        let simple = SimpleQuery::Allowed;
        Self {
            client,
            client_end: End(client_end),
            server,
            server_end: End(server_end),
            client_state: ClientState::new(
                Arc::clone(&params),
                registry,
                tracking,
                simple,
                1 << 30,
            ),
            server_state: ServerState::new(params),
            client_input: BytesMut::new(),
            client_output: Outbox::default(),
            server_input: BytesMut::new(),
            server_output: Outbox::default(),
            scratch: vec![0; STREAM],
        }
    }

    /// The client asks, the relay passes it on, the server answers, the relay passes that back.
    fn query(&mut self, query: &[u8], answer: &[u8]) {
        let now = tokio::time::Instant::now().into_std();
        let mut course = Course::new(now);
        let mut exchange = Exchange {
            client: &mut self.client_state,
            client_side: Side {
                stream: &mut self.client_end,
                input: &mut self.client_input,
                output: &mut self.client_output,
            },
            server: &mut self.server_state,
            server_side: Side {
                stream: &mut self.server_end,
                input: &mut self.server_input,
                output: &mut self.server_output,
            },
            hold: Hold::Transaction,
            course: &mut course,
        };
        let mut context = Context::from_waker(Waker::noop());
        write(&mut self.client, query);
        assert!(exchange.poll(&mut context).is_pending());
        read(&mut self.server, &mut self.scratch, query.len());
        write(&mut self.server, answer);
        assert!(matches!(
            exchange.poll(&mut context),
            Poll::Ready(Stop::Rest)
        ));
        read(&mut self.client, &mut self.scratch, answer.len());
    }
}

fn case(name: &str, query: &[u8], answer: &[u8]) {
    let mut wire = Wire::new();
    measure(name, query.len() + answer.len(), || {
        wire.query(query, answer);
    });
    let (mut client, mut end) = duplex(STREAM);
    let mut scratch = vec![0; STREAM];
    // What of it the streams in memory cost: each byte crosses two of them.
    measure(&format!("  of which streams: {name}"), 0, || {
        for bytes in [query, query, answer, answer] {
            write(&mut client, bytes);
            read(&mut end, &mut scratch, bytes.len());
        }
    });
}

fn main() {
    let query = frame(
        b'Q',
        b"select abalance from pgbench_accounts where aid = 4711\0",
    );
    let row = frame(b'D', b"\0\x01\0\0\0\x0412.3");
    let end = [frame(b'C', b"SELECT 1\0"), frame(b'Z', b"I")].concat();
    case("a query and one row", &query, &[&row[..], &end].concat());
    case(
        "a query and 1000 rows",
        &query,
        &[&row.repeat(1000)[..], &end].concat(),
    );
}
