//! Clients that behave as badly as clients do, and check every answer that they get.
//!
//! Each asks for values that nobody else has, so that another's answer, a missing or a doubled one
//! is seen. Connections may be lost (whoever runs this terminates servers too) and errors may come;
//! both are counted. A wrong answer is never right, nor is a cancel that was not asked for.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::LoadError;
use crate::json;
use crate::login::Credentials;
use crate::session::{self, Reply, Session};
use crate::swarm::Target;

/// Rest after a connection was lost, so that a pooler that is down is not hammered.
const REST: Duration = Duration::from_millis(20);
/// Bytes of a large value.
const LARGE: usize = 300_000;
/// Rows of a copy.
const COPY_ROWS: usize = 2_000;
/// Queries in a pipeline.
const PIPELINE: usize = 8;

/// What happened.
#[derive(Debug, Default)]
struct Tally {
    answers: u64,
    wrong: u64,
    first_wrong: String,
    logins: u64,
    cancels: u64,
    abandoned: u64,
    lost: u64,
    errors: BTreeMap<String, u64>,
}

/// Runs so many clients for so long and prints what happened.
pub fn run(target: Target, clients: usize, duration: Duration) -> Result<(), LoadError> {
    let end = Instant::now() + duration;
    let Target { port, mut who } = target;
    // One login first: it makes the keys, and says at once where nobody can log in.
    Session::open(port, &mut who, u64::MAX)?.close()?;
    let tallies = thread::scope(|scope| {
        let start = |number| {
            let who = Credentials::clone(&who);
            scope.spawn(move || Worker::new(number, port, who).work(end))
        };
        let workers: Vec<_> = (0..clients).map(start).collect();
        let outcome = |worker: thread::ScopedJoinHandle<'_, Tally>| worker.join().ok();
        workers.into_iter().filter_map(outcome).collect::<Vec<_>>()
    });
    let crashed = clients - tallies.len();
    let mut sum = Tally::default();
    for tally in tallies {
        sum.add(tally);
    }
    writeln!(io::stdout(), "{}", sum.json(crashed))?;
    Ok(())
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.answers += other.answers;
        self.wrong += other.wrong;
        if self.first_wrong.is_empty() {
            self.first_wrong = other.first_wrong;
        }
        self.logins += other.logins;
        self.cancels += other.cancels;
        self.abandoned += other.abandoned;
        self.lost += other.lost;
        for (state, count) in other.errors {
            *self.errors.entry(state).or_default() += count;
        }
    }

    fn json(&self, crashed: usize) -> String {
        let errors = self.errors.iter();
        let errors = errors.map(|(state, count)| format!("{}:{count}", json::quoted(state)));
        format!(
            "{{\"answers\":{},\"wrong\":{},\"first_wrong\":{},\"logins\":{},\"cancels\":{},\
             \"abandoned\":{},\"lost\":{},\"crashed\":{crashed},\"errors\":{{{}}}}}",
            self.answers,
            self.wrong,
            json::quoted(&self.first_wrong),
            self.logins,
            self.cancels,
            self.abandoned,
            self.lost,
            errors.collect::<Vec<_>>().join(","),
        )
    }
}

/// One client after the other, of one thread.
struct Worker {
    number: usize,
    port: u16,
    who: Credentials,
    chance: u64,
    turn: u64,
    /// The last query was cancelled, so that a cancel of this one may be a late one.
    cancelled: bool,
    tally: Tally,
}

/// What a session is for after a turn.
enum After {
    Stay,
    Leave,
}

impl Worker {
    fn new(number: usize, port: u16, who: Credentials) -> Self {
        let seed = u64::try_from(number).unwrap_or(0) + 1;
        Self {
            number,
            port,
            who,
            chance: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            turn: 0,
            cancelled: false,
            tally: Tally::default(),
        }
    }

    fn work(mut self, end: Instant) -> Tally {
        while Instant::now() < end {
            if let Err(error) = self.session(end) {
                self.tally.lost += 1;
                self.count(&error);
                thread::sleep(REST);
            }
        }
        self.tally
    }

    fn count(&mut self, error: &LoadError) {
        let state = match error {
            LoadError::Refused { state, .. } => state.clone(),
            other => other.to_string(),
        };
        *self.tally.errors.entry(state).or_default() += 1;
    }

    /// xorshift: any order will do, as long as it is the same each time.
    fn below(&mut self, limit: u64) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance % limit
    }

    /// A value that nobody else asks for.
    fn token(&mut self) -> String {
        self.turn += 1;
        format!("w{}-{}", self.number, self.turn)
    }

    /// One session, from login to goodbye.
    fn session(&mut self, end: Instant) -> Result<(), LoadError> {
        let nonce = (self.tally.logins << 32) + u64::try_from(self.number).unwrap_or(0);
        let mut session = Session::open(self.port, &mut self.who, nonce)?;
        self.tally.logins += 1;
        let sql = "SELECT $1::text";
        session.send(&[session::parse("kept", sql), session::bind("kept", "a")].concat())?;
        let reply = session.reply()?;
        self.check(reply, &["a".to_owned()]);
        while Instant::now() < end {
            match self.act(&mut session)? {
                After::Stay => {}
                After::Leave => return Ok(()),
            }
        }
        session.close()
    }

    fn act(&mut self, session: &mut Session) -> Result<After, LoadError> {
        match self.below(100) {
            0..25 => self.ask_simply(session)?,
            25..45 => self.ask(session, "")?,
            45..70 => self.ask(session, "kept")?,
            70..80 => self.pipeline(session)?,
            80..88 => self.transaction(session)?,
            88..91 => self.fail(session)?,
            91..94 => self.large(session)?,
            94..95 => self.copy(session)?,
            95..97 => self.cancel(session)?,
            97..98 => return self.abandon(session),
            _ => return Ok(After::Leave),
        }
        Ok(After::Stay)
    }

    fn ask_simply(&mut self, session: &mut Session) -> Result<(), LoadError> {
        let token = self.token();
        let reply = session.query(&format!("SELECT '{token}'"))?;
        self.check(reply, &[token]);
        Ok(())
    }

    /// With a parameter; by a statement without a name or by the one that the session has.
    fn ask(&mut self, session: &mut Session, statement: &str) -> Result<(), LoadError> {
        let token = self.token();
        let mut bytes = match statement {
            "" => session::parse("", "SELECT $1::text"),
            _ => Vec::new(),
        };
        bytes.extend(session::bind(statement, &token));
        session.send(&bytes)?;
        let reply = session.reply()?;
        self.check(reply, &[token]);
        Ok(())
    }

    fn pipeline(&mut self, session: &mut Session) -> Result<(), LoadError> {
        let tokens: Vec<_> = (0..PIPELINE).map(|_| self.token()).collect();
        let binds = tokens.iter().map(|token| session::bind("kept", token));
        session.send(&binds.collect::<Vec<_>>().concat())?;
        for token in tokens {
            let reply = session.reply()?;
            self.check(reply, &[token]);
        }
        Ok(())
    }

    /// The value set in a block has to be there until its end: one server for the whole of it.
    fn transaction(&mut self, session: &mut Session) -> Result<(), LoadError> {
        let (first, second) = (self.token(), self.token());
        let steps = [
            ("BEGIN".to_owned(), vec![]),
            (
                format!("SELECT set_config('load.token', '{first}', true)"),
                vec![first.clone()],
            ),
            (format!("SELECT '{second}'"), vec![second]),
            (
                "SELECT current_setting('load.token')".to_owned(),
                vec![first],
            ),
            ("COMMIT".to_owned(), vec![]),
        ];
        for (sql, expected) in steps {
            let reply = session.query(&sql)?;
            self.check(reply, &expected);
        }
        Ok(())
    }

    fn fail(&mut self, session: &mut Session) -> Result<(), LoadError> {
        let reply = session.query("SELECT 1/0")?;
        match reply.error {
            Some(LoadError::Refused { state, .. }) if state == "22012" => self.tally.answers += 1,
            Some(error) => self.count_error(&error),
            None => self.wrong("a division by zero that was not refused"),
        }
        Ok(())
    }

    fn large(&mut self, session: &mut Session) -> Result<(), LoadError> {
        let token = self.token();
        let reply = session.query(&format!("SELECT repeat('x', {LARGE}) || '{token}'"))?;
        let expected = "x".repeat(LARGE) + &token;
        self.check(reply, &[expected]);
        Ok(())
    }

    fn copy(&mut self, session: &mut Session) -> Result<(), LoadError> {
        let token = self.token();
        let rows = format!("SELECT '{token}', i FROM generate_series(1, {COPY_ROWS}) i");
        let mut reply = session.query(&format!("COPY ({rows}) TO STDOUT"))?;
        // PostgreSQL sends a line a message; a pooler may not change that.
        reply.values = std::mem::take(&mut reply.lines);
        let expected: Vec<_> = (1..=COPY_ROWS)
            .map(|row| format!("{token}\t{row}\n"))
            .collect();
        self.check(reply, &expected);
        Ok(())
    }

    fn cancel(&mut self, session: &mut Session) -> Result<(), LoadError> {
        let token = self.token();
        session.send(&session::simple(&format!(
            "SELECT '{token}' FROM pg_sleep(0.5)"
        )))?;
        let wait = self.below(30);
        thread::sleep(Duration::from_millis(wait));
        session.cancel()?;
        self.tally.cancels += 1;
        self.cancelled = true;
        let reply = session.reply()?;
        self.check(reply, &[token]);
        self.cancelled = true;
        Ok(())
    }

    /// Goes without a word in the middle of a query or of its result.
    fn abandon(&mut self, session: &mut Session) -> Result<After, LoadError> {
        let sql = match self.below(3) {
            0 => "SELECT 1 FROM pg_sleep(0.2)",
            1 => "SELECT repeat('y', 1000) FROM generate_series(1, 5000)",
            _ => "BEGIN; SELECT 1 FROM pg_sleep(0.05)",
        };
        session.send(&session::simple(sql))?;
        let wait = self.below(10);
        thread::sleep(Duration::from_millis(wait));
        self.tally.abandoned += 1;
        Ok(After::Leave)
    }

    fn check(&mut self, reply: Reply, expected: &[String]) {
        let cancelled = std::mem::take(&mut self.cancelled);
        match reply.error {
            Some(LoadError::Refused { state, .. }) if state == "57014" && !cancelled => {
                self.wrong("a cancel that was not asked for");
            }
            Some(error) => self.count_error(&error),
            None => {
                let same = reply.values.len() == expected.len()
                    && reply
                        .values
                        .iter()
                        .zip(expected)
                        .all(|(a, b)| *a == b.as_bytes());
                if same {
                    self.tally.answers += 1;
                } else {
                    self.wrong(&described(&reply.values, expected));
                }
            }
        }
    }

    fn count_error(&mut self, error: &LoadError) {
        self.tally.answers += 1;
        self.count(error);
    }

    fn wrong(&mut self, what: &str) {
        self.tally.wrong += 1;
        if self.tally.first_wrong.is_empty() {
            what.clone_into(&mut self.tally.first_wrong);
        }
    }
}

fn described(values: &[Vec<u8>], expected: &[String]) -> String {
    let short = |text: &str| text.chars().rev().take(40).collect::<Vec<_>>();
    let last = |text: &str| short(text).into_iter().rev().collect::<String>();
    let found = values.first().map(|value| String::from_utf8_lossy(value));
    format!(
        "{} values beginning with {:?} instead of {} beginning with {:?}",
        values.len(),
        found.map(|text| last(&text)),
        expected.len(),
        expected.first().map(|text| last(text)),
    )
}
