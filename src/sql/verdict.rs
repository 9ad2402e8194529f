//! Sans-IO. What is known of a statement once it has been looked at.

use std::fmt;

/// Where a statement may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// A proven read: any server gives the right answer, a replica too.
    Read,
    /// Not proven to be one.
    Primary(Reason),
}

/// Why a statement is for the primary. The word is a metric label and a column of `SHOW ROUTES`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// It changes rows: `INSERT`, `UPDATE`, `DELETE`, `MERGE`, `COPY FROM`, also inside `WITH`.
    Write,
    /// It changes the schema, or what `PostgreSQL` counts among it: `GRANT`, `COMMENT`, `REFRESH`.
    Ddl,
    /// It locks rows or tables: `FOR UPDATE` and its kin at any depth, `LOCK`.
    Locking,
    /// It stores a result: `SELECT INTO`, `CREATE TABLE AS`.
    Into,
    /// It calls a function that is volatile and not known to be harmless.
    VolatileFunction,
    /// It calls a function that the catalog as we know it does not have.
    UnknownFunction,
    /// Its answer depends on the server that gives it: `inet_server_addr()`, `pg_stat_*`.
    NodeDependent,
    /// It reads a system catalog or `information_schema`.
    SystemCatalog,
    /// It takes, asks for or gives back an advisory lock.
    AdvisoryLock,
    /// It needs or leaves something in its session: a temporary table, `LISTEN`, `currval`.
    SessionState,
    /// It begins, ends or divides a transaction.
    TransactionControl,
    /// A setting is changed or shown.
    Setting,
    /// `DO`, `CALL`, `VACUUM`, `ANALYZE`, `CHECKPOINT` and what else is no query.
    Utility,
    /// Several statements in one message, of which one is no read.
    Several,
    /// An `EXECUTE` of a name that is not known.
    UnknownStatement,
    /// The grammar does not know it.
    Unparsed,
    /// It is too long to be looked at.
    TooLong,
    /// It was taken for a read before, and a replica refused it.
    Learned,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Write,
        Self::Ddl,
        Self::Locking,
        Self::Into,
        Self::VolatileFunction,
        Self::UnknownFunction,
        Self::NodeDependent,
        Self::SystemCatalog,
        Self::AdvisoryLock,
        Self::SessionState,
        Self::TransactionControl,
        Self::Setting,
        Self::Utility,
        Self::Several,
        Self::UnknownStatement,
        Self::Unparsed,
        Self::TooLong,
        Self::Learned,
    ];

    /// Its place in [`Self::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Ddl => "ddl",
            Self::Locking => "locking",
            Self::Into => "into",
            Self::VolatileFunction => "volatile_function",
            Self::UnknownFunction => "unknown_function",
            Self::NodeDependent => "node_dependent",
            Self::SystemCatalog => "system_catalog",
            Self::AdvisoryLock => "advisory_lock",
            Self::SessionState => "session_state",
            Self::TransactionControl => "transaction_control",
            Self::Setting => "setting",
            Self::Utility => "utility",
            Self::Several => "several",
            Self::UnknownStatement => "unknown_statement",
            Self::Unparsed => "unparsed",
            Self::TooLong => "too_long",
            Self::Learned => "learned",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Something that a statement does besides its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Its session has something afterwards that only this connection has: a temporary table, an
    /// advisory lock of the session, `LISTEN`, a cursor `WITH HOLD`, SQL `PREPARE`, a sequence's
    /// `currval`.
    Pins,
    /// It may take such a thing away: `pg_advisory_unlock*`, `UNLISTEN`, `CLOSE`, `DEALLOCATE`,
    /// `DISCARD`, `DROP`.
    Unpins,
    /// It may change what functions there are and what they do, or which relations are not the same
    /// on every server.
    ChangesFunctions,
}

/// The effects of one statement, or of several together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Effects(u8);

impl Effects {
    /// None.
    pub const NONE: Self = Self(0);

    /// These and one more.
    #[must_use]
    pub fn with(self, effect: Effect) -> Self {
        Self(self.0 | Self::bit(effect))
    }

    /// These and those.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it is among them.
    pub fn has(self, effect: Effect) -> bool {
        self.0 & Self::bit(effect) != 0
    }

    fn bit(effect: Effect) -> u8 {
        match effect {
            Effect::Pins => 1,
            Effect::Unpins => 2,
            Effect::ChangesFunctions => 4,
        }
    }
}

/// All that is known of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Verdict {
    /// Where it may run.
    pub class: Class,
    /// What it does besides.
    pub effects: Effects,
}

impl Verdict {
    /// A proven read, which never has effects.
    pub const READ: Self = Self {
        class: Class::Read,
        effects: Effects::NONE,
    };

    /// One for the primary without effects that matter later.
    pub fn primary(reason: Reason) -> Self {
        Self {
            class: Class::Primary(reason),
            effects: Effects::NONE,
        }
    }

    /// The same with an effect.
    #[must_use]
    pub fn with(self, effect: Effect) -> Self {
        Self {
            effects: self.effects.with(effect),
            ..self
        }
    }

    /// Of two statements that run together: a read only if both are.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let class = match self.class {
            Class::Read => other.class,
            Class::Primary(reason) => Class::Primary(reason),
        };
        let effects = self.effects.and(other.effects);
        Self { class, effects }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_run_together_are_a_read_only_if_all_are() {
        let write = Verdict::primary(Reason::Write).with(Effect::Pins);
        assert_eq!(Verdict::READ.and(Verdict::READ), Verdict::READ);
        for both in [Verdict::READ.and(write), write.and(Verdict::READ)] {
            assert_eq!(both, write);
        }
    }

    #[test]
    fn every_reason_has_a_place_and_a_word_of_its_own() {
        for (place, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), place, "{reason}");
        }
        let words: std::collections::BTreeSet<_> =
            Reason::ALL.iter().map(|reason| reason.word()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
    }
}
