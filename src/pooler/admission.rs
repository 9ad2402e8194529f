//! How many clients there are, and whether one more may come.
//!
//! Counted before the password is checked, as in `PgBouncer`: a limit that only counted the known
//! would not hold back a flood. Invariant: every ticket that was given comes back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use foldhash::fast::RandomState;
use tokio::sync::Notify;

/// Numbers of clients by a name.
type Clients = HashMap<Arc<str>, usize, RandomState>;

/// Limits that apply to one client; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// `max_client_conn`.
    pub total: usize,
    /// `max_db_client_connections`.
    pub database: Option<usize>,
    /// `max_user_client_connections`.
    pub user: Option<usize>,
}

/// Which limit is full. `Display` is the text of the client's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// `max_client_conn`
    #[error("no more connections allowed (max_client_conn)")]
    Total,
    /// `max_db_client_connections`
    #[error("client connections exceeded (max_db_client_connections)")]
    Database,
    /// `max_user_client_connections`
    #[error("client connections exceeded (max_user_client_connections)")]
    User,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    databases: Clients,
    users: Clients,
}

#[derive(Debug, Default)]
struct Book {
    counts: Mutex<Counts>,
    /// The last client has left.
    empty: Notify,
}

/// The counters of all clients but those of the console.
#[derive(Debug, Default, Clone)]
pub struct Admission {
    book: Arc<Book>,
}

/// A place that one client takes until this is dropped.
#[derive(Debug)]
pub struct Place {
    /// `None` once it is kept.
    admission: Option<Admission>,
    database: Arc<str>,
    user: Arc<str>,
}

impl Admission {
    fn with<R>(&self, f: impl FnOnce(&mut Counts) -> R) -> R {
        f(&mut self
            .book
            .counts
            .lock()
            .expect("nothing panics under this lock"))
    }

    /// Takes a place, or says which limit is full.
    pub fn enter(&self, database: &Arc<str>, user: &Arc<str>, caps: Caps) -> Result<Place, Full> {
        self.with(|counts| {
            if counts.total >= caps.total {
                return Err(Full::Total);
            }
            let of = |map: &Clients, name| map.get(name).copied().unwrap_or(0);
            if caps
                .database
                .is_some_and(|cap| of(&counts.databases, database) >= cap)
            {
                return Err(Full::Database);
            }
            if caps.user.is_some_and(|cap| of(&counts.users, user) >= cap) {
                return Err(Full::User);
            }
            counts.total += 1;
            *counts.databases.entry(Arc::clone(database)).or_default() += 1;
            *counts.users.entry(Arc::clone(user)).or_default() += 1;
            Ok(())
        })?;
        Ok(Place {
            admission: Some(self.clone()),
            database: Arc::clone(database),
            user: Arc::clone(user),
        })
    }

    /// Gives a place back that was kept.
    pub fn leave(&self, database: &Arc<str>, user: &Arc<str>) {
        let left = self.with(|counts| {
            counts.total -= 1;
            leave(&mut counts.databases, database);
            leave(&mut counts.users, user);
            counts.total
        });
        if left == 0 {
            self.book.empty.notify_waiters();
        }
    }

    /// Clients now.
    pub fn total(&self) -> usize {
        self.with(|counts| counts.total)
    }

    /// Waits until there is no client. Cancel-safe.
    pub async fn emptied(&self) {
        loop {
            let mut empty = std::pin::pin!(self.book.empty.notified());
            // Enlisted before looking: what happens in between is not missed.
            empty.as_mut().enable();
            if self.total() == 0 {
                return;
            }
            empty.await;
        }
    }

    /// Clients of a database.
    pub fn of_database(&self, name: &str) -> usize {
        self.with(|counts| counts.databases.get(name).copied().unwrap_or(0))
    }

    /// Clients of a user.
    pub fn of_user(&self, name: &str) -> usize {
        self.with(|counts| counts.users.get(name).copied().unwrap_or(0))
    }
}

fn leave(map: &mut Clients, name: &Arc<str>) {
    if let Some(count) = map.get_mut(name) {
        *count -= 1;
        if *count == 0 {
            map.remove(name);
        }
    }
}

impl Place {
    /// The place stays taken until [`Admission::leave`].
    pub fn keep(mut self) {
        self.admission = None;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(admission) = &self.admission {
            admission.leave(&self.database, &self.user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_named_and_places_come_back() {
        let admission = Admission::default();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let caps = Caps {
            total: 3,
            database: Some(2),
            user: Some(1),
        };
        let first = admission.enter(&a, &a, caps).unwrap();
        assert_eq!(admission.enter(&a, &a, caps).unwrap_err(), Full::User);
        let second = admission.enter(&a, &b, caps).unwrap();
        assert_eq!(
            admission.enter(&a, &"c".into(), caps).unwrap_err(),
            Full::Database
        );
        let third = admission.enter(&b, &"c".into(), caps).unwrap();
        assert_eq!(
            admission.enter(&b, &"d".into(), caps).unwrap_err(),
            Full::Total
        );
        drop(first);
        assert_eq!(admission.total(), 2);
        drop((second, third));
        assert_eq!(admission.total(), 0);
        assert_eq!(admission.of_database("a"), 0);
    }

    #[tokio::test]
    async fn whoever_waits_is_told_when_the_last_client_has_left() {
        let admission = Admission::default();
        admission.emptied().await;
        let caps = Caps {
            total: 2,
            database: None,
            user: None,
        };
        let name: Arc<str> = "a".into();
        let first = admission.enter(&name, &name, caps).unwrap();
        let second = admission.enter(&name, &name, caps).unwrap();
        let mut emptied = std::pin::pin!(admission.emptied());
        for place in [first, second] {
            assert!(futures_pending(emptied.as_mut()));
            drop(place);
        }
        emptied.await;
    }

    fn futures_pending(future: std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        future.poll(&mut context).is_pending()
    }
}
