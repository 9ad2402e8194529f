use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::{JoinHandle, LocalSet};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::*;
use crate::admin::fixture::{FakeHost, read_replies};
use crate::admin::welcome;
use crate::protocol::TransactionStatus;

/// A console that is being served, seen from its client.
struct Served {
    client: DuplexStream,
    host: Rc<FakeHost>,
    cancelled: Rc<Notify>,
    stop: Rc<Notify>,
    task: JoinHandle<io::Result<Ended>>,
}

/// Serves an administrator; to be called inside a `LocalSet`. `stop` says farewell.
fn start(buffer: usize) -> Served {
    let (client, stream) = duplex(buffer);
    let (host, cancelled, stop) = (
        Rc::new(FakeHost::default()),
        Rc::new(Notify::new()),
        Rc::new(Notify::new()),
    );
    let task = {
        let (host, cancelled, stop) = (host.clone(), cancelled.clone(), stop.clone());
        tokio::task::spawn_local(async move {
            let goodbye = async {
                stop.notified().await;
                let text = "admin forced disconnect";
                Some(Report::new(
                    Severity::Fatal,
                    SqlState::PROTOCOL_VIOLATION,
                    text,
                ))
            };
            let stream = (stream, Leftover::default());
            serve(stream, &*host, Role::Admin, &cancelled, goodbye).await
        })
    };
    Served {
        client,
        host,
        cancelled,
        stop,
        task,
    }
}

impl Served {
    async fn say(&mut self, frames: &[u8]) {
        self.client.write_all(frames).await.unwrap();
    }

    /// Replies up to `ReadyForQuery` or the end of the stream.
    async fn hear(&mut self) -> Vec<String> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"Z\0\0\0\x05I") {
            if self.client.read_buf(&mut bytes).await.unwrap() == 0 {
                break;
            }
        }
        read_replies(&bytes)
    }
}

fn query(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len() + 5).unwrap();
    [b"Q", &length.to_be_bytes()[..], text.as_bytes(), b"\0"].concat()
}

#[tokio::test(start_paused = true)]
async fn pipelined_commands_are_answered_in_order_for_every_split() {
    let input = [
        query("show version"),
        query("foo"),
        query("show state"),
        query("x"),
    ]
    .concat();
    let (input, rest) = input.split_at(input.len() - 7);
    for cut in 0..input.len() {
        let talk = async {
            let mut served = start(64);
            served.say(&input[..cut]).await;
            tokio::task::yield_now().await;
            served.say(&input[cut..]).await;
            let mut replies = Vec::new();
            while replies.iter().filter(|line| *line == "Z I").count() < 3 {
                replies.extend(served.hear().await);
            }
            assert_eq!(
                (replies.len(), replies[9].as_str()),
                (11, "C SHOW"),
                "{replies:?}"
            );
            served.say(rest).await;
            assert_eq!(served.hear().await.len(), 2);
        };
        LocalSet::new().run_until(talk).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancel_request_resumes_what_waits_to_be_paused() {
    let talk = async {
        let mut served = start(4096);
        for (text, resumed) in [("PAUSE", "resume"), ("pause bench", "resume bench")] {
            served.say(&query(text)).await;
            served.host.waiting.notified().await;
            served.cancelled.notify_waiters();
            let canceled = "E ERROR 57014 canceling statement due to user request";
            assert_eq!(served.hear().await, [canceled, "Z I"]);
            let journal = served.host.journal.borrow();
            assert!(journal.iter().any(|line| line == resumed), "{journal:?}");
        }
        // One that finds nothing to cancel is forgotten.
        served.cancelled.notify_waiters();
        served.say(&query("pause")).await;
        served.host.waiting.notified().await;
        served.host.released.notify_one();
        assert_eq!(served.hear().await, ["C PAUSE", "Z I"]);
    };
    LocalSet::new().run_until(talk).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_it_waits_leaves_the_pause() {
    let talk = async {
        let mut served = start(4096);
        served.say(&query("pause")).await;
        served.host.waiting.notified().await;
        drop(served.client);
        assert_eq!(served.task.await.unwrap().unwrap(), Ended::Eof);
        assert_eq!(
            served.host.journal.borrow().last().map(String::as_str),
            Some("pause")
        );
    };
    LocalSet::new().run_until(talk).await;
}

#[tokio::test(start_paused = true)]
async fn commands_wait_for_the_one_before_them() {
    let talk = async {
        let mut served = start(4096);
        served
            .say(&[query("pause"), query("resume")].concat())
            .await;
        served.host.waiting.notified().await;
        tokio::task::yield_now().await;
        assert!(!served.host.journal.borrow().contains(&"resume".to_owned()));
        served.host.released.notify_one();
        assert_eq!(served.hear().await, ["C PAUSE", "Z I", "C RESUME", "Z I"]);
    };
    LocalSet::new().run_until(talk).await;
}

#[tokio::test(start_paused = true)]
async fn stop_says_farewell() {
    for waits in ["", "pause"] {
        let talk = async {
            let mut served = start(4096);
            if !waits.is_empty() {
                served.say(&query(waits)).await;
                served.host.waiting.notified().await;
            }
            served.stop.notify_one();
            assert_eq!(
                served.hear().await,
                ["E FATAL 08P01 admin forced disconnect"]
            );
            assert_eq!(served.task.await.unwrap().unwrap(), Ended::Stopped);
        };
        LocalSet::new().run_until(talk).await;
    }
}

#[tokio::test(start_paused = true)]
async fn stop_does_not_wait_for_a_client_that_does_not_read() {
    let talk = async {
        let mut served = start(16);
        served.say(&query("show stats")).await;
        assert_eq!(served.client.read_u8().await.unwrap(), b'T');
        served.stop.notify_one();
        assert_eq!(served.task.await.unwrap().unwrap(), Ended::Stopped);
    };
    LocalSet::new().run_until(talk).await;
}

#[tokio::test(start_paused = true)]
async fn bad_headers_end_the_conversation() {
    for (header, expected) in [
        (&b"Q\0\0\0\x03"[..], "bad packet header: '5100000003'"),
        (
            b"Q\0\x01\0\x01",
            "frame of type 0x51 declares 65537 bytes, the limit is 65536",
        ),
        (
            b"Q\xff\xff\xff\xff",
            "frame of type 0x51 declares 4294967295 bytes, the limit is 65536",
        ),
    ] {
        let talk = async {
            let mut served = start(4096);
            served.say(header).await;
            assert_eq!(served.hear().await, [format!("E FATAL 08P01 {expected}")]);
            assert_eq!(served.task.await.unwrap().unwrap(), Ended::ProtocolError);
            assert_eq!(
                *served.host.journal.borrow(),
                [format!("refused: {expected}")]
            );
        };
        LocalSet::new().run_until(talk).await;
    }
}

#[tokio::test(start_paused = true)]
async fn terminate_and_shutdown_close_without_a_word() {
    for (frame, expected) in [
        (b"X\0\0\0\x04".to_vec(), Ended::ByClient),
        (query("shutdown"), Ended::Stopped),
    ] {
        let talk = async {
            let mut served = start(4096);
            served.say(&frame).await;
            assert_eq!(served.hear().await, [""; 0]);
            assert_eq!(served.task.await.unwrap().unwrap(), expected);
        };
        LocalSet::new().run_until(talk).await;
    }
}

/// Answers a driver's startup as the login would, then serves the console.
async fn login_and_serve(mut stream: DuplexStream, host: &FakeHost) -> io::Result<Ended> {
    let length = stream.read_i32().await?;
    let mut startup = vec![0; usize::try_from(length - 4).unwrap()];
    stream.read_exact(&mut startup).await?;
    let mut out = BytesMut::new();
    reply::auth_ok(&mut out);
    welcome::parameters(&mut out);
    reply::backend_key(&mut out, [0; 8]);
    reply::ready_for_query(&mut out, TransactionStatus::Idle);
    stream.write_all(&out).await?;
    serve(
        (stream, Leftover::default()),
        host,
        Role::Admin,
        &Notify::new(),
        std::future::pending(),
    )
    .await
}

#[tokio::test]
async fn a_real_driver_uses_both_protocols() {
    let (client, stream) = duplex(1024);
    let host = FakeHost::default();
    let drive = async {
        let mut config = tokio_postgres::Config::new();
        config.user("adm").dbname("pgbouncer");
        let (client, connection) = config.connect_raw(client, NoTls).await.unwrap();
        let work = async {
            let replies = client.simple_query("SHOW PEERS").await.unwrap();
            let SimpleQueryMessage::Row(row) = &replies[1] else {
                panic!("{replies:?}")
            };
            assert_eq!(
                (row.get("host"), row.get("port")),
                (Some("127.0.0.1"), Some("6432"))
            );
            // Prepared, with results in binary format.
            let rows = client.query("SHOW POOLS", &[]).await.unwrap();
            assert_eq!(rows[0].get::<_, &str>("pool_mode"), "session");
            assert_eq!(rows[0].get::<_, i32>("sv_login"), 11);
            assert_eq!(rows[0].get::<_, Option<&str>>("load_balance_hosts"), None);
            let rows = client.query("SHOW DNS_HOSTS", &[]).await.unwrap();
            assert_eq!(rows[0].get::<_, i64>("ttl"), 12);
            let error = client.query("SELECT 1", &[]).await.unwrap_err();
            assert_eq!(
                error.code().map(tokio_postgres::error::SqlState::code),
                Some("08P01")
            );
            assert_eq!(client.execute("RECONNECT bench", &[]).await.unwrap(), 0);
            client.execute("", &[]).await.unwrap();
            let error = client.batch_execute("RELOAD").await.unwrap_err();
            assert_eq!(
                error.code().map(tokio_postgres::error::SqlState::code),
                Some("F0000")
            );
        };
        tokio::select! {
            () = work => {}
            ended = connection => panic!("the connection ended: {ended:?}"),
        }
    };
    tokio::select! {
        () = drive => {}
        ended = login_and_serve(stream, &host) => panic!("the console ended: {ended:?}"),
    }
    let journal = host.journal.borrow();
    assert!(
        journal.contains(&"reconnect bench".to_owned()),
        "{journal:?}"
    );
}
