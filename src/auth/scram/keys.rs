//! Sans-IO. Keys of a password, and a bounded memory of them.
//!
//! PBKDF2 with 4096 rounds costs more than a millisecond of CPU. Whoever needs keys gets a
//! [`KeyRequest`], asks the [`KeyCache`] first and else runs [`KeyRequest::derive`] on a thread that no
//! connection waits for.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use hashlink::LruCache;
use ring::pbkdf2;

use super::ITERATIONS_MAX;
use crate::auth::key::{Key32, SigningKey};
use crate::auth::saslprep;
use crate::auth::secret::Password;

/// The two keys of a SCRAM user: enough to log in with and to check a server with.
///
/// Made from a password, or won from a client's proof for SCRAM pass-through.
#[derive(Debug, Clone, Copy)]
pub struct ScramKeys {
    /// What the client proves to have.
    pub client_key: Key32,
    /// What the server signs with.
    pub server_key: Key32,
}

impl ScramKeys {
    /// Keys from `SaltedPassword` (RFC 5802, section 3).
    fn from_salted(salted: &Key32) -> Self {
        Self {
            client_key: salted.sign(&[b"Client Key"]),
            server_key: salted.sign(&[b"Server Key"]),
        }
    }

    /// The hash of the client key, which verifiers hold.
    pub fn stored_key(&self) -> Key32 {
        self.client_key.hashed()
    }
}

/// A request for the keys of a password. Pure CPU, and too much of it for an event loop.
#[derive(Debug, Clone)]
pub struct KeyRequest {
    password: Password,
    salt: Arc<[u8]>,
    iterations: NonZeroU32,
    /// Keys with another stored key are not worth remembering.
    expected: Option<Key32>,
}

impl KeyRequest {
    /// A request for a password from our own configuration; `None` above [`ITERATIONS_MAX`].
    pub fn new(
        password: Password,
        salt: impl Into<Arc<[u8]>>,
        iterations: NonZeroU32,
    ) -> Option<Self> {
        (iterations <= ITERATIONS_MAX).then(|| Self {
            password,
            salt: salt.into(),
            iterations,
            expected: None,
        })
    }

    /// The same for a password that a client claims to be right: the keys are remembered only if
    /// they have this stored key, so that guesses do not drive useful entries out of the cache.
    #[must_use]
    pub fn expecting(self, stored_key: Key32) -> Self {
        let expected = Some(stored_key);
        Self { expected, ..self }
    }

    /// Computes the keys. Takes milliseconds: run it where nothing else waits.
    pub fn derive(&self) -> ScramKeys {
        let mut salted = [0; 32];
        let password = saslprep::prepare(self.password.as_bytes());
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(
            algorithm,
            self.iterations,
            &self.salt,
            &password,
            &mut salted,
        );
        ScramKeys::from_salted(&Key32::new(salted))
    }
}

/// A random key of this process. From it come salts that stay the same while the process lives.
#[derive(Debug, Clone)]
pub struct ProcessKey(SigningKey);

impl ProcessKey {
    /// From 32 random bytes, drawn once at start.
    pub fn new(random: [u8; 32]) -> Self {
        Self(SigningKey::new(&Key32::new(random)))
    }

    /// The salt that is shown for a user without a verifier, known or not.
    ///
    /// Two attempts see the same salt, and a user that does not exist sees one of the same kind as a
    /// user with a plain password: the salt tells nothing. It also lets [`KeyCache`] work.
    pub(super) fn salt(&self, user: &[u8]) -> [u8; 16] {
        let [salt, _] = halves(&self.0.sign(&[b"salt\0", user]));
        salt
    }

    /// Keys for the exchange with a user that cannot log in; nobody can know a password for them.
    pub(super) fn mock_keys(&self, user: &[u8]) -> ScramKeys {
        ScramKeys::from_salted(&self.0.sign(&[b"mock\0", user]))
    }

    /// A name for a request that does not reveal the password and cannot be computed elsewhere.
    fn fingerprint(&self, request: &KeyRequest) -> [u8; 32] {
        // The salt's length comes first and the count is of one size: no two requests look alike.
        let length = request.salt.len().to_be_bytes();
        let iterations = request.iterations.get().to_be_bytes();
        let password = request.password.as_bytes();
        let parts: [&[u8]; 5] = [b"cache\0", &length, &request.salt, &iterations, password];
        *self.0.sign(&parts).as_bytes()
    }
}

fn halves(key: &Key32) -> [[u8; 16]; 2] {
    let (halves, _) = key.as_bytes().as_chunks::<16>();
    halves.try_into().expect("32 bytes have two halves")
}

/// Keys of passwords that were used lately, least recently used out first. No password is in it.
pub struct KeyCache {
    process: ProcessKey,
    entries: Mutex<LruCache<[u8; 32], ScramKeys>>,
}

impl KeyCache {
    /// An empty cache for at most `capacity` entries of about 100 bytes.
    pub fn new(process: ProcessKey, capacity: usize) -> Self {
        let entries = Mutex::new(LruCache::new(capacity));
        Self { process, entries }
    }

    /// The keys of an earlier request for the same password, salt and count.
    pub fn find(&self, request: &KeyRequest) -> Option<ScramKeys> {
        let name = self.process.fingerprint(request);
        self.with(|entries| entries.get(&name).copied())
    }

    /// Remembers the keys that a request gave.
    pub fn store(&self, request: &KeyRequest, keys: &ScramKeys) {
        let stored_key = keys.stored_key();
        if request
            .expected
            .is_some_and(|wanted| !wanted.matches(&stored_key))
        {
            return;
        }
        let name = self.process.fingerprint(request);
        self.with(|entries| entries.insert(name, *keys));
    }

    fn with<R>(&self, f: impl FnOnce(&mut LruCache<[u8; 32], ScramKeys>) -> R) -> R {
        f(&mut self.entries.lock().expect("nothing panics under this lock"))
    }
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.with(|entries| entries.len());
        write!(f, "KeyCache({length} entries)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(password: &str, salt: &[u8], iterations: u32) -> KeyRequest {
        let password = Password::new(password.as_bytes()).unwrap();
        KeyRequest::new(password, salt, NonZeroU32::new(iterations).unwrap()).unwrap()
    }

    fn cache(capacity: usize) -> KeyCache {
        KeyCache::new(ProcessKey::new([1; 32]), capacity)
    }

    #[test]
    fn requests_are_found_by_password_salt_and_count_together() {
        let cache = cache(10);
        let stored = request("pw", b"salt", 2);
        let keys = stored.derive();
        cache.store(&stored, &keys);
        let found = cache.find(&request("pw", b"salt", 2)).unwrap();
        assert!(found.client_key.matches(&keys.client_key));
        for other in [
            request("pW", b"salt", 2),
            request("pw", b"sal", 2),
            request("pw", b"salt", 3),
            request("tpw", b"sal", 2),
        ] {
            assert!(cache.find(&other).is_none());
        }
    }

    #[test]
    fn the_oldest_entry_leaves_a_full_cache() {
        let cache = cache(2);
        let requests = ["a", "b", "c"].map(|password| request(password, b"s", 1));
        for request in &requests {
            cache.store(request, &request.derive());
        }
        let found = requests
            .each_ref()
            .map(|request| cache.find(request).is_some());
        assert_eq!(found, [false, true, true]);
        assert_eq!(format!("{cache:?}"), "KeyCache(2 entries)");
    }

    #[test]
    fn wrong_guesses_are_not_remembered() {
        let cache = cache(2);
        let right = request("right", b"s", 1);
        let stored_key = right.derive().stored_key();
        for (password, kept) in [("guess", false), ("right", true)] {
            let claimed = request(password, b"s", 1).expecting(stored_key);
            cache.store(&claimed, &claimed.derive());
            assert_eq!(cache.find(&claimed).is_some(), kept, "{password}");
        }
    }

    #[test]
    fn rounds_are_limited() {
        let password = Password::new(b"x").unwrap();
        let one_more = ITERATIONS_MAX.checked_add(1).unwrap();
        assert!(KeyRequest::new(password.clone(), *b"s", one_more).is_none());
        assert!(KeyRequest::new(password, *b"s", ITERATIONS_MAX).is_some());
    }

    #[test]
    fn passwords_are_prepared_before_use() {
        let prepared = request("IX", b"s", 2).derive();
        let raw = request("I\u{ad}X", b"s", 2).derive();
        assert!(prepared.client_key.matches(&raw.client_key));
    }
}
