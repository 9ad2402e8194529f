use super::*;
use std::sync::mpsc;
use std::thread;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::{Builder, Runtime};

use crate::net::tls::test_certificates::Authority;
use crate::net::{ClientTls, ServerTls, SslMode};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (client, server) = tokio::join!(client, listener.accept());
    (client.unwrap(), server.unwrap().0)
}

async fn tls_pair() -> (Stream, Stream) {
    let authority = Authority::new("test");
    let identity = authority.issue("localhost");
    let server = ClientTls::build(&authority.options(SslMode::Require, Some(&identity))).unwrap();
    let client = ServerTls::build(&authority.options(SslMode::VerifyFull, None)).unwrap();
    let (connecting, accepting) = tcp_pair().await;
    let address = connecting.peer_addr().unwrap().ip();
    let (client, server) = tokio::join!(
        client.connect(connecting, "localhost", address),
        server.accept(accepting)
    );
    (client.unwrap(), server.unwrap())
}

/// Bytes that tell their own place.
fn pattern(from: usize, count: usize) -> Vec<u8> {
    (from..from + count)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect()
}

const PIECE: usize = 100_000;
const MOVES: usize = 6;

/// One thread echoes while the other end moves between two runtimes, in the middle of the data.
fn echo_while_moving(pair: impl Future<Output = (Stream, Stream)>) {
    let first = runtime();
    let (mut mover, echo) = first.block_on(pair);
    let (send, receive) = mpsc::channel::<Stream>();
    send.send(echo).unwrap();
    let echoing = thread::spawn(move || {
        runtime().block_on(async {
            let mut echo = receive.recv().unwrap().rehome().unwrap();
            let mut buffer = vec![0; 8192];
            loop {
                let read = echo.read(&mut buffer).await.unwrap();
                if read == 0 {
                    return;
                }
                echo.write_all(&buffer[..read]).await.unwrap();
                echo.flush().await.unwrap();
            }
        });
    });
    let second = runtime();
    let mut seen = 0;
    for turn in 0..MOVES {
        let home = if turn % 2 == 0 { &second } else { &first };
        // Some of the last piece is still under way, or decrypted and unread.
        mover = home.block_on(async {
            let mut here = mover.rehome().unwrap();
            here.write_all(&pattern(turn * PIECE, PIECE)).await.unwrap();
            here.flush().await.unwrap();
            let wanted = (turn + 1) * PIECE - 10 - seen;
            let mut answer = vec![0; wanted];
            here.readable().await.unwrap();
            here.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, pattern(seen, wanted), "turn {turn}");
            seen += wanted;
            here
        });
    }
    first.block_on(async {
        let mut here = mover.rehome().unwrap();
        let mut rest = [0; 10];
        here.readable().await.unwrap();
        here.read_exact(&mut rest).await.unwrap();
        assert_eq!(rest.to_vec(), pattern(seen, 10));
        here.shutdown().await.unwrap();
    });
    echoing.join().unwrap();
}

#[test]
fn a_tcp_stream_moves_between_runtimes_while_data_flow() {
    echo_while_moving(async {
        let (a, b) = tcp_pair().await;
        (a.into(), b.into())
    });
}

#[test]
fn a_unix_stream_moves_between_runtimes_while_data_flow() {
    echo_while_moving(async {
        let (a, b) = UnixStream::pair().unwrap();
        (a.into(), b.into())
    });
}

#[test]
fn a_tls_stream_moves_between_runtimes_while_data_flow() {
    echo_while_moving(tls_pair());
    echo_while_moving(async {
        let (a, b) = tls_pair().await;
        (b, a)
    });
}

/// A stream outlives the runtime it was made in, if it moves before that one is dropped.
#[test]
fn a_moved_stream_no_longer_needs_its_first_runtime() {
    let first = runtime();
    let (a, b) = first.block_on(tls_pair());
    let second = runtime();
    let (mut a, mut b) = second.block_on(async { (a.rehome().unwrap(), b.rehome().unwrap()) });
    drop(first);
    second.block_on(async {
        a.write_all(b"hello").await.unwrap();
        a.flush().await.unwrap();
        let mut seen = [0; 5];
        b.read_exact(&mut seen).await.unwrap();
        assert_eq!(&seen, b"hello");
    });
}

#[tokio::test]
async fn readiness_needs_no_buffer_and_does_not_hide_decrypted_bytes() {
    let (mut a, mut b) = tls_pair().await;
    a.write_all(b"hello").await.unwrap();
    a.flush().await.unwrap();
    b.readable().await.unwrap();
    let mut two = [0; 2];
    b.read_exact(&mut two).await.unwrap();
    // The socket is empty now, the session is not.
    b.readable().await.unwrap();
    let mut three = [0; 3];
    b.read_exact(&mut three).await.unwrap();
    assert_eq!(&three, b"llo");
    a.shutdown().await.unwrap();
    b.readable().await.unwrap();
    assert_eq!(b.read(&mut three).await.unwrap(), 0);
}

#[tokio::test]
async fn a_stream_describes_itself_as_the_log_needs_it() {
    let (a, b) = tls_pair().await;
    assert_eq!(a.tls().as_deref(), Some("TLSv1.3/TLS_AES_256_GCM_SHA384"));
    assert_eq!(a.tls(), b.tls());
    assert!(a.is_tls() && !a.is_unix());
    assert_eq!(a.alpn(), Some(&b"postgresql"[..]));
    assert!(a.peer_certificate().is_some());
    assert!(b.peer_certificate().is_none());
    let address = b.local_addr().unwrap();
    let peer = a.peer().unwrap();
    assert_eq!(peer, Peer::Tcp(address));
    assert_eq!(peer.describe(6432), address.to_string());
    let six = Peer::Tcp("[::1]:77".parse().unwrap());
    assert_eq!(six.describe(6432), "[::1]:77");
}

#[tokio::test]
async fn a_unix_peer_is_known_by_its_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let (client, server) = tokio::join!(UnixStream::connect(&path), listener.accept());
    let (_client, server) = (client.unwrap(), Stream::from(server.unwrap().0));
    let pid = std::process::id();
    let peer = server.peer().unwrap();
    assert_eq!(peer.describe(6432), format!("unix({pid}):6432"));
    assert!(matches!(peer, Peer::Unix { uid, .. } if uid == nix::unistd::getuid().as_raw()));
    assert_eq!(server.local_addr(), None);
    assert_eq!(server.tls(), None);
}

#[test]
fn cipher_suites_have_their_openssl_names() {
    for (suite, name) in [
        (
            CipherSuite::TLS13_AES_256_GCM_SHA384,
            "TLS_AES_256_GCM_SHA384",
        ),
        (
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
            "TLS_CHACHA20_POLY1305_SHA256",
        ),
        (
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            "ECDHE-RSA-AES128-GCM-SHA256",
        ),
        (
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            "ECDHE-ECDSA-CHACHA20-POLY1305",
        ),
    ] {
        assert_eq!(openssl_name(suite), name);
    }
}
