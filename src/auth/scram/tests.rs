//! Both sides of SCRAM against each other, whole and damaged.

use std::num::NonZeroU32;

use proptest::prelude::*;

use super::client::{AwaitServerFinal, ClientCredential, ClientOutcome, start};
use super::server::{AwaitClientFinal, ServerOutcome, ServerStart, Verified};
use super::*;
use crate::auth::secret::{Password, Secret, Verifier};

const USER: &[u8] = b"app";
const CLIENT_NONCE: [u8; NONCE_RANDOM_BYTES] = [7; NONCE_RANDOM_BYTES];
const SERVER_NONCE: [u8; NONCE_RANDOM_BYTES] = [9; NONCE_RANDOM_BYTES];

fn count(iterations: u32) -> NonZeroU32 {
    NonZeroU32::new(iterations).unwrap()
}

fn process() -> ProcessKey {
    ProcessKey::new([3; 32])
}

fn password(text: &str) -> Password {
    Password::new(text.as_bytes()).unwrap()
}

fn plain(text: &str) -> Secret {
    Secret::Plain(password(text))
}

fn verifier(text: &str) -> Secret {
    let (salt, iterations) = (b"0123456789abcdef", count(3));
    let keys = KeyRequest::new(password(text), *salt, iterations)
        .unwrap()
        .derive();
    Secret::Scram(Verifier {
        iterations,
        salt: salt[..].into(),
        stored_key: keys.stored_key(),
        server_key: keys.server_key,
    })
}

fn server(secret: Option<&Secret>) -> ServerStart {
    ServerStart::new(USER, secret, SERVER_NONCE, &process(), count(2))
}

/// The client's half up to client-final: server-first, client-final and what waits for the answer.
struct Half {
    server_first: Vec<u8>,
    client_final: Vec<u8>,
    server: AwaitClientFinal,
    client: AwaitServerFinal,
}

fn half(secret: Option<&Secret>, credential: ClientCredential) -> Half {
    let (client_first, client) = start(credential, CLIENT_NONCE);
    let server = server(secret).client_first(&client_first).unwrap();
    let server_first = server.server_first().to_vec();
    let (client_final, client) = match client.server_first(&server_first).unwrap() {
        ClientOutcome::Send { message, next } => (message, next),
        ClientOutcome::NeedKeys { request, next } => next.keys(&request.derive()),
    };
    Half {
        server_first,
        client_final,
        server,
        client,
    }
}

fn check(server: AwaitClientFinal, client_final: &[u8]) -> Result<Verified, ScramError> {
    match server.client_final(client_final)? {
        ServerOutcome::Verified(verified) => Ok(verified),
        ServerOutcome::NeedKeys { request, next } => next.keys(&request.derive()),
    }
}

fn exchange(
    secret: Option<&Secret>,
    credential: ClientCredential,
) -> Result<ScramKeys, ScramError> {
    let half = half(secret, credential);
    let verified = check(half.server, &half.client_final)?;
    half.client.server_final(&verified.message)?;
    Ok(verified.keys)
}

fn by_password(text: &str) -> ClientCredential {
    ClientCredential::Password(password(text))
}

#[test]
fn the_right_password_passes_and_no_other() {
    for secret in [plain("secret"), verifier("secret")] {
        assert!(exchange(Some(&secret), by_password("secret")).is_ok());
        for wrong in ["Secret", "secret ", "s", "x"] {
            let error = exchange(Some(&secret), by_password(wrong)).unwrap_err();
            assert_eq!(error, ScramError::WrongProof, "{wrong}");
        }
    }
}

#[test]
fn keys_of_a_proof_log_in_to_a_server_with_the_same_verifier() {
    let keys = exchange(Some(&verifier("secret")), by_password("secret")).unwrap();
    assert!(exchange(Some(&verifier("secret")), ClientCredential::Keys(keys)).is_ok());
    for other in [verifier("other"), plain("secret")] {
        let error = exchange(Some(&other), ClientCredential::Keys(keys)).unwrap_err();
        assert_eq!(error, ScramError::WrongProof);
    }
}

#[test]
fn users_that_cannot_pass_fail_whatever_they_prove() {
    let md5 = Secret::parse(b"md5900150983cd24fb0d6963f7d28e17f72").unwrap();
    let mock = process().mock_keys(USER);
    for secret in [None, Some(&md5), Some(&plain(""))] {
        for credential in [by_password("x"), ClientCredential::Keys(mock)] {
            let error = exchange(secret, credential).unwrap_err();
            assert_eq!(error, ScramError::WrongProof);
        }
    }
}

#[test]
fn an_unknown_user_looks_like_one_with_a_plain_password() {
    let known = half(Some(&plain("secret")), by_password("x")).server_first;
    let unknown = half(None, by_password("x")).server_first;
    let again = half(None, by_password("y")).server_first;
    // The very same bytes: the salt depends on the name only, so an account cannot be told to exist.
    assert_eq!(unknown, known);
    assert_eq!(unknown, again, "two attempts see the same salt");
    let other = ServerStart::new(b"other", None, SERVER_NONCE, &process(), count(2));
    let other = other.client_first(b"n,,n=,r=abc").unwrap();
    let other = other.server_first();
    let salt = |message: &[u8]| {
        let text = String::from_utf8(message.to_vec()).unwrap();
        text.split(",s=").nth(1).unwrap().to_owned()
    };
    assert_ne!(salt(other), salt(&unknown), "two users see two salts");
}

#[test]
fn a_server_that_does_not_know_the_secret_is_refused() {
    for message in [
        &b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="[..],
        b"v=",
        b"",
        b"p=AAAA",
        b"e=other-error",
    ] {
        let half = half(Some(&verifier("secret")), by_password("secret"));
        assert!(half.client.server_final(message).is_err(), "{message:?}");
    }
    let half = half(Some(&verifier("secret")), by_password("secret"));
    let error = half
        .client
        .server_final(b"e=invalid-proof\x1b[2J\n")
        .unwrap_err();
    let word = "invalid-proof2J".to_owned();
    assert_eq!(error, ScramError::Refused { word });
}

#[test]
fn client_first_is_read_as_postgresql_reads_it() {
    use ScramError as E;
    let nonce_max = "n".repeat(NONCE_BYTES_MAX);
    for (message, error) in [
        ("n,,n=,r=abc".to_owned(), None),
        ("y,,n=,r=abc".to_owned(), None),
        ("n,,n=someone,r=abc".to_owned(), None),
        ("n,,n=,r=abc,x=ignored".to_owned(), None),
        (format!("n,,n=,r={nonce_max}"), None),
        (
            format!("n,,n=,r={nonce_max}n"),
            Some(E::Malformed(Malformed::Nonce)),
        ),
        (
            "p=tls-server-end-point,,n=,r=abc".to_owned(),
            Some(E::ChannelBinding),
        ),
        (
            "n,a=root,n=,r=abc".to_owned(),
            Some(E::AuthorizationIdentity),
        ),
        ("n,,m=x,n=,r=abc".to_owned(), Some(E::Extension)),
        (
            "x,,n=,r=abc".to_owned(),
            Some(E::Malformed(Malformed::Header)),
        ),
        (
            "n,b,n=,r=abc".to_owned(),
            Some(E::Malformed(Malformed::Header)),
        ),
        ("n".to_owned(), Some(E::Malformed(Malformed::Header))),
        (
            "n,,r=abc".to_owned(),
            Some(E::Malformed(Malformed::Expected('n'))),
        ),
        (
            "n,,n=,s=abc".to_owned(),
            Some(E::Malformed(Malformed::Expected('r'))),
        ),
        ("n,,n=".to_owned(), Some(E::Malformed(Malformed::Attribute))),
        ("n,,n=,r=".to_owned(), Some(E::Malformed(Malformed::Nonce))),
        (
            "n,,n=,r=a b".to_owned(),
            Some(E::Malformed(Malformed::Nonce)),
        ),
        (
            "n,,n=,r=a\u{e9}".to_owned(),
            Some(E::Malformed(Malformed::Nonce)),
        ),
        (
            "n,,n=,r=abc,".to_owned(),
            Some(E::Malformed(Malformed::Attribute)),
        ),
        (
            "n,,n=,r=a\0".to_owned(),
            Some(E::Malformed(Malformed::Text)),
        ),
        (String::new(), Some(E::Malformed(Malformed::Text))),
        ("n".repeat(5000), Some(E::TooLong { length: 5000 })),
    ] {
        let outcome = server(None).client_first(message.as_bytes());
        assert_eq!(outcome.err(), error, "{message}");
    }
}

#[test]
fn a_client_that_says_y_must_repeat_y() {
    for (header, repeated, fits) in [
        ("n,,", "biws", true),
        ("y,,", "eSws", true),
        ("y,,", "biws", false),
        ("n,,", "eSws", false),
        ("n,,", "", false),
    ] {
        let first = format!("{header}n=,r=abc");
        let server = server(None).client_first(first.as_bytes()).unwrap();
        let server_first = server.server_first();
        let nonce = String::from_utf8(server_first.to_vec()).unwrap();
        let nonce = nonce.split(",s=").next().unwrap();
        let proof = "A".repeat(43) + "=";
        let last = format!("c={repeated},{nonce},p={proof}");
        let error = server.client_final(last.as_bytes()).unwrap_err();
        assert_eq!(error == ScramError::WrongProof, fits, "{header} {repeated}");
    }
}

#[test]
fn client_final_needs_every_attribute_in_its_place() {
    let whole = String::from_utf8(half(Some(&verifier("pw")), by_password("pw")).client_final);
    let whole = whole.unwrap();
    let fields: Vec<_> = whole.split(',').collect();
    let [binding, nonce, proof] = fields[..] else {
        panic!("three attributes")
    };
    for message in [
        format!("{nonce},{proof}"),
        format!("{binding},{proof}"),
        format!("{binding},{nonce}"),
        format!("{nonce},{binding},{proof}"),
        format!("{binding},{proof},{nonce}"),
        format!("{binding},{nonce},{proof},x=1"),
        format!("{binding},{nonce},{proof},"),
        format!("{binding},{nonce}x,{proof}"),
        format!("{binding},{nonce},x,{proof}"),
        format!("{binding},{nonce},p="),
        format!("{binding},{nonce},p=AAAA"),
        format!("{binding},{nonce},{proof}AAAA"),
        // An extension is allowed, but then the proof must be over it too.
        format!("{binding},{nonce},x=1,{proof}"),
    ] {
        let half = half(Some(&verifier("pw")), by_password("pw"));
        assert!(check(half.server, message.as_bytes()).is_err(), "{message}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn server_first_is_bounded_and_complete() {
    use ScramError as E;
    let ours = "BwcHBwcHBwcHBwcHBwcHBwcH"; // base64 of CLIENT_NONCE
    let nonce = format!("{ours}server");
    let (long, longer) = (nonce.repeat(30), nonce.repeat(150));
    let long_salt = "A".repeat(1500);
    for (message, error) in [
        (format!("r={nonce},s=AAAA,i=4096"), None),
        (format!("r={nonce},s=AAAA,i=1000000"), None),
        (format!("r={nonce},s=AAAA,i=1"), None),
        (
            format!("r={nonce},s=AAAA,i=1000001"),
            Some(E::TooManyIterations),
        ),
        (
            format!("r={nonce},s=AAAA,i=2147483648"),
            Some(E::Malformed(Malformed::Iterations)),
        ),
        (
            format!("r={nonce},s=AAAA,i=0"),
            Some(E::Malformed(Malformed::Iterations)),
        ),
        (
            format!("r={nonce},s=AAAA,i=-1"),
            Some(E::Malformed(Malformed::Iterations)),
        ),
        (
            format!("r={nonce},s=AAAA,i=4096x"),
            Some(E::Malformed(Malformed::Iterations)),
        ),
        (
            format!("r={nonce},s=AAAA,i="),
            Some(E::Malformed(Malformed::Iterations)),
        ),
        (
            format!("r={nonce},s=AAAA"),
            Some(E::Malformed(Malformed::Attribute)),
        ),
        (
            format!("r={nonce},i=4096"),
            Some(E::Malformed(Malformed::Expected('s'))),
        ),
        (
            format!("r={nonce}"),
            Some(E::Malformed(Malformed::Attribute)),
        ),
        (
            format!("s=AAAA,i=4096,r={nonce}"),
            Some(E::Malformed(Malformed::Expected('r'))),
        ),
        (format!("m=x,r={nonce},s=AAAA,i=4096"), Some(E::Extension)),
        (
            format!("r={nonce},s=,i=4096"),
            Some(E::Malformed(Malformed::Salt)),
        ),
        (
            format!("r={nonce},s=A,i=4096"),
            Some(E::Malformed(Malformed::Salt)),
        ),
        (
            format!("r={nonce},s={long_salt},i=1"),
            Some(E::Malformed(Malformed::Salt)),
        ),
        (
            format!("r={nonce},s=AAAA,i=1,x=1"),
            Some(E::Malformed(Malformed::Trailing)),
        ),
        (format!("r={ours},s=AAAA,i=4096"), Some(E::Nonce)),
        (format!("r=x{nonce},s=AAAA,i=4096"), Some(E::Nonce)),
        (
            "r=,s=AAAA,i=4096".to_owned(),
            Some(E::Malformed(Malformed::Nonce)),
        ),
        (
            format!("r={long},s=AAAA,i=1"),
            Some(E::Malformed(Malformed::Nonce)),
        ),
        (
            format!("r={longer},s=AAAA,i=1"),
            Some(E::TooLong { length: 4513 }),
        ),
    ] {
        let (_, client) = start(by_password("pw"), CLIENT_NONCE);
        let outcome = client.server_first(message.as_bytes());
        assert_eq!(outcome.err(), error, "{message}");
    }
}

/// Every message of a good exchange, with what each side says to a damaged one.
fn damaged_is_refused(damage: impl Fn(&[u8]) -> Vec<Vec<u8>>) {
    let good = || half(Some(&verifier("pw")), by_password("pw"));
    let whole = good();
    let (client_first, _) = start(by_password("pw"), CLIENT_NONCE);
    for message in damage(&client_first) {
        // A damaged nonce or name may be readable, but then no proof over the good one fits.
        if let Ok(server) = server(Some(&verifier("pw"))).client_first(&message) {
            assert!(check(server, &whole.client_final).is_err(), "{message:?}");
        }
    }
    for message in damage(&whole.server_first) {
        let (_, client) = start(by_password("pw"), CLIENT_NONCE);
        let last = match client.server_first(&message) {
            Err(_) => continue,
            Ok(ClientOutcome::Send { message, .. }) => message,
            // A damaged count may be large: leave out only the work.
            Ok(ClientOutcome::NeedKeys { .. }) if !message.ends_with(b",i=3") => continue,
            Ok(ClientOutcome::NeedKeys { request, next }) => next.keys(&request.derive()).0,
        };
        assert!(check(good().server, &last).is_err(), "{message:?}");
    }
    for message in damage(&whole.client_final) {
        assert!(check(good().server, &message).is_err(), "{message:?}");
    }
    let server_final = check(whole.server, &whole.client_final).unwrap().message;
    for message in damage(&server_final) {
        assert!(good().client.server_final(&message).is_err(), "{message:?}");
    }
    good()
        .client
        .server_final(&server_final)
        .expect("the undamaged exchange passes");
}

#[test]
fn no_truncated_message_authenticates() {
    damaged_is_refused(|whole| (0..whole.len()).map(|cut| whole[..cut].to_vec()).collect());
}

#[test]
fn no_message_with_one_changed_byte_authenticates() {
    damaged_is_refused(|whole| {
        let changed = |at: usize, mask: u8| {
            let mut copy = whole.to_vec();
            copy[at] ^= mask;
            copy
        };
        let masks = [0x01, 0x02, 0x10, 0x20, 0x40, 0x80, 0xff];
        let places = (0..whole.len()).flat_map(|at| masks.map(|mask| (at, mask)));
        places.map(|(at, mask)| changed(at, mask)).collect()
    });
}

#[test]
fn no_message_with_one_byte_more_authenticates() {
    damaged_is_refused(|whole| {
        let with = |byte: u8| [whole, &[byte]].concat();
        [0, b',', b'=', b'A', b' ', 0xff].map(with).to_vec()
    });
}

proptest! {
    #[test]
    fn any_password_passes_against_itself(text in "[^\0]{1,40}") {
        prop_assert!(exchange(Some(&plain(&text)), by_password(&text)).is_ok());
        prop_assert!(exchange(Some(&verifier(&text)), by_password(&text)).is_ok());
    }

    #[test]
    fn two_passwords_do_not_pass_for_each_other(one in "[ -~]{1,20}", two in "[ -~]{1,20}") {
        prop_assume!(one != two);
        prop_assert!(exchange(Some(&plain(&one)), by_password(&two)).is_err());
    }

    #[test]
    fn arbitrary_bytes_never_authenticate(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        text in "[ynpcrsiav]=?[,=A-Za-z0-9+/]{0,80}",
    ) {
        for message in [&bytes[..], text.as_bytes()] {
            let half = half(Some(&verifier("pw")), by_password("pw"));
            prop_assert!(check(half.server, message).is_err());
            prop_assert!(half.client.server_final(message).is_err());
            let (_, client) = start(by_password("pw"), CLIENT_NONCE);
            prop_assert!(client.server_first(message).is_err());
            // client-first proves nothing; it must only not panic.
            drop(server(None).client_first(message));
        }
    }
}
