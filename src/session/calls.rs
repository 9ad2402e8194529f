//! Sans-IO. The calls that a server has under way, for the statistics of queries and the log of slow ones.
//!
//! A call is a `Query`, or an `Execute`. Its time is the server's: from when it was sent, or from when
//! the call before it was answered, whichever is later, to its own answer. Calls whose answers come
//! in one piece share the time of all in equal parts, as nobody sees where one ends. The wait for the
//! server belongs to the first call on it.
//!
//! Invariant: the queue has the `Query` and `Execute` entries of what is owed, in their order.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::params::ParamSet;
use super::prepared::Statement;
use crate::queries::{Answered, Host, MAX_READ, Outcome, Owner, Place, WorkerBook};
use crate::sql::Fingerprint;
use crate::sql::encoding::can_read;
use crate::sql::lexer::Quoting;

/// Names of statements and of portals that are known of one server, at most. Calls of others are
/// counted in the rest.
const MAX_NAMES: usize = 1024;
const MAX_PORTALS: usize = 16;

/// Slow calls that are remembered until they are logged; more of them are not logged.
const MAX_SLOW: usize = 8;

/// Calls for which room stays when there are none.
const ROOM_AT_REST: usize = 256;

/// What is to be done with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallTerms {
    /// `query_stats`
    pub counting: Counting,
    /// `query_stats_max`
    pub most: usize,
    /// `log_min_duration` in microseconds.
    pub slow_us: Option<u64>,
}

/// Whether calls are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counting {
    /// They are.
    On,
    /// They are only watched for being slow.
    Off,
}

/// A link begins: for whom, where, and how that came.
#[derive(Debug)]
pub struct LinkStart<'a> {
    /// The book of the client's worker, and the seed of all books.
    pub book: (&'a Arc<WorkerBook>, u64),
    /// Database and user, as the client named them.
    pub names: (&'a Arc<str>, &'a Arc<str>),
    /// What is to be done.
    pub terms: CallTerms,
    /// Which kind of server it is.
    pub host: Host,
}

/// A call that took long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slow {
    /// Time in which its client waited for a server.
    pub waited_us: u64,
    /// Time of the server.
    pub server_us: u64,
    /// Number and text of the statement without values; `None` where it was not read.
    pub words: Option<(Fingerprint, Arc<str>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Query,
    Execute,
}

/// One call.
#[derive(Debug)]
struct Call {
    kind: Kind,
    outcome: Outcome,
    place: Option<Place>,
    sent: Instant,
    rows: u64,
    /// Bytes of its answer, once that has ended.
    bytes: u64,
}

/// What a client's `Bind` names.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bound<'a> {
    /// A statement whose text is known.
    Known(&'a Statement),
    /// One that the server knows by this name, empty for the unnamed one.
    Named(&'a [u8]),
}

/// How a client writes its texts.
#[derive(Debug)]
struct Script {
    params: Arc<ParamSet>,
    /// `None` where they cannot be read.
    quoting: Option<Quoting>,
}

impl Script {
    fn of(params: &Arc<ParamSet>) -> Self {
        let readable = params
            .value("client_encoding")
            .is_none_or(|name| can_read(name.as_bytes()));
        let quoting = match params.value("standard_conforming_strings") {
            Some("off") => Quoting::Backslash,
            Some(_) | None => Quoting::Standard,
        };
        Self {
            params: Arc::clone(params),
            quoting: readable.then_some(quoting),
        }
    }
}

/// The calls of one server.
#[derive(Debug)]
pub struct Calls {
    book: Arc<WorkerBook>,
    owner: Owner,
    terms: CallTerms,
    host: Host,
    script: Script,
    queue: VecDeque<Call>,
    /// How many of the first calls have ended.
    ended: usize,
    now: Instant,
    /// When the call before was answered.
    answered: Option<Instant>,
    /// Bytes that have come from the server in this link, and those of them that were counted.
    received: u64,
    counted: u64,
    waited_us: u64,
    /// The unnamed statement and the unnamed portal.
    unnamed: Option<Place>,
    portal: Option<Place>,
    /// Statements that the server knows under the client's names, by the hash of the name.
    names: HashMap<u64, Place, foldhash::fast::RandomState>,
    /// Portals with names, in the same way, the oldest first.
    portals: Vec<(u64, Option<Place>)>,
    slow: Vec<Slow>,
}

fn micros(duration: Duration) -> u64 {
    duration.as_secs() * 1_000_000 + u64::from(duration.subsec_micros())
}

impl Calls {
    /// Of a server that has none yet.
    pub(super) fn new(start: &LinkStart<'_>, params: &Arc<ParamSet>, now: Instant) -> Self {
        let (book, seed) = start.book;
        Self {
            book: Arc::clone(book),
            owner: Owner::new(seed, start.names.0, start.names.1),
            terms: start.terms,
            host: start.host,
            script: Script::of(params),
            queue: VecDeque::new(),
            ended: 0,
            now,
            answered: None,
            received: 0,
            counted: 0,
            waited_us: 0,
            unnamed: None,
            portal: None,
            names: HashMap::default(),
            portals: Vec::new(),
            slow: Vec::new(),
        }
    }

    /// A link begins.
    pub(super) fn begin(&mut self, start: &LinkStart<'_>, waited_us: u64, now: Instant) {
        let (book, seed) = start.book;
        let (database, user) = start.names;
        if !Arc::ptr_eq(&self.book, book) {
            self.book = Arc::clone(book);
            self.names.clear(); // places in another book
        }
        if !self.owner.is(database, user) {
            self.owner = Owner::new(seed, database, user);
        }
        self.terms = start.terms;
        self.host = start.host;
        if !self.queue.is_empty() {
            self.forget();
        }
        self.now = now;
        self.answered = None;
        (self.received, self.counted) = (0, 0);
        self.waited_us = waited_us;
        (self.unnamed, self.portal) = (None, None);
        self.portals.clear();
    }

    fn forget(&mut self) {
        self.queue.clear();
        if self.queue.capacity() > ROOM_AT_REST {
            self.queue = VecDeque::new();
        }
        self.ended = 0;
    }

    /// The time at which what follows is said.
    pub(super) fn tell(&mut self, now: Instant) {
        self.now = now;
    }

    /// So many bytes have come from the server at this time.
    pub(super) fn heard(&mut self, now: Instant, bytes: u64) {
        self.now = now;
        self.received += bytes;
    }

    fn find(&mut self, text: Option<&[u8]>, params: &Arc<ParamSet>) -> Option<Place> {
        if !Arc::ptr_eq(&self.script.params, params) {
            self.script = Script::of(params);
        }
        let text = text.filter(|text| text.len() <= MAX_READ)?;
        let (owner, most) = (&self.owner, self.terms.most);
        let quoting = self.script.quoting?;
        Some(self.book.with(|book| book.find(text, quoting, owner, most)))
    }

    fn push(&mut self, kind: Kind, place: Option<Place>) {
        self.queue.push_back(Call {
            kind,
            outcome: Outcome::Done,
            place,
            sent: self.now,
            rows: 0,
            bytes: 0,
        });
    }

    /// A `Query` is sent.
    pub(super) fn query(&mut self, text: Option<&[u8]>, params: &Arc<ParamSet>) {
        let place = self.find(text, params);
        self.push(Kind::Query, place);
    }

    /// A `Parse` is sent under a name that the server will know; without a text it is a `Close`.
    pub(super) fn parse(&mut self, name: &[u8], text: Option<&[u8]>, params: &Arc<ParamSet>) {
        let place = self.find(text, params);
        if name.is_empty() {
            self.unnamed = place;
            return;
        }
        let hash = self.hash(name);
        match place {
            Some(place) if self.names.len() < MAX_NAMES || self.names.contains_key(&hash) => {
                self.names.insert(hash, place);
            }
            Some(_) | None => {
                self.names.remove(&hash);
            }
        }
    }

    /// A `Bind` is sent.
    pub(super) fn bind(&mut self, portal: &[u8], bound: Bound<'_>, params: &Arc<ParamSet>) {
        let place = match bound {
            Bound::Named([]) => self.unnamed,
            Bound::Named(name) => self.names.get(&self.hash(name)).copied(),
            Bound::Known(statement) => self.known(statement, params),
        };
        if portal.is_empty() {
            self.portal = place;
            return;
        }
        let hash = self.hash(portal);
        self.portals.retain(|(known, _)| *known != hash);
        if self.portals.len() >= MAX_PORTALS {
            self.portals.remove(0);
        }
        self.portals.push((hash, place));
    }

    /// An `Execute` is sent; `None` where its portal could not be read.
    pub(super) fn execute(&mut self, portal: Option<&[u8]>) {
        let place = match portal {
            Some([]) => self.portal,
            Some(name) => {
                let hash = self.hash(name);
                let known = self.portals.iter().find(|(known, _)| *known == hash);
                known.and_then(|(_, place)| *place)
            }
            None => None,
        };
        self.push(Kind::Execute, place);
    }

    fn known(&mut self, statement: &Statement, params: &Arc<ParamSet>) -> Option<Place> {
        if let Some(print) = statement.print() {
            let owner = &self.owner;
            let known = self.book.with(|book| book.find_print(print, owner));
            if known.is_some() {
                return known;
            }
        }
        let place = self.find(Some(statement.text()), params)?;
        if let Some((print, _)) = self.book.with(|book| book.words(Some(place))) {
            statement.note_print(print);
        }
        Some(place)
    }

    fn hash(&self, name: &[u8]) -> u64 {
        self.names.hasher().hash_one(name)
    }

    // What the server's replies mean. `left`: bytes that came with a reply and follow it.

    fn current(&mut self) -> Option<&mut Call> {
        self.queue.get_mut(self.ended)
    }

    fn end(&mut self, left: usize) {
        let reached = self.received.saturating_sub(left as u64);
        let bytes = reached.saturating_sub(self.counted);
        self.counted = reached;
        if let Some(call) = self.current() {
            call.bytes = bytes;
            self.ended += 1;
        }
    }

    /// `CommandComplete` of a client's command: all of a call, or one statement of it.
    pub(super) fn completed(&mut self, tag: &[u8], left: usize) {
        let Some(call) = self.current() else {
            return;
        };
        call.rows = call.rows.saturating_add(rows(tag));
        match call.kind {
            Kind::Query => {}
            Kind::Execute => self.end(left),
        }
    }

    /// A portal has nothing to say, or not more for now.
    pub(super) fn paused(&mut self, left: usize) {
        match self.current().map(|call| call.kind) {
            Some(Kind::Execute) => self.end(left),
            Some(Kind::Query) | None => {}
        }
    }

    /// `ReadyForQuery` of a `Query`.
    pub(super) fn query_ended(&mut self, left: usize) {
        self.end(left);
    }

    /// An error in a `Query`, whose end comes.
    pub(super) fn query_failed(&mut self) {
        if let Some(call) = self.current() {
            call.outcome = Outcome::Failed;
        }
    }

    /// An error that has taken so many calls with it: the first has failed, the others never ran.
    pub(super) fn batch_failed(&mut self, calls: usize, left: usize) {
        if calls == 0 {
            return;
        }
        self.query_failed();
        self.end(left);
        let end = (self.ended + calls - 1).min(self.queue.len());
        self.queue.drain(self.ended.min(end)..end);
    }

    /// Counts the calls that have ended with what was heard last.
    #[inline]
    pub(super) fn settle(&mut self) {
        if self.ended > 0 {
            self.count_ended();
        }
    }

    fn count_ended(&mut self) {
        let ended = std::mem::take(&mut self.ended);
        let Some(first) = self.queue.front() else {
            return;
        };
        let began = self.answered.map_or(first.sent, |at| at.max(first.sent));
        let mut share = micros(self.now.saturating_duration_since(began));
        self.answered = Some(self.now);
        if ended > 1 {
            share /= ended as u64;
        }
        let Self {
            book,
            queue,
            now,
            terms,
            host,
            waited_us,
            slow,
            ..
        } = self;
        book.with(|book| {
            for _ in 0..ended {
                let Some(call) = queue.pop_front() else {
                    return;
                };
                let server_us = if ended > 1 {
                    micros(now.saturating_duration_since(call.sent)).min(share)
                } else {
                    share
                };
                let answered = Answered {
                    rows: call.rows,
                    bytes: call.bytes,
                    server_us,
                    waited_us: std::mem::take(waited_us),
                    outcome: call.outcome,
                    host: *host,
                };
                if terms.counting == Counting::On {
                    book.count(call.place, &answered);
                }
                let all = answered.waited_us.saturating_add(server_us);
                if all >= terms.slow_us.unwrap_or(u64::MAX) {
                    note_slow(slow, &answered, book.words(call.place));
                }
            }
        });
    }

    /// How many have not been answered.
    #[cfg(test)]
    pub(super) fn under_way(&self) -> usize {
        self.queue.len() - self.ended
    }

    /// The link is over, and who was not answered will not be.
    pub(super) fn abandon(&mut self, now: Instant) {
        if self.queue.is_empty() {
            return;
        }
        self.now = now;
        self.query_failed();
        self.end(0);
        self.settle();
        self.forget();
    }

    /// What was sent runs again elsewhere: nothing of it is counted here.
    pub(super) fn take_back(&mut self) {
        self.forget();
    }

    /// Whether slow calls wait to be logged.
    pub(super) fn has_slow(&self) -> bool {
        !self.slow.is_empty()
    }

    /// The slow calls since they were last taken.
    pub(super) fn take_slow(&mut self) -> Vec<Slow> {
        std::mem::take(&mut self.slow)
    }
}

#[cold]
fn note_slow(slow: &mut Vec<Slow>, call: &Answered, words: Option<(Fingerprint, Arc<str>)>) {
    if slow.len() < MAX_SLOW {
        slow.push(Slow {
            waited_us: call.waited_us,
            server_us: call.server_us,
            words,
        });
    }
}

/// The number at the end of a command's tag: `SELECT 5`, `INSERT 0 5`.
fn rows(tag: &[u8]) -> u64 {
    let tag = tag.strip_suffix(b"\0").unwrap_or(tag);
    let Some(space) = tag.iter().rposition(|byte| *byte == b' ') else {
        return 0;
    };
    let number = tag.split_at(space + 1).1;
    number.iter().fold(0, |rows: u64, byte| match byte {
        b'0'..=b'9' => rows
            .saturating_mul(10)
            .saturating_add(u64::from(byte - b'0')),
        _ => 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_of_a_command_are_the_number_at_its_end() {
        for (tag, expected) in [
            (&b"SELECT 5\0"[..], 5),
            (b"INSERT 0 120\0", 120),
            (b"UPDATE 0\0", 0),
            (b"COPY 9999999\0", 9_999_999),
            (b"CREATE TABLE\0", 0),
            (b"BEGIN\0", 0),
            (b"X 99999999999999999999999999999\0", u64::MAX),
            (b"12\0", 0),
            (b"", 0),
        ] {
            assert_eq!(rows(tag), expected, "{:?}", tag.escape_ascii().to_string());
        }
    }
}
