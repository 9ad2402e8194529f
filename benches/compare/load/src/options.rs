//! The command line: a command and `--name value` pairs.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::error::LoadError;

/// What the program can do, and how it is told to.
pub const USAGE: &str = "\
usage: load backend --port N
       load queries --port N --clients N [--mode simple|extended|prepared] [--depth N]
                    [--sql TEXT] [--warm-up SECONDS] [--seconds SECONDS]
       load logins  --port N --clients N [--seconds SECONDS]
       load idle    --port N --clients N [--queries N]
       load chaos   --port N --clients N [--seconds SECONDS]
       load scrape  --port N [--rate N]
All but backend: [--user NAME] [--database NAME]; the password is in PGPASSWORD.
queries and logins print `ready` and wait for a line before they measure. All print JSON.";

/// Options that were given and not asked for yet.
#[derive(Debug)]
pub struct Options {
    given: BTreeMap<String, String>,
}

impl Options {
    /// The command and its options.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<(String, Self), LoadError> {
        let mut arguments = arguments.into_iter();
        let command = arguments.next().unwrap_or_default();
        let mut given = BTreeMap::new();
        while let Some(name) = arguments.next() {
            let value = arguments.next();
            match (name.strip_prefix("--"), value) {
                (Some(name), Some(value)) => given.insert(name.to_owned(), value),
                _ => return Err(LoadError::Usage(format!("{name}: what is this?\n{USAGE}"))),
            };
        }
        Ok((command, Self { given }))
    }

    /// The value of an option, or what it is without.
    pub fn take<T: FromStr>(&mut self, name: &str, default: T) -> Result<T, LoadError> {
        match self.given.remove(name) {
            None => Ok(default),
            Some(value) => value
                .parse()
                .map_err(|_| LoadError::Usage(format!("--{name}: not {value:?}\n{USAGE}"))),
        }
    }

    /// The value of an option that has to be there.
    pub fn need<T: FromStr>(&mut self, name: &str) -> Result<T, LoadError> {
        let missing = || LoadError::Usage(format!("--{name} is missing\n{USAGE}"));
        let value = self.given.get(name).cloned().ok_or_else(missing)?;
        self.take::<String>(name, String::new())?;
        value
            .parse()
            .map_err(|_| LoadError::Usage(format!("--{name}: not {value:?}\n{USAGE}")))
    }

    /// Complains about options that nobody asked for.
    pub fn finish(self) -> Result<(), LoadError> {
        match self.given.keys().next() {
            None => Ok(()),
            Some(name) => Err(LoadError::Usage(format!(
                "--{name} is unknown here\n{USAGE}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<(String, Options), LoadError> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_taken_once_and_what_is_left_is_an_error() {
        let (command, mut options) = parse("queries --port 1 --clients 2").unwrap();
        assert_eq!(command, "queries");
        assert_eq!(options.need::<u16>("port").unwrap(), 1);
        assert_eq!(options.take::<u32>("depth", 7).unwrap(), 7);
        assert!(options.need::<u16>("port").is_err());
        assert!(options.finish().is_err());
    }

    #[test]
    fn what_is_no_option_or_no_number_is_an_error() {
        assert!(parse("queries port 1").is_err());
        assert!(parse("queries --port").is_err());
        let (_, mut options) = parse("queries --port x").unwrap();
        assert!(options.need::<u16>("port").is_err());
    }
}
