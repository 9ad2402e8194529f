//! Sans-IO. The statements of one worker.
//!
//! Invariant: never more of them than asked for. One that must make room goes to the rest with all that
//! was counted for it, so nothing that was counted is lost. It is one of a few that the hand points at:
//! first those that were not called since the hand was there last, of these the one with the least
//! time.

use std::collections::HashMap;
use std::sync::Arc;

use super::sums::{Answered, Sums};
use crate::sql::lexer::Quoting;
use crate::sql::{Fingerprint, fingerprint, normalize, shape};

/// Longest text that is read, in bytes. Longer ones are counted in the rest.
pub const MAX_READ: usize = 16 << 10;

/// Longest text that is kept, in bytes.
const MAX_TEXT: usize = 1024;

/// Shapes that are remembered: each has one slot, where a newer one displaces it.
const SLOTS: usize = 1024;

/// Statements among which one is chosen that has to go.
const CANDIDATES: usize = 8;

/// Whose statements: the same text of another user or database is another statement.
#[derive(Debug, Clone)]
pub struct Owner {
    /// Stands for both names; drawn from them and the seed of the books.
    number: u64,
    /// The database, as clients name it.
    pub database: Arc<str>,
    /// The user that has logged in.
    pub user: Arc<str>,
}

impl Owner {
    /// The owner of these names in books of this seed.
    pub fn new(seed: u64, database: &Arc<str>, user: &Arc<str>) -> Self {
        // Behind the quote each byte counts.
        let names = [b"\"", database.as_bytes(), b"\0", user.as_bytes()].concat();
        Self {
            number: shape(&names, seed),
            database: Arc::clone(database),
            user: Arc::clone(user),
        }
    }

    /// Whether the names are these very ones.
    pub fn is(&self, database: &Arc<str>, user: &Arc<str>) -> bool {
        Arc::ptr_eq(&self.database, database) && Arc::ptr_eq(&self.user, user)
    }
}

/// Where a statement stands in a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    index: u32,
    /// Which statement at that place, as one may make room for another.
    turn: u32,
}

/// One statement of one owner.
#[derive(Debug)]
pub struct Entry {
    /// Which owner, and which statement.
    pub(super) key: u64,
    turn: u32,
    /// Whether it was called since the hand was there.
    used: bool,
    pub(super) print: Fingerprint,
    pub(super) text: Arc<str>,
    pub(super) database: Arc<str>,
    pub(super) user: Arc<str>,
    pub(super) sums: Sums,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    shape: u64,
    place: Place,
}

/// The statements of one worker.
#[derive(Debug)]
pub struct Book {
    seed: u64,
    slots: Vec<Option<Slot>>,
    by_key: HashMap<u64, u32, foldhash::fast::FixedState>,
    pub(super) entries: Vec<Entry>,
    turns: u32,
    hand: usize,
    /// Calls of statements that have no place.
    pub(super) rest: Sums,
}

impl Book {
    /// An empty one. `seed` is drawn by chance, and the same for all books.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            slots: Vec::new(),
            by_key: HashMap::default(),
            entries: Vec::new(),
            turns: 0,
            hand: 0,
            rest: Sums::default(),
        }
    }

    /// Where this statement stands, with no more than `most` of them.
    pub fn find(&mut self, text: &[u8], quoting: Quoting, owner: &Owner, most: usize) -> Place {
        let salt = match quoting {
            Quoting::Standard => 0,
            Quoting::Backslash => 1,
        };
        let shape = shape(text, self.seed ^ owner.number.wrapping_add(salt));
        let at = usize::try_from(shape % SLOTS as u64).unwrap_or(0);
        if let Some(slot) = self.slots.get(at).copied().flatten()
            && slot.shape == shape
            && self.at(slot.place).is_some()
        {
            return slot.place;
        }
        let place = self.read(text, quoting, owner, most);
        if self.slots.is_empty() {
            self.slots = vec![None; SLOTS];
        }
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Some(Slot { shape, place });
        }
        place
    }

    /// The same where the text's shape is not known.
    fn read(&mut self, text: &[u8], quoting: Quoting, owner: &Owner, most: usize) -> Place {
        let print = fingerprint(text, quoting, self.seed);
        if let Some(place) = self.find_print(print, owner) {
            return place;
        }
        let key = print.mixed_with(owner.number);
        self.turns = self.turns.wrapping_add(1);
        let entry = Entry {
            key,
            turn: self.turns,
            used: true,
            print,
            text: normalize(text, quoting, MAX_TEXT).into(),
            database: Arc::clone(&owner.database),
            user: Arc::clone(&owner.user),
            sums: Sums::default(),
        };
        self.shrink(most);
        let index = if self.entries.len() < most.max(1) {
            self.entries.push(entry);
            self.entries.len() - 1
        } else {
            let index = self.least();
            if let Some(place) = self.entries.get_mut(index) {
                let gone = std::mem::replace(place, entry);
                self.by_key.remove(&gone.key);
                self.rest.merge(&gone.sums);
            }
            index
        };
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        self.by_key.insert(key, index);
        let turn = self.turns;
        Place { index, turn }
    }

    /// Where a statement stands whose number is known; `None` where it has no place.
    pub fn find_print(&self, print: Fingerprint, owner: &Owner) -> Option<Place> {
        let index = *self.by_key.get(&print.mixed_with(owner.number))?;
        let entry = self.entries.get(usize::try_from(index).ok()?)?;
        let turn = entry.turn;
        Some(Place { index, turn })
    }

    /// There may be fewer than before.
    fn shrink(&mut self, most: usize) {
        while self.entries.len() > most.max(1) {
            if let Some(gone) = self.entries.pop() {
                self.by_key.remove(&gone.key);
                self.rest.merge(&gone.sums);
            }
        }
    }

    /// The statement that has to go.
    fn least(&mut self) -> usize {
        let mut chosen = None;
        for _ in 0..CANDIDATES.min(self.entries.len()) {
            self.hand = (self.hand + 1) % self.entries.len();
            let Some(entry) = self.entries.get_mut(self.hand) else {
                continue;
            };
            let used = std::mem::replace(&mut entry.used, false);
            let worth = (used, entry.sums.total_us);
            if chosen.is_none_or(|(least, _)| worth < least) {
                chosen = Some((worth, self.hand));
            }
        }
        chosen.map_or(0, |(_, at)| at)
    }

    #[inline]
    fn at(&mut self, place: Place) -> Option<&mut Entry> {
        let index = usize::try_from(place.index).ok()?;
        let entry = self.entries.get_mut(index)?;
        (entry.turn == place.turn).then_some(entry)
    }

    /// Counts a call of the statement at a place, or of one that has none.
    #[inline]
    pub fn count(&mut self, place: Option<Place>, call: &Answered) {
        match place.and_then(|place| self.at(place)) {
            Some(entry) => {
                entry.used = true;
                entry.sums.add(call);
            }
            None => self.rest.add(call),
        }
    }

    /// The statement at a place: its number, and its text without values.
    pub fn words(&mut self, place: Option<Place>) -> Option<(Fingerprint, Arc<str>)> {
        let entry = self.at(place?)?;
        Some((entry.print, Arc::clone(&entry.text)))
    }

    /// Forgets what was counted. Statements keep their places, as calls of them may be under way.
    pub fn reset(&mut self) {
        self.rest = Sums::default();
        for entry in &mut self.entries {
            entry.sums = Sums::default();
            entry.used = false;
        }
    }
}

#[cfg(test)]
mod tests;
