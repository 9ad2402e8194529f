use super::*;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};

use crate::net::ClientTls;
use crate::net::accept::{self, Accepted};
use crate::net::tls::test_certificates::Authority;

const TIMES: DnsTimes = DnsTimes {
    found: Duration::from_secs(15),
    missing: Duration::from_secs(15),
};

const REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";

struct Fixture {
    dns: Dns,
    authority: Authority,
    listener: TcpListener,
}

impl Fixture {
    async fn new() -> Self {
        Self {
            dns: Dns::default(),
            authority: Authority::new("test"),
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        }
    }

    fn target(&self, host: &str) -> Target {
        Target {
            host: Host::parse(host),
            port: self.listener.local_addr().unwrap().port(),
        }
    }

    fn tls(&self, mode: SslMode) -> ServerTls {
        ServerTls::build(&self.authority.options(mode, None)).unwrap()
    }

    fn connector<'a>(&'a self, tls: &'a ServerTls) -> Connector<'a> {
        Connector {
            dns: &self.dns,
            dns_times: TIMES,
            tls,
            socket: SocketOptions::default(),
        }
    }

    /// Connects to a server that reads the request and sends `answer`.
    async fn answered(&self, mode: SslMode, answer: &[u8]) -> Result<Stream, ConnectError> {
        let tls = self.tls(mode);
        let connector = self.connector(&tls);
        let target = self.target("127.0.0.1");
        let answering = async {
            let (mut server, _) = self.listener.accept().await.unwrap();
            let mut request = [0; 8];
            server.read_exact(&mut request).await.unwrap();
            assert_eq!(request, REQUEST);
            server.write_all(answer).await.unwrap();
        };
        tokio::join!(connector.connect(&target), answering).0
    }
}

const ASKING: [SslMode; 5] = [
    SslMode::Allow,
    SslMode::Prefer,
    SslMode::Require,
    SslMode::VerifyCa,
    SslMode::VerifyFull,
];

#[tokio::test]
async fn a_server_without_tls_is_taken_unless_tls_is_demanded() {
    let fixture = Fixture::new().await;
    for mode in ASKING {
        let outcome = fixture.answered(mode, b"N").await;
        if mode.demands_tls() {
            let error = outcome.unwrap_err();
            assert!(matches!(error, ConnectError::RefusedSsl), "{mode:?}");
            assert_eq!(error.text(), "server refused SSL");
        } else {
            assert!(!outcome.unwrap().is_tls(), "{mode:?}");
        }
    }
}

#[tokio::test]
async fn without_tls_nothing_is_asked() {
    let fixture = Fixture::new().await;
    let tls = ServerTls::disabled();
    let target = fixture.target("127.0.0.1");
    let mut stream = fixture.connector(&tls).connect(&target).await.unwrap();
    let (mut server, _) = fixture.listener.accept().await.unwrap();
    stream.write_all(b"x").await.unwrap();
    let mut first = [0];
    server.read_exact(&mut first).await.unwrap();
    assert_eq!(first, *b"x");
}

/// Bytes that a third party puts behind the answer must not be taken for the server's
/// (CVE-2021-23222).
#[tokio::test]
async fn plain_bytes_behind_the_answer_are_refused() {
    let fixture = Fixture::new().await;
    for mode in ASKING {
        for answer in [&b"SE"[..], b"S\x16\x03\x03", b"NR", &[b'S'; 100]] {
            let error = fixture.answered(mode, answer).await.unwrap_err();
            assert!(matches!(error, ConnectError::PlainAfterSsl), "{error}");
        }
    }
}

#[tokio::test]
async fn other_answers_are_refused_and_not_read() {
    let fixture = Fixture::new().await;
    for mode in ASKING {
        for answer in [&b"E\0\0\0\x20SFATAL\0"[..], b"x", b"H"] {
            let error = fixture.answered(mode, answer).await.unwrap_err();
            assert!(
                matches!(error, ConnectError::BadSslAnswer(byte) if byte == answer[0]),
                "{error}"
            );
        }
        let error = fixture.answered(mode, b"").await.unwrap_err();
        assert!(matches!(error, ConnectError::Closed), "{error}");
    }
}

#[tokio::test]
async fn plain_bytes_instead_of_the_handshake_break_it() {
    let fixture = Fixture::new().await;
    let tls = fixture.tls(SslMode::Require);
    let target = fixture.target("127.0.0.1");
    let connector = fixture.connector(&tls);
    let smuggling = async {
        let (mut server, _) = fixture.listener.accept().await.unwrap();
        let mut request = [0; 8];
        server.read_exact(&mut request).await.unwrap();
        server.write_all(b"S").await.unwrap();
        // The hello has come, so our answer has been read.
        server.read_exact(&mut [0; 5]).await.unwrap();
        server.write_all(b"R\0\0\0\x08\0\0\0\0").await.unwrap();
        server.read_to_end(&mut Vec::new()).await.ok();
    };
    let (outcome, ()) = tokio::join!(connector.connect(&target), smuggling);
    assert!(matches!(outcome, Err(ConnectError::Handshake(_))));
}

#[tokio::test]
async fn tls_is_agreed_on_by_name_and_by_address() {
    let fixture = Fixture::new().await;
    for (host, mode, passes) in [
        ("localhost", SslMode::VerifyFull, true),
        ("127.0.0.1", SslMode::VerifyFull, false),
        ("127.0.0.1", SslMode::VerifyCa, true),
        ("127.0.0.1", SslMode::Prefer, true),
    ] {
        let identity = fixture.authority.issue("localhost");
        let options = fixture.authority.options(SslMode::Require, Some(&identity));
        let server_tls = ClientTls::build(&options).unwrap();
        let tls = fixture.tls(mode);
        let connector = fixture.connector(&tls);
        let target = fixture.target(host);
        let accepting = async {
            let (server, _) = fixture.listener.accept().await.unwrap();
            drop(accept::accept(Stream::Tcp(server), &server_tls, None).await);
        };
        let connecting = async { connector.connect(&target).await };
        let outcome = tokio::select! {
            outcome = connecting => outcome,
            () = async { accepting.await; std::future::pending().await } => unreachable!(),
        };
        match outcome {
            Ok(stream) => assert!(passes && stream.is_tls(), "{host} {mode:?}"),
            Err(error) => {
                assert!(!passes, "{host} {mode:?} {error}");
                assert!(matches!(error, ConnectError::Handshake(_)));
            }
        }
    }
}

#[tokio::test]
async fn failures_have_pgbouncers_words() {
    let fixture = Fixture::new().await;
    let tls = ServerTls::disabled();
    let mut target = fixture.target("127.0.0.1");
    let connector = fixture.connector(&tls);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    target.port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = connector.connect(&target).await.unwrap_err();
    assert_eq!(error.text(), "connect failed");
    assert!(error.to_string().contains(&format!(":{}", target.port)));
    target.host = Host::parse("not a host name");
    let error = connector.connect(&target).await.unwrap_err();
    assert_eq!(error.text(), "server DNS lookup failed");
    target.host = Host::parse("/nonexistent");
    let error = connector.connect(&target).await.unwrap_err();
    assert_eq!(error.text(), "connect failed");
    assert!(error.to_string().contains("/nonexistent/.s.PGSQL."));
}

#[tokio::test]
async fn unix_sockets_are_found_and_never_asked_for_tls() {
    let fixture = Fixture::new().await;
    let tls = fixture.tls(SslMode::VerifyFull);
    let connector = fixture.connector(&tls);
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join(".s.PGSQL.5432")).unwrap();
    let target = Target {
        host: Host::parse(dir.path().to_str().unwrap()),
        port: 5432,
    };
    let stream = connector.connect(&target).await.unwrap();
    assert!(stream.is_unix());
    drop(listener);

    let name = format!("@pgweir-connect-{}", std::process::id());
    let listener = UnixListener::bind(format!("\0{}/.s.PGSQL.5432", &name[1..])).unwrap();
    let target = Target {
        host: Host::parse(&name),
        port: 5432,
    };
    assert!(connector.connect(&target).await.unwrap().is_unix());
    drop(listener);
}

#[tokio::test]
async fn a_cancel_request_waits_for_the_server_to_close() {
    let fixture = Fixture::new().await;
    let tls = ServerTls::disabled();
    let connector = fixture.connector(&tls);
    let target = fixture.target("localhost");
    let address = Some(IpAddr::from([127, 0, 0, 1]));
    let sending = connector.send_cancel(&target, address, b"\0\0\0\x07secret");
    let serving = async {
        let (server, _) = fixture.listener.accept().await.unwrap();
        let seen = accept::accept(Stream::Tcp(server), &ClientTls::disabled(), None).await;
        let Ok(Accepted::Cancel { key, stream }) = seen else {
            panic!("{seen:?}");
        };
        assert_eq!(key, b"\0\0\0\x07secret");
        stream
    };
    tokio::pin!(sending);
    let stream = tokio::select! {
        biased;
        outcome = &mut sending => panic!("did not wait: {outcome:?}"),
        stream = serving => stream,
    };
    drop(stream);
    sending.await.unwrap();
}

#[tokio::test]
async fn a_cancel_request_with_an_impossible_key_connects_nowhere() {
    let fixture = Fixture::new().await;
    let tls = ServerTls::disabled();
    let target = Target {
        host: Host::parse("/nonexistent"),
        port: 1,
    };
    let outcome = fixture
        .connector(&tls)
        .send_cancel(&target, None, b"short")
        .await;
    assert!(matches!(outcome, Err(ConnectError::Key(_))));
}

#[test]
fn hosts_have_four_forms() {
    assert_eq!(Host::parse("db.example"), Host::Name("db.example".into()));
    assert_eq!(Host::parse("10.1.2.3"), Host::Ip([10, 1, 2, 3].into()));
    assert_eq!(Host::parse("::1"), Host::Ip("::1".parse().unwrap()));
    assert_eq!(Host::parse("/run/db"), Host::Unix("/run/db".into()));
    assert_eq!(Host::parse("@name"), Host::Unix("@name".into()));
}

#[test]
fn hosts_take_turns_or_are_kept_until_they_fail() {
    let hosts = ["a", "b", "c"];
    let mut turn = HostTurn::default();
    let mut pick = |order| *turn.pick(&hosts, order).unwrap();
    assert_eq!(
        [0; 4].map(|_| pick(HostOrder::RoundRobin)),
        ["a", "b", "c", "a"]
    );
    assert_eq!([0; 2].map(|_| pick(HostOrder::Stick)), ["b", "b"]);
    turn.failed(HostOrder::Stick);
    assert_eq!(turn.pick(&hosts, HostOrder::Stick), Some(&"c"));
    turn.failed(HostOrder::Stick);
    assert_eq!(turn.pick(&hosts, HostOrder::Stick), Some(&"a"));
    assert_eq!(turn.pick::<&str>(&[], HostOrder::Stick), None);
    assert_eq!(turn.pick(&["only"], HostOrder::RoundRobin), Some(&"only"));
}
