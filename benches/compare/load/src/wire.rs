//! Sans-IO. The messages that a load generator writes, and how a stream is cut into messages.
//!
//! Not here: login (`login`) and answers (`answers`).

use crate::error::LoadError;

/// Longest message that is believed; everything here is far shorter.
const LENGTH_MAX: usize = 1 << 30;
/// A message's first byte and its length.
const HEADER: usize = 5;
/// Version 3.0 of the protocol.
const PROTOCOL: u32 = 3 << 16;
/// What stands in the place of the version in a cancel request.
const CANCEL: u32 = 80_877_102;
/// Name of the statement that prepared queries use.
const STATEMENT: &[u8] = b"load_1\0";

/// How queries are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `Query`.
    Simple,
    /// `Parse`, `Bind`, `Describe`, `Execute`, `Sync` each time, without names.
    Extended,
    /// `Parse` once for each connection; then the others.
    Prepared,
}

/// What a client of one mode sends.
#[derive(Debug)]
pub struct Script {
    /// Once after login; empty where nothing is to be prepared. One `ReadyForQuery` answers it.
    pub prelude: Vec<u8>,
    /// Each time. As many `ReadyForQuery` answer it as it has queries.
    pub batch: Vec<u8>,
}

/// The script for batches of `depth` times `sql`.
pub fn script(mode: Mode, sql: &str, depth: u32) -> Script {
    let (mut prelude, mut one) = (Vec::new(), Vec::new());
    let sql = [sql.as_bytes(), b"\0"].concat();
    match mode {
        Mode::Simple => message(&mut one, b'Q', &sql),
        Mode::Extended => {
            message(&mut one, b'P', &[b"\0", &*sql, &[0; 2]].concat());
            execute(&mut one, b"\0");
        }
        Mode::Prepared => {
            message(&mut prelude, b'P', &[STATEMENT, &*sql, &[0; 2]].concat());
            message(&mut prelude, b'S', b"");
            execute(&mut one, STATEMENT);
        }
    }
    Script {
        prelude,
        batch: (0..depth).flat_map(|_| one.iter().copied()).collect(),
    }
}

/// `Bind` of a statement without parameters, and all that follows.
fn execute(out: &mut Vec<u8>, statement: &[u8]) {
    message(out, b'B', &[b"\0", statement, &[0; 6]].concat());
    message(out, b'D', b"P\0");
    message(out, b'E', &[0; 5]);
    message(out, b'S', b"");
}

/// Appends a message.
pub fn message(out: &mut Vec<u8>, kind: u8, body: &[u8]) {
    out.push(kind);
    out.extend_from_slice(&length_of(body.len() + 4));
    out.extend_from_slice(body);
}

/// The first message of a client.
pub fn startup(user: &str, database: &str) -> Vec<u8> {
    let mut body = PROTOCOL.to_be_bytes().to_vec();
    for word in [
        "user",
        user,
        "database",
        database,
        "application_name",
        "load",
    ] {
        body.extend_from_slice(word.as_bytes());
        body.push(0);
    }
    body.push(0);
    [&length_of(body.len() + 4), &*body].concat()
}

/// A cancel request with the key that a login gave.
pub fn cancel(key: &[u8]) -> Vec<u8> {
    [&length_of(key.len() + 8), &CANCEL.to_be_bytes(), key].concat()
}

/// A length as the protocol writes it.
fn length_of(length: usize) -> [u8; 4] {
    u32::try_from(length)
        .expect("messages written here are short")
        .to_be_bytes()
}

/// Kind of a message and length of its body.
pub fn header(bytes: [u8; HEADER]) -> Result<(u8, usize), LoadError> {
    let [kind, length @ ..] = bytes;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    match length.checked_sub(4) {
        Some(body) if length <= LENGTH_MAX => Ok((kind, body)),
        _ => Err(LoadError::Protocol("a message of impossible length")),
    }
}

/// Whether the body of a message is handed out or skipped without a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// It is.
    Whole,
    /// The message is not even reported.
    None,
}

#[derive(Debug)]
enum State {
    /// `kept` is the beginning of a header.
    Header,
    /// So much of a message without interest is still to come.
    Skipping(usize),
    /// `kept` is the beginning of a body, and so much is still to come.
    Keeping(u8, usize),
}

/// Cuts a stream into messages; those that lie whole in what was read are not copied.
#[derive(Debug)]
pub struct Frames {
    state: State,
    kept: Vec<u8>,
}

impl Frames {
    /// At the beginning of a message.
    pub fn new() -> Self {
        Self {
            state: State::Header,
            kept: Vec::new(),
        }
    }

    /// Reports each message of interest that ends in `bytes`.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        interest: impl Fn(u8) -> Interest,
        mut on: impl FnMut(u8, &[u8]) -> Result<(), LoadError>,
    ) -> Result<(), LoadError> {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Header => self.begin(bytes, &interest, &mut on)?,
                State::Skipping(left) => {
                    let (_, rest) = bytes.split_at(left.min(bytes.len()));
                    self.state = match left.saturating_sub(bytes.len()) {
                        0 => State::Header,
                        left => State::Skipping(left),
                    };
                    rest
                }
                State::Keeping(kind, left) => self.go_on(bytes, kind, left, &mut on)?,
            };
        }
        Ok(())
    }

    fn begin<'a>(
        &mut self,
        bytes: &'a [u8],
        interest: &impl Fn(u8) -> Interest,
        on: &mut impl FnMut(u8, &[u8]) -> Result<(), LoadError>,
    ) -> Result<&'a [u8], LoadError> {
        let Some((first, rest)) = self.header_bytes(bytes) else {
            return Ok(&[]);
        };
        let (kind, length) = header(first)?;
        match (interest(kind), rest.split_at_checked(length)) {
            (Interest::Whole, Some((body, rest))) => {
                on(kind, body)?;
                Ok(rest)
            }
            (Interest::None, Some((_, rest))) => Ok(rest),
            (Interest::Whole, None) => {
                self.kept.extend_from_slice(rest);
                self.state = State::Keeping(kind, length - rest.len());
                Ok(&[])
            }
            (Interest::None, None) => {
                self.state = State::Skipping(length - rest.len());
                Ok(&[])
            }
        }
    }

    /// The next header, of which a part may have come before; `None` where it is not whole yet.
    fn header_bytes<'a>(&mut self, bytes: &'a [u8]) -> Option<([u8; HEADER], &'a [u8])> {
        if self.kept.is_empty()
            && let Some((first, rest)) = bytes.split_first_chunk::<HEADER>()
        {
            return Some((*first, rest));
        }
        let missing = HEADER - self.kept.len();
        let (part, rest) = bytes.split_at(missing.min(bytes.len()));
        self.kept.extend_from_slice(part);
        let whole = <[u8; HEADER]>::try_from(&*self.kept).ok()?;
        self.kept.clear();
        Some((whole, rest))
    }

    fn go_on<'a>(
        &mut self,
        bytes: &'a [u8],
        kind: u8,
        left: usize,
        on: &mut impl FnMut(u8, &[u8]) -> Result<(), LoadError>,
    ) -> Result<&'a [u8], LoadError> {
        let (part, rest) = bytes.split_at(left.min(bytes.len()));
        self.kept.extend_from_slice(part);
        let left = left - part.len();
        if left > 0 {
            self.state = State::Keeping(kind, left);
            return Ok(rest);
        }
        self.state = State::Header;
        let outcome = on(kind, &self.kept);
        self.kept.clear();
        outcome.map(|()| rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Vec<u8> {
        let mut out = Vec::new();
        message(&mut out, b'D', b"a long row that nobody looks at");
        message(&mut out, b'C', b"SELECT 1\0");
        message(&mut out, b'S', b"");
        message(&mut out, b'Z', b"I");
        out
    }

    fn interest(kind: u8) -> Interest {
        match kind {
            b'D' => Interest::None,
            _ => Interest::Whole,
        }
    }

    #[test]
    fn every_split_gives_the_same_messages() {
        let stream = stream();
        let expected = [
            (b'C', b"SELECT 1\0".to_vec()),
            (b'S', Vec::new()),
            (b'Z', b"I".to_vec()),
        ];
        for first in 0..stream.len() {
            for second in first..stream.len() {
                let parts = [&stream[..first], &stream[first..second], &stream[second..]];
                let (mut frames, mut found) = (Frames::new(), Vec::new());
                for part in parts {
                    let on = |kind, body: &[u8]| {
                        found.push((kind, body.to_vec()));
                        Ok(())
                    };
                    frames.feed(part, interest, on).unwrap();
                }
                assert_eq!(found, expected, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn an_impossible_length_is_an_error() {
        for length in [0_u32, 3, u32::MAX] {
            let bytes = [b"Z", &length.to_be_bytes()[..]].concat();
            let outcome = Frames::new().feed(&bytes, |_| Interest::Whole, |_, _| Ok(()));
            assert!(outcome.is_err(), "{length}");
        }
    }

    #[test]
    fn only_prepared_queries_have_a_prelude_and_a_batch_repeats() {
        assert!(script(Mode::Simple, "SELECT 1", 1).prelude.is_empty());
        assert!(script(Mode::Extended, "SELECT 1", 1).prelude.is_empty());
        assert!(!script(Mode::Prepared, "SELECT 1", 1).prelude.is_empty());
        let one = script(Mode::Prepared, "SELECT 1", 1).batch;
        assert_eq!(script(Mode::Prepared, "SELECT 1", 3).batch, one.repeat(3));
    }
}
