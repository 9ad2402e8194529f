use super::*;
use tokio::net::{TcpListener, TcpStream, UnixStream};

use crate::net::tls::test_certificates::Authority;
use crate::net::{ServerTls, SslMode};
use crate::protocol::startup::{GSS_CODE, SSL_CODE};

fn startup() -> Vec<u8> {
    let body = b"\0\x03\0\0user\0u\0\0";
    let mut packet = u32::try_from(body.len() + 4)
        .unwrap()
        .to_be_bytes()
        .to_vec();
    packet.extend_from_slice(body);
    packet
}

fn request(code: u32) -> Vec<u8> {
    [8u32.to_be_bytes(), code.to_be_bytes()].concat()
}

struct Tls {
    server: ClientTls,
    client: ServerTls,
}

fn tls(mode: SslMode) -> Tls {
    let authority = Authority::new("test");
    let identity = authority.issue("localhost");
    Tls {
        server: ClientTls::build(&authority.options(mode, Some(&identity))).unwrap(),
        client: ServerTls::build(&authority.options(SslMode::VerifyFull, None)).unwrap(),
    }
}

async fn pair() -> (TcpStream, Stream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (client, server) = tokio::join!(client, listener.accept());
    (client.unwrap(), Stream::Tcp(server.unwrap().0))
}

async fn handshake(tls: &Tls, client: TcpStream) -> Stream {
    let address = client.peer_addr().unwrap().ip();
    let done = tls.client.connect(client, "localhost", address).await;
    done.unwrap()
}

/// The client sends everything at once; what accept says, and all that the client gets back.
async fn send_all(bytes: &[u8], tls: &ClientTls) -> (Result<Accepted, AcceptError>, Vec<u8>) {
    let (mut client, server) = pair().await;
    client.write_all(bytes).await.unwrap();
    client.shutdown().await.unwrap();
    let mut outcome = accept(server, tls, None).await;
    if let Ok(Accepted::Startup { stream, .. } | Accepted::Cancel { stream, .. }) = &mut outcome {
        stream.shutdown().await.unwrap();
    }
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    (outcome, answer)
}

fn fatal(text: &str) -> Vec<u8> {
    let mut out = BytesMut::new();
    let report = Report::new(Severity::Fatal, SqlState::PROTOCOL_VIOLATION, text);
    reply::error(&mut out, &report);
    out.to_vec()
}

#[tokio::test]
async fn a_plain_client_gets_through_with_what_it_pipelined() {
    let bytes = [startup(), b"more".to_vec()].concat();
    let (outcome, answer) = send_all(&bytes, &ClientTls::disabled()).await;
    let Ok(Accepted::Startup {
        packet, leftover, ..
    }) = outcome
    else {
        panic!("{outcome:?}");
    };
    assert_eq!(packet.user, "u");
    assert_eq!(leftover, b"more"[..]);
    assert_eq!(answer, b"");
}

#[tokio::test]
async fn a_packet_may_come_byte_by_byte() {
    let (mut client, server) = pair().await;
    let disabled = ClientTls::disabled();
    let sending = async {
        for byte in [request(SSL_CODE), request(GSS_CODE)] {
            let mut answer = [0];
            for part in byte.chunks(1) {
                client.write_all(part).await.unwrap();
                tokio::task::yield_now().await;
            }
            client.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, *b"N");
        }
        for part in startup().chunks(1) {
            client.write_all(part).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let (outcome, ()) = tokio::join!(accept(server, &disabled, None), sending);
    assert!(matches!(outcome, Ok(Accepted::Startup { .. })));
}

#[tokio::test]
async fn a_cancel_request_hands_out_its_key() {
    let bytes = b"\0\0\0\x10\x04\xd2\x16\x2e12345678";
    let (outcome, answer) = send_all(bytes, &tls(SslMode::Require).server).await;
    let Ok(Accepted::Cancel { key, .. }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(key, b"12345678");
    assert_eq!(answer, b"", "cancelling needs no TLS and gets no answer");
}

/// Bytes that a third party puts behind the request must not be taken for the client's (the class
/// of CVE-2021-23214).
#[tokio::test]
async fn plain_bytes_behind_a_request_are_refused() {
    for mode in [SslMode::Disable, SslMode::Prefer, SslMode::Require] {
        let server = match mode {
            SslMode::Disable => ClientTls::disabled(),
            mode => tls(mode).server,
        };
        for smuggled in [vec![0], startup()] {
            let bytes = [request(SSL_CODE), smuggled.clone()].concat();
            let (outcome, answer) = send_all(&bytes, &server).await;
            assert!(
                matches!(outcome, Err(AcceptError::PlainAfterSsl)),
                "{mode:?}"
            );
            assert_eq!(answer, fatal("received unencrypted data after SSL request"));
            let bytes = [request(GSS_CODE), smuggled].concat();
            let (outcome, answer) = send_all(&bytes, &server).await;
            assert!(matches!(outcome, Err(AcceptError::PlainAfterGss)));
            assert_eq!(
                answer,
                fatal("received unencrypted data after GSSAPI encryption request")
            );
        }
    }
}

/// The same bytes a moment later, behind our answer, are a broken handshake.
#[tokio::test]
async fn plain_bytes_behind_the_answer_break_the_handshake() {
    let tls = tls(SslMode::Prefer);
    let (mut client, server) = pair().await;
    let smuggling = async {
        client.write_all(&request(SSL_CODE)).await.unwrap();
        let mut answer = [0];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, *b"S");
        client.write_all(&startup()).await.unwrap();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.ok();
        assert!(!rest.contains(&b'R'), "no login went on");
    };
    let (outcome, ()) = tokio::join!(accept(server, &tls.server, None), smuggling);
    assert!(
        matches!(outcome, Err(AcceptError::Handshake(_))),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn tls_is_agreed_on_after_a_request_or_at_once() {
    for mode in [SslMode::Allow, SslMode::Prefer, SslMode::Require] {
        for asks in [true, false] {
            let tls = tls(mode);
            let (mut client, server) = pair().await;
            let connecting = async {
                if asks {
                    let mut answer = [0];
                    client.write_all(&request(GSS_CODE)).await.unwrap();
                    client.read_exact(&mut answer).await.unwrap();
                    assert_eq!(answer, *b"N");
                    client.write_all(&request(SSL_CODE)).await.unwrap();
                    client.read_exact(&mut answer).await.unwrap();
                    assert_eq!(answer, *b"S");
                }
                let mut client = handshake(&tls, client).await;
                client.write_all(&startup()).await.unwrap();
                client.flush().await.unwrap();
                client
            };
            let (outcome, _client) = tokio::join!(accept(server, &tls.server, None), connecting);
            let Ok(Accepted::Startup {
                stream, leftover, ..
            }) = outcome
            else {
                panic!("{mode:?} {asks} {outcome:?}");
            };
            assert!(stream.is_tls());
            assert!(leftover.is_empty());
        }
    }
}

#[tokio::test]
async fn tls_is_refused_where_it_is_off() {
    let tls = Tls {
        server: ClientTls::disabled(),
        ..tls(SslMode::Require)
    };
    let (mut client, server) = pair().await;
    let asking = async {
        client.write_all(&request(SSL_CODE)).await.unwrap();
        let mut answer = [0];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, *b"N");
        client.write_all(&startup()).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(accept(server, &tls.server, None), asking);
    assert!(matches!(outcome, Ok(Accepted::Startup { .. })));

    let (outcome, answer) = send_all(b"\x16\x03\x01\x02\0\x01\0\x01", &tls.server).await;
    assert!(matches!(
        outcome,
        Err(AcceptError::Startup(StartupError::BadHeader(_)))
    ));
    assert_eq!(answer, fatal("bad packet header: '1603010200010001'"));
}

#[tokio::test]
async fn plain_logins_are_refused_where_tls_is_demanded() {
    for mode in [SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull] {
        let (outcome, answer) = send_all(&startup(), &tls(mode).server).await;
        assert!(matches!(outcome, Err(AcceptError::SslRequired)), "{mode:?}");
        assert_eq!(answer, fatal("SSL required"));
    }
    let (outcome, _) = send_all(&startup(), &tls(SslMode::Prefer).server).await;
    assert!(outcome.is_ok());
}

#[tokio::test]
async fn unix_sockets_never_have_tls_and_never_need_it() {
    let tls = tls(SslMode::Require);
    let (mut client, server) = UnixStream::pair().unwrap();
    let asking = async {
        client.write_all(&request(SSL_CODE)).await.unwrap();
        let mut answer = [0];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, *b"N");
        client.write_all(&startup()).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(accept(server.into(), &tls.server, None), asking);
    assert!(matches!(outcome, Ok(Accepted::Startup { .. })));
}

#[tokio::test]
async fn each_request_is_answered_once() {
    for code in [SSL_CODE, GSS_CODE] {
        let (mut client, server) = pair().await;
        let asking = async {
            let mut answer = [0];
            client.write_all(&request(code)).await.unwrap();
            client.read_exact(&mut answer).await.unwrap();
            client.write_all(&request(code)).await.unwrap();
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, fatal("repeated encryption request"));
        };
        let disabled = ClientTls::disabled();
        let (outcome, ()) = tokio::join!(accept(server, &disabled, None), asking);
        assert!(matches!(outcome, Err(AcceptError::Repeated)));
    }
}

#[tokio::test]
async fn tls_is_not_asked_for_inside_tls() {
    let tls = tls(SslMode::Prefer);
    let (client, server) = pair().await;
    let asking = async {
        let mut client = handshake(&tls, client).await;
        client.write_all(&request(SSL_CODE)).await.unwrap();
        client.flush().await.unwrap();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, fatal("SSL req inside SSL"));
    };
    let (outcome, ()) = tokio::join!(accept(server, &tls.server, None), asking);
    assert!(matches!(outcome, Err(AcceptError::SslInsideSsl)));
}

#[tokio::test]
async fn a_wrong_packet_is_answered_with_the_reason() {
    for (bytes, text) in [
        (
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            "bad packet header: '474554202f204854'",
        ),
        (b"\0\0\0\x09\0\x03\0\0\0", "no username supplied"),
        (b"\0\0\0\x08\0\x02\0\0", "old V2 protocol not supported"),
    ] {
        let (outcome, answer) = send_all(bytes, &ClientTls::disabled()).await;
        assert!(matches!(outcome, Err(AcceptError::Startup(_))));
        assert_eq!(answer, fatal(text));
    }
}

#[tokio::test]
async fn a_client_that_leaves_early_is_not_answered() {
    let tls = tls(SslMode::Require);
    for cut in 0..startup().len() {
        for server in [&tls.server, &ClientTls::disabled()] {
            let (outcome, answer) = send_all(&startup()[..cut], server).await;
            assert!(matches!(outcome, Err(AcceptError::Closed)), "cut at {cut}");
            assert_eq!(answer, b"");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_is_sent_away_at_the_deadline() {
    let disabled = ClientTls::disabled();
    let with_tls = tls(SslMode::Require).server;
    for server in [&disabled, &with_tls] {
        let (mut client, stream) = UnixStream::pair().unwrap();
        client.write_all(&startup()[..7]).await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let outcome = accept(stream.into(), server, Some(deadline)).await;
        assert!(matches!(outcome, Err(AcceptError::TimedOut)));
        assert_eq!(Instant::now(), deadline);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, fatal("client_login_timeout"));
    }
}

#[tokio::test]
async fn direct_tls_without_the_protocols_name_is_refused() {
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

    let authority = Authority::new("test");
    let identity = authority.issue("localhost");
    let options = authority.options(SslMode::Prefer, Some(&identity));
    let server_tls = ClientTls::build(&options).unwrap();
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_file(authority.path("ca.crt")).unwrap();
    roots.add(root).unwrap();
    let config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (client, server) = pair().await;
    let asking = async {
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(std::sync::Arc::new(config));
        let mut client = connector.connect(name, client).await.unwrap();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        let text = "direct SSL connection without ALPN protocol negotiation";
        assert_eq!(rest, fatal(text));
    };
    let (outcome, ()) = tokio::join!(accept(server, &server_tls, None), asking);
    assert!(matches!(outcome, Err(AcceptError::NoAlpn)));
}
