//! Sans-IO. Segments that may have to be said again: their bytes, the first one in front, and what
//! the client had before them.

use std::collections::VecDeque;
use std::sync::Arc;

use super::prepared::Binding;

/// Room in bytes that stays when nothing is kept: a short query costs no allocation then.
const AT_REST: usize = 128;

/// Segments in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct Kept {
    all: Vec<u8>,
    /// Bytes at the start that are done with.
    done: usize,
    /// Length of each segment behind them, and how long its replies are held.
    segments: VecDeque<(usize, Until)>,
    /// Number of the first of these.
    first: usize,
    /// What segments have taken away, by their numbers. As a rule there is nothing.
    taken: Vec<(usize, Taken)>,
}

/// How long the replies to a segment are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// To the first row.
    Row,
    /// To its end: several statements, of which a later one may be refused.
    End,
}

/// What the client has no more, and will have again when the segment is said again.
#[derive(Debug)]
enum Taken {
    /// It had this unnamed statement before the segment, or none.
    Unnamed(Option<Box<[u8]>>),
    /// The segment has closed this name.
    Name(Arc<Binding>),
}

impl Kept {
    /// One more, of a client that has this unnamed statement.
    pub(super) fn push(&mut self, segment: &[u8], until: Until, unnamed: Option<&[u8]>) {
        if self.unnamed(usize::MAX) != unnamed {
            let number = self.first + self.segments.len();
            self.taken
                .push((number, Taken::Unnamed(unnamed.map(Box::from))));
        }
        self.all.extend_from_slice(segment);
        self.segments.push_back((segment.len(), until));
    }

    /// The last one has closed a name.
    pub(super) fn closed(&mut self, binding: Arc<Binding>) {
        let number = (self.first + self.segments.len()).saturating_sub(1);
        self.taken.push((number, Taken::Name(binding)));
    }

    /// The unnamed statement before the segment of that number.
    fn unnamed(&self, number: usize) -> Option<&[u8]> {
        let mut taken = self.taken.iter().rev();
        taken.find_map(|(before, taken)| match taken {
            Taken::Unnamed(unnamed) if *before <= number => Some(unnamed.as_deref()),
            Taken::Unnamed(_) | Taken::Name(_) => None,
        })?
    }

    /// The unnamed statement before the first of them.
    pub(super) fn unnamed_before(&self) -> Option<&[u8]> {
        self.unnamed(self.first)
    }

    /// Names that they have closed, the last one first.
    pub(super) fn names_before(&self) -> impl Iterator<Item = &Arc<Binding>> {
        let taken = self.taken.iter().rev();
        taken.filter_map(|(number, taken)| match taken {
            Taken::Name(binding) if *number >= self.first => Some(binding),
            Taken::Unnamed(_) | Taken::Name(_) => None,
        })
    }

    /// The first one is done with.
    pub(super) fn pop(&mut self) {
        self.done += self.segments.pop_front().map_or(0, |(length, _)| length);
        self.first += 1;
        if self.segments.is_empty() {
            self.clear();
        } else if self.done > self.all.len() / 2 {
            self.all.drain(..self.done);
            self.done = 0;
        }
    }

    /// All are.
    pub(super) fn clear(&mut self) {
        self.done = 0;
        self.first = 0;
        self.segments.clear();
        if !self.taken.is_empty() {
            self.taken = Vec::new();
        }
        if self.all.capacity() > AT_REST {
            self.all = Vec::new();
        } else {
            self.all.clear();
        }
    }

    /// The first of them.
    pub(super) fn first(&self) -> &[u8] {
        let length = self.segments.front().map_or(0, |(length, _)| *length);
        self.bytes().get(..length).unwrap_or_default()
    }

    /// How long the replies to the first of them are held.
    pub(super) fn until(&self) -> Until {
        self.segments
            .front()
            .map_or(Until::Row, |(_, until)| *until)
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
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
        kept.push(b"one", Until::Row, None);
        kept.push(b"three", Until::Row, None);
        assert_eq!(kept.bytes(), b"onethree");
        kept.pop();
        assert_eq!(kept.bytes(), b"three");
        kept.push(b"two", Until::Row, None);
        kept.pop();
        assert_eq!(kept.bytes(), b"two");
        kept.pop();
        assert!(kept.is_empty() && kept.bytes().is_empty());
    }

    #[test]
    fn the_unnamed_statement_is_that_of_before_the_first_one() {
        let mut kept = Kept::default();
        for unnamed in [None, Some(&b"a"[..]), Some(b"a"), None] {
            kept.push(b"x", Until::Row, unnamed);
        }
        for expected in [None, Some(&b"a"[..]), Some(b"a"), None] {
            assert_eq!(kept.unnamed_before(), expected);
            kept.pop();
        }
        assert!(kept.taken.is_empty());
    }

    #[test]
    fn a_client_that_never_rests_does_not_fill_the_memory() {
        let mut kept = Kept::default();
        kept.push(b"first", Until::Row, None);
        for number in 0..10_000_u32 {
            kept.push(&number.to_le_bytes(), Until::Row, None);
            kept.pop();
            assert_eq!(kept.bytes(), number.to_le_bytes());
        }
        assert!(kept.all.capacity() <= AT_REST);
    }

    #[test]
    fn little_room_stays_and_much_does_not() {
        let mut kept = Kept::default();
        for (length, stays) in [(AT_REST, true), (AT_REST + 1, false)] {
            kept.push(&vec![b'x'; length], Until::Row, None);
            kept.pop();
            assert_eq!(kept.all.capacity() > 0, stays, "{length} bytes");
        }
    }
}
