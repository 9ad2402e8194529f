//! tokio-postgres: pipelines of futures, statements, portals, COPY, cancelling, notices.

use std::future::Future;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _, TryStreamExt as _, future, pin_mut, stream};
use tokio::sync::mpsc;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client, NoTls, SimpleQueryMessage};

use super::stage::{Mode, Stage};

/// No check takes longer than this, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Messages that come unasked, at most; more would make the connection wait.
const MESSAGES_MAX: usize = 1000;

async fn connect(url: &str) -> (Client, mpsc::Receiver<AsyncMessage>) {
    let (client, mut connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let (sender, receiver) = mpsc::channel(MESSAGES_MAX);
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
        while let Some(Ok(message)) = messages.next().await {
            // Most checks do not listen.
            drop(sender.try_send(message));
        }
    });
    (client, receiver)
}

async fn check<F: Future<Output = ()>>(name: &str, check: F) {
    let in_time = tokio::time::timeout(LIMIT, check).await;
    assert!(in_time.is_ok(), "{name} hangs");
}

fn run(mode: Mode) {
    let stage = Stage::start(mode);
    let url = stage.url();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        check("futures", futures_are_answered_in_order(&url)).await;
        check("errors", errors_hit_only_their_query(&url)).await;
        check("statements", statements_are_described_and_dropped(&url)).await;
        check("many statements", many_statements_of_many_clients(&url)).await;
        check("transactions", transactions_roll_back_when_dropped(&url)).await;
        check("portals", portals_are_read_in_parts(&url)).await;
        check("copy", copy_moves_rows(&url)).await;
        check("unfinished", an_unfinished_copy_fails(&url)).await;
        check("cancel", a_query_is_cancelled(&url)).await;
        check("abandon", an_abandoned_query_harms_nobody(&url)).await;
        check("notices", notices_arrive(&url)).await;
        check("simple", simple_queries_give_everything(&url)).await;
        match mode {
            Mode::Session => check("notifications", notifications_arrive(&url)).await,
            Mode::Transaction => check("sharing", clients_share_few_servers(&url)).await,
        }
    });
}

#[test]
fn tokio_postgres_works_in_transaction_mode() {
    run(Mode::Transaction);
}

#[test]
fn tokio_postgres_works_in_session_mode() {
    run(Mode::Session);
}

async fn futures_are_answered_in_order(url: &str) {
    let (client, _) = connect(url).await;
    let statement = client.prepare("select $1::int4 * 2").await.unwrap();
    let numbers: Vec<i32> = (0..500).collect();
    let queries = numbers.iter().map(async |n| {
        let row = client.query_one(&statement, &[n]).await.unwrap();
        row.get::<_, i32>(0)
    });
    let doubled: Vec<_> = numbers.iter().map(|n| n * 2).collect();
    assert_eq!(future::join_all(queries).await, doubled);
    let texts = numbers.iter().map(async |n| {
        let text = format!("select '{n}'::text");
        client.query_one(&text, &[]).await.unwrap().get(0)
    });
    let texts: Vec<String> = future::join_all(texts).await;
    assert_eq!(texts.last().unwrap(), "499");
}

async fn errors_hit_only_their_query(url: &str) {
    let (client, _) = connect(url).await;
    let statement = client.prepare("select 100 / $1::int4").await.unwrap();
    let divide = async |by: i32| client.query_one(&statement, &[&by]).await;
    let outcomes = future::join_all((0..50).map(|n| divide(n % 5))).await;
    for (n, outcome) in (0..50).zip(outcomes) {
        match outcome {
            Ok(row) => assert_eq!(row.get::<_, i32>(0), 100 / (n % 5)),
            Err(error) => {
                assert_eq!(n % 5, 0);
                assert_eq!(error.code(), Some(&SqlState::DIVISION_BY_ZERO));
            }
        }
    }
    let error = client.prepare("selekt").await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::SYNTAX_ERROR));
    assert_eq!(divide(7).await.unwrap().get::<_, i32>(0), 14);
}

async fn statements_are_described_and_dropped(url: &str) {
    let (client, _) = connect(url).await;
    for n in 0..300 {
        let query = format!("select $1::int8 as a, {n} as b");
        let statement = client.prepare(&query).await.unwrap();
        assert_eq!(statement.params(), [Type::INT8]);
        assert_eq!(statement.columns()[1].name(), "b");
        let row = client.query_one(&statement, &[&1_i64]).await.unwrap();
        assert_eq!(row.get::<_, i32>("b"), n);
    }
    let typed = [(&"x" as _, Type::TEXT)];
    let rows = client.query_typed("select $1", &typed).await.unwrap();
    assert_eq!(rows[0].get::<_, &str>(0), "x");
}

async fn many_statements_of_many_clients(url: &str) {
    let clients = future::join_all((0..8).map(|_| connect(url))).await;
    let work = clients
        .iter()
        .enumerate()
        .map(async |(number, (client, _))| {
            let mut statements = Vec::new();
            for n in 0..40 {
                let query = format!("select {number} * 1000 + {n} + $1::int4");
                statements.push(client.prepare(&query).await.unwrap());
            }
            for turn in 0..3_i32 {
                for (n, statement) in statements.iter().enumerate() {
                    let row = client.query_one(statement, &[&turn]).await.unwrap();
                    let expected = i32::try_from(number * 1000 + n).unwrap() + turn;
                    assert_eq!(row.get::<_, i32>(0), expected);
                }
            }
        });
    future::join_all(work).await;
}

async fn transactions_roll_back_when_dropped(url: &str) {
    let (mut client, _) = connect(url).await;
    let table = "drop table if exists rust_rows; create table rust_rows (n int primary key)";
    client.batch_execute(table).await.unwrap();
    let insert = "insert into rust_rows values (1)";
    let transaction = client.transaction().await.unwrap();
    transaction.execute(insert, &[]).await.unwrap();
    drop(transaction);
    let mut transaction = client.transaction().await.unwrap();
    transaction.execute(insert, &[]).await.unwrap();
    let savepoint = transaction.transaction().await.unwrap();
    let error = savepoint.execute(insert, &[]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION));
    savepoint.rollback().await.unwrap();
    transaction.commit().await.unwrap();
    let count = client
        .query_one("select count(*) from rust_rows", &[])
        .await;
    assert_eq!(count.unwrap().get::<_, i64>(0), 1);
    client.batch_execute("drop table rust_rows").await.unwrap();
}

async fn portals_are_read_in_parts(url: &str) {
    let (mut client, _) = connect(url).await;
    let transaction = client.transaction().await.unwrap();
    let query = "select generate_series(1, 1000)";
    let one = transaction.bind(query, &[]).await.unwrap();
    let other = transaction.bind(query, &[]).await.unwrap();
    for part in 0..10 {
        for portal in [&one, &other] {
            let rows = transaction.query_portal(portal, 100).await.unwrap();
            assert_eq!(
                (rows.len(), rows[0].get::<_, i32>(0)),
                (100, part * 100 + 1)
            );
        }
    }
    assert!(transaction.query_portal(&one, 0).await.unwrap().is_empty());
    transaction.commit().await.unwrap();
}

async fn copy_moves_rows(url: &str) {
    let (client, _) = connect(url).await;
    let table = "drop table if exists rust_copy; create table rust_copy (n int, t text)";
    client.batch_execute(table).await.unwrap();
    let sink = client.copy_in("copy rust_copy from stdin binary").await;
    let writer = BinaryCopyInWriter::new(sink.unwrap(), &[Type::INT4, Type::TEXT]);
    pin_mut!(writer);
    for n in 0..5000_i32 {
        writer.as_mut().write(&[&n, &"text"]).await.unwrap();
    }
    assert_eq!(writer.finish().await.unwrap(), 5000);
    let out = client.copy_out("copy rust_copy to stdout").await.unwrap();
    let parts: Vec<bytes::Bytes> = out.try_collect().await.unwrap();
    assert_eq!(
        parts.concat().split(|byte| *byte == b'\n').count(),
        5001 // and nothing behind the last line
    );
    let count = client
        .query_one("select count(*) from rust_copy", &[])
        .await;
    assert_eq!(count.unwrap().get::<_, i64>(0), 5000);
    client.batch_execute("drop table rust_copy").await.unwrap();
}

async fn an_unfinished_copy_fails(url: &str) {
    let (client, _) = connect(url).await;
    let table = "drop table if exists rust_torn; create table rust_torn (n int)";
    client.batch_execute(table).await.unwrap();
    let sink = client.copy_in("copy rust_torn from stdin").await.unwrap();
    {
        // Dropping it sends CopyFail and Sync, with the Close of its statement behind them.
        pin_mut!(sink);
        let line = bytes::Bytes::from_static(b"1\n");
        sink.send(line).await.unwrap();
    }
    let count = client
        .query_one("select count(*) from rust_torn", &[])
        .await;
    assert_eq!(count.unwrap().get::<_, i64>(0), 0);
    client.batch_execute("drop table rust_torn").await.unwrap();
}

/// Finds the query once the server has it.
const ACTIVE: &str = "select 1 from pg_stat_activity \
    where query = 'select pg_sleep(40)' and state = 'active'";

async fn a_query_is_cancelled(url: &str) {
    let (client, _) = connect(url).await;
    let (watcher, _) = connect(url).await;
    let token = client.cancel_token();
    for _ in 0..3 {
        let sleeping = client.batch_execute("select pg_sleep(40)");
        let cancelling = async {
            while watcher.query(ACTIVE, &[]).await.unwrap().is_empty() {}
            token.cancel_query(NoTls).await.unwrap();
        };
        let (outcome, ()) = future::join(sleeping, cancelling).await;
        assert_eq!(outcome.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
        client.batch_execute("select 1").await.unwrap();
    }
}

async fn an_abandoned_query_harms_nobody(url: &str) {
    let (client, _) = connect(url).await;
    for n in 0..20_i32 {
        let slow = client.query("select pg_sleep(0.05), repeat('x', 100000)", &[]);
        drop(tokio::time::timeout(Duration::from_millis(5), slow).await);
        let row = client.query_one("select $1::int4", &[&n]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), n);
    }
}

async fn notices_arrive(url: &str) {
    let (client, mut messages) = connect(url).await;
    let raise = "do $$ begin raise notice 'heard'; end $$";
    client.batch_execute(raise).await.unwrap();
    match messages.recv().await.unwrap() {
        AsyncMessage::Notice(notice) => assert_eq!(notice.message(), "heard"),
        other => panic!("{other:?}"),
    }
}

async fn notifications_arrive(url: &str) {
    let ((listener, mut messages), (sender, _)) = future::join(connect(url), connect(url)).await;
    listener.batch_execute("listen rust_channel").await.unwrap();
    for n in 0..10 {
        let notify = format!("notify rust_channel, '{n}'");
        sender.batch_execute(&notify).await.unwrap();
    }
    for n in 0..10 {
        match messages.recv().await.unwrap() {
            AsyncMessage::Notification(note) => assert_eq!(note.payload(), n.to_string()),
            other => panic!("{other:?}"),
        }
    }
}

async fn simple_queries_give_everything(url: &str) {
    let (client, _) = connect(url).await;
    let messages = client.simple_query("select 1; values (2), (3); ;").await;
    let rows = messages
        .unwrap()
        .into_iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
    assert_eq!(rows.collect::<Vec<_>>(), ["1", "2", "3"]);
}

async fn clients_share_few_servers(url: &str) {
    let work = (0..30_i32).map(async |number| {
        let (mut client, _) = connect(url).await;
        for turn in 0..5_i32 {
            let transaction = client.transaction().await.unwrap();
            let query = "select pg_backend_pid(), $1::int4 + $2::int4";
            let (first, second) = future::join(
                transaction.query_one(query, &[&number, &turn]),
                transaction.query_one(query, &[&number, &turn]),
            )
            .await;
            let (first, second) = (first.unwrap(), second.unwrap());
            assert_eq!(first.get::<_, i32>(0), second.get::<_, i32>(0));
            assert_eq!(first.get::<_, i32>(1), number + turn);
            transaction.commit().await.unwrap();
        }
        client
    });
    let clients = future::join_all(work).await;
    // All of them are still there, over four servers.
    let counting = "select count(*) from pg_stat_activity where usename = current_user";
    let count = clients[0].query_one(counting, &[]).await.unwrap();
    assert!(count.get::<_, i64>(0) <= 4);
}
