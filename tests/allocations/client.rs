//! Clients that say what their script says and compare each answer.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use bytes::BufMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Barrier;

use crate::frames::Frames;

/// Queries that are sent in one piece where that is tried.
const BATCH: usize = 20;

/// What clients say, and what the answers are.
pub struct Script {
    prepare: (Vec<u8>, Vec<u8>),
    turns: Vec<(Vec<u8>, Vec<u8>)>,
    queries: usize,
}

impl Script {
    /// Simple, extended and prepared queries, one by one and many at once.
    pub fn small(frames: &Frames) -> Self {
        let simple = (frames.query.clone(), frames.answer(&frames.row));
        let kinds = [simple, frames.unnamed(), frames.prepared()];
        let batches = kinds
            .iter()
            .map(|(query, answer)| (query.repeat(BATCH), answer.repeat(BATCH)));
        let batches: Vec<_> = batches.collect();
        Self {
            prepare: frames.prepare(),
            queries: kinds.len() * (1 + BATCH),
            turns: kinds.into_iter().chain(batches).collect(),
        }
    }

    /// One simple query.
    pub fn large(frames: &Frames, rows: &[u8]) -> Self {
        Self {
            prepare: frames.prepare(),
            queries: 1,
            turns: vec![(frames.query.clone(), frames.answer(rows))],
        }
    }

    /// Queries of one round.
    pub fn queries(&self) -> usize {
        self.queries
    }
}

/// A client that has logged in.
pub struct Client {
    stream: UnixStream,
    script: Arc<Script>,
    answer: Vec<u8>,
}

impl Client {
    /// Logs in, and prepares the statement of its script.
    pub async fn connect(mut stream: UnixStream, script: Arc<Script>) -> Self {
        let body = b"\0\x03\0\0user\0somebody\0database\0db\0\0";
        let mut packet = Vec::new();
        packet.put_u32(u32::try_from(body.len() + 4).unwrap());
        packet.put_slice(body);
        stream.write_all(&packet).await.unwrap();
        let mut tag = 0;
        while tag != b'Z' {
            tag = stream.read_u8().await.unwrap();
            let length = stream.read_u32().await.unwrap() as usize;
            let mut body = vec![0; length - 4];
            stream.read_exact(&mut body).await.unwrap();
            assert_ne!(tag, b'E', "{}", String::from_utf8_lossy(&body));
        }
        let longest = script.turns.iter().map(|(_, answer)| answer.len()).max();
        let answer = vec![0; longest.unwrap_or_default()];
        let mut client = Self {
            stream,
            script,
            answer,
        };
        let script = Arc::clone(&client.script);
        client.turn(&script.prepare).await;
        client
    }

    async fn turn(&mut self, (query, expected): &(Vec<u8>, Vec<u8>)) {
        self.stream.write_all(query).await.unwrap();
        let answer = &mut self.answer[..expected.len()];
        self.stream.read_exact(answer).await.unwrap();
        assert!(answer == expected, "the answer is another");
    }

    /// Goes through the script so many times in each part. All begin and end a part together, and
    /// nobody leaves: that would be counted.
    pub async fn talk(mut self, parts: [usize; 2], barrier: Arc<Barrier>) -> Infallible {
        let script = Arc::clone(&self.script);
        for rounds in parts {
            barrier.wait().await;
            for _ in 0..rounds {
                for turn in &script.turns {
                    self.turn(turn).await;
                }
            }
            barrier.wait().await;
        }
        pending().await
    }
}
