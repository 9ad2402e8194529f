//! Sans-IO. A position in the write-ahead log (`pg_lsn`).

use std::fmt;
use std::str::FromStr;

/// A position in the write-ahead log, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

/// A text is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a position in the write-ahead log, such as 0/16B6C50")]
pub struct NoLsn;

impl FromStr for Lsn {
    type Err = NoLsn;

    fn from_str(text: &str) -> Result<Self, NoLsn> {
        let part = |part: &str| {
            let digits = (1..=8).contains(&part.len());
            let digits = digits && part.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !digits {
                return Err(NoLsn);
            }
            u64::from_str_radix(part, 16).map_err(|_| NoLsn)
        };
        let (high, low) = text.split_once('/').ok_or(NoLsn)?;
        Ok(Self(part(high)? << 32 | part(low)?))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & u64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_and_written_as_postgresql_does() {
        for (text, value) in [
            ("0/0", 0),
            ("0/16B6C50", 0x16B_6C50),
            ("1/0", 1 << 32),
            ("FFFFFFFF/FFFFFFFF", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(Lsn(value)));
            assert_eq!(Lsn(value).to_string(), text);
        }
        for text in [
            "",
            "/",
            "0",
            "0/",
            "/0",
            "0/+1",
            "0/123456789",
            "0/G",
            "0 /1",
        ] {
            assert_eq!(text.parse::<Lsn>(), Err(NoLsn), "{text}");
        }
    }
}
