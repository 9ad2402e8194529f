//! Sans-IO. How a client writes SQL, and what it means by `BEGIN`: what its parameters say.
//!
//! They change seldom and every statement needs them, so what they say is kept beside the set that it
//! was read from. A set never changes in place: as long as it is the same one, so is what it says.

use std::sync::Arc;

use super::cache::Encoding;
use crate::session::params::ParamSet;
use crate::sql::command::Access;
use crate::sql::encoding::can_read;
use crate::sql::lexer::Quoting;

/// What a client's parameters say about its statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// How strings are written: `standard_conforming_strings`.
    pub quoting: Quoting,
    /// Whether SQL in its `client_encoding` can be read.
    pub encoding: Encoding,
    /// What a transaction may do that does not say so itself: `default_transaction_read_only`.
    pub access: Access,
}

impl Dialect {
    /// Reads them.
    pub fn of(params: &ParamSet) -> Self {
        Self {
            quoting: match params.value("standard_conforming_strings") {
                Some("off") => Quoting::Backslash,
                Some(_) | None => Quoting::Standard,
            },
            encoding: match params.value("client_encoding") {
                Some(name) if !can_read(name.as_bytes()) => Encoding::Unreadable,
                Some(_) | None => Encoding::Readable,
            },
            access: match params.value("default_transaction_read_only") {
                Some("on") => Access::ReadOnly,
                Some(_) | None => Access::ReadWrite,
            },
        }
    }
}

/// The dialect of the parameters that a client had last.
#[derive(Debug)]
pub struct Spoken {
    params: Arc<ParamSet>,
    dialect: Dialect,
}

impl Spoken {
    /// By a client with these parameters.
    pub fn with(params: &Arc<ParamSet>) -> Self {
        Self {
            params: Arc::clone(params),
            dialect: Dialect::of(params),
        }
    }

    /// The dialect now that the parameters are these.
    pub fn now(&mut self, params: &Arc<ParamSet>) -> Dialect {
        if !Arc::ptr_eq(&self.params, params) {
            *self = Self::with(params);
        }
        self.dialect
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Arc<ParamSet> {
        let mut set = ParamSet::new();
        for (name, value) in pairs {
            set.set(name, value);
        }
        Arc::new(set)
    }

    #[test]
    fn parameters_say_how_statements_are_read() {
        let usual = Dialect {
            quoting: Quoting::Standard,
            encoding: Encoding::Readable,
            access: Access::ReadWrite,
        };
        assert_eq!(Dialect::of(&params(&[])), usual);
        let all = [
            ("standard_conforming_strings", "off"),
            ("client_encoding", "GBK"),
            ("default_transaction_read_only", "on"),
        ];
        let other = Dialect {
            quoting: Quoting::Backslash,
            encoding: Encoding::Unreadable,
            access: Access::ReadOnly,
        };
        assert_eq!(Dialect::of(&params(&all)), other);
    }

    #[test]
    fn new_parameters_are_read_and_old_ones_are_not() {
        let (on, off) = (
            params(&[("standard_conforming_strings", "on")]),
            params(&[("standard_conforming_strings", "off")]),
        );
        let mut spoken = Spoken::with(&on);
        assert_eq!(spoken.now(&on).quoting, Quoting::Standard);
        assert_eq!(spoken.now(&off).quoting, Quoting::Backslash);
        assert_eq!(spoken.now(&on).quoting, Quoting::Standard);
    }
}
