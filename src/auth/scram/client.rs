//! Sans-IO. The client's side of SCRAM-SHA-256: pgweir proves itself to a server.
//!
//! The server must prove itself too: a login whose last message carries no right signature fails.

use super::keys::{KeyRequest, ScramKeys};
use super::message::{Attributes, check_nonce, decode_key, decode_salt, encode};
use super::{ITERATIONS_MAX, Malformed, NONCE_RANDOM_BYTES, ScramError};
use crate::auth::key::Key32;
use crate::auth::secret::{Password, parse_iterations};

/// GS2 header of client-first: no channel binding, no other identity.
const HEADER: &str = "n,,";
/// The header in base64, as client-final repeats it.
const HEADER_REPEATED: &str = "biws";
/// Longest error word of a server that is kept.
const ERROR_WORD_MAX: usize = 64;

/// What proves the user.
#[derive(Debug, Clone)]
pub enum ClientCredential {
    /// A plain password; its keys are derived when the server's salt is known.
    Password(Password),
    /// Keys that a client's login left (SCRAM pass-through). They open a server whose verifier has
    /// the same salt and count.
    Keys(ScramKeys),
}

/// Waits for server-first.
#[derive(Debug)]
pub struct AwaitServerFirst {
    credential: ClientCredential,
    nonce: String,
}

/// Waits for the keys of the password.
#[derive(Debug)]
pub struct AwaitKeys {
    exchange: Exchange,
}

/// Waits for server-final.
#[derive(Debug)]
pub struct AwaitServerFinal {
    server_key: Key32,
    auth_message: Vec<u8>,
}

/// What was said so far, for the proof.
#[derive(Debug)]
struct Exchange {
    client_first_bare: Vec<u8>,
    server_first: Vec<u8>,
    /// client-final up to its proof.
    without_proof: Vec<u8>,
}

/// What follows server-first.
#[derive(Debug)]
pub enum ClientOutcome {
    /// client-final, to be sent.
    Send {
        /// The message.
        message: Vec<u8>,
        /// Where to go on with the answer.
        next: AwaitServerFinal,
    },
    /// Keys of the password for the server's salt are needed first.
    NeedKeys {
        /// What to derive.
        request: KeyRequest,
        /// Where to go on with the keys.
        next: AwaitKeys,
    },
}

/// Starts an exchange: gives client-first to send. The user name in it stays empty, as libpq does it;
/// the server takes the one of the startup packet.
pub fn start(
    credential: ClientCredential,
    nonce: [u8; NONCE_RANDOM_BYTES],
) -> (Vec<u8>, AwaitServerFirst) {
    let nonce = encode(&nonce);
    let message = format!("{HEADER}{}", first_bare(&nonce)).into_bytes();
    (message, AwaitServerFirst { credential, nonce })
}

fn first_bare(nonce: &str) -> String {
    format!("n=,r={nonce}")
}

impl AwaitServerFirst {
    /// Reads server-first.
    pub fn server_first(self, message: &[u8]) -> Result<ClientOutcome, ScramError> {
        let mut fields = Attributes::new(message)?;
        let nonce = check_nonce(fields.value('r')?)?;
        let ours = self.nonce.as_bytes();
        if !nonce.starts_with(ours) || nonce.len() == ours.len() {
            return Err(ScramError::Nonce);
        }
        let salt = decode_salt(fields.value('s')?)?;
        let iterations = std::str::from_utf8(fields.value('i')?)
            .ok()
            .and_then(parse_iterations)
            .ok_or(Malformed::Iterations)?;
        if iterations > ITERATIONS_MAX {
            return Err(ScramError::TooManyIterations);
        }
        fields.finish()?;
        let exchange = Exchange {
            client_first_bare: first_bare(&self.nonce).into_bytes(),
            server_first: message.to_vec(),
            without_proof: [format!("c={HEADER_REPEATED},r=").as_bytes(), nonce].concat(),
        };
        match self.credential {
            ClientCredential::Keys(keys) => {
                let (message, next) = exchange.prove(&keys);
                Ok(ClientOutcome::Send { message, next })
            }
            ClientCredential::Password(password) => {
                let request = KeyRequest::new(password, salt, iterations)
                    .ok_or(ScramError::TooManyIterations)?;
                let next = AwaitKeys { exchange };
                Ok(ClientOutcome::NeedKeys { request, next })
            }
        }
    }
}

impl AwaitKeys {
    /// Goes on with the keys that [`KeyRequest::derive`] gave.
    ///
    /// The message is client-final, to be sent.
    pub fn keys(self, keys: &ScramKeys) -> (Vec<u8>, AwaitServerFinal) {
        self.exchange.prove(keys)
    }
}

impl Exchange {
    fn prove(self, keys: &ScramKeys) -> (Vec<u8>, AwaitServerFinal) {
        let parts = [
            &self.client_first_bare,
            &self.server_first,
            &self.without_proof,
        ];
        let auth_message = parts.map(Vec::as_slice).join(&b',');
        let signature = keys.stored_key().sign(&[&auth_message]);
        let proof = encode(keys.client_key.xor(&signature).as_bytes());
        let mut message = self.without_proof;
        message.extend_from_slice(b",p=");
        message.extend_from_slice(proof.as_bytes());
        let next = AwaitServerFinal {
            server_key: keys.server_key,
            auth_message,
        };
        (message, next)
    }
}

impl AwaitServerFinal {
    /// Reads server-final and checks that the server knows the user's secret too.
    pub fn server_final(self, message: &[u8]) -> Result<(), ScramError> {
        let mut fields = Attributes::new(message)?;
        let signature = match fields.any()? {
            ('v', value) => decode_key(value, Malformed::Signature)?,
            ('e', value) => return Err(refused(value)),
            _ => return Err(Malformed::Expected('v').into()),
        };
        fields.finish()?;
        if !self
            .server_key
            .sign(&[&self.auth_message])
            .matches(&signature)
        {
            return Err(ScramError::WrongSignature);
        }
        Ok(())
    }
}

fn refused(value: &[u8]) -> ScramError {
    let word = value
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric() || **byte == b'-')
        .take(ERROR_WORD_MAX)
        .map(|&byte| char::from(byte))
        .collect();
    ScramError::Refused { word }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn the_proof_of_rfc_7677_comes_out() {
        // RFC 7677, section 3: user "user", password "pencil".
        let nonces = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let exchange = Exchange {
            client_first_bare: b"n=user,r=rOprNGfwEbeRWgbNEkqO".to_vec(),
            server_first: format!("r={nonces},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096").into_bytes(),
            without_proof: format!("c=biws,r={nonces}").into_bytes(),
        };
        let salt = decode_salt(b"W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let password = Password::new(b"pencil").unwrap();
        let request = KeyRequest::new(password, salt, NonZeroU32::new(4096).unwrap()).unwrap();
        let (message, next) = AwaitKeys { exchange }.keys(&request.derive());
        assert!(message.ends_with(b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
        let server_final = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(next.server_final(server_final), Ok(()));
    }
}
