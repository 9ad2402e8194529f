//! Asks over HTTP, byte by byte.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use crate::support::wait::LIMIT;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: String,
    pub body: String,
}

/// Sends these bytes and reads until the end.
pub fn send(port: u16, request: &str) -> Answer {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    read(&String::from_utf8(answer).unwrap())
}

fn read(answer: &str) -> Answer {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let headers = head.to_ascii_lowercase();
    // A length is always known, so nothing comes in chunks.
    assert!(!headers.contains("transfer-encoding"), "{head}");
    Answer {
        status,
        headers,
        body: body.to_owned(),
    }
}

/// A `GET` with a header more.
pub fn get_with(port: u16, path: &str, header: &str) -> Answer {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{header}\r\n"
    );
    send(port, &request)
}

/// A `GET`.
pub fn get(port: u16, path: &str) -> Answer {
    get_with(port, path, "")
}
