//! Sans-IO. Authenticates a client, from its startup packet to the proof of its password.
//!
//! ```text
//!            Trust ─────────────────────────────────► Done
//!  start ──► Plain ── password ──► (PlainKeys) ─────► Done
//!            Md5 ──── answer ───────────────────────► Done
//!            SaslFirst ─ SaslFinal ─► (SaslKeys) ───► Done
//! ```
//!
//! Not here: `AuthenticationOk`, which opens the welcome: `PgBouncer` sends errors like `no such
//! database` after the proof and before it. Invariant: only `p` messages move the machine, each state
//! is used once, and the user is fixed at the start (CVE-2026-107350 of `PgBouncer`: a second startup
//! packet during SCRAM changed it).

use std::num::NonZeroU32;

use bytes::BytesMut;

use crate::auth::scram::server::{AwaitClientFinal, AwaitServerKeys, ServerOutcome, ServerStart};
use crate::auth::scram::{
    KeyRequest, MECHANISM, MESSAGE_BYTES_MAX, NONCE_RANDOM_BYTES, ProcessKey, ScramError, ScramKeys,
};
use crate::auth::secret::PASSWORD_BYTES_MAX;
use crate::auth::{Key32, Md5Hash, Password, Secret};
use crate::protocol::reply;
use crate::protocol::{Header, Reader};

mod error;
pub use error::{Asked, Blame, ErrorCodes, LoginError};

/// Longest body of a SASL message: the SCRAM message, the mechanism's name and a length.
const SASL_BODY_MAX: usize = MESSAGE_BYTES_MAX + 64;

/// Bytes of an authentication request before what it is about: type, length, code.
const REQUEST_HEAD: usize = 9;

/// How a client proves who it is (`auth_type`, or the method of an HBA rule).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// No proof; the user must exist.
    Trust,
    /// The password in plain text (`plain`, in HBA files `password`).
    Plain,
    /// The `md5` answer; users with a SCRAM verifier are asked for SCRAM instead.
    Md5,
    /// SCRAM-SHA-256 only.
    ScramSha256,
}

/// Whether the user is known, and by what secret.
#[derive(Debug, Clone, Copy)]
pub enum UserLookup<'a> {
    /// The user exists.
    Known(&'a Secret),
    /// The user does not exist; it fails like one with another password.
    Unknown,
}

/// Random bytes for one login, never used twice.
#[derive(Debug, Clone, Copy)]
pub struct LoginChance {
    /// Salt of an md5 request.
    pub md5_salt: [u8; 4],
    /// Our part of the SCRAM nonce.
    pub nonce: [u8; NONCE_RANDOM_BYTES],
}

/// All that a login starts from.
#[derive(Debug, Clone, Copy)]
pub struct ClientLoginRequest<'a> {
    /// How the client proves itself.
    pub auth: ClientAuth,
    /// Name of the user, from the startup packet.
    pub user: &'a [u8],
    /// What is known about the user.
    pub lookup: UserLookup<'a>,
    /// Fresh random bytes.
    pub chance: LoginChance,
    /// The process's key, for salts of users without a verifier.
    pub process: &'a ProcessKey,
    /// Setting `scram_iterations`.
    pub scram_iterations: NonZeroU32,
}

/// A login that waits for the client's next message.
#[derive(Debug)]
pub struct ClientLogin {
    state: State,
}

#[derive(Debug)]
enum State {
    /// Waits for the plain password.
    Plain {
        user: Box<[u8]>,
        secret: Option<Secret>,
    },
    /// Waits for the answer to the salt; no hash for a user that cannot pass.
    Md5 {
        hash: Option<Md5Hash>,
        salt: [u8; 4],
    },
    /// Waits for `SASLInitialResponse`.
    SaslFirst(ServerStart),
    /// Waits for the second `SASLResponse`.
    SaslFinal(AwaitClientFinal),
}

/// A login that waits for keys; the client has said all it had to say.
#[derive(Debug)]
pub struct AwaitLoginKeys {
    state: KeysState,
}

#[derive(Debug)]
enum KeysState {
    /// Keys of a plain password that the client sent, to compare with a verifier.
    Plain { password: Password, stored: Key32 },
    /// Keys of the stored password, to check a proof with.
    Sasl(AwaitServerKeys),
}

/// What to do next.
#[derive(Debug)]
pub enum LoginStep {
    /// Send `bytes`, then feed the next message to `next`.
    Send {
        /// One authentication request.
        bytes: BytesMut,
        /// Waits for the answer.
        next: ClientLogin,
    },
    /// Keys are needed: from the cache, or derived away from the event loop.
    NeedKeys {
        /// What to derive.
        request: KeyRequest,
        /// Waits for the keys.
        next: AwaitLoginKeys,
    },
    /// The client is who it says.
    Done(Authenticated),
}

/// A client that proved itself.
#[derive(Debug)]
pub struct Authenticated {
    /// To be sent before anything else: `AuthenticationSASLFinal`, or nothing.
    pub bytes: BytesMut,
    /// What the proof left.
    pub proof: Proof,
}

/// What a proof leaves for logging in to servers as the same user.
#[derive(Debug)]
pub enum Proof {
    /// Nothing.
    Nothing,
    /// The password, sent in plain text.
    Password(Password),
    /// Keys for SCRAM pass-through.
    Keys(ScramKeys),
}

impl ClientLogin {
    /// Starts the conversation: the first request to send, or the outcome where none is needed.
    pub fn start(request: ClientLoginRequest<'_>) -> Result<LoginStep, LoginError> {
        let secret = match request.lookup {
            UserLookup::Known(secret) => Some(secret),
            UserLookup::Unknown => None,
        };
        match (request.auth, secret) {
            (ClientAuth::Trust, Some(_)) => Ok(done(BytesMut::new(), Proof::Nothing)),
            (ClientAuth::Trust, None) => Err(LoginError::UnknownUser),
            (ClientAuth::Plain, secret) => Ok(Self::ask_plain(request.user, secret)),
            (ClientAuth::ScramSha256, _) | (ClientAuth::Md5, Some(Secret::Scram(_))) => {
                Ok(Self::ask_sasl(&request, secret))
            }
            (ClientAuth::Md5, Some(Secret::Plain(_) | Secret::Md5(_)) | None) => {
                Ok(Self::ask_md5(&request, secret))
            }
        }
    }

    fn ask_plain(user: &[u8], secret: Option<&Secret>) -> LoginStep {
        let mut bytes = BytesMut::new();
        reply::auth_cleartext(&mut bytes);
        let state = State::Plain {
            user: user.into(),
            secret: secret.cloned(),
        };
        send(bytes, state)
    }

    fn ask_md5(request: &ClientLoginRequest<'_>, secret: Option<&Secret>) -> LoginStep {
        let salt = request.chance.md5_salt;
        let hash = match secret {
            Some(Secret::Plain(password)) if !password.is_empty() => {
                Some(Md5Hash::of(password.as_bytes(), request.user))
            }
            Some(Secret::Md5(hash)) => Some(*hash),
            Some(Secret::Plain(_) | Secret::Scram(_)) | None => None,
        };
        let mut bytes = BytesMut::new();
        reply::auth_md5(&mut bytes, salt);
        send(bytes, State::Md5 { hash, salt })
    }

    fn ask_sasl(request: &ClientLoginRequest<'_>, secret: Option<&Secret>) -> LoginStep {
        let start = ServerStart::new(
            request.user,
            secret,
            request.chance.nonce,
            request.process,
            request.scram_iterations,
        );
        let mut bytes = BytesMut::with_capacity(REQUEST_HEAD + MECHANISM.len() + 2);
        reply::auth_sasl(&mut bytes, &[MECHANISM]);
        send(bytes, State::SaslFirst(start))
    }

    /// Checks a message's header before its body is waited for: an unauthenticated client must not
    /// make us buffer more than a proof can have.
    pub fn admit(&self, header: Header) -> Result<(), LoginError> {
        self.check(header.tag, header.body_len())
    }

    fn check(&self, tag: u8, length: usize) -> Result<(), LoginError> {
        match tag {
            b'p' => {}
            // The first byte of an untyped packet is the high byte of its length.
            0 => return Err(LoginError::StartupAgain),
            tag => return Err(LoginError::Unexpected { tag }),
        }
        let (limit, asked) = match &self.state {
            State::Plain { .. } | State::Md5 { .. } => (PASSWORD_BYTES_MAX + 1, Asked::Password),
            State::SaslFirst(_) | State::SaslFinal(_) => (SASL_BODY_MAX, Asked::Sasl),
        };
        if length > limit {
            return Err(LoginError::TooLong {
                length,
                limit,
                asked,
            });
        }
        Ok(())
    }

    /// Takes the client's message: its type and its body.
    pub fn step(self, tag: u8, body: &[u8]) -> Result<LoginStep, LoginError> {
        self.check(tag, body.len())?;
        match self.state {
            State::Plain { user, secret } => plain_password(&user, secret, body),
            State::Md5 { hash, salt } => md5_answer(hash, salt, body),
            State::SaslFirst(start) => sasl_first(start, body),
            State::SaslFinal(exchange) => match exchange.client_final(body)? {
                ServerOutcome::Verified(verified) => {
                    Ok(sasl_done(&verified.message, verified.keys))
                }
                ServerOutcome::NeedKeys { request, next } => {
                    let state = KeysState::Sasl(next);
                    let next = AwaitLoginKeys { state };
                    Ok(LoginStep::NeedKeys { request, next })
                }
            },
        }
    }
}

impl AwaitLoginKeys {
    /// Goes on with the keys that were asked for.
    pub fn keys(self, keys: &ScramKeys) -> Result<LoginStep, LoginError> {
        match self.state {
            KeysState::Plain { password, stored } => {
                if !keys.stored_key().matches(&stored) {
                    return Err(LoginError::WrongPassword);
                }
                Ok(done(BytesMut::new(), Proof::Password(password)))
            }
            KeysState::Sasl(exchange) => {
                let verified = exchange.keys(keys)?;
                Ok(sasl_done(&verified.message, verified.keys))
            }
        }
    }
}

fn plain_password(
    user: &[u8],
    secret: Option<Secret>,
    body: &[u8],
) -> Result<LoginStep, LoginError> {
    let sent = password_text(body)?;
    let password = Password::new(sent).map_err(|_| LoginError::WrongPassword)?;
    let matches = match secret {
        Some(Secret::Plain(stored)) => stored.matches(&password),
        Some(Secret::Md5(hash)) => hash.matches_password(sent, user),
        Some(Secret::Scram(verifier)) => {
            let stored = verifier.stored_key;
            let request = KeyRequest::new(password.clone(), verifier.salt, verifier.iterations)
                .ok_or(ScramError::TooManyIterations)?
                .expecting(stored);
            let state = KeysState::Plain { password, stored };
            let next = AwaitLoginKeys { state };
            return Ok(LoginStep::NeedKeys { request, next });
        }
        None => false,
    };
    if !matches {
        return Err(LoginError::WrongPassword);
    }
    Ok(done(BytesMut::new(), Proof::Password(password)))
}

fn md5_answer(hash: Option<Md5Hash>, salt: [u8; 4], body: &[u8]) -> Result<LoginStep, LoginError> {
    let answer = password_text(body)?;
    // Users without a hash cost the same work; whatever comes out of it, they fail.
    let checked = hash.unwrap_or_else(|| Md5Hash::of(&salt, &salt));
    if !checked.matches_answer(answer, salt) || hash.is_none() {
        return Err(LoginError::WrongPassword);
    }
    Ok(done(BytesMut::new(), Proof::Nothing))
}

/// The string of a `PasswordMessage`.
fn password_text(body: &[u8]) -> Result<&[u8], LoginError> {
    let mut reader = Reader::new(body);
    let text = reader.cstr()?;
    reader.finish()?;
    if text.is_empty() {
        return Err(LoginError::EmptyPassword);
    }
    Ok(text)
}

fn sasl_first(start: ServerStart, body: &[u8]) -> Result<LoginStep, LoginError> {
    let mut reader = Reader::new(body);
    if reader.cstr()? != MECHANISM.as_bytes() {
        return Err(LoginError::Mechanism);
    }
    // No initial response (length -1) is read as an empty one, which SCRAM refuses.
    let message = reader.value()?.unwrap_or_default();
    reader.finish()?;
    let next = start.client_first(message)?;
    let server_first = next.server_first();
    let mut bytes = BytesMut::with_capacity(REQUEST_HEAD + server_first.len());
    reply::auth_sasl_continue(&mut bytes, server_first);
    Ok(send(bytes, State::SaslFinal(next)))
}

fn sasl_done(message: &[u8], keys: ScramKeys) -> LoginStep {
    let mut bytes = BytesMut::with_capacity(REQUEST_HEAD + message.len());
    reply::auth_sasl_final(&mut bytes, message);
    done(bytes, Proof::Keys(keys))
}

fn send(bytes: BytesMut, state: State) -> LoginStep {
    let next = ClientLogin { state };
    LoginStep::Send { bytes, next }
}

fn done(bytes: BytesMut, proof: Proof) -> LoginStep {
    LoginStep::Done(Authenticated { bytes, proof })
}

#[cfg(test)]
mod tests;
