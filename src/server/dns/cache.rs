//! Sans-IO. What is known about host names, and for how long.
//!
//! Invariants: at most [`NAMES_MAX`] names; what has expired is never handed out, and a name that
//! has expired is looked up again before it is used.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashlink::LinkedHashMap;

/// Most names that are remembered; beyond it the one asked for longest ago is forgotten.
pub const NAMES_MAX: usize = 1024;

/// Most addresses of one name that are remembered.
pub const ADDRESSES_MAX: usize = 64;

/// How long answers are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DnsTimes {
    /// `dns_max_ttl`: a name with addresses.
    pub found: Duration,
    /// `dns_nxdomain_ttl`: a name without.
    pub missing: Duration,
}

/// One line of `SHOW DNS_HOSTS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsRow {
    /// The name.
    pub hostname: String,
    /// How much longer the answer is believed.
    pub ttl: Duration,
    /// Its addresses; empty when it has none.
    pub addresses: Arc<[IpAddr]>,
}

/// Answers by name, the one asked for longest ago first.
#[derive(Debug, Default)]
pub struct DnsCache {
    names: LinkedHashMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    addresses: Arc<[IpAddr]>,
    expires: Instant,
    next: usize,
}

impl DnsCache {
    /// The addresses of a name, starting with the next one in turn. `None`: look it up. Empty: it
    /// has none.
    pub fn find(&mut self, name: &str, now: Instant) -> Option<Vec<IpAddr>> {
        let entry = self.names.to_back(name)?;
        if entry.expires <= now {
            return None;
        }
        Some(entry.take_turn())
    }

    /// Remembers an answer; no addresses means that the name has none. Returns them as
    /// [`DnsCache::find`] does.
    pub fn store(
        &mut self,
        name: &str,
        mut addresses: Vec<IpAddr>,
        times: DnsTimes,
        now: Instant,
    ) -> Vec<IpAddr> {
        // Resolvers turn the order at will: sorted, the same set of addresses keeps its turn.
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(ADDRESSES_MAX);
        let ttl = if addresses.is_empty() {
            times.missing
        } else {
            times.found
        };
        let next = self.names.remove(name).map_or(0, |entry| entry.next);
        while self.names.len() >= NAMES_MAX {
            self.names.pop_front();
        }
        let mut entry = Entry {
            addresses: addresses.into(),
            expires: now + ttl,
            next,
        };
        let turn = entry.take_turn();
        self.names.insert(name.to_owned(), entry);
        turn
    }

    /// Whether the newest answer for a name has addresses, but not this one: servers connected to
    /// it are to be closed.
    pub fn has_left(&self, name: &str, address: IpAddr) -> bool {
        self.names
            .get(name)
            .is_some_and(|entry| !entry.addresses.is_empty() && !entry.addresses.contains(&address))
    }

    /// Names that are remembered.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// For `SHOW DNS_HOSTS`, by name.
    pub fn rows(&self, now: Instant) -> Vec<DnsRow> {
        let mut rows: Vec<_> = self
            .names
            .iter()
            .map(|(hostname, entry)| DnsRow {
                hostname: hostname.clone(),
                ttl: entry.expires.saturating_duration_since(now),
                addresses: Arc::clone(&entry.addresses),
            })
            .collect();
        rows.sort_unstable_by(|a, b| a.hostname.cmp(&b.hostname));
        rows
    }
}

impl Entry {
    fn take_turn(&mut self) -> Vec<IpAddr> {
        let count = self.addresses.len();
        let mut turn = self.addresses.to_vec();
        if count > 0 {
            turn.rotate_left(self.next % count);
            self.next = (self.next + 1) % count;
        }
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: DnsTimes = DnsTimes {
        found: Duration::from_secs(15),
        missing: Duration::from_secs(5),
    };

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn start() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[test]
    fn addresses_take_turns_and_keep_them_over_a_refresh() {
        let now = start();
        let mut cache = DnsCache::default();
        assert_eq!(
            cache.store("db", vec![ip(2), ip(1), ip(2)], TIMES, now),
            [ip(1), ip(2)]
        );
        assert_eq!(cache.find("db", now), Some(vec![ip(2), ip(1)]));
        assert_eq!(cache.find("db", now), Some(vec![ip(1), ip(2)]));
        assert_eq!(
            cache.store("db", vec![ip(1), ip(2)], TIMES, now),
            [ip(2), ip(1)]
        );
    }

    #[test]
    fn answers_expire_and_the_absence_of_one_too() {
        let now = start();
        let mut cache = DnsCache::default();
        cache.store("db", vec![ip(1)], TIMES, now);
        cache.store("none", vec![], TIMES, now);
        let just_before = now + Duration::from_nanos(4_999_999_999);
        let later = now + Duration::from_secs(5);
        assert_eq!(cache.find("none", just_before), Some(vec![]));
        assert_eq!(cache.find("none", later), None);
        assert_eq!(cache.find("db", later), Some(vec![ip(1)]));
        assert_eq!(cache.find("db", now + TIMES.found), None);
        assert_eq!(cache.find("unknown", now), None);
    }

    #[test]
    fn an_address_has_left_only_when_another_one_came() {
        let now = start();
        let mut cache = DnsCache::default();
        assert!(!cache.has_left("db", ip(1)));
        cache.store("db", vec![ip(1), ip(2)], TIMES, now);
        assert!(!cache.has_left("db", ip(1)));
        cache.store("db", vec![], TIMES, now);
        assert!(
            !cache.has_left("db", ip(1)),
            "a failed lookup closes nothing"
        );
        cache.store("db", vec![ip(2)], TIMES, now);
        assert!(cache.has_left("db", ip(1)));
    }

    #[test]
    fn the_name_asked_for_longest_ago_is_forgotten_first() {
        let now = start();
        let mut cache = DnsCache::default();
        for number in 0..NAMES_MAX {
            cache.store(&format!("h{number}"), vec![ip(1)], TIMES, now);
        }
        assert!(cache.find("h0", now).is_some());
        cache.store("new", vec![ip(1)], TIMES, now);
        assert_eq!(cache.len(), NAMES_MAX);
        assert!(cache.find("h0", now).is_some());
        assert_eq!(cache.find("h1", now), None);
    }

    #[test]
    fn rows_show_what_is_left_of_the_time() {
        let now = start();
        let mut cache = DnsCache::default();
        cache.store("b", vec![ip(1)], TIMES, now);
        cache.store("a", vec![], TIMES, now);
        let rows = cache.rows(now + Duration::from_secs(10));
        assert_eq!(rows[0].hostname, "a");
        assert_eq!(rows[0].ttl, Duration::ZERO);
        assert_eq!(rows[1].ttl, Duration::from_secs(5));
        assert_eq!(*rows[1].addresses, [ip(1)]);
    }
}
