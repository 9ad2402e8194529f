//! Sans-IO. Who has been seen lately: hosts that are found, and not named by a file.
//!
//! A resolver gives a part of the addresses it knows, a replica loses its connection to the primary for
//! a moment: a host that is missing once is no host that has gone. It stays for [`GRACE`]; whether it
//! answers reads is decided by its monitor anyway.

use std::time::{Duration, Instant};

/// How long a host that was found stays when nobody names it any more.
pub const GRACE: Duration = Duration::from_secs(60);

/// Most hosts that are found for one entry.
pub const MOST: usize = 32;

/// Hosts, in the order in which they were seen first.
#[derive(Debug, Clone)]
pub struct Roster<T> {
    seen: Vec<(T, Instant)>,
}

impl<T> Default for Roster<T> {
    fn default() -> Self {
        Self { seen: Vec::new() }
    }
}

impl<T: PartialEq> Roster<T> {
    /// These are there now. Those that have not been named for long leave.
    pub fn update(&mut self, hosts: impl IntoIterator<Item = T>, now: Instant) {
        for host in hosts {
            if let Some((_, at)) = self.seen.iter_mut().find(|(known, _)| *known == host) {
                *at = now;
            } else if self.seen.len() < MOST {
                self.seen.push((host, now));
            }
        }
        let is_fresh = |at: Instant| now.saturating_duration_since(at) < GRACE;
        self.seen.retain(|(_, at)| is_fresh(*at));
    }

    /// Those that pass are there now, whoever names them.
    pub fn keep(&mut self, now: Instant, test: impl Fn(&T) -> bool) {
        for (_, at) in self.seen.iter_mut().filter(|(host, _)| test(host)) {
            *at = now;
        }
    }

    /// All of them.
    pub fn hosts(&self) -> impl Iterator<Item = &T> {
        self.seen.iter().map(|(host, _)| host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(roster: &Roster<&'static str>) -> Vec<&'static str> {
        roster.hosts().copied().collect()
    }

    #[test]
    fn a_host_that_is_missing_stays_for_a_while() {
        let start = tokio::time::Instant::now().into_std();
        let mut roster = Roster::default();
        roster.update(["a", "b"], start);
        roster.update(["c", "a"], start + GRACE / 2);
        assert_eq!(hosts(&roster), ["a", "b", "c"]);
        roster.update(["a"], start + GRACE);
        assert_eq!(hosts(&roster), ["a", "c"]);
    }

    #[test]
    fn the_primary_is_not_named_by_itself_and_stays() {
        let start = tokio::time::Instant::now().into_std();
        let mut roster = Roster::default();
        roster.update(["a", "b"], start);
        for round in 1..10 {
            let now = start + GRACE / 2 * round;
            roster.keep(now, |host| *host == "b");
            roster.update([], now);
        }
        assert_eq!(hosts(&roster), ["b"]);
    }

    #[test]
    fn there_is_an_end_to_it() {
        let start = tokio::time::Instant::now().into_std();
        let mut roster = Roster::default();
        roster.update(0..1000, start);
        assert_eq!(roster.hosts().count(), MOST);
    }
}
