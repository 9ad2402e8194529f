//! Sans-IO. What the stand-in for `PostgreSQL` answers: always the same, whatever is asked.
//!
//! It knows as much as poolers need: logins without a password, transactions by their first word,
//! and a query beginning with `LARGE`, which is answered by a megabyte.

use std::rc::Rc;

use crate::error::LoadError;
use crate::wire::message;

/// Rows of a large result, of a kilobyte each.
const LARGE_ROWS: usize = 1000;
/// Bytes of the value in such a row.
const LARGE_VALUE: usize = 1024;
/// What `PostgreSQL` reports at login.
const PARAMETERS: [(&str, &str); 14] = [
    ("application_name", ""),
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("default_transaction_read_only", "off"),
    ("in_hot_standby", "off"),
    ("integer_datetimes", "on"),
    ("IntervalStyle", "postgres"),
    ("is_superuser", "off"),
    ("scram_iterations", "4096"),
    ("server_encoding", "UTF8"),
    ("server_version", "17.0"),
    ("session_authorization", "bench"),
    ("standard_conforming_strings", "on"),
    ("TimeZone", "UTC"),
];

/// Answers that were made beforehand.
#[derive(Debug)]
pub struct Answers {
    description: Vec<u8>,
    row: Vec<u8>,
    large: Rc<[u8]>,
}

/// What an answer is followed by.
#[derive(Debug, PartialEq, Eq)]
pub enum Then {
    /// The next request.
    GoOn,
    /// The large result, which comes with its own `ReadyForQuery`.
    Large(Rc<[u8]>),
    /// The end of the connection.
    Close,
}

/// One connection's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// Outside of a transaction block.
    Idle,
    /// Inside.
    Open,
}

impl Answers {
    /// Makes them.
    pub fn new() -> Self {
        let mut description = Vec::new();
        let column = b"\0\x01abalance\0\0\0\x40\0\0\x03\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0";
        message(&mut description, b'T', column);
        let mut row = Vec::new();
        message(&mut row, b'D', b"\0\x01\0\0\0\x010");
        message(&mut row, b'C', b"SELECT 1\0");
        Self {
            large: large(&description),
            description,
            row,
        }
    }

    /// Appends the answer to one message to `out`.
    pub fn answer(&self, kind: u8, body: &[u8], block: &mut Block, out: &mut Vec<u8>) -> Then {
        match kind {
            b'Q' if body.starts_with(b"LARGE") => return Then::Large(Rc::clone(&self.large)),
            b'Q' => {
                self.query(body, block, out);
                ready(out, *block);
            }
            b'P' => message(out, b'1', b""),
            b'B' => message(out, b'2', b""),
            b'C' => message(out, b'3', b""),
            b'D' => {
                if body.starts_with(b"S") {
                    message(out, b't', &[0; 2]);
                }
                out.extend_from_slice(&self.description);
            }
            b'E' => out.extend_from_slice(&self.row),
            b'S' => ready(out, *block),
            b'X' => return Then::Close,
            _ => {}
        }
        Then::GoOn
    }

    fn query(&self, body: &[u8], block: &mut Block, out: &mut Vec<u8>) {
        match command(body) {
            Command::Rows => {
                out.extend_from_slice(&self.description);
                out.extend_from_slice(&self.row);
            }
            Command::Nothing => message(out, b'I', b""),
            Command::Other(tag) => message(out, b'C', tag),
            Command::Begin => {
                *block = Block::Open;
                message(out, b'C', b"BEGIN\0");
            }
            Command::End => {
                *block = Block::Idle;
                message(out, b'C', b"COMMIT\0");
            }
        }
    }
}

enum Command {
    Rows,
    Nothing,
    Begin,
    End,
    Other(&'static [u8]),
}

fn command(query: &[u8]) -> Command {
    let first = |word: &[u8]| {
        let start = query.get(..word.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    // Far the most frequent, so it is looked at first.
    if first(b"SELECT") {
        return Command::Rows;
    }
    if query.len() <= 2 {
        return Command::Nothing;
    }
    if first(b"BEGIN") {
        return Command::Begin;
    }
    if first(b"COMMIT") || first(b"ROLLBACK") || first(b"END") {
        return Command::End;
    }
    let tags: [(&[u8], &[u8]); 5] = [
        (b"SET", b"SET\0"),
        (b"RESET", b"RESET\0"),
        (b"DISCARD", b"DISCARD ALL\0"),
        (b"DEALLOCATE", b"DEALLOCATE ALL\0"),
        (b"CLOSE", b"CLOSE CURSOR ALL\0"),
    ];
    let tag = tags.into_iter().find(|(word, _)| first(word));
    tag.map_or(Command::Rows, |(_, tag)| Command::Other(tag))
}

fn ready(out: &mut Vec<u8>, block: Block) {
    match block {
        Block::Idle => message(out, b'Z', b"I"),
        Block::Open => message(out, b'Z', b"T"),
    }
}

fn large(description: &[u8]) -> Rc<[u8]> {
    let length = u32::try_from(LARGE_VALUE).expect("it is a kilobyte");
    let row = [b"\0\x01", &length.to_be_bytes()[..], &[b'x'; LARGE_VALUE]].concat();
    let mut out = description.to_vec();
    for _ in 0..LARGE_ROWS {
        message(&mut out, b'D', &row);
    }
    message(&mut out, b'C', format!("SELECT {LARGE_ROWS}\0").as_bytes());
    ready(&mut out, Block::Idle);
    Rc::from(out)
}

/// What a first message asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Startup {
    /// Encryption; the answer is one letter, and another first message follows.
    Encryption,
    /// A login.
    Login,
    /// Something to close the connection after: a cancel request.
    Cancel,
}

/// Length and meaning of the first message in `bytes`; `None` where it is not whole.
pub fn startup(bytes: &[u8]) -> Result<Option<(usize, Startup)>, LoadError> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if !(8..=10_000).contains(&length) {
        return Err(LoadError::Protocol("a first message of impossible length"));
    }
    let Some(code) = rest.first_chunk::<4>() else {
        return Ok(None);
    };
    let meaning = match u32::from_be_bytes(*code) {
        80_877_103 | 80_877_104 => Startup::Encryption,
        80_877_102 => Startup::Cancel,
        _ => Startup::Login,
    };
    Ok((bytes.len() >= length).then_some((length, meaning)))
}

/// What follows a login.
pub fn greeting(process: u32) -> Vec<u8> {
    let mut out = Vec::new();
    message(&mut out, b'R', &0_u32.to_be_bytes());
    for (name, value) in PARAMETERS {
        message(&mut out, b'S', format!("{name}\0{value}\0").as_bytes());
    }
    message(&mut out, b'K', &[process.to_be_bytes(), [7; 4]].concat());
    ready(&mut out, Block::Idle);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(bytes: &[u8]) -> Vec<u8> {
        let mut found = Vec::new();
        let on = |kind, _: &[u8]| {
            found.push(kind);
            Ok(())
        };
        let interest = |_| crate::wire::Interest::Whole;
        crate::wire::Frames::new()
            .feed(bytes, interest, on)
            .unwrap();
        found
    }

    #[test]
    fn each_mode_gets_what_postgresql_would_send() {
        let cases: [(u8, &[u8], &[u8]); 7] = [
            (b'Q', b"SELECT 1\0", b"TDCZ"),
            (b'Q', b"set x to 1\0", b"CZ"),
            (b'Q', b";\0", b"IZ"),
            (b'D', b"P\0", b"T"),
            (b'D', b"Sname\0", b"tT"),
            (b'E', b"\0\0\0\0\0", b"DC"),
            (b'S', b"", b"Z"),
        ];
        for (kind, body, expected) in cases {
            let mut out = Vec::new();
            let then = Answers::new().answer(kind, body, &mut Block::Idle, &mut out);
            assert_eq!((kinds(&out), then), (expected.to_vec(), Then::GoOn));
        }
    }

    #[test]
    fn a_transaction_block_is_open_until_it_ends() {
        let (answers, mut block, mut out) = (Answers::new(), Block::Idle, Vec::new());
        answers.answer(b'Q', b"begin\0", &mut block, &mut out);
        assert_eq!((block, out.last()), (Block::Open, Some(&b'T')));
        answers.answer(b'Q', b"COMMIT\0", &mut block, &mut out);
        assert_eq!((block, out.last()), (Block::Idle, Some(&b'I')));
    }

    #[test]
    fn a_large_result_is_a_megabyte_and_ends_ready() {
        let answers = Answers::new();
        let then = answers.answer(b'Q', b"LARGE\0", &mut Block::Idle, &mut Vec::new());
        let Then::Large(bytes) = then else {
            unreachable!("a large query was sent");
        };
        assert!(bytes.len() > 1_024_000 && kinds(&bytes).ends_with(b"DCZ"));
    }

    #[test]
    fn first_messages_are_told_apart_when_they_are_whole() {
        let whole = crate::wire::startup("u", "d");
        for cut in 0..whole.len() {
            assert_eq!(startup(&whole[..cut]).unwrap(), None);
        }
        assert_eq!(
            startup(&whole).unwrap(),
            Some((whole.len(), Startup::Login))
        );
        let cancel = crate::wire::cancel(&[1; 8]);
        assert_eq!(startup(&cancel).unwrap(), Some((16, Startup::Cancel)));
        assert!(startup(&[0xff; 8]).is_err());
    }
}
