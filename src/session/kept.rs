//! Sans-IO. Segments that may have to be said again: their bytes, the first one in front.

use std::collections::VecDeque;

/// Room in bytes that stays when nothing is kept: a short query costs no allocation then.
const AT_REST: usize = 128;

/// Segments in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct Kept {
    all: Vec<u8>,
    /// Bytes at the start that are done with.
    done: usize,
    /// Length of each segment behind them.
    lengths: VecDeque<usize>,
}

impl Kept {
    /// One more.
    pub(super) fn push(&mut self, segment: &[u8]) {
        self.all.extend_from_slice(segment);
        self.lengths.push_back(segment.len());
    }

    /// The first one is done with.
    pub(super) fn pop(&mut self) {
        self.done += self.lengths.pop_front().unwrap_or(0);
        if self.lengths.is_empty() {
            self.clear();
        } else if self.done > self.all.len() / 2 {
            self.all.drain(..self.done);
            self.done = 0;
        }
    }

    /// All are.
    pub(super) fn clear(&mut self) {
        self.done = 0;
        self.lengths.clear();
        if self.all.capacity() > AT_REST {
            self.all = Vec::new();
        } else {
            self.all.clear();
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// All of them, one behind the other.
    pub(super) fn bytes(&self) -> &[u8] {
        self.all.get(self.done..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_goes_and_the_others_stay() {
        let mut kept = Kept::default();
        assert!(kept.is_empty());
        kept.push(b"one");
        kept.push(b"three");
        assert_eq!(kept.bytes(), b"onethree");
        kept.pop();
        assert_eq!(kept.bytes(), b"three");
        kept.push(b"two");
        kept.pop();
        assert_eq!(kept.bytes(), b"two");
        kept.pop();
        assert!(kept.is_empty() && kept.bytes().is_empty());
    }

    #[test]
    fn a_client_that_never_rests_does_not_fill_the_memory() {
        let mut kept = Kept::default();
        kept.push(b"first");
        for number in 0..10_000_u32 {
            kept.push(&number.to_le_bytes());
            kept.pop();
            assert_eq!(kept.bytes(), number.to_le_bytes());
        }
        assert!(kept.all.capacity() <= AT_REST);
    }

    #[test]
    fn little_room_stays_and_much_does_not() {
        let mut kept = Kept::default();
        for (length, stays) in [(AT_REST, true), (AT_REST + 1, false)] {
            kept.push(&vec![b'x'; length]);
            kept.pop();
            assert_eq!(kept.all.capacity() > 0, stays, "{length} bytes");
        }
    }
}
