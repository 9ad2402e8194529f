//! What the clients of one pool share besides its connections.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use foldhash::fast::RandomState;

use super::terms::Terms;
use crate::pool::PoolKey;
use crate::server::connect::HostTurn;
use crate::server::open::{Reported, settable};
use crate::session::params::ParamSet;
use crate::session::prepared::Registry;
use crate::telemetry::stats::PoolStats;

/// What a server of the pool reported at its login: the greeting of every client of the pool.
#[derive(Debug)]
pub struct Welcome {
    /// All parameters, as the server sent them.
    pub reported: Reported,
    /// Those of them that follow the client.
    pub params: Arc<ParamSet>,
    /// The greeting that was written last: most clients of a pool hear the same.
    said: Mutex<Option<Said>>,
    /// What a client had set itself that came last, and its parameters: most come with the same.
    worn: Mutex<Option<(Own, Arc<ParamSet>)>>,
}

/// Parameters that a client has set itself.
pub type Own = Vec<(String, String)>;

/// What two clients have in common that hear the same parameters.
pub type Likeness<'a> = (&'a Arc<ParamSet>, &'a Arc<Terms>);

#[derive(Debug)]
struct Said {
    params: Arc<ParamSet>,
    terms: Arc<Terms>,
    words: Bytes,
}

impl Welcome {
    /// From the parameters of a login.
    pub fn new(reported: Reported) -> Self {
        let params = Arc::new(settable(&reported));
        Self {
            reported,
            params,
            said: Mutex::default(),
            worn: Mutex::default(),
        }
    }

    /// The parameters of a client that has set these; `make` finds them for the first of its kind.
    pub fn with_own(&self, own: Own, make: impl FnOnce(&Own) -> Arc<ParamSet>) -> Arc<ParamSet> {
        let mut worn = self.worn.lock().expect("nothing panics under this lock");
        if let Some((_, params)) = worn.as_ref().filter(|(last, _)| *last == own) {
            return Arc::clone(params);
        }
        let params = make(&own);
        *worn = Some((own, Arc::clone(&params)));
        params
    }

    /// What clients that are alike hear; `write` writes it for the first of them.
    pub fn words(&self, (params, terms): Likeness<'_>, write: impl FnOnce() -> Bytes) -> Bytes {
        let mut said = self.said.lock().expect("nothing panics under this lock");
        let alike =
            |said: &&Said| Arc::ptr_eq(&said.params, params) && Arc::ptr_eq(&said.terms, terms);
        if let Some(said) = said.as_ref().filter(alike) {
            return said.words.clone();
        }
        let words = write();
        *said = Some(Said {
            params: Arc::clone(params),
            terms: Arc::clone(terms),
            words: words.clone(),
        });
        words
    }
}

/// One pool's shared things.
#[derive(Debug)]
pub struct Room {
    /// Which pool.
    pub key: PoolKey,
    /// Prepared statements.
    pub statements: Arc<Registry>,
    /// Counters.
    pub stats: Arc<PoolStats>,
    welcome: Mutex<Option<Arc<Welcome>>>,
    /// The terms of whoever logged in last, with its name.
    terms: Mutex<Option<(Arc<str>, Arc<Terms>)>>,
    turn: Mutex<HostTurn>,
}

impl Room {
    /// A pool that has seen no server yet. Its statements are numbered by `numbers`.
    fn new(key: PoolKey, stats: Arc<PoolStats>, numbers: &Arc<AtomicU64>) -> Self {
        Self {
            key,
            statements: Arc::new(Registry::numbered(Arc::clone(numbers))),
            stats,
            welcome: Mutex::default(),
            terms: Mutex::default(),
            turn: Mutex::default(),
        }
    }

    /// The greeting, once a server has logged in.
    pub fn welcome(&self) -> Option<Arc<Welcome>> {
        self.welcome
            .lock()
            .expect("nothing panics under this lock")
            .clone()
    }

    /// The terms of a client under this configuration; `find` looks them up for the first of its name.
    pub fn terms(
        &self,
        login: &Arc<str>,
        generation: u64,
        find: impl FnOnce() -> Arc<Terms>,
    ) -> Arc<Terms> {
        let mut kept = self.terms.lock().expect("nothing panics under this lock");
        let same = |(name, terms): &&(Arc<str>, Arc<Terms>)| {
            terms.generation == generation && name == login
        };
        if let Some((_, terms)) = kept.as_ref().filter(same) {
            return Arc::clone(terms);
        }
        let terms = find();
        *kept = Some((Arc::clone(login), Arc::clone(&terms)));
        terms
    }

    /// A server has logged in: its greeting stands where there is none yet.
    pub fn offer_welcome(&self, reported: Reported) {
        let mut welcome = self.welcome.lock().expect("nothing panics under this lock");
        welcome.get_or_insert_with(|| Arc::new(Welcome::new(reported)));
    }

    /// The next server may report other values (RECONNECT, changed entry).
    pub fn forget_welcome(&self) {
        *self.welcome.lock().expect("nothing panics under this lock") = None;
    }

    /// Does something with the place in the host list.
    pub fn with_turn<R>(&self, f: impl FnOnce(&mut HostTurn) -> R) -> R {
        f(&mut self.turn.lock().expect("nothing panics under this lock"))
    }
}

/// All rooms.
///
/// Statements have numbers of their own in the whole process: a pool may be made again under its old
/// key while clients still sit in the old room, and then servers meet statements of both.
#[derive(Debug, Default)]
pub struct Rooms {
    rooms: Mutex<HashMap<PoolKey, Arc<Room>, RandomState>>,
    statement_numbers: Arc<AtomicU64>,
}

impl Rooms {
    /// The room of a pool, made where it is missing.
    pub fn enter(&self, key: &PoolKey, stats: impl FnOnce() -> Arc<PoolStats>) -> Arc<Room> {
        let mut rooms = self.rooms.lock().expect("nothing panics under this lock");
        if let Some(room) = rooms.get(key) {
            return Arc::clone(room);
        }
        let make = || Arc::new(Room::new(key.clone(), stats(), &self.statement_numbers));
        Arc::clone(rooms.entry(key.clone()).or_insert_with(make))
    }

    /// The room of a pool, if there is one.
    pub fn find(&self, key: &PoolKey) -> Option<Arc<Room>> {
        self.rooms
            .lock()
            .expect("nothing panics under this lock")
            .get(key)
            .cloned()
    }

    /// A pool was removed.
    pub fn remove(&self, key: &PoolKey) {
        self.rooms
            .lock()
            .expect("nothing panics under this lock")
            .remove(key);
    }

    /// All of them, in no order.
    pub fn all(&self) -> Vec<Arc<Room>> {
        let rooms = self.rooms.lock().expect("nothing panics under this lock");
        rooms.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::model::DatabaseSpec;

    #[test]
    fn a_room_made_again_never_gives_a_statement_the_number_of_another() {
        let rooms = Rooms::default();
        let key = PoolKey::new("a", "u");
        let stats = || Arc::new(PoolStats::new(1));
        let old = rooms.enter(&key, stats);
        let before = old.statements.intern(b"one");
        rooms.remove(&key);
        let new = rooms.enter(&key, stats);
        let after = new.statements.intern(b"two");
        assert_ne!(before.id(), after.id());
        assert_ne!(before.name(), after.name());
    }
    fn room() -> Room {
        let key = PoolKey::new("a", "u");
        Room::new(key, Arc::new(PoolStats::new(1)), &Arc::default())
    }

    #[test]
    fn terms_are_looked_up_for_each_name_and_each_configuration() {
        let (room, config) = (
            room(),
            Config {
                autodb: Some(DatabaseSpec::default()),
                ..Config::default()
            },
        );
        let entry = config.database("a").expect("every database is known");
        let asked = |name: &str, generation| {
            let mut is_new = false;
            let terms = room.terms(&name.into(), generation, || {
                is_new = true;
                Arc::new(Terms::of(&config, generation, &entry, (name, "u")))
            });
            assert_eq!(terms.generation, generation);
            is_new
        };
        let answers = [("one", 0), ("one", 0), ("two", 0), ("two", 1), ("two", 1)];
        let answers = answers.map(|(name, generation)| asked(name, generation));
        assert_eq!(answers, [true, false, true, true, false]);
    }

    #[test]
    fn only_clients_that_have_set_the_same_share_their_parameters() {
        let welcome = Welcome::new(Reported::default());
        let asked = |value: &str| {
            let own = vec![("application_name".to_owned(), value.to_owned())];
            welcome.with_own(own, |own| {
                let mut params = ParamSet::new();
                for (name, value) in own {
                    params.set(name, value);
                }
                Arc::new(params)
            })
        };
        let (first, second, third) = (asked("a"), asked("a"), asked("b"));
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(third.value("application_name"), Some("b"));
    }
}
