//! Sans-IO. Errors by the class of their SQLSTATE: its first two letters.

use std::sync::atomic::{AtomicU64, Ordering};

/// The classes that `PostgreSQL` has; the last one stands for all others.
const CLASSES: [&str; 44] = [
    "00", "01", "02", "03", "08", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "10", "20", "21", "22",
    "23", "24", "25", "26", "27", "28", "2B", "2D", "2F", "34", "38", "39", "3B", "3D", "3F", "40",
    "42", "44", "53", "54", "55", "57", "58", "F0", "HV", "P0", "XX", "other",
];

fn place(class: [u8; 2]) -> usize {
    let known = CLASSES.iter().position(|known| known.as_bytes() == class);
    known.unwrap_or(CLASSES.len() - 1)
}

/// Errors that one worker has seen. Only that worker writes.
#[derive(Debug)]
pub struct Errors {
    counts: [AtomicU64; CLASSES.len()],
}

impl Default for Errors {
    fn default() -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; CLASSES.len()],
        }
    }
}

impl Errors {
    /// So many errors of a class; one that is not known counts as other.
    pub fn add(&self, class: [u8; 2], amount: u64) {
        if let Some(count) = self.counts.get(place(class)) {
            count.store(
                count.load(Ordering::Relaxed).wrapping_add(amount),
                Ordering::Relaxed,
            );
        }
    }

    /// Adds these to a sum.
    pub(super) fn add_to(&self, sum: &mut ErrorsRead) {
        for (sum, count) in sum.0.iter_mut().zip(&self.counts) {
            *sum = sum.saturating_add(count.load(Ordering::Relaxed));
        }
    }
}

/// What [`Errors`] of several workers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorsRead([u64; CLASSES.len()]);

impl Default for ErrorsRead {
    fn default() -> Self {
        Self([0; CLASSES.len()])
    }
}

impl ErrorsRead {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = mine.saturating_add(theirs);
        }
    }

    /// The classes of which there are any.
    pub fn seen(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = CLASSES.into_iter().zip(self.0);
        all.filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_class_and_what_is_unknown_as_other() {
        let errors = Errors::default();
        errors.add(*b"42", 2);
        errors.add(*b"23", 1);
        errors.add(*b"??", 1);
        errors.add(*b"ZZ", 1);
        let mut read = ErrorsRead::default();
        errors.add_to(&mut read);
        errors.add_to(&mut read);
        let seen: Vec<_> = read.seen().collect();
        assert_eq!(seen, [("23", 2), ("42", 4), ("other", 4)]);
    }
}
