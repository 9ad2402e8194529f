//! Looks up host names, once for all who wait for the same one, and remembers the answers.
//!
//! The resolver is the system's; it does not tell how long an answer holds, so `dns_max_ttl` counts,
//! as it does in `PgBouncer` with the same resolver.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Mutex;

use tokio::sync::watch;
use tokio::time::Instant;

pub mod cache;

use cache::{DnsCache, DnsRow, DnsTimes};

/// A lookup failed. Not to be confused with a wrong name: the resolver may be down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no address for \"{name}\": {reason}")]
pub struct LookupError {
    /// The name.
    pub name: String,
    /// What the resolver says.
    pub reason: String,
}

/// The names of all databases' hosts. Shared by all workers.
#[derive(Debug, Default)]
pub struct Dns {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    cache: DnsCache,
    /// Lookups under way. Bounded by the servers that are being opened: each waits for one.
    pending: HashMap<String, watch::Receiver<()>>,
}

/// What is to be done about a name.
enum Plan {
    /// Use these.
    Known(Vec<IpAddr>),
    /// Somebody looks it up: wait, then ask again.
    Wait(watch::Receiver<()>),
    /// Look it up; the sender wakes the others when it is dropped.
    Lead(watch::Sender<()>),
}

impl Dns {
    /// The addresses of a name, at least one, starting with the next one in turn.
    ///
    /// The caller bounds the time. Cancel-safe: if the one that looks the name up goes away, another
    /// one that waits does it.
    pub async fn resolve(&self, name: &str, times: DnsTimes) -> Result<Vec<IpAddr>, LookupError> {
        self.resolve_by(name, times, || look_up(name)).await
    }

    async fn resolve_by<F>(
        &self,
        name: &str,
        times: DnsTimes,
        look_up: impl Fn() -> F,
    ) -> Result<Vec<IpAddr>, LookupError>
    where
        F: Future<Output = io::Result<Vec<IpAddr>>>,
    {
        let failed = |reason: String| LookupError {
            name: name.to_owned(),
            reason,
        };
        loop {
            let addresses = match self.plan(name) {
                Plan::Known(addresses) => addresses,
                Plan::Wait(mut done) => {
                    // Nothing is ever sent: it ends when the sender is dropped.
                    drop(done.changed().await);
                    continue;
                }
                Plan::Lead(_wakes_the_others) => {
                    let answer = look_up().await;
                    let found = answer.as_ref().map_or_else(|_| Vec::new(), Clone::clone);
                    let now = Instant::now().into_std();
                    let turn = self.with(|state| {
                        state.pending.remove(name);
                        state.cache.store(name, found, times, now)
                    });
                    answer.map_err(|error| failed(error.to_string()))?;
                    turn
                }
            };
            if addresses.is_empty() {
                return Err(failed("the name has no address".to_owned()));
            }
            return Ok(addresses);
        }
    }

    fn plan(&self, name: &str) -> Plan {
        let now = Instant::now().into_std();
        self.with(|state| {
            if let Some(addresses) = state.cache.find(name, now) {
                return Plan::Known(addresses);
            }
            if let Some(done) = state.pending.get(name)
                && done.has_changed().is_ok()
            {
                return Plan::Wait(done.clone());
            }
            let (wake, done) = watch::channel(());
            state.pending.insert(name.to_owned(), done);
            Plan::Lead(wake)
        })
    }

    /// Whether a name's newest answer lacks an address that it once had: servers that are connected
    /// to it are to be closed when they are released.
    pub fn has_left(&self, name: &str, address: IpAddr) -> bool {
        self.with(|state| state.cache.has_left(name, address))
    }

    /// For `SHOW DNS_HOSTS`, by name.
    pub fn rows(&self) -> Vec<DnsRow> {
        let now = Instant::now().into_std();
        self.with(|state| state.cache.rows(now))
    }

    /// Names remembered and lookups under way, for `SHOW LISTS`.
    pub fn counts(&self) -> (usize, usize) {
        self.with(|state| {
            let alive = |done: &&watch::Receiver<()>| done.has_changed().is_ok();
            (
                state.cache.len(),
                state.pending.values().filter(alive).count(),
            )
        })
    }

    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.state.lock().expect("nothing panics under this lock"))
    }
}

/// The resolver works in a thread of its own and returns `address:port`; the port is not used.
async fn look_up(name: &str) -> io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((name, 0)).await?;
    Ok(found.map(|address| address.ip()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::time::Duration;
    use tokio::sync::Notify;

    const TIMES: DnsTimes = DnsTimes {
        found: Duration::from_secs(15),
        missing: Duration::from_secs(5),
    };

    fn one() -> Vec<IpAddr> {
        vec![IpAddr::from([10, 0, 0, 1])]
    }

    #[tokio::test(start_paused = true)]
    async fn one_lookup_serves_all_who_wait_and_those_after() {
        let (dns, asked, go) = (Dns::default(), Cell::new(0), Notify::new());
        let resolve = || {
            dns.resolve_by("db", TIMES, || async {
                asked.set(asked.get() + 1);
                go.notified().await;
                Ok(one())
            })
        };
        let (a, b, c, ()) = tokio::join!(resolve(), resolve(), resolve(), async {
            assert_eq!(dns.counts(), (0, 1));
            go.notify_one();
        });
        assert_eq!((a, b, c), (Ok(one()), Ok(one()), Ok(one())));
        assert_eq!(resolve().await, Ok(one()));
        assert_eq!(asked.get(), 1);
        assert_eq!(dns.counts(), (1, 0));
        tokio::time::advance(TIMES.found).await;
        go.notify_one();
        assert_eq!(resolve().await, Ok(one()));
        assert_eq!(asked.get(), 2, "what has expired is looked up again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_remembered_for_its_own_time() {
        let (dns, asked) = (Dns::default(), Cell::new(0));
        let resolve = || {
            dns.resolve_by("db", TIMES, || async {
                asked.set(asked.get() + 1);
                Err(io::Error::other("no such host"))
            })
        };
        assert!(resolve().await.unwrap_err().reason.contains("no such host"));
        assert!(resolve().await.is_err());
        assert_eq!(asked.get(), 1);
        tokio::time::advance(TIMES.missing).await;
        assert!(resolve().await.is_err());
        assert_eq!(asked.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_that_is_given_up_is_taken_over() {
        let dns = Dns::default();
        let hopeless = dns.resolve_by("db", TIMES, std::future::pending);
        let impatient = tokio::time::timeout(Duration::from_secs(1), hopeless);
        let (first, second) = tokio::join!(impatient, async {
            assert_eq!(dns.counts(), (0, 1));
            dns.resolve_by("db", TIMES, || async { Ok(one()) }).await
        });
        assert!(first.is_err());
        assert_eq!(second, Ok(one()));
    }

    #[tokio::test]
    async fn the_system_knows_localhost() {
        let dns = Dns::default();
        let found = dns.resolve("localhost", TIMES).await.unwrap();
        assert!(found.iter().all(IpAddr::is_loopback));
        assert_eq!(dns.rows()[0].hostname, "localhost");
    }
}
