//! One client: logs in, sends, and knows when all that it asked for was answered.

use std::rc::Rc;
use std::time::Instant;

use mio::{Registry, Token};

use crate::error::LoadError;
use crate::login::{Credentials, Login};
use crate::socket::{Received, Socket};
use crate::wire::{self, Frames, Interest};

/// What reading led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Answers are still due.
    Waiting,
    /// Everything was answered.
    Ready,
}

/// One client.
#[derive(Debug)]
pub struct Client {
    socket: Socket,
    frames: Frames,
    login: Login,
    owed: u32,
    /// When what it waits for was sent.
    pub since: Instant,
    /// How often it was answered; the first time ends its login.
    pub ready_count: u64,
    /// Bytes that came.
    pub bytes: u64,
}

impl Client {
    /// Connects and begins to log in.
    pub fn open(
        port: u16,
        (registry, token): (&Registry, Token),
        (who, nonce): (&Credentials, u64),
    ) -> Result<Self, LoadError> {
        let since = Instant::now();
        let mut socket = Socket::connect(port, registry, token)?;
        socket.send(&wire::startup(&who.user, &who.database))?;
        Ok(Self {
            socket,
            frames: Frames::new(),
            login: Login::new(nonce),
            owed: 1,
            since,
            ready_count: 0,
            bytes: 0,
        })
    }

    /// Sends a batch that so many `ReadyForQuery` answer.
    pub fn send(&mut self, batch: &Rc<[u8]>, ready: u32) -> Result<(), LoadError> {
        self.owed += ready;
        self.socket.send_shared(batch)
    }

    /// Says goodbye, so that the server does not take the end for a fault.
    pub fn terminate(&mut self) -> Result<(), LoadError> {
        self.socket.send(b"X\0\0\0\x04")
    }

    /// Whether answers are due.
    pub fn is_waiting(&self) -> bool {
        self.owed > 0
    }

    /// Sends what had to wait.
    pub fn flush(&mut self) -> Result<(), LoadError> {
        self.socket.flush()
    }

    /// Takes all that has come.
    pub fn on_readable(
        &mut self,
        buffer: &mut [u8],
        who: &mut Credentials,
    ) -> Result<Progress, LoadError> {
        let owed = self.owed;
        loop {
            let received = self.socket.receive(buffer)?;
            let (Received::Full(count) | Received::Last(count)) = received;
            self.bytes += u64::try_from(count).expect("a buffer's length");
            let (bytes, _) = buffer.split_at(count);
            self.on_bytes(bytes, who)?;
            if matches!(received, Received::Last(_)) {
                break;
            }
        }
        Ok(match (owed, self.owed) {
            (1.., 0) => {
                self.ready_count += 1;
                Progress::Ready
            }
            _ => Progress::Waiting,
        })
    }

    fn on_bytes(&mut self, bytes: &[u8], who: &mut Credentials) -> Result<(), LoadError> {
        let Self {
            socket,
            frames,
            login,
            owed,
            ..
        } = self;
        let interest = |kind| match kind {
            b'Z' | b'E' | b'R' => Interest::Whole,
            _ => Interest::None,
        };
        frames.feed(bytes, interest, |kind, body| {
            match kind {
                b'Z' => *owed = owed.saturating_sub(1),
                b'R' => {
                    let answer = login.answer(body, who)?;
                    if !answer.is_empty() {
                        socket.send(&answer)?;
                    }
                }
                _ => return Err(LoadError::from_response(body)),
            }
            Ok(())
        })
    }
}
