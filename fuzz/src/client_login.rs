//! The login of a client, by every method and with every kind of secret.
//!
//! Claims: nobody gets in without the secret unless none is asked for; the machine ends.

use std::num::NonZeroU32;

use pgweir::auth::scram::{ProcessKey, ScramKeys};
use pgweir::auth::{Key32, Md5Hash, Secret};
use pgweir::protocol::{HEADER_LEN, Header};
use pgweir::session::client_login::{
    ClientAuth, ClientLogin, ClientLoginRequest, ErrorCodes, LoginChance, LoginError, LoginStep,
    UserLookup,
};

use crate::input::Input;
use crate::scram::{password, verifier};

/// Most messages of one login.
const STEPS_MAX: usize = 4;

/// Runs one input: method, secret, then messages of a type, a length and a body each.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let auth = match input.choose(b"tp5s") {
        b't' => ClientAuth::Trust,
        b'p' => ClientAuth::Plain,
        b'5' => ClientAuth::Md5,
        _ => ClientAuth::ScramSha256,
    };
    let secret = match input.choose(b"-p5s") {
        b'-' => None,
        b'p' => Some(password()),
        b'5' => Some(Secret::Md5(Md5Hash::of(b"pw", b"user"))),
        _ => Some(verifier()),
    };
    let mut knows_password = false;
    match login(auth, secret.as_ref(), &mut input, &mut knows_password) {
        Ok(()) => {
            let asked = auth != ClientAuth::Trust;
            assert!(secret.is_some(), "a user that does not exist is in");
            assert!(
                !asked || knows_password,
                "a client without the secret is in"
            );
        }
        Err(error) => {
            for codes in [ErrorCodes::PgBouncer, ErrorCodes::Postgres] {
                assert!(!error.report(codes).message.is_empty());
            }
        }
    }
}

fn login(
    auth: ClientAuth,
    secret: Option<&Secret>,
    input: &mut Input<'_>,
    knows_password: &mut bool,
) -> Result<(), LoginError> {
    let mut step = ClientLogin::start(ClientLoginRequest {
        auth,
        user: b"user",
        lookup: secret.map_or(UserLookup::Unknown, UserLookup::Known),
        chance: LoginChance {
            md5_salt: [1; 4],
            nonce: [2; 18],
        },
        process: &ProcessKey::new([3; 32]),
        scram_iterations: NonZeroU32::MIN,
    })?;
    for _ in 0..STEPS_MAX {
        step = match step {
            LoginStep::Done(_) => return Ok(()),
            // Not the keys of any password.
            LoginStep::NeedKeys { next, .. } => next.keys(&ScramKeys {
                client_key: Key32::new([7; 32]),
                server_key: Key32::new([8; 32]),
            })?,
            LoginStep::Send { next, .. } => {
                let tag = input.choose(b"pX\0");
                let body = input.piece();
                *knows_password |= body == b"pw\0";
                let total = body.len() + HEADER_LEN;
                let admitted = next.admit(Header { tag, total });
                let taken = next.step(tag, body);
                assert!(admitted.is_ok() || taken.is_err(), "the header was refused");
                taken?
            }
        };
    }
    assert!(matches!(step, LoginStep::Done(_)), "a login never ends");
    Ok(())
}
