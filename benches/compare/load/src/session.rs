//! A client that waits for each answer: for `chaos`, where what is answered counts and not how fast.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::error::LoadError;
use crate::login::{Credentials, Login};
use crate::wire;

/// Longest wait for a message; beyond that something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came before one `ReadyForQuery`.
#[derive(Debug, Default)]
pub struct Reply {
    /// The first value of each row.
    pub values: Vec<Vec<u8>>,
    /// Lines of a copy.
    pub lines: Vec<Vec<u8>>,
    /// The error, if one came.
    pub error: Option<LoadError>,
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    stream: BufReader<TcpStream>,
    key: Vec<u8>,
    port: u16,
}

impl Session {
    /// Connects and logs in.
    pub fn open(port: u16, who: &mut Credentials, nonce: u64) -> Result<Self, LoadError> {
        let stream = connect(port)?;
        let mut session = Self {
            stream: BufReader::new(stream),
            key: Vec::new(),
            port,
        };
        session.send(&wire::startup(&who.user, &who.database))?;
        let mut login = Login::new(nonce);
        loop {
            let (kind, body) = session.message()?;
            match kind {
                b'R' => session.send(&login.answer(&body, who)?)?,
                b'K' => session.key = body,
                b'E' => return Err(LoadError::from_response(&body)),
                b'Z' => return Ok(session),
                _ => {}
            }
        }
    }

    /// Sends messages.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), LoadError> {
        Ok(self.stream.get_mut().write_all(bytes)?)
    }

    /// Sends a simple query and waits for its answer.
    pub fn query(&mut self, sql: &str) -> Result<Reply, LoadError> {
        self.send(&simple(sql))?;
        self.reply()
    }

    /// Everything up to `ReadyForQuery`.
    pub fn reply(&mut self) -> Result<Reply, LoadError> {
        let mut reply = Reply::default();
        loop {
            let (kind, body) = match (self.message(), reply.error.take()) {
                // The last words say more than the end of the connection.
                (Err(LoadError::Closed), Some(last_words)) => return Err(last_words),
                (message, error) => {
                    reply.error = error;
                    message?
                }
            };
            match kind {
                b'D' => reply.values.push(first_value(&body)?),
                b'd' => reply.lines.push(body),
                b'E' => reply.error = Some(LoadError::from_response(&body)),
                b'Z' => return Ok(reply),
                _ => {}
            }
        }
    }

    /// Asks, on a connection of its own, to cancel what this one is doing; waits until that
    /// connection is closed, which is when the request has been passed on.
    pub fn cancel(&self) -> Result<(), LoadError> {
        let mut stream = connect(self.port)?;
        stream.write_all(&wire::cancel(&self.key))?;
        // An end by reset is an end too.
        drop(stream.read_to_end(&mut Vec::new()));
        Ok(())
    }

    /// Says goodbye.
    pub fn close(mut self) -> Result<(), LoadError> {
        self.send(b"X\0\0\0\x04")
    }

    fn message(&mut self) -> Result<(u8, Vec<u8>), LoadError> {
        let mut first = [0; 5];
        self.read(&mut first)?;
        let (kind, length) = wire::header(first)?;
        let mut body = vec![0; length];
        self.read(&mut body)?;
        Ok((kind, body))
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), LoadError> {
        match self.stream.read_exact(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(LoadError::Closed)
            }
            outcome => Ok(outcome?),
        }
    }
}

fn connect(port: u16) -> Result<TcpStream, LoadError> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// A simple query's message.
pub fn simple(sql: &str) -> Vec<u8> {
    let mut out = Vec::new();
    wire::message(&mut out, b'Q', &[sql.as_bytes(), b"\0"].concat());
    out
}

/// `Parse` of `sql` under a name.
pub fn parse(name: &str, sql: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let body = [name.as_bytes(), b"\0", sql.as_bytes(), b"\0\0\0"];
    wire::message(&mut out, b'P', &body.concat());
    out
}

/// `Bind` with one parameter, `Execute` and `Sync`.
pub fn bind(name: &str, value: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let length = u32::try_from(value.len()).expect("values written here are short");
    let body = [
        b"\0",
        name.as_bytes(),
        b"\0\0\0\0\x01",
        &length.to_be_bytes(),
        value.as_bytes(),
        b"\0\0",
    ];
    wire::message(&mut out, b'B', &body.concat());
    wire::message(&mut out, b'E', &[0; 5]);
    wire::message(&mut out, b'S', b"");
    out
}

fn first_value(row: &[u8]) -> Result<Vec<u8>, LoadError> {
    const BAD: LoadError = LoadError::Protocol("a row that makes no sense");
    let (_, rest) = row.split_first_chunk::<2>().ok_or(BAD)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or(BAD)?;
    match usize::try_from(i32::from_be_bytes(*length)) {
        Ok(length) => Ok(rest.get(..length).ok_or(BAD)?.to_vec()),
        Err(_) => Ok(Vec::new()),
    }
}
