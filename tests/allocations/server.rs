//! Servers that let everybody in and have one answer. They do not allocate once they talk.

use bytes::BufMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::frames::{Frames, frame};

/// Room for what comes and goes at once.
const ROOM: usize = 64 << 10;

/// A server for each connection.
pub async fn serve(listener: UnixListener, rows: Vec<u8>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(talk(stream, rows.clone()));
    }
}

async fn log_in(stream: &mut UnixStream, frames: &Frames) {
    let length = stream.read_u32().await.unwrap() as usize;
    let mut packet = vec![0; length - 4];
    stream.read_exact(&mut packet).await.unwrap();
    let mut hello = frame(b'R', &[0; 4]);
    for parameter in [
        &b"server_version\x0015.0\0"[..],
        b"client_encoding\0UTF8\0",
        b"standard_conforming_strings\0on\0",
    ] {
        hello.put_slice(&frame(b'S', parameter));
    }
    hello.put_slice(&frame(b'K', b"\0\0\0\x01\0\0\0\x02"));
    hello.put_slice(&frames.ready);
    stream.write_all(&hello).await.unwrap();
}

async fn talk(mut stream: UnixStream, rows: Vec<u8>) {
    let frames = Frames::new();
    let answer = frames.answer(&rows);
    let (parsed, bound) = (frame(b'1', b""), frame(b'2', b""));
    let rows = [&rows[..], &frames.done].concat();
    log_in(&mut stream, &frames).await;
    let mut input = vec![0; ROOM];
    let mut output = Vec::with_capacity(answer.len() + ROOM);
    let mut filled = 0;
    loop {
        let count = stream.read(&mut input[filled..]).await.unwrap();
        if count == 0 {
            return;
        }
        filled += count;
        let mut at = 0;
        while let Some([tag, length @ ..]) = input[at..filled].first_chunk::<5>() {
            let end = at + 1 + u32::from_be_bytes(*length) as usize;
            if end > filled {
                break;
            }
            output.extend_from_slice(match tag {
                b'Q' => &answer,
                b'P' => &parsed,
                b'B' => &bound,
                b'D' => &frames.columns,
                b'E' => &rows,
                b'S' => &frames.ready,
                b'X' => return,
                other => unreachable!("nobody sends {other}"),
            });
            at = end;
        }
        input.copy_within(at..filled, 0);
        filled -= at;
        stream.write_all(&output).await.unwrap();
        output.clear();
    }
}
