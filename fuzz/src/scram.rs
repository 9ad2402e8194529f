//! SCRAM-SHA-256, both sides, with messages that anybody could make, and with honest ones of which
//! one bit was changed.
//!
//! Claims: nobody gets through without the keys, and no bit of an exchange can be changed unnoticed.

use std::num::NonZeroU32;

use pgweir::auth::scram::client::{
    AwaitServerFinal, AwaitServerFirst, ClientCredential, ClientOutcome, start,
};
use pgweir::auth::scram::server::{AwaitClientFinal, ServerOutcome, ServerStart};
use pgweir::auth::scram::{KeyRequest, ProcessKey, ScramError, ScramKeys};
use pgweir::auth::{Key32, Password, Secret, Verifier};

use crate::input::Input;

const SALT: &[u8] = b"0123456789abcdef";

pub(crate) fn keys() -> ScramKeys {
    ScramKeys {
        client_key: Key32::new([3; 32]),
        server_key: Key32::new([4; 32]),
    }
}

/// What is stored for those keys.
pub(crate) fn verifier() -> Secret {
    Secret::Scram(Verifier {
        iterations: NonZeroU32::MIN,
        salt: SALT.into(),
        stored_key: keys().stored_key(),
        server_key: keys().server_key,
    })
}

pub(crate) fn password() -> Secret {
    Secret::Plain(Password::new(b"pw").expect("short"))
}

/// Runs one input: `s` and two messages to a server, `c` and two to a client, else one changed bit.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() {
        b's' => to_server(&mut input),
        b'c' => to_client(&mut input),
        _ => changed(&mut input),
    }
}

fn server(secret: Option<&Secret>) -> ServerStart {
    ServerStart::new(
        b"user",
        secret,
        [1; 18],
        &ProcessKey::new([2; 32]),
        NonZeroU32::MIN,
    )
}

fn client() -> (Vec<u8>, AwaitServerFirst) {
    start(ClientCredential::Keys(keys()), [5; 18])
}

fn to_server(input: &mut Input<'_>) {
    let secret = match input.byte() % 3 {
        0 => None,
        1 => Some(verifier()),
        _ => Some(password()),
    };
    let start = server(secret.as_ref());
    let Ok(wait) = start.client_first(input.piece()) else {
        return;
    };
    let outcome = finish(wait, input.rest());
    assert!(outcome.is_err(), "a proof was guessed");
}

fn finish(wait: AwaitClientFinal, message: &[u8]) -> Result<Vec<u8>, ScramError> {
    match wait.client_final(message)? {
        ServerOutcome::Verified(verified) => Ok(verified.message),
        ServerOutcome::NeedKeys { request, next } => Ok(next.keys(&derive(&request))?.message),
    }
}

/// One round, as the server was told above: no other count can be in the request.
fn derive(request: &KeyRequest) -> ScramKeys {
    request.derive()
}

fn to_client(input: &mut Input<'_>) {
    let (_, wait) = client();
    let Ok((_, wait)) = answer(wait, input.piece()) else {
        return;
    };
    assert!(
        wait.server_final(input.rest()).is_err(),
        "a signature was guessed"
    );
}

fn answer(
    wait: AwaitServerFirst,
    message: &[u8],
) -> Result<(Vec<u8>, AwaitServerFinal), ScramError> {
    match wait.server_first(message)? {
        ClientOutcome::Send { message, next } => Ok((message, next)),
        ClientOutcome::NeedKeys { .. } => panic!("the client has its keys"),
    }
}

/// An honest exchange of which one of the four messages is changed on its way.
fn changed(input: &mut Input<'_>) {
    let secret = verifier();
    let which = input.byte() % 5;
    let at = input.byte();
    let bit = 1 << (input.byte() % 8);
    let on_the_way = |number: u8, mut message: Vec<u8>| {
        if number == which {
            let at = usize::from(at) % message.len();
            message[at] ^= bit;
        }
        message
    };
    let exchange = || -> Result<(), ScramError> {
        let (first, client) = client();
        let server = server(Some(&secret)).client_first(&on_the_way(0, first))?;
        let first = server.server_first().to_vec();
        let (last, client) = answer(client, &on_the_way(1, first))?;
        let last = finish(server, &on_the_way(2, last))?;
        client.server_final(&on_the_way(3, last))
    };
    assert_eq!(
        exchange().is_ok(),
        which == 4,
        "message {which}, byte {at}, bit {bit}"
    );
}
