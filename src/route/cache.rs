//! Sans-IO. What statements are, remembered by their fingerprint, and how often they went where.
//!
//! One cache for each worker and cluster. Two generations: what was used since the last turn stays, so
//! that the cache is bounded and what is in use is never lost.

use std::collections::HashMap;
use std::time::Duration;

use super::decide::{Decision, Target};
use super::memo::Memo;
use super::segment::Classes;
use super::why::Why;
use crate::sql::lexer::Quoting;
use crate::sql::{Catalog, Class, Fingerprint, Reason, Verdict, classify, normalize};

/// Statements in one generation.
const GENERATION: usize = 2048;

/// Longest text that is kept of a statement, in bytes.
const MAX_TEXT: usize = 512;

/// So many times a statement that a replica has refused goes to the primary; then it is tried again.
/// What was in its way may be gone (a plan of before an `ALTER TABLE`), or have been another
/// statement's of the same batch.
const LEARNED_FOR: u64 = 256;

/// Fingerprints of one segment that are remembered for counting.
const MAX_TOUCHED: usize = 16;

/// One statement, whatever its literals.
#[derive(Debug, Clone)]
pub struct Known {
    verdict: Verdict,
    /// Of which catalog the verdict is.
    catalog: u64,
    /// How often it had gone to the primary when a replica refused it.
    learned: Option<u64>,
    /// Where it went.
    pub counts: Counts,
    /// Why, the last time.
    pub why: Option<Why>,
    /// Its text without literals.
    pub text: Box<str>,
}

impl Known {
    /// What it is.
    pub fn verdict(&self) -> Verdict {
        let learned = self
            .learned
            .is_some_and(|before| self.counts.primary.saturating_sub(before) < LEARNED_FOR);
        if learned && self.verdict.class == Class::Read {
            return Verdict::primary(Reason::Learned);
        }
        self.verdict
    }
}

/// How often a statement went where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// To the primary.
    pub primary: u64,
    /// To a replica.
    pub replica: u64,
    /// Of the latter: refused there, or lost, and run again.
    pub again: u64,
}

impl Counts {
    /// Those of several workers together.
    pub fn add(&mut self, other: Self) {
        self.primary += other.primary;
        self.replica += other.replica;
        self.again += other.again;
    }
}

type Generation = HashMap<Fingerprint, Known, foldhash::fast::FixedState>;

/// The memory of one worker.
#[derive(Debug)]
pub struct Cache {
    memo: Memo,
    young: Generation,
    old: Generation,
    touched: Vec<Fingerprint>,
    drawn: u64,
    /// What has been counted.
    pub counted: Counted,
}

/// What one worker has counted; nothing here ever becomes less.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Decisions by reason, also those that were made anew.
    pub decisions: [u64; Why::COUNT],
    /// Decisions that were made anew, because there was news while the client waited.
    pub reconsidered: u64,
    /// Segments that came back from a server and ran again.
    pub again: u64,
    /// Statements that were parsed, because they were not known.
    pub misses: u64,
    /// Waits for a replica that shows enough.
    pub fence_waits: u64,
    /// Their time in microseconds.
    pub fence_wait_us: u64,
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            decisions: [0; Why::COUNT],
            reconsidered: 0,
            again: 0,
            misses: 0,
            fence_waits: 0,
            fence_wait_us: 0,
        }
    }
}

impl Counted {
    /// A client has waited for a replica.
    pub fn waited(&mut self, time: Duration) {
        self.fence_waits += 1;
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.fence_wait_us = self.fence_wait_us.saturating_add(micros);
    }

    /// Adds what another worker has counted.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.decisions.iter_mut().zip(other.decisions) {
            *mine += theirs;
        }
        self.reconsidered += other.reconsidered;
        self.again += other.again;
        self.misses += other.misses;
        self.fence_waits += other.fence_waits;
        self.fence_wait_us += other.fence_wait_us;
    }
}

impl Cache {
    /// An empty one. `seed` is drawn by chance, so that nobody can make two statements look the same.
    pub fn new(seed: u64) -> Self {
        Self {
            memo: Memo::new(seed),
            young: Generation::default(),
            old: Generation::default(),
            touched: Vec::new(),
            drawn: seed,
            counted: Counted::default(),
        }
    }

    /// Bits to choose by, different each time.
    pub fn draw(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        self.drawn
    }

    /// All that is known, in no order.
    pub fn known(&self) -> impl Iterator<Item = (Fingerprint, &Known)> {
        let old = self
            .old
            .iter()
            .filter(|(print, _)| !self.young.contains_key(print));
        self.young
            .iter()
            .chain(old)
            .map(|(print, known)| (*print, known))
    }

    /// Counts a decision on the segment whose statements were looked up last.
    pub fn note(&mut self, decision: Decision) {
        if let Some(decisions) = self.counted.decisions.get_mut(decision.why.index()) {
            *decisions += 1;
        }
        self.count(decision, |count| *count += 1);
    }

    /// Counts a decision on the same segment no more.
    pub fn take_back(&mut self, decision: Decision) {
        self.counted.reconsidered += 1;
        self.count(decision, |count| *count = count.saturating_sub(1));
    }

    fn count(&mut self, decision: Decision, count: impl Fn(&mut u64)) {
        for print in &self.touched {
            if let Some(known) = self.young.get_mut(print) {
                count(match decision.target {
                    Target::Primary => &mut known.counts.primary,
                    Target::Replica(_) => &mut known.counts.replica,
                });
                known.why = Some(decision.why);
            }
        }
    }

    /// The segment whose statements were looked up last has come back from a server. Where that was
    /// because it is no read, it goes to the primary for long.
    pub fn came_back(&mut self, lesson: Lesson) {
        self.counted.again += 1;
        for print in &self.touched {
            if let Some(known) = self.young.get_mut(print) {
                known.counts.again += 1;
            }
        }
        if lesson == Lesson::IsNoRead {
            self.learn();
        }
    }

    /// A replica says that the segment whose statements were looked up last is no read.
    pub fn learn(&mut self) {
        for print in &self.touched {
            if let Some(known) = self.young.get_mut(print) {
                known.learned = Some(known.counts.primary);
            }
        }
    }

    fn entry(&mut self, print: Fingerprint) -> Option<&mut Known> {
        if !self.young.contains_key(&print) {
            let known = self.old.remove(&print)?;
            self.insert(print, known);
        }
        self.young.get_mut(&print)
    }

    fn insert(&mut self, print: Fingerprint, known: Known) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(print, known);
    }
}

/// What a refusal says about the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lesson {
    /// It writes, or needs what only a primary has.
    IsNoRead,
    /// Nothing: the server was lost, or in conflict with its recovery.
    None,
}

/// A cache with what it needs to learn a statement.
#[derive(Debug)]
pub struct Reading<'a> {
    /// The memory.
    pub cache: &'a mut Cache,
    /// The functions of the database.
    pub catalog: &'a Catalog,
    /// Which catalog that is.
    pub generation: u64,
    /// How the client writes strings.
    pub quoting: Quoting,
    /// Whether its encoding lets us see where they end.
    pub encoding: Encoding,
}

/// What `client_encoding` means for reading SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// A byte that looks like ASCII is ASCII.
    Readable,
    /// Such a byte may be the second half of a letter: nothing is read, all goes to the primary.
    Unreadable,
}

impl Reading<'_> {
    /// Another segment begins.
    pub fn begin(&mut self) {
        self.cache.touched.clear();
    }
}

impl Classes for Reading<'_> {
    fn quoting(&self) -> Quoting {
        self.quoting
    }

    fn verdict(&mut self, sql: &[u8]) -> Verdict {
        if self.encoding == Encoding::Unreadable {
            return Verdict::primary(Reason::Unparsed);
        }
        let print = self.cache.memo.fingerprint(sql, self.quoting);
        if self.cache.touched.len() < MAX_TOUCHED {
            self.cache.touched.push(print);
        }
        let generation = self.generation;
        if let Some(known) = self.cache.entry(print)
            && known.catalog == generation
        {
            return known.verdict();
        }
        self.cache.counted.misses += 1;
        let verdict = classify(sql, self.quoting, self.catalog);
        if verdict.class == Class::Primary(Reason::TooLong) {
            return verdict; // the same statement may be shorter the next time
        }
        if let Some(known) = self.cache.entry(print) {
            known.verdict = verdict;
            known.catalog = generation;
            return known.verdict();
        }
        let known = Known {
            verdict,
            catalog: generation,
            learned: None,
            counts: Counts::default(),
            why: None,
            text: normalize(sql, self.quoting, MAX_TEXT).into(),
        };
        self.cache.insert(print, known);
        verdict
    }
}
