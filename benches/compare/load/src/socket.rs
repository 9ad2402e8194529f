//! A connection that never blocks, and what it still has to send.
//!
//! It is registered once for both directions, edge-triggered, so that no query costs a call to
//! change that. A read that does not fill the buffer ends the reading: no second read just to be
//! told that there is nothing.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::Ipv4Addr;
use std::rc::Rc;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::error::LoadError;

/// Most bytes that wait to be sent on one connection.
const PENDING_MAX: usize = 256 << 20;

/// Whether reading can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// So many bytes, and there may be more.
    Full(usize),
    /// So many bytes, and all that had come.
    Last(usize),
}

/// One connection.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    pending: VecDeque<(Rc<[u8]>, usize)>,
    pending_bytes: usize,
}

impl Socket {
    /// Connects to a port of this machine. Waits until the peer's system has taken the connection.
    pub fn connect(port: u16, registry: &Registry, token: Token) -> Result<Self, LoadError> {
        let stream = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nonblocking(true)?;
        Self::register(TcpStream::from_std(stream), registry, token)
    }

    /// Takes a connection that was accepted.
    pub fn register(
        mut stream: TcpStream,
        registry: &Registry,
        token: Token,
    ) -> Result<Self, LoadError> {
        stream.set_nodelay(true)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            stream,
            pending: VecDeque::new(),
            pending_bytes: 0,
        })
    }

    /// Reads once.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<Received, LoadError> {
        match self.stream.read(buffer) {
            Ok(0) => Err(LoadError::Closed),
            Ok(count) if count < buffer.len() => Ok(Received::Last(count)),
            Ok(count) => Ok(Received::Full(count)),
            Err(error) if is_nothing(&error) => Ok(Received::Last(0)),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends at once what the system takes; the rest when it can take more.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), LoadError> {
        let sent = self.try_now(bytes)?;
        match bytes.split_at(sent) {
            (_, []) => Ok(()),
            (_, rest) => self.keep(Rc::from(rest), 0),
        }
    }

    /// The same without a copy of what has to wait.
    pub fn send_shared(&mut self, bytes: &Rc<[u8]>) -> Result<(), LoadError> {
        let sent = self.try_now(bytes)?;
        if sent == bytes.len() {
            return Ok(());
        }
        self.keep(Rc::clone(bytes), sent)
    }

    /// Sends what had to wait. Called when the system can take more.
    pub fn flush(&mut self) -> Result<(), LoadError> {
        while let Some((bytes, sent)) = self.pending.pop_front() {
            let (_, rest) = bytes.split_at(sent);
            let count = write(&mut self.stream, rest)?;
            self.pending_bytes -= count;
            if count < rest.len() {
                self.pending.push_front((bytes, sent + count));
                return Ok(());
            }
        }
        Ok(())
    }

    fn try_now(&mut self, bytes: &[u8]) -> Result<usize, LoadError> {
        if self.pending.is_empty() {
            write(&mut self.stream, bytes)
        } else {
            Ok(0)
        }
    }

    fn keep(&mut self, bytes: Rc<[u8]>, sent: usize) -> Result<(), LoadError> {
        self.pending_bytes += bytes.len() - sent;
        if self.pending_bytes > PENDING_MAX {
            return Err(LoadError::Protocol("a peer that asks and does not read"));
        }
        self.pending.push_back((bytes, sent));
        Ok(())
    }
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

fn write(stream: &mut TcpStream, bytes: &[u8]) -> Result<usize, LoadError> {
    match stream.write(bytes) {
        Ok(count) => Ok(count),
        Err(error) if is_nothing(&error) => Ok(0),
        Err(error) => Err(error.into()),
    }
}
