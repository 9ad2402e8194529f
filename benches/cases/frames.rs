//! The frames that the cases' queries and answers are put together from.

use bytes::BufMut;

/// One frame.
pub fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.put_u32(u32::try_from(body.len() + 4).expect("short"));
    out.put_slice(body);
    out
}

/// A query and its answer, in the simple and in the extended protocol.
pub struct Frames {
    /// A simple query.
    pub query: Vec<u8>,
    /// The end of a batch.
    pub sync: Vec<u8>,
    /// Description of an answer's columns.
    pub columns: Vec<u8>,
    /// A row of them.
    pub row: Vec<u8>,
    /// The end of an answer.
    pub done: Vec<u8>,
    /// The server is at rest.
    pub ready: Vec<u8>,
    /// `Describe` and `Execute` of the unnamed portal.
    pub execute: Vec<u8>,
}

impl Frames {
    /// All of them.
    pub fn new() -> Self {
        let field = b"abalance\0\0\0\x40\0\0\x03\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0";
        let (describe, execute) = (frame(b'D', b"P\0"), frame(b'E', b"\0\0\0\0\0"));
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
            execute: [describe, execute].concat(),
        }
    }

    /// An answer with these rows.
    pub fn answer(&self, rows: &[u8]) -> Vec<u8> {
        [&self.columns[..], rows, &self.done, &self.ready].concat()
    }

    /// A statement without a name, prepared and run, and what the server says to that.
    pub fn unnamed(&self) -> (Vec<u8>, Vec<u8>) {
        let text = b"\0select abalance from pgbench_accounts where aid = $1\0\0\0";
        let bind = frame(b'B', b"\0\0\0\0\0\x01\0\0\0\x044711\0\0");
        let run = [&frame(b'P', text)[..], &bind, &self.execute, &self.sync].concat();
        let heads = [frame(b'1', b""), frame(b'2', b"")].concat();
        (run, [heads, self.answer(&self.row)].concat())
    }

    /// A statement with a name, prepared.
    pub fn prepare(&self) -> (Vec<u8>, Vec<u8>) {
        let text = b"s1\0select abalance from pgbench_accounts where aid = $1\0\0\0";
        let prepare = [frame(b'P', text), self.sync.clone()].concat();
        (prepare, [frame(b'1', b""), self.ready.clone()].concat())
    }

    /// The same statement, run.
    pub fn prepared(&self) -> (Vec<u8>, Vec<u8>) {
        let bind = frame(b'B', b"\0s1\0\0\0\0\x01\0\0\0\x044711\0\0");
        let run = [&bind[..], &self.execute, &self.sync].concat();
        (run, [frame(b'2', b""), self.answer(&self.row)].concat())
    }
}
