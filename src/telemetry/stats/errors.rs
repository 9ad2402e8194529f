//! Sans-IO. Errors by the class of their SQLSTATE: its first two letters.

use std::sync::atomic::{AtomicU64, Ordering};

/// The classes that `PostgreSQL` has; the last one stands for all others.
const CLASSES: [&str; 44] = [
    "00", "01", "02", "03", "08", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "10", "20", "21", "22",
    "23", "24", "25", "26", "27", "28", "2B", "2D", "2F", "34", "38", "39", "3B", "3D", "3F", "40",
    "42", "44", "53", "54", "55", "57", "58", "F0", "HV", "P0", "XX", "other",
];

/// Those that alerts ask for or name, and the last one: shown from the start, since growth is seen only
/// in a series that is there already.
const LOOKED_FOR: [&str; 9] = ["08", "23", "40", "42", "53", "57", "58", "XX", "other"];

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

    /// The classes that are looked for, and those of which there are any.
    pub fn shown(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = CLASSES.into_iter().zip(self.0);
        all.filter(|(class, count)| *count > 0 || LOOKED_FOR.contains(class))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_class_and_what_is_unknown_as_other() {
        let mut looked_for: Vec<_> = ErrorsRead::default().shown().collect();
        assert_eq!(looked_for.len(), LOOKED_FOR.len());
        let errors = Errors::default();
        errors.add(*b"42", 2);
        errors.add(*b"22", 1);
        errors.add(*b"??", 1);
        errors.add(*b"ZZ", 1);
        let mut read = ErrorsRead::default();
        errors.add_to(&mut read);
        errors.add_to(&mut read);
        looked_for.retain(|(class, _)| !["42", "other"].contains(class));
        looked_for.extend([("22", 2), ("42", 4), ("other", 4)]);
        looked_for.sort_unstable();
        let mut shown: Vec<_> = read.shown().collect();
        shown.sort_unstable();
        assert_eq!(shown, looked_for);
    }
}
