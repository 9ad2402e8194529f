//! Sans-IO. Versions of `PostgreSQL`, as its programs print them.

use std::fmt;

/// A released or pre-released version; ordered by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The major version, such as 17.
    pub major: u16,
    /// The minor version; 0 for a beta or a release candidate.
    pub minor: u16,
}

/// The oldest version that the demo can use: the first with `standby.signal` and `pg_promote`.
pub const OLDEST: Version = Version {
    major: 12,
    minor: 0,
};

impl Version {
    /// Reads the output of `<program> --version`, such as `psql (PostgreSQL) 16.4 (Debian 16.4-1)`.
    pub fn from_banner(banner: &str) -> Option<Self> {
        let (_, after) = banner.split_once("(PostgreSQL) ")?;
        Self::parse(after.split_whitespace().next()?)
    }

    /// Reads `16.4`, `16`, `18beta1` or `18rc1`.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, rest) = split_number(text)?;
        let minor = match rest.strip_prefix('.') {
            Some(minor) => split_number(minor)?.0,
            None => 0,
        };
        Some(Self { major, minor })
    }
}

fn split_number(text: &str) -> Option<(u16, &str)> {
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banners_of_every_kind_are_read() {
        for (banner, expected) in [
            (
                "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)",
                Some((15, 18)),
            ),
            ("psql (PostgreSQL) 18.6\n", Some((18, 6))),
            ("pgbench (PostgreSQL) 19beta2", Some((19, 0))),
            ("postgres (PostgreSQL) 9.6.24", Some((9, 6))),
            ("postgres 15.18", None),
            ("postgres (PostgreSQL) devel", None),
            ("", None),
        ] {
            let expected = expected.map(|(major, minor)| Version { major, minor });
            assert_eq!(Version::from_banner(banner), expected, "{banner:?}");
        }
    }

    #[test]
    fn versions_are_ordered_as_numbers_and_not_as_text() {
        let parse = |text| Version::parse(text).unwrap();
        assert!(parse("9.6") < parse("10.1"));
        assert!(parse("15.9") < parse("15.10"));
        assert!(parse("18beta1") < parse("18.1"));
        assert!(parse("9.6") < OLDEST);
    }
}
