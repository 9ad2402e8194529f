//! The shell of the login over an in-memory stream, with a scripted server at the other end.

use std::io::ErrorKind;
use std::num::NonZeroU32;

use tokio::io::{DuplexStream, duplex};

use super::*;
use crate::auth::scram::ProcessKey;
use crate::auth::{Password, Secret};
use crate::protocol::TransactionStatus;
use crate::session::client_login::{
    ClientAuth, ClientLogin, ClientLoginRequest, LoginChance, LoginStep, UserLookup,
};
use crate::session::server_login::ServerCredential;

const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0S\0\0\0\x0bname\0v\0\
    K\0\0\0\x0c\0\0\0\x07secrZ\0\0\0\x05I";

fn request() -> ServerLoginRequest {
    ServerLoginRequest {
        user: b"app"[..].into(),
        database: b"db"[..].into(),
        parameters: Vec::new(),
        credential: ServerCredential::Password(Password::new(b"pw").unwrap()),
    }
}

fn cache() -> KeyCache {
    KeyCache::new(ProcessKey::new([1; 32]), 4)
}

async fn read_startup(stream: &mut DuplexStream) {
    let length = stream.read_u32().await.unwrap();
    let mut rest = vec![0; usize::try_from(length).unwrap() - 4];
    stream.read_exact(&mut rest).await.unwrap();
}

/// Runs a login against a server that reads the startup packet, sends the parts and closes.
async fn against(parts: [&[u8]; 2]) -> Result<LoggedIn, ServerLoginError> {
    let (mut ours, mut theirs) = duplex(32);
    let cache = cache();
    let server = async {
        read_startup(&mut theirs).await;
        for part in parts {
            // The login may have ended with an error and closed its end.
            if theirs.write_all(part).await.is_err() {
                return;
            }
        }
        drop(theirs);
    };
    let client = async {
        let outcome = login(&mut ours, request(), &cache).await;
        drop(ours);
        outcome
    };
    tokio::join!(client, server).0
}

#[tokio::test(start_paused = true)]
async fn a_login_ends_the_same_for_every_split() {
    let bytes = WELCOME;
    for cut in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        let logged_in = against([head, tail]).await.unwrap();
        assert_eq!(logged_in.status, TransactionStatus::Idle);
        assert_eq!(*logged_in.parameters[0].value, *b"v", "cut at {cut}");
        assert_eq!(logged_in.key.unwrap().process_id, 7);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_anywhere_is_lost() {
    let bytes = WELCOME;
    for cut in 0..bytes.len() {
        let error = against([&bytes[..cut], b""]).await.unwrap_err();
        assert_eq!(
            error,
            ServerLoginError::Lost(ErrorKind::UnexpectedEof),
            "cut at {cut}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn impossible_lengths_are_refused_before_anything_is_kept() {
    for length in [0, 3, 64 * 1024 + 1, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        let frame = [b"R", &length.to_be_bytes()[..]].concat();
        let error = against([&frame, b"\0\0\0\0"]).await.unwrap_err();
        assert!(
            matches!(error, ServerLoginError::Frame(_)),
            "{length} {error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_behind_ready_for_query_is_read() {
    let (mut ours, mut theirs) = duplex(4096);
    let cache = cache();
    let bytes = [WELCOME, b"behind"].concat();
    let server = async {
        read_startup(&mut theirs).await;
        theirs.write_all(&bytes).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(login(&mut ours, request(), &cache), server);
    outcome.unwrap();
    let mut rest = [0; 6];
    ours.read_exact(&mut rest).await.unwrap();
    assert_eq!(rest, *b"behind");
}

/// A server that asks for SCRAM: our own login of clients.
async fn scram_server(stream: &mut DuplexStream) {
    read_startup(stream).await;
    let secret = Secret::Plain(Password::new(b"pw").unwrap());
    let mut step = ClientLogin::start(ClientLoginRequest {
        auth: ClientAuth::ScramSha256,
        user: b"app",
        lookup: UserLookup::Known(&secret),
        chance: LoginChance {
            md5_salt: [0; 4],
            nonce: [2; NONCE_RANDOM_BYTES],
        },
        process: &ProcessKey::new([3; 32]),
        scram_iterations: NonZeroU32::new(2).unwrap(),
    })
    .unwrap();
    let mut frame = BytesMut::new();
    loop {
        step = match step {
            LoginStep::Send { bytes, next } => {
                stream.write_all(&bytes).await.unwrap();
                let tag = read_frame(stream, &mut frame).await.unwrap();
                next.step(tag, &frame).expect("the password is right")
            }
            LoginStep::NeedKeys { request, next } => next.keys(&request.derive()).unwrap(),
            LoginStep::Done(authenticated) => {
                stream.write_all(&authenticated.bytes).await.unwrap();
                stream.write_all(WELCOME).await.unwrap();
                return;
            }
        };
    }
}

#[tokio::test]
async fn a_scram_login_remembers_the_keys_of_its_password() {
    let cache = cache();
    for _ in 0..2 {
        let (mut ours, mut theirs) = duplex(64);
        let (outcome, ()) = tokio::join!(
            login(&mut ours, request(), &cache),
            scram_server(&mut theirs)
        );
        outcome.unwrap();
        assert_eq!(format!("{cache:?}"), "KeyCache(1 entries)");
    }
}

#[tokio::test]
async fn remembered_keys_are_not_derived_again() {
    let cache = cache();
    let count = NonZeroU32::new(2).unwrap();
    let request = || KeyRequest::new(Password::new(b"pw").unwrap(), *b"salt", count).unwrap();
    // Keys that no derivation gives, so that a derivation would show.
    let planted = KeyRequest::new(Password::new(b"other").unwrap(), *b"salt", count).unwrap();
    let planted = planted.derive();
    cache.store(&request(), &planted);
    let found = derive(&cache, request()).await.unwrap();
    assert!(found.client_key.matches(&planted.client_key));
}
