//! Sans-IO. What a client asks for when it logs in: `options='-c pgweir.route=replica'`.
//!
//! The same settings as `SET` knows (`session`). Where an entry has no replicas they are taken, and
//! mean nothing.

use super::decide::Preference;
use crate::cluster::Lsn;

const ROUTE: &str = "pgweir.route";
const MIN_LSN: &str = "pgweir.min_lsn";

/// What a client has asked for at its login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wishes {
    /// `pgweir.route`
    pub preference: Preference,
    /// `pgweir.min_lsn`
    pub min_lsn: Lsn,
}

/// A value that its parameter does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid value for parameter \"{name}\": \"{value}\"")]
pub struct BadWish {
    name: &'static str,
    value: String,
}

/// Whether a startup parameter is one of ours.
pub fn is_wish(name: &str) -> bool {
    [ROUTE, MIN_LSN]
        .iter()
        .any(|own| own.eq_ignore_ascii_case(name))
}

impl Wishes {
    /// Takes our parameters out of those of a client; no server knows them.
    pub fn take(parameters: &mut Vec<(String, String)>) -> Result<Self, BadWish> {
        let mut wishes = Self::default();
        for (name, value) in parameters.extract_if(.., |(name, _)| is_wish(name)) {
            let (name, done) = if name.eq_ignore_ascii_case(ROUTE) {
                let found = Preference::named(value.as_bytes());
                (ROUTE, found.map(|found| wishes.preference = found))
            } else {
                let found = value.parse().ok();
                (MIN_LSN, found.map(|found| wishes.min_lsn = found))
            };
            if done.is_none() {
                return Err(BadWish { name, value });
            }
        }
        Ok(wishes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn wishes_are_taken_out_of_the_parameters() {
        let mut all = pairs(&[
            ("application_name", "x"),
            ("PGWEIR.Route", "Replica"),
            ("pgweir.min_lsn", "0/16B6C50"),
            ("pgweirs.route", "y"),
        ]);
        let wishes = Wishes::take(&mut all).unwrap();
        assert_eq!(wishes.preference, Preference::Replica);
        assert_eq!(wishes.min_lsn, Lsn(0x16B_6C50));
        assert_eq!(
            all,
            pairs(&[("application_name", "x"), ("pgweirs.route", "y")])
        );
    }

    #[test]
    fn a_value_that_means_nothing_is_named() {
        for (name, value) in [("pgweir.route", "nowhere"), ("pgweir.min_lsn", "16B6C50")] {
            let error = Wishes::take(&mut pairs(&[(name, value)])).unwrap_err();
            let text = format!("invalid value for parameter \"{name}\": \"{value}\"");
            assert_eq!(error.to_string(), text);
        }
    }
}
