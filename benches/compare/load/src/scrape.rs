//! Asks for `/metrics` again and again, as many monitoring systems together would.
//!
//! In a program of its own, as cheap as can be: what it takes from the core that clients run on
//! would be taken for what scrapes do to them.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::LoadError;

/// Longest time for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest line of an answer's head.
const LINE: u64 = 8 << 10;
/// Most bytes of metrics.
const BODY: usize = 64 << 20;
const ASK: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Scrapes `rate` times a second over one connection, until standard input ends.
pub fn run(port: u16, rate: f64) -> Result<(), LoadError> {
    let pause = Duration::try_from_secs_f64(1.0 / rate)
        .map_err(|_| LoadError::Usage(format!("--rate: not {rate}")))?;
    let mut scraper = Scraper::connect(port)?;
    scraper.once()?;
    writeln!(io::stdout(), "ready")?;
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&over);
    thread::spawn(move || {
        let end = io::stdin().lock().read_to_end(&mut Vec::new());
        told.store(true, Ordering::Relaxed);
        end
    });
    let began = Instant::now();
    let mut answers = 0_u32;
    while !over.load(Ordering::Relaxed) {
        let due = began + pause * answers;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        scraper.once()?;
        answers += 1;
    }
    let seconds = began.elapsed().as_secs_f64();
    let mut out = io::stdout();
    writeln!(out, "{{\"answers\":{answers},\"seconds\":{seconds}}}")?;
    Ok(())
}

struct Scraper {
    stream: BufReader<TcpStream>,
    body: Vec<u8>,
}

impl Scraper {
    fn connect(port: u16) -> Result<Self, LoadError> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream: BufReader::new(stream),
            body: Vec::new(),
        })
    }

    /// Asks once and reads the whole answer.
    fn once(&mut self) -> Result<(), LoadError> {
        self.stream.get_mut().write_all(ASK)?;
        let status = self.line()?;
        if !status.starts_with("HTTP/1.1 200 ") {
            return Err(LoadError::Protocol("/metrics was not answered with 200"));
        }
        let mut length = None;
        loop {
            let header = self.line()?;
            if header.is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok();
            }
        }
        match length {
            Some(length) if (1..=BODY).contains(&length) => self.body.resize(length, 0),
            _ => return Err(LoadError::Protocol("/metrics came without its length")),
        }
        Ok(self.stream.read_exact(&mut self.body)?)
    }

    fn line(&mut self) -> Result<String, LoadError> {
        let mut line = String::new();
        let count = self.stream.by_ref().take(LINE).read_line(&mut line)?;
        if count == 0 {
            return Err(LoadError::Closed);
        }
        Ok(line.trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answered_with(answer: &'static [u8]) -> Result<Vec<u8>, LoadError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let peer = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; ASK.len()]).unwrap();
            stream.write_all(answer).unwrap();
        });
        let mut scraper = Scraper::connect(port)?;
        let outcome = scraper.once();
        peer.join().unwrap();
        outcome.map(|()| scraper.body)
    }

    #[test]
    fn the_whole_body_is_read() {
        let answer = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 4\r\n\r\na 1\n";
        assert_eq!(answered_with(answer).unwrap(), b"a 1\n");
    }

    #[test]
    fn what_is_no_answer_with_metrics_is_an_error() {
        for answer in [
            b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 1\r\n\r\n-".as_slice(),
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
            b"",
        ] {
            assert!(answered_with(answer).is_err());
        }
    }
}
