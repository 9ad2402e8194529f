//! Sans-IO. The server's side of SCRAM-SHA-256: pgweir checks a client.
//!
//! Users that cannot pass (unknown ones, md5 secrets, empty passwords) get an exchange of the same
//! shape and fail at its end. It runs no PBKDF2, like that of users with a verifier or with cached
//! keys; only the very first login of a user with a plain password takes longer.

use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use super::keys::{KeyRequest, ProcessKey, ScramKeys};
use super::message::{Attributes, append_encoded, check_nonce, decode_key, encoded_len};
use super::{ITERATIONS_MAX, Malformed, NONCE_RANDOM_BYTES, ScramError};
use crate::auth::key::Key32;
use crate::auth::secret::{Password, Secret, Verifier};

/// What a client's proof is checked against.
#[derive(Debug)]
enum Basis {
    /// Keys of a verifier.
    Verifier {
        stored_key: Key32,
        server_key: Key32,
    },
    /// A plain password, whose keys are still to be made.
    Plain(Password),
    /// Made-up keys: whatever the client sends, it fails.
    Nobody {
        stored_key: Key32,
        server_key: Key32,
    },
}

/// Waits for client-first.
#[derive(Debug)]
pub struct ServerStart {
    basis: Basis,
    salt: Arc<[u8]>,
    iterations: NonZeroU32,
    nonce: [u8; NONCE_RANDOM_BYTES],
}

/// Waits for client-final.
#[derive(Debug)]
pub struct AwaitClientFinal {
    basis: Basis,
    salt: Arc<[u8]>,
    iterations: NonZeroU32,
    /// client-first without its header, a comma, server-first: the beginning of what the proof is
    /// computed over.
    said: Vec<u8>,
    /// Where in `said` both nonces are, as client-final must repeat them.
    nonce: Range<usize>,
    binding: Binding,
}

/// What the client says about channel binding.
#[derive(Debug, Clone, Copy)]
enum Binding {
    /// `n`: the client cannot do it.
    No,
    /// `y`: the client could, but was not offered it.
    NotOffered,
}

impl Binding {
    /// Base64 of the header, which client-final must repeat in `c`.
    fn repeated(self) -> &'static [u8] {
        match self {
            Self::No => b"biws",
            Self::NotOffered => b"eSws",
        }
    }
}

/// Waits for the keys of the stored password; the client has sent everything.
#[derive(Debug)]
pub struct AwaitServerKeys {
    proof: Proof,
}

/// A client's proof and what it was computed over.
#[derive(Debug)]
struct Proof {
    sent: Key32,
    auth_message: Vec<u8>,
}

/// The client knows the secret.
#[derive(Debug)]
pub struct Verified {
    /// server-final, to be sent with `AuthenticationSASLFinal`.
    pub message: Vec<u8>,
    /// The user's keys, for logging in to a server with the same verifier.
    pub keys: ScramKeys,
}

/// What follows client-final.
#[derive(Debug)]
pub enum ServerOutcome {
    /// The exchange is over and the client is who it says.
    Verified(Verified),
    /// The proof can be checked when the keys of the stored password are there.
    NeedKeys {
        /// What to derive.
        request: KeyRequest,
        /// Where to go on with the keys.
        next: AwaitServerKeys,
    },
}

impl ServerStart {
    /// Prepares the exchange with `user`. `secret` is `None` for an unknown user; `iterations` is the
    /// setting `scram_iterations` (capped at [`ITERATIONS_MAX`]), used where the secret has none.
    pub fn new(
        user: &[u8],
        secret: Option<&Secret>,
        nonce: [u8; NONCE_RANDOM_BYTES],
        process: &ProcessKey,
        iterations: NonZeroU32,
    ) -> Self {
        let basis = match secret {
            Some(Secret::Scram(verifier)) => return Self::with_verifier(verifier, nonce),
            Some(Secret::Plain(password)) if !password.is_empty() => Basis::Plain(password.clone()),
            Some(Secret::Plain(_) | Secret::Md5(_)) | None => {
                let keys = process.mock_keys(user);
                Basis::Nobody {
                    stored_key: keys.stored_key(),
                    server_key: keys.server_key,
                }
            }
        };
        Self {
            basis,
            salt: process.salt(user).into(),
            iterations: iterations.min(ITERATIONS_MAX),
            nonce,
        }
    }

    fn with_verifier(verifier: &Verifier, nonce: [u8; NONCE_RANDOM_BYTES]) -> Self {
        Self {
            basis: Basis::Verifier {
                stored_key: verifier.stored_key,
                server_key: verifier.server_key,
            },
            salt: verifier.salt.clone(),
            iterations: verifier.iterations,
            nonce,
        }
    }

    /// Reads client-first; server-first is then to be sent.
    pub fn client_first(self, message: &[u8]) -> Result<AwaitClientFinal, ScramError> {
        let mut fields = Attributes::new(message)?;
        let binding = match fields.field() {
            Some(b"n") => Binding::No,
            Some(b"y") => Binding::NotOffered,
            Some([b'p', b'=', ..]) => return Err(ScramError::ChannelBinding),
            _ => return Err(Malformed::Header.into()),
        };
        match fields.field() {
            Some(b"") => {}
            Some([b'a', b'=', ..]) => return Err(ScramError::AuthorizationIdentity),
            _ => return Err(Malformed::Header.into()),
        }
        let client_first_bare = fields.rest();
        // PostgreSQL ignores this name too: the user is the one of the startup packet.
        fields.value('n')?;
        let client_nonce = check_nonce(fields.value('r')?)?;
        while !fields.at_end() {
            fields.any()?; // optional extensions, of which none is known
        }
        let nonces = client_nonce.len() + encoded_len(NONCE_RANDOM_BYTES);
        // The nonces are in server-first and in client-final, beside the salt and small things.
        let room = client_first_bare.len() + encoded_len(self.salt.len()) + 2 * nonces + 64;
        let mut said = Vec::with_capacity(room);
        said.extend_from_slice(client_first_bare);
        said.extend_from_slice(b",r=");
        let nonce = said.len()..said.len() + nonces;
        said.extend_from_slice(client_nonce);
        append_encoded(&mut said, &self.nonce);
        said.extend_from_slice(b",s=");
        append_encoded(&mut said, &self.salt);
        said.extend_from_slice(b",i=");
        said.extend_from_slice(self.iterations.to_string().as_bytes());
        Ok(AwaitClientFinal {
            basis: self.basis,
            salt: self.salt,
            iterations: self.iterations,
            said,
            nonce,
            binding,
        })
    }
}

impl AwaitClientFinal {
    /// server-first, to be sent with `AuthenticationSASLContinue`.
    pub fn server_first(&self) -> &[u8] {
        let start = self.nonce.start - b"r=".len();
        self.said.get(start..).unwrap_or_default()
    }

    /// Reads client-final and checks its proof, or asks for the keys to check it with.
    pub fn client_final(mut self, message: &[u8]) -> Result<ServerOutcome, ScramError> {
        let proof = self.read(message)?;
        match self.basis {
            Basis::Verifier {
                stored_key,
                server_key,
            } => proof
                .check(stored_key, server_key)
                .map(ServerOutcome::Verified),
            Basis::Nobody {
                stored_key,
                server_key,
            } => {
                // Same work as for a verifier; the outcome is known beforehand.
                let _verdict = proof.check(stored_key, server_key);
                Err(ScramError::WrongProof)
            }
            Basis::Plain(password) => {
                let request = KeyRequest::new(password, self.salt, self.iterations)
                    .ok_or(ScramError::TooManyIterations)?;
                let next = AwaitServerKeys { proof };
                Ok(ServerOutcome::NeedKeys { request, next })
            }
        }
    }

    fn read(&mut self, message: &[u8]) -> Result<Proof, ScramError> {
        let mut fields = Attributes::new(message)?;
        if fields.value('c')? != self.binding.repeated() {
            return Err(ScramError::BindingMismatch);
        }
        if Some(fields.value('r')?) != self.said.get(self.nonce.clone()) {
            return Err(ScramError::Nonce);
        }
        let (sent, without_proof) = loop {
            let without_proof = fields.consumed();
            match fields.any() {
                Ok(('p', value)) => break (decode_key(value, Malformed::Proof)?, without_proof),
                Ok(_) => {} // optional extension
                Err(_) => return Err(Malformed::Expected('p').into()),
            }
        };
        fields.finish()?;
        let mut auth_message = std::mem::take(&mut self.said);
        auth_message.push(b',');
        auth_message.extend_from_slice(without_proof);
        Ok(Proof { sent, auth_message })
    }
}

impl AwaitServerKeys {
    /// Checks the proof with the keys that [`KeyRequest::derive`] gave.
    pub fn keys(self, keys: &ScramKeys) -> Result<Verified, ScramError> {
        self.proof.check(keys.stored_key(), keys.server_key)
    }
}

impl Proof {
    /// Wins the client's key from its proof and compares its hash (RFC 5802, section 3).
    fn check(&self, stored_key: Key32, server_key: Key32) -> Result<Verified, ScramError> {
        let client_signature = stored_key.sign(&[&self.auth_message]);
        let client_key = self.sent.xor(&client_signature);
        if !client_key.hashed().matches(&stored_key) {
            return Err(ScramError::WrongProof);
        }
        let signature = server_key.sign(&[&self.auth_message]);
        let mut message = Vec::with_capacity(b"v=".len() + encoded_len(32));
        message.extend_from_slice(b"v=");
        append_encoded(&mut message, signature.as_bytes());
        Ok(Verified {
            message,
            keys: ScramKeys {
                client_key,
                server_key,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exchange_of_rfc_7677_is_accepted() {
        // RFC 7677, section 3: user "user", password "pencil".
        let nonce = b"rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let mut said = b"n=user,r=rOprNGfwEbeRWgbNEkqO,r=".to_vec();
        let nonce_at = said.len()..said.len() + nonce.len();
        said.extend_from_slice(nonce);
        said.extend_from_slice(b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        let exchange = AwaitClientFinal {
            basis: Basis::Plain(Password::new(b"pencil").unwrap()),
            salt: super::super::message::decode_salt(b"W22ZaJ0SNY7soEsUEjb6gQ==")
                .unwrap()
                .into(),
            iterations: NonZeroU32::new(4096).unwrap(),
            said,
            nonce: nonce_at,
            binding: Binding::No,
        };
        let client_final = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
            p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let ServerOutcome::NeedKeys { request, next } =
            exchange.client_final(client_final).unwrap()
        else {
            panic!("a plain password needs keys")
        };
        let verified = next.keys(&request.derive()).unwrap();
        let expected = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(verified.message, expected);
    }
}
