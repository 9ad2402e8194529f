//! The first packets of a client, and the settings in them.
//!
//! Claims: names keep their limits; nothing outside of the packet is read; an `options` string that is
//! written anew with every character escaped means the same.

use std::fmt::Write as _;

use pgweir::protocol::startup::{
    DATABASE_LEN_MAX, FirstPacket, PACKET_LEN_MAX, PACKET_LEN_MIN, StartupPacket, USER_LEN_MAX,
    classify_parameters, packet_len, parse_options,
};
use pgweir::session::params::TRACKED;

use crate::input::Input;

const VERSION_3_0: u32 = 3 << 16;

/// Runs one input: `p` and parameters, `o` and an options string, or else raw packets.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() {
        b'p' => {
            let body = input.rest();
            let length = u32::try_from(body.len() + PACKET_LEN_MIN).expect("inputs are short");
            let head = [length.to_be_bytes(), VERSION_3_0.to_be_bytes()].concat();
            packets(&[&head, body].concat());
        }
        b'o' => options(&String::from_utf8_lossy(input.rest())),
        _ => packets(input.rest()),
    }
}

fn packets(mut bytes: &[u8]) {
    while let Ok(Some(length)) = packet_len(bytes) {
        assert!((PACKET_LEN_MIN..=PACKET_LEN_MAX).contains(&length));
        let Some((packet, rest)) = bytes.split_at_checked(length) else {
            return;
        };
        assert!(
            FirstPacket::parse(&packet[..length - 1]).is_err(),
            "a byte is missing"
        );
        match FirstPacket::parse(packet) {
            Ok(FirstPacket::Startup(startup)) => check(&startup),
            Ok(FirstPacket::Cancel { key }) => assert!((8..=260).contains(&key.len())),
            Ok(FirstPacket::SslRequest | FirstPacket::GssEncRequest) => assert_eq!(length, 8),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        bytes = rest;
    }
}

fn check(packet: &StartupPacket) {
    assert!((1..=USER_LEN_MAX).contains(&packet.user.len()));
    assert!(packet.database.len() <= DATABASE_LEN_MAX || packet.database == packet.user);
    let tracked = |name: &str| TRACKED.iter().any(|known| known.eq_ignore_ascii_case(name));
    for ignored in [&["extra_float_digits", "options"][..], &[]] {
        let ignored = |name: &str| ignored.contains(&name);
        let Ok(set) = classify_parameters(&mut packet.clone(), &tracked, &ignored) else {
            continue;
        };
        for (at, (name, _)) in set.iter().enumerate() {
            assert!(tracked(name) && !ignored(name));
            let later = set.iter().skip(at + 1);
            assert_eq!(
                later
                    .filter(|(other, _)| other.eq_ignore_ascii_case(name))
                    .count(),
                0
            );
        }
    }
}

fn options(text: &str) {
    let Ok(settings) = parse_options(text) else {
        return;
    };
    let mut escaped = String::new();
    for (name, value) in &settings {
        escaped.push_str(" --");
        for c in name.chars().chain(['=']).chain(value.chars()) {
            write!(escaped, "\\{c}").expect("memory takes every character");
        }
    }
    assert_eq!(parse_options(&escaped), Ok(settings));
}
