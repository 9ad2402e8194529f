//! Sans-IO. The fingerprints of texts that were seen before, byte for byte.
//!
//! Most texts come again as they are: those of prepared statements with each `Bind`, and whatever has
//! its values apart. To cut a text into tokens takes some thirty instructions a byte, to recognise it
//! one. A text with other literals is another text here.

use std::hash::{BuildHasher, Hasher};

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;

use crate::sql::lexer::Quoting;
use crate::sql::{Fingerprint, fingerprint};

/// Texts that are remembered: each has one place, where a newer one may displace it.
const SLOTS: usize = 1024;

/// A text, by a number that nobody can aim at who does not know the seed, and its fingerprint.
#[derive(Debug, Clone, Copy)]
struct Slot {
    text: u64,
    print: Fingerprint,
}

/// The texts of one worker.
#[derive(Debug)]
pub struct Memo {
    seed: u64,
    hasher: SeedableRandomState,
    slots: Vec<Option<Slot>>,
}

impl Memo {
    /// An empty one. `seed` is drawn by chance, so that nobody can make two texts look the same.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            hasher: SeedableRandomState::with_seed(seed, SharedSeed::global_random()),
            slots: vec![None; SLOTS],
        }
    }

    /// The fingerprint of a text.
    pub fn fingerprint(&mut self, sql: &[u8], quoting: Quoting) -> Fingerprint {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u8(match quoting {
            Quoting::Standard => 0,
            Quoting::Backslash => 1,
        });
        hasher.write_usize(sql.len());
        hasher.write(sql);
        let text = hasher.finish();
        let place = usize::try_from(text % SLOTS as u64).unwrap_or(0);
        let Some(slot) = self.slots.get_mut(place) else {
            return fingerprint(sql, quoting, self.seed);
        };
        if let Some(slot) = slot.filter(|slot| slot.text == text) {
            return slot.print;
        }
        let print = fingerprint(sql, quoting, self.seed);
        *slot = Some(Slot { text, print });
        print
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_the_same_fingerprint_each_time() {
        let mut memo = Memo::new(7);
        // More texts than places, each twice in a row and once more later.
        for round in 0..2 {
            for number in 0..2 * SLOTS {
                let sql = format!("select {number}, a{number}");
                let print = fingerprint(sql.as_bytes(), Quoting::Standard, 7);
                for _ in 0..2 {
                    let found = memo.fingerprint(sql.as_bytes(), Quoting::Standard);
                    assert_eq!(found, print, "{sql}, round {round}");
                }
            }
        }
    }

    #[test]
    fn the_same_bytes_read_otherwise_are_another_text() {
        let sql = br"select 'a\', nextval('b') --'";
        let mut memo = Memo::new(7);
        for quoting in [Quoting::Standard, Quoting::Backslash, Quoting::Standard] {
            let print = fingerprint(sql, quoting, 7);
            assert_eq!(memo.fingerprint(sql, quoting), print);
        }
    }
}
