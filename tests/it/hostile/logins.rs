//! Attacks before and during the login.
#![allow(clippy::too_many_lines, reason = "attacks are tables")]

use super::Canary;
use crate::support::fixture::PASSWORD;
use crate::support::message::{
    cancel_request, header, message, packet, password, query, ssl_request, startup,
    startup_version, strings,
};
use crate::support::{Fixture, Setup, Weir, Wire};

/// What follows some bytes on a new connection: everything up to the end of the connection, which
/// the client has closed for writing where it does not wait for an answer.
fn answer(weir: &Weir, bytes: &[u8]) -> String {
    let mut wire = Wire::open(weir.port());
    wire.send(bytes);
    wire.farewell()
}

#[test]
fn broken_startup_packets_are_refused_at_once() {
    let weir = Setup::new().start();
    let mut canary = Canary::new(&weir);
    let long = "x".repeat(200);
    let good = startup(&[("user", "app"), ("database", "it")]);
    let raw = |body: &[u8]| packet(&[&196_608_u32.to_be_bytes()[..], body].concat());
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("length 0", vec![0, 0, 0, 0, 0, 3, 0, 0]),
        ("length 4", vec![0, 0, 0, 4]),
        ("length 7", vec![0, 0, 0, 7, 0, 3, 0]),
        ("length of more than 2^31", vec![0x80, 0, 0, 0, 0, 3, 0, 0]),
        (
            "length of nearly 2^32",
            vec![0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0],
        ),
        (
            "length of 2^31 - 1",
            vec![0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0],
        ),
        (
            "version 2",
            startup_version(0x0002_0000, &[("user", "app")]),
        ),
        (
            "version 4",
            startup_version(0x0004_0000, &[("user", "app")]),
        ),
        ("no parameters", startup(&[])),
        ("no user", startup(&[("database", "it")])),
        ("empty user", startup(&[("user", ""), ("database", "it")])),
        ("long user", startup(&[("user", &long), ("database", "it")])),
        (
            "long database",
            startup(&[("user", "app"), ("database", &long)]),
        ),
        ("no terminator", raw(b"user\0app\0database\0it\0")),
        ("name without value", raw(b"user\0app\0database\0\0")),
        ("text that ends nowhere", raw(b"user\0app")),
        (
            "bytes behind the terminator",
            raw(b"user\0app\0\0user\0admin\0\0"),
        ),
        (
            "unknown parameter",
            startup(&[("user", "app"), ("wishes", "many")]),
        ),
        (
            "HTTP",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        ),
        (
            "TLS",
            b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03".to_vec(),
        ),
        ("a query", query("select 1")),
        ("a password", password(b"secret\0")),
        ("cancel with a short key", cancel_request(&[0; 4])),
        ("cancel with an endless key", cancel_request(&[0; 300])),
    ];
    for (what, bytes) in cases {
        let farewell = answer(&weir, &bytes);
        assert!(!farewell.contains("Z ·"), "{what}: {farewell}");
        canary.sings();
    }
    assert_eq!(
        answer(&weir, &startup(&[("database", "it")])),
        "08P01 no username supplied"
    );
    assert_eq!(
        answer(&weir, &startup_version(0x0002_0000, &[])),
        "08P01 old V2 protocol not supported"
    );
    // And the right one is still let in.
    let mut wire = Wire::open(weir.port());
    wire.send(&good);
    assert_eq!(
        wire.until_ready(1).last().map(|frame| frame.tag),
        Some(b'Z')
    );
}

#[test]
fn startup_packets_that_end_early_are_forgotten() {
    let weir = Setup::new().start();
    let mut canary = Canary::new(&weir);
    let good = startup(&[("user", "app"), ("database", "it")]);
    for cut in 0..good.len() {
        let mut wire = Wire::open(weir.port());
        wire.send(&good[..cut]);
        wire.hang_up();
        assert_eq!(wire.until_closed(), [], "cut at {cut}");
    }
    canary.sings();
}

/// CVE-2026-107349: `options=-c=` was an endless loop.
#[test]
fn options_of_every_broken_form_are_refused() {
    let weir = Setup::new().start();
    let mut canary = Canary::new(&weir);
    let good = [
        "-c DateStyle=German",
        "-cDateStyle=German",
        "--DateStyle=German",
        "",
        "  ",
    ];
    for options in good {
        let parameters = [("options", options)];
        let login = weir.login("it", "app").more(&parameters);
        assert!(login.connect().is_ok(), "{options:?}");
    }
    for options in [
        "-c=",
        "-c =",
        "-c",
        "-c ",
        "-c  -c  -c",
        "--",
        "--=",
        "--=x",
        "-c=x",
        "-c x",
        "-",
        "=",
        "\\",
        "-c DateStyle",
        "-X",
        "-c no_such_parameter=1",
        "-d 5",
    ] {
        let parameters = [("options", options)];
        let error = weir.login("it", "app").more(&parameters).connect();
        let error = error.expect_err(options).report();
        assert!(
            error.starts_with("08P01 unsupported"),
            "{options:?}: {error}"
        );
    }
    let long = "-c DateStyle=ISO ".repeat(500);
    drop(
        weir.login("it", "app")
            .more(&[("options", &long)])
            .connect(),
    );
    canary.sings();
}

fn scram_weir() -> Weir {
    Setup::new()
        .forced("app", "")
        .set("auth_type", "scram-sha-256")
        .user("attacker", PASSWORD)
        .user("victim", "unknown to the attacker")
        .start()
}

fn sasl_first(text: &str) -> Vec<u8> {
    let mut body = strings(&["SCRAM-SHA-256"]);
    body.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
    body.extend(text.as_bytes());
    password(&body)
}

/// CVE-2026-107350: a second startup packet within SCRAM changed the user that was let in.
#[test]
fn a_second_startup_packet_within_the_login_is_refused() {
    let weir = scram_weir();
    let victim = startup(&[("user", "victim"), ("database", "it")]);
    let attacker = startup(&[("user", "attacker"), ("database", "it")]);
    for before_first in [true, false] {
        let mut wire = Wire::open(weir.port());
        wire.send(&attacker);
        assert_eq!(wire.frame().map(|frame| frame.tag), Some(b'R'));
        if !before_first {
            wire.send(&sasl_first("n,,n=,r=rOprNGfwEbeRWgbNEkqO"));
            assert_eq!(wire.frame().map(|frame| frame.tag), Some(b'R'));
        }
        wire.send(&victim);
        let frames = wire.until_closed();
        assert!(frames.iter().all(|frame| frame.tag == b'E'), "{frames:?}");
    }
    // Two startup packets at once are no better.
    let mut wire = Wire::open(weir.port());
    wire.send(&[victim, attacker].concat());
    let frames = wire.until_closed();
    assert!(frames.iter().all(|frame| frame.tag != b'Z'), "{frames:?}");
    let login = weir.login("it", "attacker").password(PASSWORD);
    assert!(login.connect().is_ok());
}

#[test]
fn broken_scram_messages_end_the_login() {
    let weir = scram_weir();
    let start = startup(&[("user", "attacker"), ("database", "it")]);
    let huge = format!("n,,n=,r={}", "a".repeat(100_000));
    let firsts: Vec<Vec<u8>> = vec![
        password(b""),
        password(b"SCRAM-SHA-256"),
        password(b"SCRAM-SHA-256\0"),
        password(b"SCRAM-SHA-256\0\xff\xff\xff\xff"),
        password(b"SCRAM-SHA-256\0\x7f\xff\xff\xffn,,n=,r=a"),
        password(b"SCRAM-SHA-256\0\0\0\0\x05n,,"),
        password(b"SCRAM-SHA-256-PLUS\0\0\0\0\x0bn,,n=,r=abc"),
        password(b"PLAIN\0\0\0\0\x03abc"),
        password(b"\0\0\0\0\0"),
        sasl_first(""),
        sasl_first("n"),
        sasl_first("n,,"),
        sasl_first("n,,n="),
        sasl_first("n,,n=,r="),
        sasl_first("n,a=victim,n=,r=abcdef"),
        sasl_first("p=tls-unique,,n=,r=abcdef"),
        sasl_first("n,,m=x,n=,r=abcdef"),
        sasl_first("n,,n=,r=ab\0cd"),
        sasl_first(&huge),
        query("select 1"),
        message(b'X', b""),
        header(b'p', 3),
        header(b'p', 0x8000_0000),
        header(b'p', 0x7fff_ffff),
    ];
    for (number, first) in firsts.iter().enumerate() {
        let mut wire = Wire::open(weir.port());
        wire.send(&[start.clone(), first.clone()].concat());
        wire.hang_up();
        let frames = wire.until_closed();
        let let_in = frames.iter().any(|frame| frame.tag == b'Z');
        assert!(!let_in, "message {number}: {frames:?}");
    }
    for last in [
        "",
        "c=biws",
        "c=biws,r=x,p=",
        "c=biws,r=%,p=AAAA",
        "c=,r=%,p=AAAA=",
        "=,=,=",
    ] {
        let mut wire = Wire::open(weir.port());
        wire.send(&start);
        wire.until_tag(b'R');
        wire.send(&sasl_first("n,,n=,r=abcdef"));
        let reply = wire.frame().unwrap();
        let nonce: String = crate::support::message::text(&reply.body[6..])
            .split(',')
            .next()
            .unwrap()
            .into();
        wire.send(&password(last.replace('%', &nonce).as_bytes()));
        let farewell = wire.farewell();
        assert!(farewell.starts_with("08P01"), "{last}: {farewell}");
    }
    let login = weir.login("it", "attacker").password(PASSWORD);
    assert!(login.connect().is_ok());
}

#[test]
fn passwords_of_every_broken_form_are_refused() {
    for auth_type in ["plain", "md5"] {
        let weir = Setup::new()
            .set("auth_type", auth_type)
            .user("app", "secret")
            .start();
        let start = startup(&[("user", "app"), ("database", "it")]);
        for answer in [
            password(b""),
            password(b"secret"),
            password(b"\0"),
            password(b"secret\0secret\0"),
            password(&vec![b'x'; 100_000]),
            [password(b"secret\0"), start.clone()].concat()[..3].to_vec(),
            message(b'Q', b"select 1\0"),
            header(b'p', 0xffff_ffff),
        ] {
            let mut wire = Wire::open(weir.port());
            wire.send(&[start.clone(), answer.clone()].concat());
            wire.hang_up();
            let frames = wire.until_closed();
            let let_in = frames.iter().any(|frame| frame.tag == b'Z');
            assert!(
                !let_in,
                "{auth_type} {:?}: {frames:?}",
                &answer[..answer.len().min(30)]
            );
        }
        let login = weir.login("it", "app").password("secret");
        assert!(login.connect().is_ok());
    }
}

/// CVE-2025-12819: a `search_path` in the startup packet was set on the connection of `auth_query`.
#[test]
fn a_client_s_search_path_does_not_reach_auth_query() {
    let schema = "create schema evil; create table evil.secrets (name text, secret text); \
        insert into evil.secrets values ('looked_up', 'chosen by the attacker'); \
        grant all on schema evil to public; grant all on all tables in schema evil to public";
    Fixture::get().superuser("second").run(schema);
    for tracked in ["", "search_path"] {
        let weir = Setup::new()
            .database("second", "")
            .set("auth_type", "plain")
            .set("auth_user", "asker")
            .set(
                "auth_query",
                "select name, secret from secrets where name = $1",
            )
            .set("track_extra_parameters", tracked)
            .user("asker", "")
            .start();
        for parameters in [
            [("search_path", "evil")],
            [("options", "-c search_path=evil")],
            [("options", "--search_path=evil")],
        ] {
            let login = weir.login("second", "looked_up").more(&parameters);
            let outcome = login.password("chosen by the attacker").connect();
            outcome.expect_err("let in by a table of the attacker's choice");
        }
        let login = weir.login("second", "looked_up").password(PASSWORD);
        assert!(login.connect().is_ok());
    }
}

#[test]
fn clients_that_say_nothing_are_sent_away_and_hold_nobody_up() {
    let weir = Setup::new()
        .set("client_login_timeout", 1)
        .set("max_client_conn", 1000)
        .start();
    let mut canary = Canary::new(&weir);
    let mut silent: Vec<_> = (0..300).map(|_| Wire::open(weir.port())).collect();
    for (number, wire) in silent.iter_mut().enumerate() {
        // At least one byte: with `tcp_defer_accept` the kernel keeps those without to itself.
        wire.send(&startup(&[("user", "app")])[..=number % 9]);
    }
    canary.sings();
    assert_eq!(weir.app().value("select 1"), "1");
    let farewells = silent.iter_mut().map(Wire::farewell);
    for farewell in farewells {
        assert_eq!(farewell, "08P01 client_login_timeout");
    }
    canary.sings();
}

#[test]
fn requests_for_encryption_do_not_go_on_for_ever() {
    let weir = Setup::new().start();
    let mut wire = Wire::open(weir.port());
    for _ in 0..50 {
        wire.send(&ssl_request());
    }
    wire.hang_up();
    while wire.byte().is_some() {}
    Canary::new(&weir).sings();
}
