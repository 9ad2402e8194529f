//! The client's login: every method with every kind of secret, and what clients do wrong.

use super::*;
use crate::auth::scram::client::{AwaitServerFinal, ClientCredential, ClientOutcome, start};
use crate::protocol::{Severity, SqlState, peek_header};

const USER: &[u8] = b"app";
const SALT: [u8; 4] = *b"salt";
const VERIFIER_OF_PW: &str = "SCRAM-SHA-256$2:MDEyMzQ1Njc4OWFiY2RlZg==";

fn password(text: &str) -> Password {
    Password::new(text.as_bytes()).unwrap()
}

fn plain() -> Secret {
    Secret::Plain(password("pw"))
}

fn md5() -> Secret {
    Secret::Md5(Md5Hash::of(b"pw", USER))
}

fn scram() -> Secret {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let count = NonZeroU32::new(2).unwrap();
    let keys = KeyRequest::new(password("pw"), *b"0123456789abcdef", count);
    let keys = keys.unwrap().derive();
    let [stored, server] =
        [keys.stored_key(), keys.server_key].map(|key| STANDARD.encode(key.as_bytes()));
    Secret::parse(format!("{VERIFIER_OF_PW}${stored}:{server}").as_bytes()).unwrap()
}

fn begin(auth: ClientAuth, secret: Option<&Secret>) -> Result<LoginStep, LoginError> {
    ClientLogin::start(ClientLoginRequest {
        auth,
        user: USER,
        lookup: secret.map_or(UserLookup::Unknown, UserLookup::Known),
        chance: LoginChance {
            md5_salt: SALT,
            nonce: [5; NONCE_RANDOM_BYTES],
        },
        process: &ProcessKey::new([6; 32]),
        scram_iterations: NonZeroU32::new(2).unwrap(),
    })
}

/// The request that was sent and the machine that waits for its answer.
fn asked(step: LoginStep) -> (Vec<u8>, ClientLogin) {
    match step {
        LoginStep::Send { bytes, next } => (bytes.to_vec(), next),
        other => panic!("a request expected, got {other:?}"),
    }
}

/// Answers a request for keys as a shell does.
fn with_keys(step: LoginStep) -> Result<Authenticated, LoginError> {
    match step {
        LoginStep::Done(authenticated) => Ok(authenticated),
        LoginStep::NeedKeys { request, next } => with_keys(next.keys(&request.derive())?),
        LoginStep::Send { .. } => panic!("nothing is left to ask"),
    }
}

fn sasl_initial(mechanism: &str, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [mechanism.as_bytes(), b"\0", &length, message].concat()
}

/// Plays SCRAM up to the client's proof: gives it, and both waiting sides.
fn scram_half(login: ClientLogin, text: &str) -> (Vec<u8>, ClientLogin, AwaitServerFinal) {
    let credential = ClientCredential::Password(password(text));
    let (first, client) = start(credential, [8; NONCE_RANDOM_BYTES]);
    let (reply, login) = asked(login.step(b'p', &sasl_initial(MECHANISM, &first)).unwrap());
    assert_eq!(reply[..1], *b"R");
    assert_eq!(reply[5..9], [0, 0, 0, 11]);
    let ClientOutcome::NeedKeys { request, next } = client.server_first(&reply[9..]).unwrap()
    else {
        panic!("a password needs keys")
    };
    let (last, client) = next.keys(&request.derive());
    (last, login, client)
}

/// A whole login of a client with the given password, by whatever it is asked for.
fn login(
    auth: ClientAuth,
    secret: Option<&Secret>,
    text: &str,
) -> Result<Authenticated, LoginError> {
    let step = begin(auth, secret)?;
    if matches!(step, LoginStep::Done(_)) {
        return with_keys(step);
    }
    let (request, login) = asked(step);
    match request[8] {
        3 => with_keys(login.step(b'p', format!("{text}\0").as_bytes())?),
        5 => {
            assert_eq!(request[9..], SALT);
            let answer = Md5Hash::of(text.as_bytes(), USER).answer(SALT);
            with_keys(login.step(b'p', &[&answer[..], b"\0"].concat())?)
        }
        10 => {
            let (proof, login, client) = scram_half(login, text);
            let done = with_keys(login.step(b'p', &proof)?)?;
            assert_eq!(done.bytes[5..9], [0, 0, 0, 12]);
            client
                .server_final(&done.bytes[9..])
                .expect("our signature is right");
            Ok(done)
        }
        other => panic!("unknown request {other}"),
    }
}

#[test]
fn each_method_takes_the_secrets_that_pgbouncer_takes() {
    use ClientAuth::{Md5, Plain, ScramSha256};
    for (auth, secret, passes) in [
        (Plain, plain(), true),
        (Plain, md5(), true),
        (Plain, scram(), true),
        (Md5, plain(), true),
        (Md5, md5(), true),
        (Md5, scram(), true),
        (ScramSha256, plain(), true),
        (ScramSha256, scram(), true),
        (ScramSha256, md5(), false),
    ] {
        let right = login(auth, Some(&secret), "pw");
        assert_eq!(right.is_ok(), passes, "{auth:?} {secret:?}");
        assert!(
            login(auth, Some(&secret), "wrong").is_err(),
            "{auth:?} {secret:?}"
        );
    }
}

#[test]
fn an_md5_user_with_a_verifier_is_asked_for_scram() {
    let (request, _) = asked(begin(ClientAuth::Md5, Some(&scram())).unwrap());
    assert_eq!(
        request,
        b"R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\0\0"
    );
}

#[test]
fn failures_have_the_texts_and_codes_of_pgbouncer() {
    use ClientAuth::{Md5, Plain, ScramSha256, Trust};
    let (empty, secret) = (Secret::Plain(password("")), plain());
    for (auth, secret, text, told, code) in [
        (Trust, None, "", "\"trust\" authentication failed", "28000"),
        (Plain, None, "pw", "password authentication failed", "28P01"),
        (
            Plain,
            Some(&secret),
            "x",
            "password authentication failed",
            "28P01",
        ),
        (
            Plain,
            Some(&secret),
            "",
            "empty password returned by client",
            "28P01",
        ),
        (
            Plain,
            Some(&empty),
            "x",
            "password authentication failed",
            "28P01",
        ),
        (Md5, None, "pw", "password authentication failed", "28P01"),
        (
            Md5,
            Some(&empty),
            "",
            "password authentication failed",
            "28P01",
        ),
        (
            ScramSha256,
            None,
            "pw",
            "SASL authentication failed",
            "28P01",
        ),
        (
            ScramSha256,
            Some(&md5()),
            "pw",
            "SASL authentication failed",
            "28P01",
        ),
        (
            ScramSha256,
            Some(&empty),
            "x",
            "SASL authentication failed",
            "28P01",
        ),
    ] {
        let error = login(auth, secret, text).unwrap_err();
        let report = error.report(ErrorCodes::PgBouncer);
        assert_eq!(report.message, told, "{auth:?} {text}");
        assert_eq!(report.severity, Severity::Fatal);
        assert_eq!(report.code, SqlState::PROTOCOL_VIOLATION);
        assert_eq!(
            error.report(ErrorCodes::Postgres).code.as_str(),
            code,
            "{auth:?} {text}"
        );
        assert_eq!(error.blame(), Blame::Client);
    }
}

#[test]
fn trust_needs_only_a_known_user() {
    let empty = Secret::Plain(password(""));
    let done = login(ClientAuth::Trust, Some(&empty), "").unwrap();
    assert!(done.bytes.is_empty());
    assert!(matches!(done.proof, Proof::Nothing));
}

#[test]
fn proofs_leave_what_servers_can_be_opened_with() {
    let left = |auth, secret: &Secret| login(auth, Some(secret), "pw").unwrap().proof;
    assert!(matches!(
        left(ClientAuth::Plain, &md5()),
        Proof::Password(_)
    ));
    assert!(matches!(
        left(ClientAuth::Plain, &scram()),
        Proof::Password(_)
    ));
    assert!(matches!(left(ClientAuth::Md5, &plain()), Proof::Nothing));
    let (Proof::Keys(keys), Secret::Scram(verifier)) = (left(ClientAuth::Md5, &scram()), scram())
    else {
        panic!("SCRAM leaves keys")
    };
    assert!(keys.stored_key().matches(&verifier.stored_key));
}

#[test]
fn an_unknown_user_sees_the_requests_of_a_known_one() {
    for auth in [ClientAuth::Plain, ClientAuth::Md5, ClientAuth::ScramSha256] {
        let (known, _) = asked(begin(auth, Some(&plain())).unwrap());
        let (unknown, _) = asked(begin(auth, None).unwrap());
        assert_eq!(known, unknown, "{auth:?}");
    }
}

/// A machine in each state that waits for a message, by name.
fn waiting() -> Vec<(&'static str, ClientLogin)> {
    let first = |auth| asked(begin(auth, Some(&plain())).unwrap()).1;
    let (_, last, _) = scram_half(first(ClientAuth::ScramSha256), "pw");
    vec![
        ("plain", first(ClientAuth::Plain)),
        ("md5", first(ClientAuth::Md5)),
        ("sasl first", first(ClientAuth::ScramSha256)),
        ("sasl final", last),
    ]
}

#[test]
fn only_password_messages_are_taken() {
    for tag in (0..=255).filter(|tag| *tag != b'p') {
        for (name, login) in waiting() {
            let told = if tag == 0 {
                "client re-sent startup pkt"
            } else {
                "bad packet"
            };
            let header = Header { tag, total: 9 };
            let admitted = login.admit(header).unwrap_err();
            let error = login.step(tag, b"pw\0").unwrap_err();
            assert_eq!(admitted, error);
            assert_eq!(
                error.report(ErrorCodes::Postgres).message,
                told,
                "{name} {tag}"
            );
            let code = error.report(ErrorCodes::Postgres).code;
            assert_eq!(code, SqlState::PROTOCOL_VIOLATION);
        }
    }
}

#[test]
fn a_second_startup_packet_inside_scram_ends_the_login() {
    // CVE-2026-107350 of PgBouncer. The packet's first byte is what a framer takes for a type.
    let packet = b"\x00\x00\x00\x12\x00\x03\x00\x00user\0root\0\0";
    let header = peek_header(packet, usize::MAX).unwrap().unwrap();
    for (name, login) in waiting() {
        assert_eq!(login.admit(header), Err(LoginError::StartupAgain), "{name}");
    }
}

#[test]
fn long_messages_are_refused_by_their_header() {
    for (name, login) in waiting() {
        let sasl = name.starts_with("sasl");
        let limit = if sasl {
            SASL_BODY_MAX
        } else {
            PASSWORD_BYTES_MAX + 1
        };
        let header = |body| Header {
            tag: b'p',
            total: body + 5,
        };
        assert_eq!(login.admit(header(limit)), Ok(()), "{name}");
        let error = login.admit(header(limit + 1)).unwrap_err();
        let told = if sasl {
            "SASL authentication failed"
        } else {
            "password authentication failed"
        };
        assert_eq!(error.report(ErrorCodes::PgBouncer).message, told, "{name}");
        assert!(login.step(b'p', &vec![b'a'; limit + 1]).is_err(), "{name}");
    }
}

#[test]
fn malformed_bodies_are_errors_in_every_state() {
    for body in [&b""[..], b"pw", b"pw\0x", b"\0\0", b"\xff\xff\xff\xff"] {
        for (name, login) in waiting() {
            assert!(login.step(b'p', body).is_err(), "{name} {body:?}");
        }
    }
}

#[test]
fn the_initial_response_is_checked_by_its_parts() {
    let first = b"n,,n=,r=abc";
    let good = sasl_initial(MECHANISM, first);
    let open = || asked(begin(ClientAuth::ScramSha256, Some(&plain())).unwrap()).1;
    assert!(open().step(b'p', &good).is_ok());
    for cut in 0..good.len() {
        assert!(open().step(b'p', &good[..cut]).is_err(), "cut at {cut}");
    }
    let told = |body: &[u8]| {
        let error = open().step(b'p', body).unwrap_err();
        error.report(ErrorCodes::PgBouncer).message
    };
    let mechanism = "client selected an invalid SASL authentication mechanism";
    assert_eq!(told(&sasl_initial("SCRAM-SHA-256-PLUS", first)), mechanism);
    assert_eq!(told(&sasl_initial("", first)), mechanism);
    assert_eq!(told(&sasl_initial("scram-sha-256", first)), mechanism);
    let plus = sasl_initial(MECHANISM, b"p=tls-server-end-point,,n=,r=abc");
    assert_eq!(told(&plus), "SASL authentication failed");
    // No initial response at all, a negative and a huge length, bytes behind the response.
    let with_length = |length: [u8; 4]| [MECHANISM.as_bytes(), b"\0", &length, first].concat();
    let none = [MECHANISM.as_bytes(), b"\0\xff\xff\xff\xff"].concat();
    assert_eq!(told(&none), "SASL authentication failed");
    assert_eq!(told(&with_length([0xff, 0xff, 0xff, 0xfe])), "bad packet");
    assert_eq!(told(&with_length([0x7f, 0xff, 0xff, 0xff])), "bad packet");
    assert_eq!(told(&[&good[..], b"x"].concat()), "bad packet");
}

#[test]
fn no_damaged_proof_message_logs_in() {
    let open = || asked(begin(ClientAuth::ScramSha256, Some(&scram())).unwrap()).1;
    let (proof, _, _) = scram_half(open(), "pw");
    let (_, good, _) = scram_half(open(), "pw");
    assert!(
        good.step(b'p', &proof).is_ok(),
        "the undamaged proof logs in"
    );
    for at in 0..proof.len() {
        let mut changed = proof.clone();
        changed[at] ^= 1;
        for body in [&proof[..at], &changed] {
            let (_, login, _) = scram_half(open(), "pw");
            assert!(login.step(b'p', body).is_err(), "at {at}");
        }
    }
}

#[test]
fn a_verifier_with_too_many_rounds_is_not_run_for_a_plain_password() {
    let Secret::Scram(mut verifier) = scram() else {
        panic!("a verifier")
    };
    verifier.iterations = NonZeroU32::new(1_000_001).unwrap();
    let error = login(ClientAuth::Plain, Some(&Secret::Scram(verifier)), "pw").unwrap_err();
    assert_eq!(error, LoginError::Scram(ScramError::TooManyIterations));
    let report = error.report(ErrorCodes::PgBouncer);
    assert_eq!(report.message, "password authentication failed");
}

#[test]
fn secrets_do_not_show_in_debug() {
    for (_, login) in waiting() {
        let shown = format!("{login:?}");
        assert!(
            !shown.contains("pw") && !shown.contains("112, 119"),
            "{shown}"
        );
    }
}
