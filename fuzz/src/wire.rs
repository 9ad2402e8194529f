//! Messages of clients and servers, from one choice each.

use bytes::{BufMut, BytesMut};
use pgweir::protocol::peek_header;

use crate::input::Input;

/// Whether messages that no client or server should send may come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manners {
    Legal,
    Any,
}

pub fn put(out: &mut BytesMut, tag: u8, parts: &[&[u8]]) {
    let body = parts.concat();
    out.put_u8(tag);
    out.put_u32(u32::try_from(body.len() + 4).expect("pieces are short"));
    out.put_slice(&body);
}

/// A name of a statement or a text: mostly one letter, so that names meet again.
fn name<'a>(input: &mut Input<'a>) -> Vec<u8> {
    match input.byte() {
        0 | b'-' => Vec::new(),
        b'!' => b"PGWEIR_1".to_vec(),
        b'~' => input.piece().iter().copied().filter(|b| *b != 0).collect(),
        letter => vec![letter],
    }
}

/// Appends one message of a client. `%` is a frame of any type and body, `$` any bytes at all.
pub fn client_message(input: &mut Input<'_>, manners: Manners, out: &mut BytesMut) {
    let choices: &[u8] = match manners {
        Manners::Legal => b"QPBDECSHFdcfo",
        Manners::Any => b"QPBDECSHFdcfoX%$",
    };
    match input.choose(choices) {
        b'Q' => put(out, b'Q', &[b"select ", &name(input), b"\0"]),
        b'P' => {
            let name = name_then_zero(input);
            put(
                out,
                b'P',
                &[&name, b"select ", &[input.byte() | 1], b"\0\0\0"],
            );
        }
        b'B' => {
            let name = name_then_zero(input);
            put(out, b'B', &[b"\0", &name, b"\0\0\0\0\0\0"]);
        }
        tag @ (b'D' | b'C') => put(out, tag, &[b"S", &name_then_zero(input)]),
        b'o' => put(out, b'D', &[b"P\0"]),
        b'E' => put(out, b'E', &[b"\0\0\0\0\0"]),
        b'F' => put(out, b'F', &[b"\0\0\0\x01\0\0\0\0\0\0"]),
        tag @ (b'd' | b'f') => put(out, tag, &[&name_then_zero(input)]),
        b'%' => {
            let tag = input.byte();
            put(out, tag, &[input.piece()]);
        }
        b'$' => out.put_slice(input.piece()),
        tag => put(out, tag, &[]),
    }
}

fn name_then_zero(input: &mut Input<'_>) -> Vec<u8> {
    let mut name = name(input);
    name.push(0);
    name
}

/// Appends one message of a server. `x` is an error that has a name of ours, `r` says what takes the
/// prepared statements away.
pub fn server_message(input: &mut Input<'_>, out: &mut BytesMut) {
    match input.choose(b"123ntTDCIsZENASGHWdcVxr%$") {
        b'Z' => put(out, b'Z', &[&[input.choose(b"ITE")]]),
        tag @ (b'E' | b'N') => put(out, tag, &[b"SERROR\0C42P05\0M", &name(input), b"\0\0"]),
        b'x' => put(out, b'E', &[b"SERROR\0C42P05\0M\"PGWEIR_1\" exists\0\0"]),
        b'S' => {
            let parameter = [
                &b"application_name"[..],
                b"TimeZone",
                b"in_hot_standby",
                b"x.y",
            ];
            let parameter = parameter[usize::from(input.byte()) % parameter.len()];
            put(out, b'S', &[parameter, b"\0", &name(input), b"\0"]);
        }
        b'C' => put(out, b'C', &[b"SELECT 1\0"]),
        b'r' => {
            let tags = [&b"DISCARD ALL\0"[..], b"DEALLOCATE ALL\0", b"RESET\0"];
            put(out, b'C', &[tags[usize::from(input.byte()) % tags.len()]]);
        }
        b'A' => put(out, b'A', &[b"\0\0\0\x07channel\0\0"]),
        tag @ (b'G' | b'H' | b'W') => put(out, tag, &[b"\0\0\0"]),
        tag @ (b'T' | b'D') => put(out, tag, &[b"\0\0"]),
        tag @ (b'd' | b'V') => put(out, tag, &[input.piece()]),
        b't' => put(out, b't', &[b"\0\0"]),
        b'%' => {
            let tag = input.byte();
            put(out, tag, &[input.piece()]);
        }
        b'$' => out.put_slice(input.piece()),
        tag => put(out, tag, &[]),
    }
}

/// The types of the frames that begin in `bytes`, the last of which may be cut off, and whether all
/// of it could be read as frames.
pub fn tags(bytes: &[u8]) -> Vec<u8> {
    let mut rest = bytes;
    let mut tags = Vec::new();
    while let Ok(Some(header)) = peek_header(rest, usize::MAX) {
        tags.push(header.tag);
        rest = rest.get(header.total..).unwrap_or_default();
    }
    tags
}
