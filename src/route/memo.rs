//! Sans-IO. The fingerprints of texts that were seen before, but for the numbers in them.
//!
//! Most texts come again as they are or with other numbers. To cut one into tokens takes some thirty
//! instructions a byte; to find its shape (`sql::shape`) takes a few, and texts of one shape have one
//! fingerprint.

use crate::sql::lexer::Quoting;
use crate::sql::{Fingerprint, fingerprint, shape};

/// Texts that are remembered: each has one place, where a newer one may displace it.
const SLOTS: usize = 1024;

/// A shape, and the fingerprint of its texts.
#[derive(Debug, Clone, Copy)]
struct Slot {
    shape: u64,
    print: Fingerprint,
}

/// The texts of one worker.
#[derive(Debug)]
pub struct Memo {
    seed: u64,
    slots: Vec<Option<Slot>>,
}

impl Memo {
    /// An empty one. `seed` is drawn by chance, so that nobody can make two texts look the same.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            slots: vec![None; SLOTS],
        }
    }

    /// The fingerprint of a text.
    pub fn fingerprint(&mut self, sql: &[u8], quoting: Quoting) -> Fingerprint {
        // The same bytes read otherwise have other pieces.
        let key = match quoting {
            Quoting::Standard => self.seed,
            Quoting::Backslash => !self.seed,
        };
        let shape = shape(sql, key);
        let place = usize::try_from(shape % SLOTS as u64).unwrap_or(0);
        let Some(slot) = self.slots.get_mut(place) else {
            return fingerprint(sql, quoting, self.seed);
        };
        if let Some(slot) = slot.filter(|slot| slot.shape == shape) {
            return slot.print;
        }
        let print = fingerprint(sql, quoting, self.seed);
        *slot = Some(Slot { shape, print });
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
                let sql = format!("select {number}, a{number}, '{round}'");
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
