//! The login to a server that says whatever it likes.
//!
//! Claims: a server that asked for SCRAM is believed only after its proof, which it cannot give here;
//! what it makes us keep is bounded; the machine ends.

use bytes::BytesMut;
use pgweir::auth::{Md5Hash, Password};
use pgweir::protocol::{HEADER_LEN, TransactionStatus, peek_header};
use pgweir::session::server_login::{
    FRAMES_MAX, LoggedIn, Parameter, ServerCredential, ServerLogin, ServerLoginError,
    ServerLoginRequest, ServerLoginStep,
};

use crate::input::Input;
use crate::scram::keys;
use crate::wire::{put, server_message};

/// Runs one input: a credential, then the server's frames.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let plain = Password::new(b"pw").expect("short");
    let credential = match input.choose(b"-p5kv") {
        b'p' => ServerCredential::Password(plain),
        b'5' => ServerCredential::Md5(Md5Hash::of(b"pw", b"user")),
        b'k' => ServerCredential::Keys(keys()),
        b'v' => ServerCredential::VerifierOnly,
        _ => ServerCredential::Nothing,
    };
    match login(credential, &mut input) {
        Ok(Some(done)) => {
            assert_eq!(done.status, TransactionStatus::Idle);
            assert!(done.parameters.len() <= FRAMES_MAX);
            assert!(done.key.is_none_or(|key| key.secret.len() <= 256));
        }
        Ok(None) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn login(
    credential: ServerCredential,
    input: &mut Input<'_>,
) -> Result<Option<LoggedIn>, ServerLoginError> {
    let request = ServerLoginRequest {
        user: input.piece().into(),
        database: input.piece().into(),
        parameters: vec![Parameter::new(b"application_name", b"fuzz")],
        credential,
    };
    let mut step = ServerLogin::start(request, [9; 18])?;
    let mut must_prove = false;
    loop {
        let login = match step {
            ServerLoginStep::Done(done) => {
                assert!(!must_prove, "a server that proved nothing is believed");
                return Ok(Some(done));
            }
            ServerLoginStep::Continue(login) => login,
            ServerLoginStep::Send { next, .. } => next,
            ServerLoginStep::NeedKeys { next, .. } => {
                step = next.keys(&keys());
                continue;
            }
        };
        let mut bytes = BytesMut::new();
        if input.is_empty() {
            return Ok(None);
        }
        message(input, &mut bytes);
        let Ok(Some(header)) = peek_header(&bytes, usize::MAX) else {
            return Ok(None);
        };
        let body = bytes.get(HEADER_LEN..header.total).unwrap_or_default();
        step = login.step(header.tag, body)?;
        must_prove |= header.tag == b'R' && body.starts_with(&[0, 0, 0, 10]);
    }
}

/// `R` and the number of the request; the further letters say what is usual in a login.
fn message(input: &mut Input<'_>, out: &mut BytesMut) {
    match input.choose(b"R0a5fKvSZm") {
        b'R' => put(out, b'R', &[&[0, 0, 0, input.byte()], input.piece()]),
        b'0' => put(out, b'R', &[&[0; 4]]),
        b'a' => put(out, b'R', &[b"\0\0\0\x0aSCRAM-SHA-256\0\0"]),
        b'5' => put(out, b'R', &[b"\0\0\0\x05salt"]),
        b'f' => {
            // server-first with the nonce that `login` gave, in base64.
            let first = format!("r={}x,s=c2FsdA==,i=1", "CQkJ".repeat(6));
            put(out, b'R', &[&[0, 0, 0, 11], first.as_bytes()]);
        }
        b'K' => put(out, b'K', &[input.piece()]),
        b'v' => put(out, b'v', &[&[0, 3, 0, 0], input.piece()]),
        b'S' => put(out, b'S', &[input.piece(), b"\0", input.piece(), b"\0"]),
        b'Z' => put(out, b'Z', &[&[input.choose(b"ITE")]]),
        _ => server_message(input, out),
    }
}
