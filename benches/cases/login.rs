//! Logins of a client by SCRAM-SHA-256, when its keys are known.

use std::num::NonZeroU32;

use bytes::{BufMut, BytesMut};
use pgweir::auth::scram::client::{ClientCredential, ClientOutcome, start};
use pgweir::auth::scram::{KeyCache, KeyRequest, MECHANISM, ProcessKey};
use pgweir::auth::{Password, Secret, Verifier};
use pgweir::session::client_login::{
    ClientAuth, ClientLogin, ClientLoginRequest, LoginChance, LoginStep, UserLookup,
};

use crate::meter::Meter;

const SALT: &[u8] = b"0123456789abcdef";
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("not zero");
/// `R`, its length and its code stand before the SCRAM message.
const REQUEST_HEAD: usize = 9;

fn password() -> Password {
    Password::new(b"secret").expect("short")
}

/// The server's side with what it needs, and a client's messages to it.
struct Exchange {
    secret: Secret,
    process: ProcessKey,
    cache: KeyCache,
    messages: [BytesMut; 2],
}

impl Exchange {
    fn new(secret: Secret) -> Self {
        let process = ProcessKey::new([1; 32]);
        let cache = KeyCache::new(process.clone(), 16);
        let messages = [BytesMut::new(), BytesMut::new()];
        let mut exchange = Self {
            secret,
            process,
            cache,
            messages,
        };
        exchange.rehearse();
        exchange
    }

    fn begin(&self) -> ClientLogin {
        let step = ClientLogin::start(ClientLoginRequest {
            auth: ClientAuth::ScramSha256,
            user: b"user",
            lookup: UserLookup::Known(&self.secret),
            chance: LoginChance {
                md5_salt: [0; 4],
                nonce: [2; 18],
            },
            process: &self.process,
            scram_iterations: ITERATIONS,
        });
        match step {
            Ok(LoginStep::Send { next, .. }) => next,
            other => unreachable!("a request expected, not {other:?}"),
        }
    }

    /// Plays the client once. Our nonce is always the same here, so its messages are too.
    fn rehearse(&mut self) {
        let (message, client) = start(ClientCredential::Password(password()), [3; 18]);
        let mut first = BytesMut::from(MECHANISM);
        first.put_u8(0);
        first.put_u32(u32::try_from(message.len()).expect("short"));
        first.put_slice(&message);
        let Ok(LoginStep::Send { bytes, .. }) = self.begin().step(b'p', &first) else {
            unreachable!("the first message is right")
        };
        let outcome = client.server_first(bytes.get(REQUEST_HEAD..).unwrap_or_default());
        let Ok(ClientOutcome::NeedKeys { request, next }) = outcome else {
            unreachable!("a password needs keys")
        };
        let (last, _) = next.keys(&request.derive());
        self.messages = [first, BytesMut::from(&last[..])];
    }

    fn login(&self) {
        let [first, last] = &self.messages;
        let Ok(LoginStep::Send { next, .. }) = self.begin().step(b'p', first) else {
            unreachable!("the first message is right")
        };
        let step = match next.step(b'p', last) {
            Ok(LoginStep::NeedKeys { request, next }) => {
                let keys = self.cache.find(&request).unwrap_or_else(|| {
                    let keys = request.derive();
                    self.cache.store(&request, &keys);
                    keys
                });
                next.keys(&keys)
            }
            other => other,
        };
        assert!(matches!(step, Ok(LoginStep::Done(_))), "the proof is right");
    }
}

/// The keys that a server asks its password for.
pub fn key_request() -> KeyRequest {
    KeyRequest::new(password(), SALT, ITERATIONS).expect("not too many rounds")
}

/// Measures every case.
pub fn all(measure: &mut Meter<'_>) {
    let keys = key_request().derive();
    let verifier = Secret::Scram(Verifier {
        iterations: ITERATIONS,
        salt: SALT.into(),
        stored_key: keys.stored_key(),
        server_key: keys.server_key,
    });
    let exchange = Exchange::new(verifier);
    measure("with a stored verifier", 0, &mut || exchange.login());
    let exchange = Exchange::new(Secret::Plain(password()));
    measure("with a stored password, keys cached", 0, &mut || {
        exchange.login();
    });
}
