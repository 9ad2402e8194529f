//! A client that speaks the protocol byte by byte, blocking, with a deadline for every read.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpStream};

use pgweir::auth::md5::Md5Hash;
use pgweir::auth::scram::client::{self, ClientCredential, ClientOutcome};
use pgweir::auth::secret::Password;

use super::message::{self, Frame, text};
use super::wait::LIMIT;

/// Who logs in where. The password is used when the other side asks for one.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    pub port: u16,
    pub database: &'a str,
    pub user: &'a str,
    pub password: &'a str,
    pub more: &'a [(&'a str, &'a str)],
}

impl<'a> Login<'a> {
    /// Without a password and further parameters.
    pub fn new(port: u16, database: &'a str, user: &'a str) -> Self {
        let (password, more) = ("", &[][..]);
        Self {
            port,
            database,
            user,
            password,
            more,
        }
    }

    /// With a password.
    pub fn password(self, password: &'a str) -> Self {
        Self { password, ..self }
    }

    /// With more startup parameters.
    pub fn more(self, more: &'a [(&'a str, &'a str)]) -> Self {
        Self { more, ..self }
    }

    /// Logs in. The error is the `ErrorResponse` that came, with the notices before it.
    pub fn connect(self) -> Result<Wire, Frame> {
        let mut wire = Wire::open(self.port);
        let mut parameters = vec![("user", self.user), ("database", self.database)];
        parameters.extend(self.more);
        wire.send(&message::startup(&parameters));
        wire.log_in(self.user, self.password)?;
        Ok(wire)
    }
}

/// A connection, with what the login said.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
    /// `BackendKeyData`
    pub key: Vec<u8>,
    /// Every `ParameterStatus` so far, the last value of each.
    pub parameters: BTreeMap<String, String>,
    /// Notices of the login.
    pub notices: Vec<Frame>,
}

impl Wire {
    /// A TCP connection on which nothing has been said.
    pub fn open(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("somebody listens");
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        Self {
            stream,
            unread: Vec::new(),
            key: Vec::new(),
            parameters: BTreeMap::new(),
            notices: Vec::new(),
        }
    }

    /// Logs in where no password is asked for, and fails the test where that is refused.
    pub fn login(port: u16, database: &str, user: &str) -> Self {
        match Login::new(port, database, user).connect() {
            Ok(wire) => wire,
            Err(error) => panic!("{user} cannot log in to {database}: {error:?}"),
        }
    }

    /// Everything after the startup message, up to `ReadyForQuery`.
    fn log_in(&mut self, user: &str, password: &str) -> Result<(), Frame> {
        loop {
            let frame = self.frame().expect("closed during the login");
            match frame.tag {
                b'R' => self.prove(&frame, user, password)?,
                b'K' => self.key = frame.body,
                b'N' => self.notices.push(frame),
                b'Z' => return Ok(()),
                b'E' => return Err(frame),
                b'S' | b'v' => {}
                other => panic!("{:?} during the login", char::from(other)),
            }
        }
    }

    fn prove(&mut self, frame: &Frame, user: &str, password: &str) -> Result<(), Frame> {
        let (code, rest) = frame.body.split_at(4);
        match code {
            [0, 0, 0, 0] => Ok(()),
            [0, 0, 0, 3] => {
                self.send(&message::password(&message::strings(&[password])));
                Ok(())
            }
            [0, 0, 0, 5] => {
                let salt = rest.try_into().unwrap();
                let answer = Md5Hash::of(password.as_bytes(), user.as_bytes()).answer(salt);
                self.send(&message::password(&message::strings(&[&text(&answer)])));
                Ok(())
            }
            [0, 0, 0, 10] => self.scram(password),
            other => panic!("authentication {other:?} is unknown to this client"),
        }
    }

    fn scram(&mut self, password: &str) -> Result<(), Frame> {
        let credential = ClientCredential::Password(Password::new(password.as_bytes()).unwrap());
        let (first, state) = client::start(credential, [7; 18]);
        let mut body = message::strings(&["SCRAM-SHA-256"]);
        body.extend(u32::try_from(first.len()).unwrap().to_be_bytes());
        body.extend(&first);
        self.send(&message::password(&body));
        let server_first = self.sasl(11)?;
        let outcome = state.server_first(&server_first).unwrap();
        let (last, state) = match outcome {
            ClientOutcome::NeedKeys { request, next } => next.keys(&request.derive()),
            ClientOutcome::Send { message, next } => (message, next),
        };
        self.send(&message::password(&last));
        let server_final = self.sasl(12)?;
        state.server_final(&server_final).unwrap();
        Ok(())
    }

    fn sasl(&mut self, code: u32) -> Result<Vec<u8>, Frame> {
        let frame = self.frame().expect("closed during SASL");
        if frame.tag == b'E' {
            return Err(frame);
        }
        assert_eq!(
            (frame.tag, &frame.body[..4]),
            (b'R', &code.to_be_bytes()[..])
        );
        Ok(frame.body[4..].to_vec())
    }

    /// Sends bytes. A peer that has closed is found out by the next read.
    pub fn send(&mut self, bytes: &[u8]) {
        let gone = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
        match self.stream.write_all(bytes) {
            Err(error) if gone.contains(&error.kind()) => {}
            outcome => outcome.expect("the peer takes what is sent"),
        }
    }

    /// The next frame; `None` when the connection is closed in good order or reset between frames.
    pub fn frame(&mut self) -> Option<Frame> {
        if !self.fill(5) {
            let left = &self.unread;
            assert!(left.is_empty(), "closed inside of a frame: {left:?}");
            return None;
        }
        let length = u32::from_be_bytes(self.unread[1..5].try_into().unwrap());
        let end = 1 + usize::try_from(length).unwrap();
        assert!(end >= 5, "a frame of length {length}");
        assert!(self.fill(end), "closed inside of a frame");
        let body = self.unread[5..end].to_vec();
        let tag = self.unread[0];
        self.unread.drain(..end);
        let frame = Frame { tag, body };
        if tag == b'S' {
            let mut parts = frame.body.split(|byte| *byte == 0).map(text);
            let (name, value) = (parts.next().unwrap(), parts.next().unwrap());
            self.parameters.insert(name, value);
        }
        Some(frame)
    }

    /// One byte outside of any frame: the answer to `SSLRequest`.
    pub fn byte(&mut self) -> Option<u8> {
        self.fill(1).then(|| self.unread.remove(0))
    }

    /// Reads until `length` bytes are there; false when the connection ends before that.
    fn fill(&mut self, length: usize) -> bool {
        let mut chunk = vec![0; 64 * 1024];
        while self.unread.len() < length {
            match self.stream.read(&mut chunk) {
                Ok(0) => return false,
                Ok(n) => self.unread.extend_from_slice(&chunk[..n]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!(
                    "no answer within {LIMIT:?}: {error}; have {:?}",
                    self.unread
                ),
            }
        }
        true
    }

    /// Frames up to and with the next one of this tag. An end of the connection ends it too.
    pub fn until_tag(&mut self, tag: u8) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame() {
            let last = frame.tag == tag;
            frames.push(frame);
            if last {
                break;
            }
        }
        frames
    }

    /// Frames up to and with the `count`th `ReadyForQuery`.
    pub fn until_ready(&mut self, count: usize) -> Vec<Frame> {
        (0..count).flat_map(|_| self.until_tag(b'Z')).collect()
    }

    /// All frames until the connection is closed.
    pub fn until_closed(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.frame()).collect()
    }

    /// The last report (`08P01 text`) before the connection is closed.
    pub fn farewell(&mut self) -> String {
        let frames = self.until_closed();
        let error = frames.iter().rfind(|frame| frame.tag == b'E');
        error.map_or_else(|| format!("no error, but {frames:?}"), Frame::report)
    }

    /// Runs one simple query to its end.
    pub fn query(&mut self, sql: &str) -> Answer {
        self.send(&message::query(sql));
        Answer(self.until_ready(1))
    }

    /// The only value of a simple query, which must work.
    pub fn value(&mut self, sql: &str) -> String {
        let rows = self.query(sql).rows();
        let mut values = rows.into_iter().flatten();
        values.next().unwrap_or_else(|| panic!("no row for {sql}"))
    }

    /// Runs SQL that must work.
    pub fn run(&mut self, sql: &str) {
        drop(self.query(sql).rows());
    }

    /// Sends FIN; what the peer still sends can be read.
    pub fn hang_up(&self) {
        // A peer that has gone already is as good.
        drop(self.stream.shutdown(Shutdown::Write));
    }
}

/// What came back for one simple query.
#[derive(Debug)]
pub struct Answer(pub Vec<Frame>);

impl Answer {
    /// Rows as text; fails the test where there was an error.
    pub fn rows(&self) -> Vec<Vec<String>> {
        if let Some(error) = self.error() {
            panic!("failed: {error}");
        }
        let rows = self.0.iter().filter(|frame| frame.tag == b'D');
        let value = |value: Option<Vec<u8>>| value.map_or("NULL".to_owned(), |value| text(&value));
        rows.map(|row| row.columns().into_iter().map(value).collect())
            .collect()
    }

    /// The error, as `SQLSTATE text`; also when the connection was closed without one.
    pub fn error(&self) -> Option<String> {
        let error = self.0.iter().find(|frame| frame.tag == b'E');
        let lost = || self.0.last().is_none_or(|frame| frame.tag != b'Z');
        error
            .map(Frame::report)
            .or_else(|| lost().then(|| format!("closed after {:?}", self.0)))
    }

    /// Names of the columns.
    pub fn names(&self) -> Vec<String> {
        let Some(frame) = self.0.iter().find(|frame| frame.tag == b'T') else {
            return Vec::new();
        };
        let mut names = Vec::new();
        let mut rest = &frame.body[2..];
        while let Some(end) = rest.iter().position(|byte| *byte == 0) {
            names.push(text(&rest[..end]));
            rest = &rest[end + 19..];
        }
        names
    }

    /// The tag of the last `CommandComplete`.
    pub fn tag(&self) -> Option<String> {
        let done = self.0.iter().rfind(|frame| frame.tag == b'C');
        done.map(|frame| text(&frame.body[..frame.body.len() - 1]))
    }
}
