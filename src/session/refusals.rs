//! Sans-IO. Errors that a server has sent, by class, until somebody takes them.

/// Classes that are told apart between two takings; more are counted together.
const KINDS: usize = 4;

/// The class of an error that has none, or is one too many.
pub const UNKNOWN: [u8; 2] = *b"??";

/// Errors counted since they were last taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusals {
    kinds: [([u8; 2], u32); KINDS],
    others: u32,
}

impl Default for Refusals {
    fn default() -> Self {
        Self {
            kinds: [(UNKNOWN, 0); KINDS],
            others: 0,
        }
    }
}

impl Refusals {
    /// One more error of this class: the first two letters of its SQLSTATE.
    pub fn add(&mut self, class: [u8; 2]) {
        let mut kinds = self.kinds.iter_mut();
        let kind = kinds.find(|(known, count)| *known == class || *count == 0);
        match kind {
            Some(kind) => *kind = (class, kind.1.saturating_add(1)),
            None => self.others = self.others.saturating_add(1),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.kinds.first().is_none_or(|(_, count)| *count == 0)
    }

    /// What was counted, by class.
    pub fn all(&self) -> impl Iterator<Item = ([u8; 2], u64)> {
        let others = [(UNKNOWN, self.others)];
        let all = self.kinds.into_iter().chain(others);
        all.filter(|(_, count)| *count > 0)
            .map(|(class, count)| (class, count.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_counted_apart_and_those_without_room_together() {
        let mut refusals = Refusals::default();
        assert!(refusals.is_empty());
        for class in [b"42", b"23", b"42", b"25", b"40", b"57", b"23", b"53"] {
            refusals.add(*class);
        }
        let all: Vec<_> = refusals.all().collect();
        let expected = [
            (*b"42", 2),
            (*b"23", 2),
            (*b"25", 1),
            (*b"40", 1),
            (UNKNOWN, 2),
        ];
        assert_eq!(all, expected);
        assert!(!refusals.is_empty());
    }
}
