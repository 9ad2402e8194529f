//! Who is known, by which secret, and what a login has left for logging in to servers.
//!
//! Sources, in this order: `auth_file`, then what `auth_query` found. Secrets never leave but for a
//! login, and are never printed.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use hashlink::LruCache;

use crate::auth::scram::ScramKeys;
use crate::auth::secret::{Password, Secret};
use crate::auth::userlist::Userlist;
use crate::session::server_login::ServerCredential;

/// Users found by `auth_query` and keys left by logins that are kept at most, each.
const KEPT: usize = 16_384;

/// Name of a user, with the database entry it was found for (empty: all).
type Found = (Arc<str>, Arc<str>);

/// All secrets of the process.
pub struct Credentials {
    file: ArcSwap<HashMap<String, Secret, RandomState>>,
    inner: Mutex<Inner>,
}

struct Inner {
    queried: LruCache<Found, Secret>,
    keys: LruCache<Arc<str>, ScramKeys>,
    passwords: LruCache<Arc<str>, Password>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("users", &self.file.load().len())
            .finish_non_exhaustive()
    }
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            file: ArcSwap::default(),
            inner: Mutex::new(Inner {
                queried: LruCache::new(KEPT),
                keys: LruCache::new(KEPT),
                passwords: LruCache::new(KEPT),
            }),
        }
    }
}

impl Credentials {
    fn with<R>(&self, f: impl FnOnce(&mut Inner) -> R) -> R {
        f(&mut self.inner.lock().expect("nothing panics under this lock"))
    }

    /// Takes the users of an `auth_file` in place of those before.
    pub fn replace_file(&self, list: Userlist) {
        let users = list.entries.into_iter().filter_map(|entry| {
            let user = String::from_utf8(entry.user.into()).ok()?;
            Some((user, entry.secret))
        });
        self.file.store(Arc::new(users.collect()));
    }

    /// A user of `auth_file`.
    pub fn in_file(&self, user: &str) -> Option<Secret> {
        self.file.load().get(user).cloned()
    }

    /// Names in `auth_file`.
    pub fn users(&self) -> Vec<String> {
        let mut names: Vec<_> = self.file.load().keys().cloned().collect();
        names.sort();
        names
    }

    /// Remembers what `auth_query` found for a user of a database.
    pub fn queried(&self, database: &Arc<str>, user: &Arc<str>, secret: Option<Secret>) {
        let key = (Arc::clone(database), Arc::clone(user));
        self.with(|inner| match secret {
            Some(secret) => drop(inner.queried.insert(key, secret)),
            None => drop(inner.queried.remove(&key)),
        });
    }

    /// Remembers the keys of a client's SCRAM login, for pass-through.
    pub fn learned_keys(&self, user: &Arc<str>, keys: ScramKeys) {
        self.with(|inner| inner.keys.insert(Arc::clone(user), keys));
    }

    /// Remembers the password that a client sent in clear text and that was right.
    pub fn learned_password(&self, user: &Arc<str>, password: Password) {
        self.with(|inner| inner.passwords.insert(Arc::clone(user), password));
    }

    /// How the user of a pool logs in to its servers. `forced` is the password of the database entry.
    pub fn for_server(
        &self,
        database: &Arc<str>,
        user: &Arc<str>,
        forced: Option<&Secret>,
    ) -> ServerCredential {
        if let Some(secret) = forced {
            return ServerCredential::choose(Some(secret), None);
        }
        let in_file = self.in_file(user);
        self.with(|inner| {
            let queried = inner
                .queried
                .get(&(Arc::clone(database), Arc::clone(user)))
                .cloned();
            let keys = inner.keys.get(user).copied();
            match ServerCredential::choose(in_file.or(queried).as_ref(), keys.as_ref()) {
                found @ (ServerCredential::VerifierOnly | ServerCredential::Nothing) => {
                    let password = inner.passwords.get(user).cloned();
                    password.map_or(found, ServerCredential::Password)
                }
                found => found,
            }
        })
    }
}
