//! Sans-IO. Attempts to open server connections, counted by database and outcome.
//!
//! Once for each connection, so one lock for all threads will do. Bounded: databases that come when
//! [`NAMED`] are known count together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Most databases that are counted by themselves.
const NAMED: usize = 1024;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connect {
    /// The connection is there.
    Opened,
    /// No server answered.
    Unreachable,
    /// The server refused the login.
    Rejected,
    /// None of the hosts is a primary.
    NoPrimary,
}

impl Connect {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Opened,
        Self::Unreachable,
        Self::Rejected,
        Self::NoPrimary,
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Unreachable => "unreachable",
            Self::Rejected => "rejected",
            Self::NoPrimary => "no_primary",
        }
    }
}

/// How many attempts ended in each way, in the order of [`Connect::ALL`].
pub type ConnectCounts = [u64; Connect::ALL.len()];

/// The attempts for one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseConnects {
    /// Its name, as clients use it; nothing for all that are not counted by themselves.
    pub database: Option<Arc<str>>,
    /// What came of them.
    pub counts: ConnectCounts,
}

/// Attempts of a process.
#[derive(Debug, Default)]
pub struct Connects {
    by_database: Mutex<BTreeMap<Option<Arc<str>>, ConnectCounts>>,
}

impl Connects {
    /// An attempt for a database has ended.
    pub fn note(&self, database: &Arc<str>, outcome: Connect) {
        self.with(|by_database| {
            let name = Some(Arc::clone(database));
            let is_named = by_database.contains_key(&name) || by_database.len() < NAMED;
            let counts = by_database.entry(name.filter(|_| is_named)).or_default();
            if let Some(count) = counts.get_mut(outcome as usize) {
                *count += 1;
            }
        });
    }

    /// What was counted, ordered by name.
    pub fn read(&self) -> Vec<DatabaseConnects> {
        let row = |(name, counts): (&Option<Arc<str>>, &ConnectCounts)| DatabaseConnects {
            database: name.clone(),
            counts: *counts,
        };
        self.with(|by_database| by_database.iter().map(row).collect())
    }

    fn with<R>(&self, f: impl FnOnce(&mut BTreeMap<Option<Arc<str>>, ConnectCounts>) -> R) -> R {
        f(&mut self
            .by_database
            .lock()
            .expect("nothing panics under this lock"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_by_database_and_outcome() {
        let connects = Connects::default();
        let (a, b) = (Arc::from("a"), Arc::from("b"));
        connects.note(&a, Connect::Opened);
        connects.note(&b, Connect::NoPrimary);
        connects.note(&a, Connect::Opened);
        connects.note(&a, Connect::Rejected);
        let row = |database, counts| DatabaseConnects {
            database: Some(database),
            counts,
        };
        let counted = [row(a, [2, 0, 1, 0]), row(b, [0, 0, 0, 1])];
        assert_eq!(connects.read(), counted);
        for (place, outcome) in Connect::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place);
        }
    }

    #[test]
    fn databases_above_the_bound_are_counted_together() {
        let connects = Connects::default();
        for _ in 0..2 {
            for number in 0..NAMED + 10 {
                connects.note(&number.to_string().into(), Connect::Unreachable);
            }
        }
        let counted = connects.read();
        assert_eq!(counted.len(), NAMED + 1);
        assert_eq!(counted[0].database, None);
        assert_eq!(counted[0].counts, [0, 20, 0, 0]);
        assert_eq!(counted[1].database.as_deref(), Some("0"));
        assert_eq!(counted[1].counts, [0, 2, 0, 0]);
    }
}
