//! Servers that break the protocol.
#![allow(clippy::too_many_lines, reason = "attacks are tables")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::Canary;
use crate::support::Setup;
use crate::support::message::{message, query, strings};

/// Serves every connection the same way: the answer to the startup packet, then the answer to
/// whatever comes next, then the end. The thread lives as long as the test program.
fn server(first: Vec<u8>, second: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            serve(stream, &first, &second);
        }
    });
    port
}

/// A peer that goes away in between is what these tests are about.
fn serve(mut stream: TcpStream, first: &[u8], second: &[u8]) {
    const LIMIT: Duration = Duration::from_secs(2);
    let mut buffer = [0; 10_000];
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    let mut answers = [first, second].into_iter();
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        let is_ssl_request = buffer[..length].starts_with(&[0, 0, 0, 8]);
        let answer = if is_ssl_request {
            Some(&b"N"[..])
        } else {
            answers.next()
        };
        let Some(answer) = answer else { return };
        if stream.write_all(answer).is_err() {
            return;
        }
    }
}

fn authentication(code: u32, rest: &[u8]) -> Vec<u8> {
    message(b'R', &[&code.to_be_bytes()[..], rest].concat())
}

/// A login as a server should do it.
fn login() -> Vec<u8> {
    [
        authentication(0, b""),
        message(b'S', &strings(&["server_version", "15.0"])),
        message(b'K', &[0, 0, 0, 1, 0, 0, 0, 2]),
        message(b'Z', b"I"),
    ]
    .concat()
}

/// CVE-2026-6665: attributes of SCRAM were copied without a check; CVE-2026-6666: an error without
/// SQLSTATE was a null pointer.
#[test]
fn logins_of_broken_servers_fail_and_others_go_on() {
    let sasl = || authentication(10, b"SCRAM-SHA-256\0\0");
    let long = "a".repeat(70_000);
    let scram = |text: &str| (sasl(), authentication(11, text.as_bytes()));
    let cases: Vec<(Vec<u8>, Vec<u8>)> = vec![
        (message(b'E', b""), vec![]),
        (message(b'E', b"\0"), vec![]),
        (message(b'E', b"MText without a code\0\0"), vec![]),
        (message(b'E', b"SFATAL\0C28000\0Mno terminator"), vec![]),
        (message(b'E', b"SFATAL"), vec![]),
        (vec![b'E', 0, 0, 0, 3], vec![]),
        (vec![b'R', 0xff, 0xff, 0xff, 0xff], vec![]),
        (vec![b'R', 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0], vec![]),
        (authentication(999, b""), vec![]),
        (authentication(5, b"xx"), vec![]),
        (message(b'R', b"\0"), vec![]),
        (message(b'T', b"\0\0"), vec![]),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), vec![]),
        (b"".to_vec(), vec![]),
        (authentication(10, b""), vec![]),
        (authentication(10, b"PLAIN\0\0"), vec![]),
        (authentication(10, long.as_bytes()), vec![]),
        (authentication(11, b"r=x,s=x,i=1"), vec![]),
        (authentication(12, b"v=x"), vec![]),
        scram(""),
        scram(&format!("r={long},s=QUJD,i=4096")),
        scram(&format!("r=abc,s={long},i=4096")),
        scram("r=abc,s=QUJD,i=4096"),
        scram("r=abc,s=QUJD,i=99999999999999999999"),
        scram("r=abc,s=QUJD,i=-1"),
        scram("e=other-error"),
        (
            [authentication(0, b""), message(b'S', b"no end")].concat(),
            vec![],
        ),
        (
            [authentication(0, b""), message(b'K', b"abc")].concat(),
            vec![],
        ),
        (
            [authentication(0, b""), message(b'Z', b"")].concat(),
            vec![],
        ),
        (
            [authentication(0, b""), message(b'Z', b"?")].concat(),
            vec![],
        ),
        (
            [authentication(0, b""), message(b'D', b"\0\0")].concat(),
            vec![],
        ),
    ];
    let mut setup = Setup::new()
        .set("query_wait_timeout", 2)
        .set("server_connect_timeout", 2)
        .set("server_login_retry", 1)
        .set("server_tls_sslmode", "disable")
        .user("scrammed", "some password");
    for (number, (first, second)) in cases.iter().enumerate() {
        let port = server(first.clone(), second.clone());
        setup = setup.entry(&format!("broken{number} = host=127.0.0.1 port={port}"));
    }
    let weir = setup.start();
    let mut canary = Canary::new(&weir);
    thread::scope(|scope| {
        for number in 0..cases.len() {
            let weir = &weir;
            scope.spawn(move || {
                let name = format!("broken{number}");
                let outcome = weir.login(&name, "scrammed").connect();
                outcome.expect_err("let in by a broken server");
            });
        }
    });
    canary.sings();
}

#[test]
fn answers_of_broken_servers_end_their_connection_only() {
    let cases: Vec<Vec<u8>> = vec![
        message(b'Z', b""),
        message(b'Z', b"X"),
        message(b'1', b""),
        message(b'R', b"\0\0\0\0"),
        message(b'?', b"what"),
        message(b'E', b"SERROR"),
        vec![b'D', 0, 0, 0, 1],
        vec![b'D', 0xff, 0xff, 0xff, 0xff],
        message(b'S', b"TimeZone"),
        message(b'G', b""),
        b"".to_vec(),
    ];
    let mut setup = Setup::new()
        .set("server_tls_sslmode", "disable")
        .set("query_timeout", 3);
    for (number, answer) in cases.iter().enumerate() {
        let port = server(login(), answer.clone());
        setup = setup.entry(&format!("broken{number} = host=127.0.0.1 port={port}"));
    }
    let weir = setup.start();
    let mut canary = Canary::new(&weir);
    for number in 0..cases.len() {
        let mut client = weir.client(&format!("broken{number}"), "app");
        client.send(&query("select 1"));
        let farewell = client.farewell();
        assert!(farewell.starts_with("08P01 "), "case {number}: {farewell}");
        canary.sings();
    }
}
