use super::test_certificates::{Authority, Identity};
use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const MODES: [SslMode; 5] = [
    SslMode::Allow,
    SslMode::Prefer,
    SslMode::Require,
    SslMode::VerifyCa,
    SslMode::VerifyFull,
];

/// Both handshakes and four bytes over the connection. The first error is what the caller of the
/// failing side sees; with TLS 1.3 a server may refuse after the client believes all is well.
async fn meet(client: &ServerTls, server: &ClientTls, host: &str) -> Result<String, String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let text = |error: io::Error| error.to_string();
    let connecting = async {
        let tcp = TcpStream::connect(address).await.unwrap();
        let mut tls = client
            .connect(tcp, host, address.ip())
            .await
            .map_err(text)?;
        tls.write_all(b"ping").await.map_err(text)?;
        tls.flush().await.map_err(text)?;
        let mut answer = [0; 4];
        tls.read_exact(&mut answer).await.map_err(text)?;
        assert_eq!(&answer, b"pong");
        tls.tls().ok_or_else(|| "no TLS".to_owned())
    };
    let accepting = async {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut tls = server.accept(tcp).await.map_err(text)?;
        let mut question = [0; 4];
        tls.read_exact(&mut question).await.map_err(text)?;
        tls.write_all(b"pong").await.map_err(text)?;
        tls.flush().await.map_err(text)?;
        Ok::<_, String>(tls.peer_certificate().map(<[u8]>::to_vec))
    };
    let (connected, accepted) = tokio::join!(connecting, accepting);
    accepted?;
    connected
}

fn server_of(authority: &Authority, identity: &Identity) -> ClientTls {
    ClientTls::build(&authority.options(SslMode::Require, Some(identity))).unwrap()
}

/// Passes bytes on and gives the length of each TLS record, until the sender ends.
async fn record_lengths(mut from: impl AsyncReadExt + Unpin, to: impl AsyncWriteExt) -> Vec<u16> {
    let (mut lengths, mut header) = (Vec::new(), [0; 5]);
    tokio::pin!(to);
    while from.read_exact(&mut header).await.is_ok() {
        let length = u16::from_be_bytes([header[3], header[4]]);
        let mut body = vec![0; usize::from(length)];
        from.read_exact(&mut body).await.unwrap();
        lengths.push(length);
        to.write_all(&[&header[..], &body].concat()).await.unwrap();
    }
    lengths
}

/// Longer ones are the ones that libpq's asynchronous calls hang on.
#[tokio::test]
async fn clients_get_no_record_longer_than_what_libpq_reads_at_once() {
    const SENT: usize = 100_000;
    let authority = Authority::new("good");
    let server = server_of(&authority, &authority.issue("localhost"));
    let client = ServerTls::build(&authority.options(SslMode::Require, None)).unwrap();
    let between = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let behind = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sending = async {
        let mut tls = server
            .accept(behind.accept().await.unwrap().0)
            .await
            .unwrap();
        tls.write_all(&vec![7; SENT]).await.unwrap();
        tls.shutdown().await.unwrap();
    };
    let receiving = async {
        let address = between.local_addr().unwrap();
        let tcp = TcpStream::connect(address).await.unwrap();
        let mut tls = client
            .connect(tcp, "localhost", address.ip())
            .await
            .unwrap();
        tls.read_exact(&mut vec![0; SENT]).await.unwrap();
    };
    let passing = async {
        let (near, _) = between.accept().await.unwrap();
        let far = TcpStream::connect(behind.local_addr().unwrap())
            .await
            .unwrap();
        let ((near_reads, near_writes), (far_reads, far_writes)) =
            (near.into_split(), far.into_split());
        let up = tokio::spawn(record_lengths(near_reads, far_writes));
        let lengths = record_lengths(far_reads, near_writes).await;
        up.abort();
        lengths
    };
    let (lengths, (), ()) = tokio::join!(passing, sending, receiving);
    // A tag and, in TLS 1.3, the record's true type come on top.
    let longest = usize::from(lengths.into_iter().max().unwrap());
    assert!(
        (RECORD_MAX..=RECORD_MAX + 17).contains(&longest),
        "{longest}"
    );
}

#[tokio::test]
async fn a_good_certificate_passes_in_every_mode() {
    let authority = Authority::new("good");
    let server = server_of(&authority, &authority.issue("localhost"));
    for mode in MODES {
        let client = ServerTls::build(&authority.options(mode, None)).unwrap();
        assert_eq!(
            meet(&client, &server, "localhost").await,
            Ok("TLSv1.3/TLS_AES_256_GCM_SHA384".to_owned()),
            "{mode:?}"
        );
    }
}

#[tokio::test]
async fn a_certificate_of_another_authority_fails_where_it_is_verified() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let server = server_of(&theirs, &theirs.issue("localhost"));
    for mode in MODES {
        let client = ServerTls::build(&ours.options(mode, None)).unwrap();
        let outcome = meet(&client, &server, "localhost").await;
        assert_eq!(outcome.is_ok(), mode < SslMode::VerifyCa, "{mode:?}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_host_fails_in_verify_full_only() {
    let authority = Authority::new("good");
    let server = server_of(&authority, &authority.issue("elsewhere.example"));
    for mode in MODES {
        let client = ServerTls::build(&authority.options(mode, None)).unwrap();
        let outcome = meet(&client, &server, "localhost").await;
        assert_eq!(outcome.is_ok(), mode < SslMode::VerifyFull, "{mode:?}");
    }
}

#[tokio::test]
async fn addresses_are_verified_like_names() {
    let authority = Authority::new("good");
    let server = server_of(&authority, &authority.issue("127.0.0.1"));
    let client = ServerTls::build(&authority.options(SslMode::VerifyFull, None)).unwrap();
    assert!(meet(&client, &server, "127.0.0.1").await.is_ok());
    assert!(meet(&client, &server, "localhost").await.is_err());
    assert!(meet(&client, &server, "not a name").await.is_err());
    let lax = ServerTls::build(&authority.options(SslMode::Require, None)).unwrap();
    assert!(meet(&lax, &server, "not a name").await.is_ok());
}

#[tokio::test]
async fn a_self_signed_certificate_can_be_its_own_root() {
    let authority = Authority::new("unrelated");
    let identity = authority.self_signed("localhost");
    let server = server_of(&authority, &identity);
    for mode in [SslMode::VerifyCa, SslMode::VerifyFull] {
        let mut options = authority.options(mode, None);
        let stranger = ServerTls::build(&options).unwrap();
        assert!(meet(&stranger, &server, "localhost").await.is_err());
        options.ca_file = Some(identity.cert.clone());
        let client = ServerTls::build(&options).unwrap();
        assert!(
            meet(&client, &server, "localhost").await.is_ok(),
            "{mode:?}"
        );
        let elsewhere = meet(&client, &server, "elsewhere.example").await;
        assert_eq!(elsewhere.is_ok(), mode == SslMode::VerifyCa);
    }
}

#[tokio::test]
async fn clients_must_show_a_certificate_in_the_verifying_modes() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let identity = ours.issue("localhost");
    let (good, bad) = (ours.issue("alice"), theirs.issue("alice"));
    for mode in MODES {
        let server = ClientTls::build(&ours.options(mode, Some(&identity))).unwrap();
        for (shown, is_ours) in [(None, false), (Some(&good), true), (Some(&bad), false)] {
            let client = ServerTls::build(&ours.options(SslMode::Require, shown)).unwrap();
            let outcome = meet(&client, &server, "localhost").await;
            let expected = is_ours || mode < SslMode::VerifyCa;
            assert_eq!(outcome.is_ok(), expected, "{mode:?}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn protocol_lists_bind_both_sides() {
    let authority = Authority::new("good");
    let mut options = authority.options(SslMode::Require, Some(&authority.issue("localhost")));
    options.protocols = "tlsv1.2".to_owned();
    let server = ClientTls::build(&options).unwrap();
    let mut wanted = authority.options(SslMode::Require, None);
    let any = ServerTls::build(&wanted).unwrap();
    let seen = meet(&any, &server, "localhost").await.unwrap();
    assert_eq!(seen, "TLSv1.2/ECDHE-ECDSA-AES256-GCM-SHA384");
    wanted.protocols = "tlsv1.3".to_owned();
    let newer = ServerTls::build(&wanted).unwrap();
    assert!(meet(&newer, &server, "localhost").await.is_err());
}

#[test]
fn protocol_lists_are_read_like_libtls_does() {
    let count = |list| versions(list).map(|found| found.len());
    for (list, expected) in [
        ("secure", 2),
        ("all", 2),
        ("", 2),
        ("tlsv1.2", 1),
        ("TLSv1.3", 1),
        ("tlsv1.0,tlsv1.1,tlsv1.2", 1),
        ("tlsv1.2:tlsv1.3", 2),
        ("all:!tlsv1.2", 1),
    ] {
        assert_eq!(count(list).unwrap(), expected, "{list}");
    }
    assert!(matches!(count("tlsv1.1"), Err(TlsError::Protocols(_))));
    assert!(matches!(count("sslv3"), Err(TlsError::UnknownProtocol(_))));
}

#[test]
fn modes_have_pgbouncers_words() {
    for (word, mode) in [
        ("disable", SslMode::Disable),
        ("allow", SslMode::Allow),
        ("prefer", SslMode::Prefer),
        ("require", SslMode::Require),
        ("verify-ca", SslMode::VerifyCa),
        ("verify-full", SslMode::VerifyFull),
    ] {
        assert_eq!(word.parse(), Ok(mode));
    }
    assert!("on".parse::<SslMode>().is_err());
}

#[test]
fn mistakes_in_the_files_are_named() {
    let authority = Authority::new("good");
    let identity = authority.issue("localhost");
    let other = authority.issue("other");
    let garbage = authority.path("garbage");
    std::fs::write(&garbage, "hello").unwrap();
    let absent = authority.path("absent");
    let client = |change: &dyn Fn(&mut TlsOptions)| {
        let mut options = authority.options(SslMode::VerifyCa, Some(&identity));
        change(&mut options);
        ClientTls::build(&options).unwrap_err().to_string()
    };
    let cases = [
        (
            client(&|it| it.key_file = None),
            "client_tls_key_file and client_tls_cert_file must be set",
        ),
        (
            client(&|it| it.ca_file = None),
            "client_tls_ca_file must be set when client_tls_sslmode verifies certificates",
        ),
        (
            client(&|it| it.cert_file = Some(garbage.clone())),
            "garbage\" holds no usable certificate",
        ),
        (
            client(&|it| it.key_file = Some(garbage.clone())),
            "garbage\" holds no usable private key",
        ),
        (client(&|it| it.ca_file = Some(absent.clone())), "absent\""),
        (
            client(&|it| it.key_file = Some(other.key.clone())),
            "localhost.crt\" and its key cannot be used",
        ),
    ];
    for (error, expected) in cases {
        assert!(error.contains(expected), "{error}");
    }
    let mut options = authority.options(SslMode::Prefer, Some(&identity));
    options.key_file = None;
    assert!(matches!(
        ServerTls::build(&options),
        Err(TlsError::Missing { .. })
    ));
}

#[test]
fn disabled_tls_reads_no_files() {
    let mut options = TlsOptions::new(SslMode::Disable);
    options.cert_file = Some("/nonexistent".into());
    assert!(!ClientTls::build(&options).unwrap().offered());
    assert_eq!(ServerTls::build(&options).unwrap().mode(), SslMode::Disable);
}
