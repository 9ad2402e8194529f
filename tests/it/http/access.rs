//! Who gets an answer, and to what.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pgweir::demo::cluster::free_port;
use pgweir::demo::scratch::private_file;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{self, RootCertStore};

use super::ask::{get, get_with, send};
use super::start;
use crate::support::{Fixture, Setup, Weir};

#[test]
fn wrong_paths_methods_hosts_and_bodies_are_refused() {
    let (_weir, port) = start(&Setup::new());
    let ask = |request: &str, more: &str| {
        let request = format!("{request} HTTP/1.1\r\nConnection: close\r\n{more}\r\n");
        send(port, &request).status
    };
    let host = "Host: localhost\r\n";
    assert_eq!(ask("GET /metrics", host), 200);
    assert_eq!(ask("HEAD /metrics", host), 200);
    assert_eq!(ask("GET /", host), 404);
    assert_eq!(ask("GET /metrics/", host), 404);
    assert_eq!(ask("GET /api/v1/passwords", host), 404);
    assert_eq!(ask("POST /metrics", host), 405);
    assert_eq!(ask("DELETE /api/v1/pools", host), 405);
    assert_eq!(ask("GET /metrics", ""), 400);
    assert_eq!(ask("GET /metrics", "Host: a\r\nHost: localhost\r\n"), 400);
    assert_eq!(ask("GET /metrics", "Host: rebound.example\r\n"), 421);
    assert_eq!(ask("GET http://rebound.example/metrics", host), 421);
    let body = format!("{host}Content-Length: 4\r\n");
    assert_eq!(ask("POST /metrics", &body), 413);
    let long = format!("{host}X: {}\r\n", "x".repeat(64 << 10));
    assert_eq!(ask("GET /metrics", &long), 431);
}

#[test]
fn a_token_or_a_password_is_asked_for_all_but_health() {
    let setup = Setup::new()
        .set("http_auth_token", "let-me-in")
        .set("http_auth_user", "prom")
        .set("http_auth_password", "p:w");
    let (weir, port) = start(&setup);
    let token = "Authorization: Bearer let-me-in\r\n".to_owned();
    let basic = |proof: &str| format!("Authorization: Basic {}\r\n", STANDARD.encode(proof));
    for path in ["/metrics", "/api/v1/clients", "/nowhere"] {
        let denied = get(port, path);
        assert_eq!(denied.status, 401, "{path}");
        assert!(
            denied.headers.contains("www-authenticate: basic"),
            "{denied:?}"
        );
        assert_eq!(get_with(port, path, &basic("prom:wrong")).status, 401);
        let known = if path == "/nowhere" { 404 } else { 200 };
        assert_eq!(get_with(port, path, &token).status, known, "{path}");
        assert_eq!(
            get_with(port, path, &basic("prom:p:w")).status,
            known,
            "{path}"
        );
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get(port, path).status, 200, "{path}");
    }
    // Nobody is told what they are.
    let config = get_with(port, "/api/v1/config", &token).body;
    for secret in ["let-me-in", "p:w"] {
        assert!(!config.contains(secret), "{config}");
        assert!(!weir.log().contains(secret));
    }
}

#[test]
fn a_name_of_the_operators_is_a_host_too() {
    let (_weir, port) = start(&Setup::new().set("http_allowed_hosts", "weir, pg.example"));
    for (host, status) in [("weir", 200), ("PG.example:80", 200), ("weir.example", 421)] {
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(send(port, &request).status, status, "{host}");
    }
}

#[test]
fn tables_are_not_shown_to_the_network_without_credentials() {
    let port = free_port().unwrap();
    let _weir = Setup::new().set("http_listen", format!("*:{port}")).start();
    assert_eq!(get(port, "/metrics").status, 200);
    assert_eq!(get(port, "/api/v1/clients").status, 403);
}

#[test]
fn a_port_that_is_taken_ends_the_start_with_a_word_about_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let setup = Setup::new().set("http_listen", format!("127.0.0.1:{port}"));
    let log = Weir::refused(&setup);
    assert!(
        log.contains(&format!("http_listen: cannot listen on 127.0.0.1:{port}")),
        "{log}"
    );
    assert!(log.contains("ddress already in use"), "{log}");
}

#[test]
fn a_changed_address_waits_for_a_restart() {
    let setup = Setup::new();
    let (weir, port) = start(&setup);
    weir.rewrite(&setup.clone().set("http_listen", ""));
    weir.console().run("reload");
    weir.until_logged("http_listen");
    assert_eq!(get(port, "/healthz").status, 200);
}

#[test]
fn connections_that_say_nothing_hold_up_neither_the_proxy_nor_its_console() {
    let (weir, port) = start(&Setup::new());
    // More than it serves at one time, and half a request on each.
    let silent: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream
                .write_all(b"GET /metrics HTTP/1.1\r\nHost: lo")
                .unwrap();
            stream
        })
        .collect();
    let mut client = weir.app();
    assert_eq!(client.value("select 1"), "1");
    assert_eq!(weir.console().query("show pools").error(), None);
    drop(silent);
    assert_eq!(get(port, "/healthz").status, 200);
}

/// Certificate and key of one side in files; its end, and what others need to trust it.
fn certify(setup: Setup, (side, year): (&str, i32)) -> (Setup, i64, CertificateDer<'static>) {
    let dir = Fixture::get().directory("certificate");
    let key = KeyPair::generate().unwrap();
    let mut certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    certificate.not_after = date_time_ymd(year, 3, 21);
    let end = certificate.not_after.unix_timestamp();
    let certificate = certificate.self_signed(&key).unwrap();
    let (cert_file, key_file) = (dir.join("cert.pem"), dir.join("key.pem"));
    let account = &Fixture::get().installation.account;
    private_file(&cert_file, certificate.pem().as_bytes(), account).unwrap();
    private_file(&key_file, key.serialize_pem().as_bytes(), account).unwrap();
    let setup = setup
        .set(&format!("{side}_tls_cert_file"), cert_file.display())
        .set(&format!("{side}_tls_key_file"), key_file.display());
    (setup, end, certificate.der().clone())
}

#[test]
fn with_a_certificate_it_is_https_and_the_end_of_each_certificate_is_shown() {
    let setup = Setup::new()
        .set("client_tls_sslmode", "allow")
        .set("server_tls_sslmode", "prefer");
    let (setup, client_end, _) = certify(setup, ("client", 2044));
    let (setup, server_end, _) = certify(setup, ("server", 2045));
    let (setup, http_end, certificate) = certify(setup, ("http", 2046));
    let (weir, port) = start(&setup);
    weir.until_logged(&format!("listening on https://127.0.0.1:{port}"));
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let session = rustls::ClientConnection::new(config.into(), name).unwrap();
    let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut stream = rustls::StreamOwned::new(session, socket);
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for (side, end) in [
        ("client", client_end),
        ("server", server_end),
        ("http", http_end),
    ] {
        let series = format!("\npgweir_tls_certificate_end_seconds{{side=\"{side}\"}} {end}\n");
        assert!(answer.contains(&series), "{side}: {answer}");
    }
}
