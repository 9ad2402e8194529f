//! The login to a server: scripted servers, good and hostile, and our own client login as a server.

use std::num::NonZeroU32;

use proptest::prelude::*;

use super::collected::{PARAMETER_BYTES_MAX, PARAMETERS_MAX};
use super::*;
use crate::auth::scram::ProcessKey;
use crate::protocol::{Severity, SqlState};
use crate::session::client_login::{
    Blame, ClientAuth, ClientLogin, ClientLoginRequest, ErrorCodes, LoginChance, LoginError,
    LoginStep, UserLookup,
};

const OK: &[u8] = &[0, 0, 0, 0];
const CLEARTEXT: &[u8] = &[0, 0, 0, 3];
const MD5: &[u8] = b"\x00\x00\x00\x05salt";
const SASL: &[u8] = b"\x00\x00\x00\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";
const KEY: &[u8] = b"\x00\x00\x00\x01key!";

fn password() -> ServerCredential {
    ServerCredential::Password(Password::new(b"pw").unwrap())
}

fn request(credential: ServerCredential) -> ServerLoginRequest {
    ServerLoginRequest {
        user: b"app"[..].into(),
        database: b"db"[..].into(),
        parameters: vec![Parameter::new(b"application_name", b"x y")],
        credential,
    }
}

fn begin(credential: ServerCredential) -> ServerLogin {
    sent(ServerLogin::start(request(credential), [1; NONCE_RANDOM_BYTES]).unwrap()).1
}

fn sent(step: ServerLoginStep) -> (Vec<u8>, ServerLogin) {
    match step {
        ServerLoginStep::Send { bytes, next } => (bytes.to_vec(), next),
        other => panic!("something to send expected, got {other:?}"),
    }
}

/// Feeds frames that need no answer.
fn feed(mut login: ServerLogin, frames: &[(u8, &[u8])]) -> Result<LoggedIn, ServerLoginError> {
    for (tag, body) in frames {
        match login.step(*tag, body)? {
            ServerLoginStep::Continue(next) | ServerLoginStep::Send { next, .. } => login = next,
            ServerLoginStep::Done(logged_in) => return Ok(logged_in),
            ServerLoginStep::NeedKeys { .. } => panic!("no keys expected"),
        }
    }
    panic!("the script is too short")
}

fn tried(
    credential: ServerCredential,
    frames: &[(u8, &[u8])],
) -> Result<LoggedIn, ServerLoginError> {
    feed(begin(credential), frames)
}

#[test]
fn the_startup_packet_is_protocol_3_0() {
    let (packet, _) =
        sent(ServerLogin::start(request(password()), [1; NONCE_RANDOM_BYTES]).unwrap());
    let expected =
        b"\x00\x00\x00\x33\x00\x03\x00\x00user\0app\0database\0db\0application_name\0x y\0\0";
    assert_eq!(packet, expected);
}

#[test]
fn startup_packets_that_no_server_reads_are_not_sent() {
    let error = |name: &[u8], value: &[u8]| {
        let mut request = request(password());
        request.parameters.push(Parameter::new(name, value));
        ServerLogin::start(request, [1; NONCE_RANDOM_BYTES]).err()
    };
    assert_eq!(error(b"a", b""), None);
    assert_eq!(error(b"", b"a"), Some(ServerLoginError::BadParameter));
    assert_eq!(error(b"a\0b", b"c"), Some(ServerLoginError::BadParameter));
    assert_eq!(error(b"a", b"b\0c"), Some(ServerLoginError::BadParameter));
    let long = error(b"a", &[b'x'; STARTUP_BYTES_MAX]);
    assert!(matches!(
        long,
        Some(ServerLoginError::StartupTooLong { .. })
    ));
}

#[test]
fn a_trusting_server_introduces_itself() {
    let logged_in = tried(
        ServerCredential::Nothing,
        &[
            (b'v', b"\x00\x00\x00\x00\x00\x00\x00\x01_pq_.x\0"),
            (b'R', OK),
            (b'S', b"server_version\x0015.4\0"),
            (b'N', b"SNOTICE\0\0"),
            (b'S', b"TimeZone\0UTC\0"),
            (b'S', b"TimeZone\0caf\xe9\0"),
            (b'K', KEY),
            (b'Z', b"I"),
        ],
    )
    .unwrap();
    let names = [&b"server_version"[..], b"TimeZone"];
    let values = [&b"15.4"[..], b"caf\xe9"];
    let expected = names.into_iter().zip(values);
    let found = logged_in
        .parameters
        .iter()
        .map(|parameter| (&*parameter.name, &*parameter.value));
    assert!(
        found.eq(expected),
        "the last value of each name, in the order of the names"
    );
    let key = logged_in.key.unwrap();
    assert_eq!((key.process_id, &*key.secret), (1, &b"key!"[..]));
    assert!(
        !format!("{key:?}").contains("107"),
        "the secret does not show"
    );
    assert_eq!(logged_in.status, TransactionStatus::Idle);
}

#[test]
fn passwords_are_sent_as_asked() {
    let (clear, _) = sent(begin(password()).step(b'R', CLEARTEXT).unwrap());
    assert_eq!(clear, b"p\x00\x00\x00\x07pw\0");
    let hash = Md5Hash::of(b"pw", b"app");
    let expected = [b"p\x00\x00\x00\x28", &hash.answer(*b"salt")[..], b"\0"].concat();
    for credential in [password(), ServerCredential::Md5(hash)] {
        let (answer, login) = sent(begin(credential).step(b'R', MD5).unwrap());
        assert_eq!(answer, expected);
        let done = feed(login, &[(b'R', OK), (b'K', KEY), (b'Z', b"I")]);
        assert!(done.is_ok());
    }
}

#[test]
fn a_password_on_its_way_does_not_show_in_debug() {
    assert_eq!(
        format!("{:?}", begin(password()).step(b'R', CLEARTEXT)),
        "Ok(Send)"
    );
}

#[test]
fn a_secret_opens_only_the_methods_it_fits() {
    use ServerCredential as Have;
    let keys = ScramKeys {
        client_key: crate::auth::Key32::new([1; 32]),
        server_key: crate::auth::Key32::new([2; 32]),
    };
    let md5 = || Have::Md5(Md5Hash::of(b"pw", b"app"));
    for (credential, body, fits) in [
        (password(), CLEARTEXT, true),
        (password(), MD5, true),
        (password(), SASL, true),
        (md5(), CLEARTEXT, false),
        (md5(), MD5, true),
        (md5(), SASL, false),
        (Have::Keys(keys), CLEARTEXT, false),
        (Have::Keys(keys), MD5, false),
        (Have::Keys(keys), SASL, true),
        (Have::VerifierOnly, SASL, false),
        (Have::VerifierOnly, MD5, false),
        (Have::Nothing, CLEARTEXT, false),
        (Have::Nothing, SASL, false),
    ] {
        match begin(credential).step(b'R', body) {
            Ok(_) => assert!(fits, "{body:?}"),
            Err(error) => {
                assert!(!fits, "{body:?}");
                let report = error.report(ErrorCodes::PgBouncer);
                assert_eq!(report.message, "server login failed: wrong password type");
                assert_eq!(report.code, SqlState::PROTOCOL_VIOLATION);
            }
        }
    }
}

#[test]
fn methods_that_are_not_spoken_are_named() {
    for (body, name) in [
        (&b"\x00\x00\x00\x02"[..], "KerberosV5"),
        (b"\x00\x00\x00\x07", "GSSAPI"),
        (b"\x00\x00\x00\x09", "SSPI"),
        (b"\x00\x00\x00\x63", "of unknown number"),
        (
            b"\x00\x00\x00\x0aSCRAM-SHA-256-PLUS\0\0",
            "SASL without SCRAM-SHA-256",
        ),
        (
            b"\x00\x00\x00\x0aOAUTHBEARER\0\0",
            "SASL without SCRAM-SHA-256",
        ),
    ] {
        let error = begin(password()).step(b'R', body).unwrap_err();
        assert_eq!(error, ServerLoginError::UnsupportedMethod { name });
    }
}

#[test]
fn a_refusal_is_relayed_with_its_code_and_text() {
    let body = b"SFATAL\0VFATAL\0C3D000\0Mdatabase \"x\" does not exist\0Fpostinit.c\0\0";
    for before in [
        &[][..],
        &[(b'R', OK)],
        &[(b'R', MD5)],
        &[(b'R', OK), (b'K', KEY)],
    ] {
        let frames = [before, &[(b'E', &body[..])]].concat();
        let error = tried(password(), &frames).unwrap_err();
        let report = error.report(ErrorCodes::PgBouncer);
        assert_eq!(report.code, SqlState::NO_SUCH_DATABASE);
        assert_eq!(report.message, "database \"x\" does not exist");
        assert_eq!(report.severity, Severity::Fatal);
        assert_eq!(error.blame(), Blame::Server);
    }
}

#[test]
fn an_error_without_its_fields_is_still_an_error() {
    // CVE-2026-6666 of PgBouncer: no SQLSTATE.
    for body in [
        &b""[..],
        b"\0",
        b"SFATAL\0\0",
        b"Mno end",
        b"Mtext\0\0",
        b"C123\0Mtext\0\0",
        b"C\0M\0\0",
        b"C\xff\xff\xff\xff\xff\0\0",
        b"M\xff\xfe\0",
    ] {
        let Err(ServerLoginError::Refused(refusal)) = tried(password(), &[(b'E', body)]) else {
            panic!("refused: {body:?}")
        };
        assert_eq!(refusal.code, None);
        let report = ServerLoginError::Refused(refusal).report(ErrorCodes::Postgres);
        assert_eq!(report.code, SqlState::PROTOCOL_VIOLATION);
    }
    let long = [b"M", &vec![b'x'; 60_000][..], b"\0\0"].concat();
    let Err(ServerLoginError::Refused(refusal)) = tried(password(), &[(b'E', &long)]) else {
        panic!("refused")
    };
    assert_eq!(refusal.message.len(), 1024);
}

#[test]
fn frames_out_of_order_end_the_login() {
    for frames in [
        &[(b'Z', &b"I"[..])][..],
        &[(b'S', b"a\0b\0")],
        &[(b'K', KEY)],
        &[(b'R', b"\x00\x00\x00\x0b")],
        &[(b'R', b"\x00\x00\x00\x0c")],
        &[(b'R', OK), (b'R', OK)],
        &[(b'R', OK), (b'R', CLEARTEXT)],
        &[(b'R', OK), (b'v', b"\0\0\0\0\0\0\0\0")],
        &[(b'R', OK), (b'K', KEY), (b'K', KEY)],
        &[(b'R', OK), (b'T', b"\0\0")],
        &[(b'R', OK), (b'\0', b"")],
        &[(b'R', CLEARTEXT), (b'R', CLEARTEXT)],
        &[(b'R', CLEARTEXT), (b'R', MD5)],
        &[(b'R', CLEARTEXT), (b'Z', b"I")],
        // A server that asks for SCRAM and lets us in before it has proved itself.
        &[(b'R', SASL), (b'R', OK)],
        &[(b'R', SASL), (b'R', CLEARTEXT)],
        &[(b'R', SASL), (b'R', b"\x00\x00\x00\x0cv=AAAA")],
    ] {
        let error = tried(password(), frames).unwrap_err();
        assert!(
            matches!(error, ServerLoginError::OutOfOrder { .. }),
            "{frames:?} {error:?}"
        );
    }
}

#[test]
fn malformed_frames_end_the_login() {
    for frames in [
        &[(b'R', &b""[..])][..],
        &[(b'R', b"\0\0\0")],
        &[(b'R', b"\0\0\0\0x")],
        &[(b'R', b"\0\0\0\x05abc")],
        &[(b'R', b"\0\0\0\x05abcde")],
        &[(b'R', b"\0\0\0\x0aSCRAM-SHA-256")],
        &[(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0x")],
        &[(b'v', b"\0\0\0\0\x7f\xff\xff\xffa\0")],
        &[(b'R', OK), (b'S', b"name")],
        &[(b'R', OK), (b'S', b"name\0value")],
        &[(b'R', OK), (b'S', b"name\0value\0x")],
        &[(b'R', OK), (b'K', b"\0\0")],
        &[(b'R', OK), (b'Z', b"")],
        &[(b'R', OK), (b'Z', b"II")],
    ] {
        let error = tried(password(), frames).unwrap_err();
        assert!(
            matches!(error, ServerLoginError::Malformed { .. }),
            "{frames:?} {error:?}"
        );
    }
    for status in [b"T", b"E", b"x"] {
        let error = tried(password(), &[(b'R', OK), (b'Z', status)]).unwrap_err();
        assert_eq!(error, ServerLoginError::NotIdle);
    }
}

#[test]
fn cancel_keys_have_4_to_256_bytes() {
    for (length, fits) in [
        (0, false),
        (3, false),
        (4, true),
        (32, true),
        (256, true),
        (257, false),
    ] {
        let body = vec![7; 4 + length];
        let outcome = tried(password(), &[(b'R', OK), (b'K', &body), (b'Z', b"I")]);
        match outcome {
            Ok(logged_in) => assert_eq!(logged_in.key.unwrap().secret.len(), length),
            Err(error) => assert_eq!(error, ServerLoginError::BadKey { length }),
        }
        let outcome = tried(password(), &[(b'R', OK), (b'K', &body), (b'Z', b"I")]);
        assert_eq!(outcome.is_ok(), fits, "{length}");
    }
}

/// Sends frames for ever after `AuthenticationOk`; gives what the flood was stopped with.
fn flood(frame: impl Fn(usize) -> (u8, Vec<u8>)) -> ServerLoginError {
    let ServerLoginStep::Continue(mut login) = begin(password()).step(b'R', OK).unwrap() else {
        panic!("logged in")
    };
    for number in 0.. {
        let (tag, body) = frame(number);
        match login.step(tag, &body) {
            Ok(ServerLoginStep::Continue(next)) => login = next,
            Ok(other) => panic!("{other:?}"),
            Err(error) => return error,
        }
    }
    unreachable!("the flood ends")
}

#[test]
fn a_server_cannot_make_us_keep_more_than_the_limits() {
    let limit_of = |error| match error {
        ServerLoginError::TooMuch { what, limit } => (what, limit),
        other => panic!("{other}"),
    };
    let names = flood(|number| (b'S', format!("n{number}\0v\0").into_bytes()));
    assert_eq!(limit_of(names), ("parameters", PARAMETERS_MAX));
    let long = flood(|_| (b'S', [b"n\0", &[b'x'; 10_000][..], b"\0"].concat()));
    assert_eq!(limit_of(long), ("parameter bytes", PARAMETER_BYTES_MAX));
    let notices = flood(|_| (b'N', vec![0]));
    assert_eq!(limit_of(notices), ("frames", FRAMES_MAX));
}

/// Plays our login to a server against our own login of clients.
fn against_ourselves(
    auth: ClientAuth,
    secret: &Secret,
    credential: ServerCredential,
) -> Result<LoggedIn, LoginError> {
    let mut server = ClientLogin::start(ClientLoginRequest {
        auth,
        user: b"app",
        lookup: UserLookup::Known(secret),
        chance: LoginChance {
            md5_salt: *b"abcd",
            nonce: [2; NONCE_RANDOM_BYTES],
        },
        process: &ProcessKey::new([3; 32]),
        scram_iterations: NonZeroU32::new(2).unwrap(),
    })?;
    let mut client = begin(credential);
    loop {
        match server {
            LoginStep::NeedKeys { request, next } => server = next.keys(&request.derive())?,
            LoginStep::Send { bytes, next } => {
                let mut step = client.step(bytes[0], &bytes[5..]).expect("a request");
                if let ServerLoginStep::NeedKeys { request, next } = step {
                    step = next.keys(&request.derive());
                }
                let (answer, waiting) = sent(step);
                client = waiting;
                server = next.step(answer[0], &answer[5..])?;
            }
            LoginStep::Done(authenticated) => {
                if let [tag, _, _, _, _, body @ ..] = &authenticated.bytes[..] {
                    let ServerLoginStep::Continue(next) = client.step(*tag, body).expect("final")
                    else {
                        panic!("the verdict is due")
                    };
                    client = next;
                }
                let frames: [(u8, &[u8]); 3] = [(b'R', OK), (b'K', KEY), (b'Z', b"I")];
                return Ok(feed(client, &frames).expect("the welcome"));
            }
        }
    }
}

#[test]
fn our_two_logins_understand_each_other() {
    let plain = |text: &[u8]| Secret::Plain(Password::new(text).unwrap());
    for auth in [ClientAuth::Plain, ClientAuth::Md5, ClientAuth::ScramSha256] {
        assert!(
            against_ourselves(auth, &plain(b"pw"), password()).is_ok(),
            "{auth:?}"
        );
        assert!(
            against_ourselves(auth, &plain(b"px"), password()).is_err(),
            "{auth:?}"
        );
    }
}

#[test]
fn keys_are_chosen_only_beside_the_verifier_they_belong_to() {
    use ServerCredential as Have;
    let text = b"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
        WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    let verifier = Secret::parse(text).unwrap();
    let pencil = Password::new(b"pencil").unwrap();
    let Secret::Scram(parts) = &verifier else {
        panic!("a verifier")
    };
    let right = KeyRequest::new(pencil, parts.salt.clone(), parts.iterations)
        .unwrap()
        .derive();
    let wrong = ScramKeys {
        client_key: right.server_key,
        ..right
    };
    let chosen = |keys| Have::choose(Some(&verifier), keys);
    assert!(matches!(chosen(Some(&right)), Have::Keys(_)));
    assert!(matches!(chosen(Some(&wrong)), Have::VerifierOnly));
    assert!(matches!(chosen(None), Have::VerifierOnly));
    assert!(matches!(Have::choose(None, Some(&right)), Have::Nothing));
    let passed = against_ourselves(ClientAuth::ScramSha256, &verifier, chosen(Some(&right)));
    assert!(passed.is_ok(), "pass-through opens the server");
}

proptest! {
    #[test]
    fn arbitrary_frames_never_panic_and_never_log_in_by_scram(
        frames in proptest::collection::vec(
            (
                proptest::sample::select(&b"RSKZNEvT\0"[..]),
                prop_oneof![
                    proptest::collection::vec(any::<u8>(), 0..40),
                    (0u8..14, proptest::collection::vec(any::<u8>(), 0..40))
                        .prop_map(|(code, rest)| [&[0, 0, 0, code][..], &rest].concat()),
                ],
            ),
            0..8,
        ),
    ) {
        let (_, mut login) = sent(begin(password()).step(b'R', SASL).unwrap());
        for (tag, body) in frames {
            match login.step(tag, &body) {
                Ok(ServerLoginStep::Continue(next)) => login = next,
                Ok(ServerLoginStep::Done(_)) => return Err(TestCaseError::fail("logged in")),
                Ok(ServerLoginStep::Send { .. } | ServerLoginStep::NeedKeys { .. })
                | Err(_) => break,
            }
        }
    }
}
