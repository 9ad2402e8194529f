//! TLS and Unix sockets.

use std::fs;

use pgweir::demo::scratch::private_file;

use crate::support::message::{gss_request, ssl_request, startup};
use crate::support::{Fixture, Setup, Weir, Wire};

/// A pgweir with a certificate for `localhost`, and the name of the file with that certificate.
fn with_tls(mode: &str) -> (Weir, String) {
    let fixture = Fixture::get();
    let dir = fixture.directory("tls");
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let file = |name: &str, content: &str| {
        let path = dir.join(name);
        private_file(&path, content.as_bytes(), &fixture.installation.account).unwrap();
        path.display().to_string()
    };
    let certificate = file("certificate.pem", &made.cert.pem());
    let key = file("key.pem", &made.signing_key.serialize_pem());
    let weir = Setup::new()
        .set("client_tls_sslmode", mode)
        .set("client_tls_cert_file", &certificate)
        .set("client_tls_key_file", key)
        .start();
    (weir, certificate)
}

fn over_tls(weir: &Weir, more: &str) -> Result<String, String> {
    let port = weir.port();
    let conninfo =
        format!("host=localhost hostaddr=127.0.0.1 port={port} dbname=it user=app {more}");
    Fixture::get().psql(&conninfo, "select repeat('x', 100000)")
}

#[test]
fn clients_that_verify_the_certificate_are_served() {
    let (weir, certificate) = with_tls("require");
    let root = format!("sslmode=verify-full sslrootcert={certificate}");
    let answer = over_tls(&weir, &root).unwrap();
    assert_eq!(answer.len(), 100_000);
    let (other, _) = with_tls("require");
    let refused = over_tls(&other, &root).unwrap_err();
    assert!(refused.contains("certificate verify failed"), "{refused}");
}

#[test]
fn clients_without_tls_are_refused_where_it_is_required() {
    let (weir, _) = with_tls("require");
    let error = weir.login("it", "app").connect().unwrap_err();
    assert_eq!(error.report(), "08P01 SSL required");
    let (weir, _) = with_tls("allow");
    assert_eq!(weir.app().value("select 1"), "1");
    assert!(over_tls(&weir, "sslmode=require").is_ok());
}

#[test]
fn plain_text_behind_a_request_for_tls_is_never_read() {
    let (weir, _) = with_tls("allow");
    let mut wire = Wire::open(weir.port());
    let hidden = startup(&[("user", "app"), ("database", "it")]);
    wire.send(&[ssl_request(), hidden].concat());
    let mut first = wire.byte();
    if first == Some(b'S') {
        first = wire.byte(); // whatever follows, it is no answer to the hidden packet
        assert!(
            first != Some(b'R'),
            "the plain text was taken as if it had come by TLS"
        );
    }
    weir.until_logged("received unencrypted data after SSL request");
    assert_eq!(weir.app().value("select 1"), "1");
}

#[test]
fn requests_for_encryption_are_declined_where_there_is_none() {
    let weir = Setup::new().start();
    let mut wire = Wire::open(weir.port());
    wire.send(&gss_request());
    assert_eq!(wire.byte(), Some(b'N'));
    wire.send(&ssl_request());
    assert_eq!(wire.byte(), Some(b'N'));
    wire.send(&startup(&[("user", "app"), ("database", "it")]));
    let frames = wire.until_ready(1);
    assert_eq!(
        frames.last().map(|frame| frame.tag),
        Some(b'Z'),
        "{frames:?}"
    );
}

#[test]
fn clients_come_over_the_unix_socket() {
    let weir = Setup::new().set("unix_socket_dir", "{dir}").start();
    let socket = weir.dir().join(format!(".s.PGSQL.{}", weir.port()));
    assert!(socket.exists());
    let conninfo = format!(
        "host={} port={} dbname=it user=app",
        weir.dir().display(),
        weir.port()
    );
    let answer = Fixture::get().psql(&conninfo, "select 1 + 1");
    assert_eq!(answer.as_deref(), Ok("2"));
    assert!(fs::symlink_metadata(&socket).is_ok());
}

#[test]
fn servers_are_reached_over_the_unix_socket() {
    let server = Fixture::get().server();
    let (dir, port) = (server.socket_dir().display(), server.port());
    let weir = Setup::new()
        .entry(&format!("it = host={dir} port={port}"))
        .start();
    let addr = weir.app().value("select inet_client_addr() is null");
    assert_eq!(addr, "t");
}

#[test]
fn newer_protocols_are_negotiated_down() {
    let weir = Setup::new().start();
    let mut wire = Wire::open(weir.port());
    let parameters = [("user", "app"), ("database", "it"), ("_pq_.wishes", "many")];
    wire.send(&crate::support::message::startup_version(
        0x0003_0002,
        &parameters,
    ));
    let frames = wire.until_ready(1);
    let answer = frames.iter().find(|frame| frame.tag == b'v').unwrap();
    assert_eq!(
        answer.body[..8],
        [0, 3, 0, 0, 0, 0, 0, 1],
        "3.0, and one option: {answer:?}"
    );
    assert_eq!(&answer.body[8..], b"_pq_.wishes\0");
}
