//! Sans-IO. Logs in to a `PostgreSQL` server, from the startup packet to `ReadyForQuery`.
//!
//! ```text
//! start ─► Authenticating ─┬─ Ok ───────────────────────────────► Welcome ─ Z ─► Done
//!                          ├─ Cleartext, MD5 ─► AwaitOk ── Ok ──────▲
//!                          └─ SASL ─► ScramFirst ─(keys)─► ScramFinal ─► AwaitOk
//! ```
//!
//! Not here: TLS, timeouts (the caller's) and reading frames (`server::login`). Invariants: a server
//! that was asked for SCRAM must prove itself before its `AuthenticationOk` counts; everything it
//! makes us keep is bounded; any frame out of order ends the login.

use std::fmt;

use bytes::BytesMut;

use crate::auth::scram::client::{
    AwaitKeys, AwaitServerFinal, AwaitServerFirst, ClientCredential, ClientOutcome, start,
};
use crate::auth::scram::{KeyRequest, MECHANISM, NONCE_RANDOM_BYTES, ScramKeys};
use crate::auth::{Md5Hash, Password, Secret};
use crate::protocol::{ReadError, Reader, TransactionStatus};

mod collected;
mod error;
mod message;

use collected::Collected;
pub use collected::{BackendKey, LoggedIn, Parameter, Refusal};
pub use error::ServerLoginError;
pub use message::STARTUP_BYTES_MAX;
use message::{password_message, sasl_initial, startup_packet};

/// Most frames of a login: parameters, notices and the rest together.
pub const FRAMES_MAX: usize = 1000;

/// What pgweir can prove itself to a server with.
#[derive(Debug, Clone)]
pub enum ServerCredential {
    /// Nothing is known: only a server that asks for nothing can be used.
    Nothing,
    /// A plain password: good for every method.
    Password(Password),
    /// An md5 hash: good for md5 only.
    Md5(Md5Hash),
    /// Keys of a client's SCRAM login: good for SCRAM only.
    Keys(ScramKeys),
    /// A SCRAM verifier without keys: it only checks, and opens nothing.
    VerifierOnly,
}

impl ServerCredential {
    /// From the stored secret and the keys that the client's login left. The keys count only beside
    /// the SCRAM verifier that the client was checked with.
    pub fn choose(secret: Option<&Secret>, keys: Option<&ScramKeys>) -> Self {
        match (secret, keys) {
            (None, _) => Self::Nothing,
            (Some(Secret::Plain(password)), _) => Self::Password(password.clone()),
            (Some(Secret::Md5(hash)), _) => Self::Md5(*hash),
            (Some(Secret::Scram(verifier)), Some(keys))
                if keys.stored_key().matches(&verifier.stored_key) =>
            {
                Self::Keys(*keys)
            }
            (Some(Secret::Scram(_)), _) => Self::VerifierOnly,
        }
    }
}

/// All that a login starts from.
#[derive(Debug, Clone)]
pub struct ServerLoginRequest {
    /// Name of the user.
    pub user: Box<[u8]>,
    /// Name of the database on the server.
    pub database: Box<[u8]>,
    /// Further startup parameters in their order: `application_name`, `client_encoding`,
    /// `replication`, `options` and so on.
    pub parameters: Vec<Parameter>,
    /// What proves the user.
    pub credential: ServerCredential,
}

/// A login that waits for the server's next frame.
#[derive(Debug)]
pub struct ServerLogin {
    user: Box<[u8]>,
    nonce: [u8; NONCE_RANDOM_BYTES],
    phase: Phase,
    collected: Collected,
    frames: usize,
}

#[derive(Debug)]
enum Phase {
    /// Nothing has been asked for yet.
    Authenticating(ServerCredential),
    /// client-first is sent.
    ScramFirst(AwaitServerFirst),
    /// client-final is sent.
    ScramFinal(AwaitServerFinal),
    /// All proofs are given; the server's verdict is due.
    AwaitOk,
    /// Logged in; the server introduces itself.
    Welcome,
}

/// A login that waits for the keys of its password.
#[derive(Debug)]
pub struct AwaitServerLoginKeys {
    /// The login, whose phase is set when the keys come.
    login: ServerLogin,
    exchange: AwaitKeys,
}

/// What to do next.
pub enum ServerLoginStep {
    /// Feed the next frame to this.
    Continue(ServerLogin),
    /// Send `bytes`, then feed the next frame to `next`.
    Send {
        /// Startup packet or proof: a secret.
        bytes: BytesMut,
        /// Waits for the answer.
        next: ServerLogin,
    },
    /// Keys are needed: from the cache, or derived away from the event loop.
    NeedKeys {
        /// What to derive.
        request: KeyRequest,
        /// Waits for the keys.
        next: AwaitServerLoginKeys,
    },
    /// `ReadyForQuery` has come.
    Done(LoggedIn),
}

impl fmt::Debug for ServerLoginStep {
    /// Without the bytes: a password may be among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Continue(_) => "Continue",
            Self::Send { .. } => "Send",
            Self::NeedKeys { .. } => "NeedKeys",
            Self::Done(_) => "Done",
        })
    }
}

impl ServerLogin {
    /// Starts the conversation with the startup packet.
    pub fn start(
        request: ServerLoginRequest,
        nonce: [u8; NONCE_RANDOM_BYTES],
    ) -> Result<ServerLoginStep, ServerLoginError> {
        let bytes = startup_packet(&request)?;
        let next = Self {
            user: request.user,
            nonce,
            phase: Phase::Authenticating(request.credential),
            collected: Collected::default(),
            frames: 0,
        };
        Ok(ServerLoginStep::Send { bytes, next })
    }

    /// Takes one frame: its type and its body.
    pub fn step(mut self, tag: u8, body: &[u8]) -> Result<ServerLoginStep, ServerLoginError> {
        self.frames += 1;
        if self.frames > FRAMES_MAX {
            let (what, limit) = ("frames", FRAMES_MAX);
            return Err(ServerLoginError::TooMuch { what, limit });
        }
        match (tag, &self.phase) {
            (b'E', _) => Err(ServerLoginError::Refused(Refusal::read(body))),
            (b'N', _) => Ok(ServerLoginStep::Continue(self)),
            (b'R', _) => self.authentication(body),
            (b'v', Phase::Authenticating(_)) => {
                check_negotiation(body).map_err(malformed(tag))?;
                Ok(ServerLoginStep::Continue(self))
            }
            (b'S', Phase::Welcome) => {
                self.collected.parameter(body)?;
                Ok(ServerLoginStep::Continue(self))
            }
            (b'K', Phase::Welcome) => {
                self.collected.backend_key(body)?;
                Ok(ServerLoginStep::Continue(self))
            }
            (b'Z', Phase::Welcome) => {
                let status = ready_status(body)?;
                Ok(ServerLoginStep::Done(self.collected.finish(status)))
            }
            (tag, _) => Err(ServerLoginError::OutOfOrder { tag }),
        }
    }

    fn authentication(self, body: &[u8]) -> Result<ServerLoginStep, ServerLoginError> {
        let mut reader = Reader::new(body);
        let code = reader.u32().map_err(malformed(b'R'))?;
        let data = reader.rest();
        let Self {
            user,
            nonce,
            phase,
            collected,
            frames,
        } = self;
        let in_phase = |phase| Self {
            user: user.clone(),
            nonce,
            phase,
            collected,
            frames,
        };
        match (code, phase) {
            (0, Phase::Authenticating(_) | Phase::AwaitOk) => {
                nothing_left(data)?;
                Ok(ServerLoginStep::Continue(in_phase(Phase::Welcome)))
            }
            (11, Phase::ScramFirst(exchange)) => match exchange.server_first(data)? {
                ClientOutcome::Send { message, next } => {
                    let next = in_phase(Phase::ScramFinal(next));
                    Ok(send(password_message(&message), next))
                }
                ClientOutcome::NeedKeys { request, next } => {
                    let (login, exchange) = (in_phase(Phase::AwaitOk), next);
                    let next = AwaitServerLoginKeys { login, exchange };
                    Ok(ServerLoginStep::NeedKeys { request, next })
                }
            },
            (12, Phase::ScramFinal(exchange)) => {
                exchange.server_final(data)?;
                Ok(ServerLoginStep::Continue(in_phase(Phase::AwaitOk)))
            }
            (_, Phase::Authenticating(credential)) => {
                let (bytes, phase) = answer(code, data, credential, &user, nonce)?;
                Ok(send(bytes, in_phase(phase)))
            }
            (_, _) => Err(ServerLoginError::OutOfOrder { tag: b'R' }),
        }
    }
}

impl AwaitServerLoginKeys {
    /// Goes on with the keys that were asked for.
    pub fn keys(self, keys: &ScramKeys) -> ServerLoginStep {
        let (message, exchange) = self.exchange.keys(keys);
        let phase = Phase::ScramFinal(exchange);
        let next = ServerLogin {
            phase,
            ..self.login
        };
        send(password_message(&message), next)
    }
}

/// The answer to a server's request, and what is to come after it.
fn answer(
    code: u32,
    data: &[u8],
    credential: ServerCredential,
    user: &[u8],
    nonce: [u8; NONCE_RANDOM_BYTES],
) -> Result<(BytesMut, Phase), ServerLoginError> {
    use ServerCredential as Have;
    match code {
        3 => {
            nothing_left(data)?;
            match credential {
                Have::Password(password) => {
                    let text = [password.as_bytes(), b"\0"].concat();
                    Ok((password_message(&text), Phase::AwaitOk))
                }
                Have::Nothing | Have::Md5(_) | Have::Keys(_) | Have::VerifierOnly => {
                    Err(ServerLoginError::WrongSecretType)
                }
            }
        }
        5 => {
            let hash = match credential {
                Have::Password(password) => Md5Hash::of(password.as_bytes(), user),
                Have::Md5(hash) => hash,
                Have::Nothing | Have::Keys(_) | Have::VerifierOnly => {
                    return Err(ServerLoginError::WrongSecretType);
                }
            };
            let salt = md5_salt(data).map_err(malformed(b'R'))?;
            let text = [&hash.answer(salt)[..], b"\0"].concat();
            Ok((password_message(&text), Phase::AwaitOk))
        }
        10 => {
            if !offers_scram(data).map_err(malformed(b'R'))? {
                let name = "SASL without SCRAM-SHA-256";
                return Err(ServerLoginError::UnsupportedMethod { name });
            }
            let credential = match credential {
                Have::Password(password) => ClientCredential::Password(password),
                Have::Keys(keys) => ClientCredential::Keys(keys),
                Have::Nothing | Have::Md5(_) | Have::VerifierOnly => {
                    return Err(ServerLoginError::WrongSecretType);
                }
            };
            let (message, exchange) = start(credential, nonce);
            Ok((sasl_initial(&message), Phase::ScramFirst(exchange)))
        }
        11 | 12 => Err(ServerLoginError::OutOfOrder { tag: b'R' }),
        _ => Err(ServerLoginError::UnsupportedMethod {
            name: method_name(code),
        }),
    }
}

/// Names of the requests that are not answered (protocol section "Message Formats").
fn method_name(code: u32) -> &'static str {
    match code {
        2 => "KerberosV5",
        6 => "SCMCredential",
        7 | 8 => "GSSAPI",
        9 => "SSPI",
        _ => "of unknown number",
    }
}

fn md5_salt(data: &[u8]) -> Result<[u8; 4], ReadError> {
    let mut reader = Reader::new(data);
    let salt = reader.u32()?;
    reader.finish()?;
    Ok(salt.to_be_bytes())
}

/// Whether the list of mechanisms has ours. The list ends with an empty name.
fn offers_scram(data: &[u8]) -> Result<bool, ReadError> {
    let mut reader = Reader::new(data);
    let mut found = false;
    loop {
        match reader.cstr()? {
            b"" => break,
            name => found |= name == MECHANISM.as_bytes(),
        }
    }
    reader.finish()?;
    Ok(found)
}

/// `NegotiateProtocolVersion` says little to a client that speaks 3.0; it only must be well formed.
fn check_negotiation(body: &[u8]) -> Result<(), ReadError> {
    let mut reader = Reader::new(body);
    reader.i32()?;
    let count = reader.i32()?;
    for _ in 0..count {
        reader.cstr()?; // ends at the body's end, whatever the count says
    }
    reader.finish()
}

fn ready_status(body: &[u8]) -> Result<TransactionStatus, ServerLoginError> {
    let mut reader = Reader::new(body);
    let byte = reader.u8().map_err(malformed(b'Z'))?;
    reader.finish().map_err(malformed(b'Z'))?;
    match TransactionStatus::from_byte(byte) {
        Some(TransactionStatus::Idle) => Ok(TransactionStatus::Idle),
        Some(TransactionStatus::InBlock | TransactionStatus::Failed) | None => {
            Err(ServerLoginError::NotIdle)
        }
    }
}

fn nothing_left(data: &[u8]) -> Result<(), ServerLoginError> {
    Reader::new(data).finish().map_err(malformed(b'R'))
}

fn malformed(tag: u8) -> impl Fn(ReadError) -> ServerLoginError {
    move |error| ServerLoginError::Malformed { tag, error }
}

fn send(bytes: BytesMut, next: ServerLogin) -> ServerLoginStep {
    ServerLoginStep::Send { bytes, next }
}

#[cfg(test)]
mod tests;
