//! Sans-IO. The reason of each decision: a metric label, a column of `SHOW ROUTES`, the answer of
//! `EXPLAIN ROUTE`.

use std::fmt;

use crate::sql::Reason;

/// Why a segment went where it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Why {
    /// It is a read, for a replica.
    Read,
    /// The client asked for it: a comment, `SET pgweir.route`.
    Wish,
    /// The database entry asks for it (`role`).
    Role,
    /// Where its transaction is.
    Transaction,
    /// The connection has something of this client's: it keeps it.
    Pinned,
    /// A server refused it or was lost: the primary then.
    Again,
    /// No replica is known to show what the client has written or seen.
    PositionUnknown,
    /// No replica has replayed what the client has written or seen.
    Behind,
    /// No replica answers reads.
    NoReplica,
    /// What the statement is.
    Class(Reason),
}

impl Why {
    /// How many there are.
    pub const COUNT: usize = 9 + Reason::ALL.len();

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let own = [
            Self::Read,
            Self::Wish,
            Self::Role,
            Self::Transaction,
            Self::Pinned,
            Self::Again,
            Self::PositionUnknown,
            Self::Behind,
            Self::NoReplica,
        ];
        own.into_iter().chain(Reason::ALL.map(Self::Class))
    }

    /// Its place among all of them.
    pub fn index(self) -> usize {
        match self {
            Self::Read => 0,
            Self::Wish => 1,
            Self::Role => 2,
            Self::Transaction => 3,
            Self::Pinned => 4,
            Self::Again => 5,
            Self::PositionUnknown => 6,
            Self::Behind => 7,
            Self::NoReplica => 8,
            Self::Class(reason) => 9 + reason.index(),
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Wish => "wish",
            Self::Role => "role",
            Self::Transaction => "transaction",
            Self::Pinned => "pinned",
            Self::Again => "again",
            Self::PositionUnknown => "position_unknown",
            Self::Behind => "behind",
            Self::NoReplica => "no_replica",
            Self::Class(reason) => reason.word(),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_place_and_word() {
        let all: Vec<_> = Why::all().collect();
        assert_eq!(all.len(), Why::COUNT);
        for (place, why) in all.iter().enumerate() {
            assert_eq!(why.index(), place, "{why}");
        }
        let words: std::collections::BTreeSet<_> = all.iter().map(|why| why.word()).collect();
        assert_eq!(words.len(), Why::COUNT);
    }
}
