//! Which client a cancel request means.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use foldhash::fast::RandomState;

use super::client_facts::ClientFacts;
use crate::net::chance;
use crate::protocol::cancel_key::{ClientKey, PeerId};

/// All keys that were given to clients.
#[derive(Debug, Default)]
pub struct CancelKeys {
    keys: Mutex<HashMap<[u8; 8], Arc<ClientFacts>, RandomState>>,
}

/// A client's key; forgotten when this is dropped.
#[derive(Debug)]
pub struct KeyHolder {
    /// `None` once it is kept.
    book: Option<Arc<CancelKeys>>,
    key: ClientKey,
}

impl KeyHolder {
    /// The key.
    pub fn key(&self) -> ClientKey {
        self.key
    }

    /// The client keeps its key until [`CancelKeys::forget`].
    pub fn keep(mut self) -> ClientKey {
        self.book = None;
        self.key
    }
}

impl CancelKeys {
    /// Draws a key that no other client has. `None` when the machine gives no random bytes.
    pub fn draw(
        self: &Arc<Self>,
        client: &Arc<ClientFacts>,
        own: Option<PeerId>,
    ) -> Option<KeyHolder> {
        let mut keys = self.keys.lock().expect("nothing panics under this lock");
        loop {
            let key = ClientKey::generate(chance::draw().ok()?, own);
            if let std::collections::hash_map::Entry::Vacant(place) = keys.entry(key.bytes()) {
                place.insert(Arc::clone(client));
                drop(keys);
                return Some(KeyHolder {
                    book: Some(Arc::clone(self)),
                    key,
                });
            }
        }
    }

    /// The key was that of a client that has gone.
    pub fn forget(&self, key: ClientKey) {
        let mut keys = self.keys.lock().expect("nothing panics under this lock");
        keys.remove(&key.bytes());
    }

    /// The client with this key.
    pub fn find(&self, key: ClientKey) -> Option<Arc<ClientFacts>> {
        let keys = self.keys.lock().expect("nothing panics under this lock");
        keys.get(&key.bytes()).cloned()
    }
}

impl Drop for KeyHolder {
    fn drop(&mut self) {
        if let Some(book) = &self.book {
            book.forget(self.key);
        }
    }
}
