//! Attacks by clients that are logged in.

use super::Canary;
use crate::support::dice::Dice;
use crate::support::message::{
    Frame, bind, execute, flush, header, message, parse, query, sync, terminate,
};
use crate::support::{Fixture, Setup, Weir, Wire};

/// Every message type that clients send, and some that they do not.
const TAGS: &[u8] = b"QFPBDECHSdcfXpRTZW\0\x01 ~\x80\xff";

fn weir() -> Weir {
    let role = Fixture::get().role();
    Setup::new().forced(&role, "pool_size=2").start()
}

/// Sends bytes, ends the connection, and gives what came back.
fn attack(weir: &Weir, bytes: &[u8]) -> Vec<Frame> {
    let mut wire = weir.app();
    wire.send(bytes);
    wire.hang_up();
    wire.until_closed()
}

/// A `Bind` whose second half comes late must not keep others from being served meanwhile.
#[test]
fn half_a_message_of_any_type_holds_nobody_up() {
    let weir = weir();
    let mut canaries = [Canary::new(&weir), Canary::new(&weir), Canary::new(&weir)];
    let messages = [
        query("select 1"),
        parse("s", "select 1", &[]),
        parse("", "select 1", &[]),
        bind("portal", "statement", &[]),
        crate::support::message::describe('S', "statement"),
        crate::support::message::close('S', "statement"),
        execute("portal", 0),
        crate::support::message::function_call(177, &[Some(b"1"), Some(b"2")]),
        crate::support::message::copy_fail("no"),
    ];
    let mut halves = Vec::new();
    for message in &messages {
        for cut in [1, 5, 6, 7, message.len() - 1] {
            let mut wire = weir.app();
            wire.send(&message[..cut]);
            halves.push((wire, message[cut..].to_vec()));
            // A half that has got hold of one of the two connections gives it back.
            if halves.len() % 2 == 0 {
                finish(&mut halves);
            }
            for canary in &mut canaries {
                canary.sings();
            }
        }
    }
}

/// Sends the second halves, and waits for the answers.
fn finish(halves: &mut Vec<(Wire, Vec<u8>)>) {
    for (mut wire, rest) in halves.drain(..) {
        wire.send(&rest);
        wire.send(&sync());
        assert_eq!(
            wire.until_ready(1).last().map(|frame| frame.tag),
            Some(b'Z')
        );
    }
}

/// CVE-2026-107348: a length of more than 2^31 was an endless loop; CVE-2026-6664: an overflow.
#[test]
fn impossible_lengths_end_the_connection() {
    let weir = weir();
    let mut canary = Canary::new(&weir);
    for &tag in TAGS {
        for length in [
            0,
            1,
            2,
            3,
            0x8000_0000,
            0x8000_0005,
            0xffff_fffb,
            0xffff_ffff,
        ] {
            let mut wire = weir.app();
            wire.send(&[&header(tag, length)[..], &[0; 64]].concat());
            let farewell = wire.farewell();
            let told = farewell.starts_with("08P01 ") || tag == b'X';
            assert!(told, "{tag:#x} of length {length:#x}: {farewell}");
        }
        canary.sings();
    }
}

#[test]
fn bodies_that_are_too_short_or_too_long_do_no_harm() {
    let weir = weir();
    let mut canary = Canary::new(&weir);
    for &tag in TAGS {
        for body in [
            &b""[..],
            b"\0",
            b"\0\0",
            b"x",
            b"S",
            b"Sx",
            b"\0\0\xff\xff",
            b"\0\0\0\0\x7f\xff",
            b"s\0select 1\0\x7f\xff",
            b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0",
            b"\0\0\0\0\0\x01\x7f\xff\xff\xffabc\0\0",
            b"\xff\xfe\xfd\0\xff\0\0\0",
            &[b'x'; 5000],
        ] {
            let frames = attack(
                &weir,
                &[message(tag, body), sync(), query("select 1")].concat(),
            );
            drop(frames); // whatever was said, the connection came to its end
        }
        canary.sings();
    }
}

#[test]
fn messages_that_are_cut_off_are_forgotten() {
    let weir = weir();
    let mut canary = Canary::new(&weir);
    let conversation = [
        parse("s", "select $1::int", &[23]),
        bind("", "s", &[Some(b"7")]),
        execute("", 0),
        sync(),
    ]
    .concat();
    for cut in 0..conversation.len() {
        drop(attack(&weir, &conversation[..cut]));
    }
    canary.sings();
}

/// What one side takes for the inside of a message, the other must not take for a message.
#[test]
fn no_message_can_be_hidden_in_another() {
    let weir = weir();
    let mut server = Fixture::get().superuser("it");
    server.run("create table target as select 1 as one; grant all on target to public");
    let hidden = query("delete from target");
    let carriers = [
        message(b'E', &[&b"\0\0\0\0\0"[..], &hidden].concat()),
        message(b'S', &hidden),
        message(b'H', &hidden),
        message(b'c', &hidden),
        message(b'D', &[&b"P\0"[..], &hidden].concat()),
        message(b'C', &[&b"S\0"[..], &hidden].concat()),
        message(b'C', &[&b"Ss\0"[..], &hidden].concat()),
        message(b'P', &[&b"s\0select 1\0\0\0"[..], &hidden].concat()),
        message(b'B', &[&b"\0s\0\0\0\0\0\0\0"[..], &hidden].concat()),
        message(b'Q', &[&b"select 1\0"[..], &hidden].concat()),
        message(b'd', &hidden),
        message(b'f', &[&b"why\0"[..], &hidden].concat()),
        message(b'Q', &hidden[..hidden.len() - 1]),
    ];
    for carrier in carriers {
        drop(attack(&weir, &[carrier, sync()].concat()));
        assert_eq!(server.value("select count(*) from target"), "1");
    }
}

#[test]
fn messages_of_unknown_types_end_the_connection() {
    let weir = weir();
    let known = b"QFPBDECHSdcfX";
    for tag in (0..=255_u8).filter(|tag| !known.contains(tag)) {
        let mut wire = weir.app();
        wire.send(&message(tag, b"body"));
        let farewell = wire.farewell();
        assert!(farewell.starts_with("08P01 "), "{tag:#x}: {farewell}");
    }
    Canary::new(&weir).sings();
}

#[test]
fn packets_above_the_limit_are_refused() {
    let role = Fixture::get().role();
    let weir = Setup::new()
        .forced(&role, "")
        .set("max_packet_size", 100_000)
        .start();
    let mut wire = weir.app();
    assert_eq!(
        wire.value(&format!("select length('{}')", "x".repeat(90_000))),
        "90000"
    );
    wire.send(&query(&format!("select length('{}')", "x".repeat(110_000))));
    let farewell = wire.farewell();
    assert!(farewell.starts_with("08P01 "), "{farewell}");
    Canary::new(&weir).sings();
}

#[test]
fn names_of_other_clients_statements_cannot_be_guessed() {
    let weir = weir();
    let mut owner = weir.app();
    owner.send(&[parse("s", "select 'private'", &[]), sync()].concat());
    owner.until_ready(1);
    let mut guesser = weir.app();
    for number in 0..20 {
        for prefix in ["PGWEIR_", "PGBOUNCER_"] {
            let name = format!("{prefix}{number}");
            guesser.send(&[bind("", &name, &[]), execute("", 0), sync()].concat());
            let frames = guesser.until_ready(1);
            let error = frames.iter().find(|frame| frame.tag == b'E');
            let error = error.map(Frame::report).unwrap_or_default();
            assert!(
                error.starts_with("26000 prepared statement"),
                "{name}: {frames:?}"
            );
        }
    }
}

#[test]
fn a_client_that_does_not_read_costs_little_memory() {
    let weir = weir();
    let mut greedy = weir.app();
    greedy.send(&query(
        "select repeat('x', 1000000) from generate_series(1, 300)",
    ));
    let mut canary = Canary::new(&weir);
    for _ in 0..50 {
        canary.sings();
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", weir.pid())).unwrap();
    let resident = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kilobytes = resident.split_whitespace().nth(1).unwrap();
    let kilobytes: u32 = kilobytes.parse().unwrap();
    assert!(kilobytes < 60_000, "{kilobytes} kB");
    assert_eq!(
        greedy
            .until_ready(1)
            .iter()
            .filter(|frame| frame.tag == b'D')
            .count(),
        300
    );
}

impl Dice {
    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.roll(most);
        (0..length)
            .map(|_| u8::try_from(self.roll(256)).unwrap())
            .collect()
    }

    /// Mostly right, sometimes wrong.
    fn message(&mut self) -> Vec<u8> {
        let name = ["", "a", "b", "PGWEIR_1"][self.roll(4)];
        match self.roll(16) {
            0 => query("select 1"),
            1 => query("select 1/0"),
            2 => query("begin"),
            3 => query("rollback"),
            4 => query("copy copied from stdin"),
            5 => query("copy items to stdout"),
            6 => parse(name, "select $1::int", &[]),
            7 => parse(name, "selec", &[]),
            8 => bind("", name, &[Some(b"1")]),
            9 => execute("", 0),
            10 => sync(),
            11 => flush(),
            12 => message(TAGS[self.roll(12)], &self.bytes(40)),
            13 => crate::support::message::close('S', name),
            14 => crate::support::message::copy_done(),
            _ => crate::support::message::describe('S', name),
        }
    }
}

#[test]
fn random_conversations_leave_a_pool_that_works() {
    let weir = weir();
    let mut canary = Canary::new(&weir);
    for seed in 0..120 {
        let mut dice = Dice(seed);
        let length = 1 + dice.roll(20);
        let mut bytes: Vec<u8> = (0..length).flat_map(|_| dice.message()).collect();
        if seed % 3 == 0 {
            let at = dice.roll(bytes.len());
            bytes.truncate(at);
        }
        let mut wire = weir.app();
        for part in bytes.chunks(1 + dice.roll(300)) {
            wire.send(part);
        }
        if seed % 2 == 0 {
            wire.send(&terminate());
        }
        wire.hang_up();
        drop(wire.until_closed());
        canary.sings();
    }
}
