//! What many clients have alike, kept once: names, parameters, terms.
//!
//! Invariant: a value stays for as long as somebody holds it; of those that nobody holds, no more
//! are kept than of the others, or a few.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use foldhash::fast::RandomState;

use super::terms::Terms;
use crate::session::params::ParamSet;

/// Values that are kept at least, whether somebody holds them or not.
const KEPT: usize = 64;

/// Equal values as one allocation.
#[derive(Debug)]
pub struct Alike<T: ?Sized> {
    known: Mutex<Known<T>>,
}

#[derive(Debug)]
struct Known<T: ?Sized> {
    values: HashSet<Arc<T>, RandomState>,
    /// The value that was asked for last: clients of one kind come one after the other.
    last: Option<Arc<T>>,
    /// So many values are looked through for those that nobody holds.
    sweep_at: usize,
}

impl<T: ?Sized> Default for Alike<T> {
    fn default() -> Self {
        let known = Known {
            values: HashSet::default(),
            last: None,
            sweep_at: KEPT,
        };
        Self {
            known: Mutex::new(known),
        }
    }
}

impl<T: ?Sized + Eq + Hash> Alike<T> {
    /// The value as everybody has it.
    pub fn share<V: Borrow<T> + Into<Arc<T>>>(&self, value: V) -> Arc<T> {
        let mut known = self.known.lock().expect("nothing panics under this lock");
        if let Some(last) = known
            .last
            .as_ref()
            .filter(|last| &***last == value.borrow())
        {
            return Arc::clone(last);
        }
        if let Some(found) = known.values.get(value.borrow()).cloned() {
            known.last = Some(Arc::clone(&found));
            return found;
        }
        if known.values.len() >= known.sweep_at {
            known.values.retain(|kept| Arc::strong_count(kept) > 1);
            known.sweep_at = (2 * known.values.len()).max(KEPT);
        }
        let value: Arc<T> = value.into();
        known.values.insert(Arc::clone(&value));
        known.last = Some(Arc::clone(&value));
        value
    }
}

/// All that clients share with those that are like them.
#[derive(Debug, Default)]
pub struct SharedValues {
    /// Names of databases, users and applications.
    pub names: Alike<str>,
    /// Parameters that clients have asked for.
    pub params: Alike<ParamSet>,
    /// What the configuration says to clients.
    pub terms: Alike<Terms>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_allocation() {
        let names = Alike::<str>::default();
        let first = names.share("app");
        assert!(Arc::ptr_eq(&first, &names.share("app")));
        assert!(!Arc::ptr_eq(&first, &names.share("other")));
    }

    #[test]
    fn values_that_nobody_holds_are_let_go() {
        let names = Alike::<str>::default();
        let held: Vec<_> = (0..100)
            .map(|n| names.share(&*format!("held {n}")))
            .collect();
        for n in 0..10_000 {
            names.share(&*format!("gone {n}"));
        }
        let kept = names.known.lock().unwrap().values.len();
        assert!((100..=200).contains(&kept), "{kept}");
        drop(held);
        for n in 0..10_000 {
            names.share(&*format!("gone {n}"));
        }
        assert!(names.known.lock().unwrap().values.len() <= 200);
    }
}
