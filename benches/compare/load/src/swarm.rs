//! Many clients on one thread.
//!
//! What a client does when it was answered is its caller's matter (`queries`, `idle`, `logins`).
//! A client that fails is counted, closed and not replaced.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::client::{Client, Progress};
use crate::error::LoadError;
use crate::login::Credentials;

/// Bytes that one read takes.
const BUFFER: usize = 256 << 10;
/// Longest sleep, after which deadlines are looked at.
const NAP: Duration = Duration::from_millis(50);

/// What a client that was answered does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It was given something to send.
    Wait,
    /// It rests.
    Rest,
    /// It leaves.
    Leave,
    /// It leaves, and another logs in in its place.
    Replace,
}

/// Clients that failed.
#[derive(Debug, Default)]
pub struct Failures {
    /// How many.
    pub count: u64,
    /// What the first one met.
    pub first: String,
}

/// Where clients connect and as whom.
#[derive(Debug)]
pub struct Target {
    /// A port of this machine.
    pub port: u16,
    /// The login.
    pub who: Credentials,
}

/// Many clients.
#[derive(Debug)]
pub struct Swarm {
    poll: Poll,
    events: Events,
    target: Target,
    clients: Vec<Option<Client>>,
    waiting: usize,
    nonce: u64,
    buffer: Vec<u8>,
    /// Those that failed so far.
    pub failures: Failures,
}

impl Swarm {
    /// Without clients. `seed` makes its logins differ from those of another process.
    pub fn new(target: Target, seed: u64) -> Result<Self, LoadError> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            target,
            clients: Vec::new(),
            waiting: 0,
            nonce: seed,
            buffer: vec![0; BUFFER],
            failures: Failures::default(),
        })
    }

    /// How many clients wait for answers.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many clients there are.
    pub fn alive(&self) -> usize {
        self.clients.iter().flatten().count()
    }

    /// Bytes that came to the clients there are.
    pub fn bytes(&self) -> u64 {
        self.clients
            .iter()
            .flatten()
            .map(|client| client.bytes)
            .sum()
    }

    /// One more client begins to log in.
    pub fn open(&mut self) {
        self.clients.push(None);
        self.log_in(self.clients.len() - 1);
    }

    fn log_in(&mut self, number: usize) {
        self.nonce = self.nonce.wrapping_add(1);
        let place = (self.poll.registry(), Token(number));
        let login = (&self.target.who, self.nonce);
        match Client::open(self.target.port, place, login) {
            Ok(client) => {
                if let Some(slot) = self.clients.get_mut(number) {
                    *slot = Some(client);
                    self.waiting += 1;
                }
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &LoadError) {
        self.failures.count += 1;
        if self.failures.first.is_empty() {
            self.failures.first = error.to_string();
        }
    }

    /// All clients send `batch`, to be answered by so many `ReadyForQuery`.
    pub fn send_all(&mut self, batch: &Rc<[u8]>, ready: u32) {
        let now = Instant::now();
        for number in 0..self.clients.len() {
            let Some(client) = self.clients.get_mut(number).and_then(Option::as_mut) else {
                continue;
            };
            client.since = now;
            match client.send(batch, ready) {
                Ok(()) => self.waiting += 1,
                Err(error) => self.lose(number, &error),
            }
        }
    }

    fn leave(&mut self, number: usize) {
        self.waiting -= 1;
        if let Some(slot) = self.clients.get_mut(number) {
            *slot = None;
        }
    }

    fn lose(&mut self, number: usize, error: &LoadError) {
        if let Some(slot) = self.clients.get_mut(number) {
            *slot = None;
        }
        self.failed(error);
    }

    /// Serves the clients once: waits for a moment, then lets `on_ready` decide for each client
    /// that got all its answers.
    pub fn turn(
        &mut self,
        mut on_ready: impl FnMut(&mut Client) -> Result<Next, LoadError>,
    ) -> Result<(), LoadError> {
        match self.poll.poll(&mut self.events, Some(NAP)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            outcome => outcome?,
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            self.on_event(event, &mut on_ready);
        }
        self.events = events;
        Ok(())
    }

    fn on_event(
        &mut self,
        event: &mio::event::Event,
        on_ready: &mut impl FnMut(&mut Client) -> Result<Next, LoadError>,
    ) {
        let number = event.token().0;
        let Some(client) = self.clients.get_mut(number).and_then(Option::as_mut) else {
            return;
        };
        let was_waiting = client.is_waiting();
        let mut outcome = Ok(Next::Wait);
        if event.is_writable() {
            outcome = client.flush().map(|()| Next::Wait);
        }
        if event.is_readable() && outcome.is_ok() {
            outcome = match client.on_readable(&mut self.buffer, &mut self.target.who) {
                Ok(Progress::Waiting) => Ok(Next::Wait),
                Ok(Progress::Ready) => on_ready(client),
                Err(error) => Err(error),
            };
        }
        match outcome {
            Ok(Next::Wait) => {}
            Ok(Next::Rest) => self.waiting -= 1,
            Ok(Next::Leave) => self.leave(number),
            Ok(Next::Replace) => {
                self.leave(number);
                self.log_in(number);
            }
            Err(error) => {
                self.waiting -= usize::from(was_waiting);
                self.lose(number, &error);
            }
        }
    }
}
