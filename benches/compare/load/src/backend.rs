//! The stand-in for `PostgreSQL`: one thread that answers at once, so that the pooler is measured.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use crate::answers::{self, Answers, Block, Startup, Then};
use crate::error::LoadError;
use crate::socket::{Received, Socket};
use crate::wire::{self, Frames};

const LISTENER: Token = Token(usize::MAX);
/// Bytes that one read takes.
const BUFFER: usize = 256 << 10;

/// How far a connection is.
#[derive(Debug)]
enum Phase {
    /// These bytes came, and no login yet.
    Startup(Vec<u8>),
    /// Queries come.
    Running(Block),
}

struct Session {
    socket: Socket,
    frames: Frames,
    phase: Phase,
}

/// Whether a session stays.
enum Verdict {
    Stay,
    Leave,
}

/// Serves `port` of this machine until the process is ended.
pub fn serve(port: u16) -> Result<(), LoadError> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port).into())?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut backend = Backend {
        answers: Answers::new(),
        sessions: HashMap::new(),
        next: 0,
        buffer: vec![0; BUFFER],
        reply: Vec::new(),
    };
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            outcome => outcome?,
        }
        for event in &events {
            if event.token() == LISTENER {
                backend.accept(&listener, poll.registry())?;
            } else {
                backend.on_event(event);
            }
        }
    }
}

struct Backend {
    answers: Answers,
    sessions: HashMap<usize, Session>,
    next: usize,
    buffer: Vec<u8>,
    reply: Vec<u8>,
}

impl Backend {
    fn accept(&mut self, listener: &TcpListener, to: &mio::Registry) -> Result<(), LoadError> {
        loop {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let session = Session {
                socket: Socket::register(stream, to, Token(self.next))?,
                frames: Frames::new(),
                phase: Phase::Startup(Vec::new()),
            };
            self.sessions.insert(self.next, session);
            self.next += 1;
        }
    }

    fn on_event(&mut self, event: &mio::event::Event) {
        let number = event.token().0;
        let Some(session) = self.sessions.get_mut(&number) else {
            return;
        };
        let mut verdict = Ok(Verdict::Stay);
        if event.is_writable() {
            verdict = session.socket.flush().map(|()| Verdict::Stay);
        }
        if event.is_readable() && matches!(verdict, Ok(Verdict::Stay)) {
            verdict = session.on_readable(&self.answers, &mut self.buffer, &mut self.reply);
        }
        // Whatever went wrong is this connection's end; the pooler is the one to tell of it.
        if !matches!(verdict, Ok(Verdict::Stay)) {
            self.sessions.remove(&number);
        }
    }
}

impl Session {
    fn on_readable(
        &mut self,
        answers: &Answers,
        buffer: &mut [u8],
        reply: &mut Vec<u8>,
    ) -> Result<Verdict, LoadError> {
        loop {
            let received = self.socket.receive(buffer)?;
            let (Received::Full(count) | Received::Last(count)) = received;
            let (bytes, _) = buffer.split_at(count);
            if let Verdict::Leave = self.on_bytes(answers, bytes, reply)? {
                return Ok(Verdict::Leave);
            }
            if matches!(received, Received::Last(_)) {
                return Ok(Verdict::Stay);
            }
        }
    }

    fn on_bytes(
        &mut self,
        answers: &Answers,
        bytes: &[u8],
        reply: &mut Vec<u8>,
    ) -> Result<Verdict, LoadError> {
        let early;
        let bytes = match &mut self.phase {
            Phase::Running(_) => bytes,
            Phase::Startup(kept) => {
                kept.extend_from_slice(bytes);
                early = std::mem::take(kept);
                match self.log_in(&early)? {
                    Some(rest) => rest,
                    None => return Ok(Verdict::Leave),
                }
            }
        };
        self.run(answers, bytes, reply)
    }

    /// Answers first messages, and gives what follows the login; `None` after a cancel request.
    fn log_in<'a>(&mut self, mut bytes: &'a [u8]) -> Result<Option<&'a [u8]>, LoadError> {
        while let Some((length, startup)) = answers::startup(bytes)? {
            let (_, rest) = bytes.split_at(length);
            match startup {
                Startup::Encryption => self.socket.send(b"N")?,
                Startup::Cancel => return Ok(None),
                Startup::Login => {
                    self.socket.send(&answers::greeting(1))?;
                    self.phase = Phase::Running(Block::Idle);
                    return Ok(Some(rest));
                }
            }
            bytes = rest;
        }
        self.phase = Phase::Startup(bytes.to_vec());
        Ok(Some(&[]))
    }

    fn run(
        &mut self,
        answers: &Answers,
        bytes: &[u8],
        reply: &mut Vec<u8>,
    ) -> Result<Verdict, LoadError> {
        let Self {
            socket,
            frames,
            phase,
        } = self;
        let Phase::Running(block) = phase else {
            return Ok(Verdict::Stay);
        };
        let mut verdict = Verdict::Stay;
        reply.clear();
        let on = |kind, body: &[u8]| {
            match answers.answer(kind, body, block, reply) {
                Then::GoOn => {}
                Then::Close => verdict = Verdict::Leave,
                Then::Large(large) => {
                    socket.send(reply)?;
                    reply.clear();
                    socket.send_shared(&large)?;
                }
            }
            Ok(())
        };
        frames.feed(bytes, |_| wire::Interest::Whole, on)?;
        if !reply.is_empty() {
            socket.send(reply)?;
        }
        Ok(verdict)
    }
}
