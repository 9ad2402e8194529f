//! `PostgreSQL` itself says what a read is: it runs random statements in read-only transactions, and
//! nothing that it refuses to run there, and nothing that called a volatile function, may be a read
//! for us.
//!
//! `PGWEIR_ORACLE` says how many statements are made (a few thousand otherwise), `PGWEIR_ORACLE_SEED`
//! which ones; a failure prints both.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failing step is a failing test, and what was found is worth a look"
)]

mod generator;

use std::collections::BTreeMap;

use pgweir::demo::cluster::{Cluster, ClusterOptions, Installation, Server};
use pgweir::sql::lexer::Quoting;
use pgweir::sql::{Catalog, Class, Knowledge, Reason, classify};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use generator::Generator;

const SCHEMA: &str = include_str!("schema.sql");
/// How many statements are made unless somebody wants more.
const STATEMENTS: u64 = 2_500;

/// What the server says of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Truth {
    /// It ran without a trace.
    Read,
    /// It left a trace, or was refused in a read-only transaction.
    NoRead,
    /// It is an error for another reason.
    Invalid,
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

async fn connect(server: &Server) -> Client {
    let conninfo = server.conninfo("postgres", "postgres");
    let (client, connection) = tokio_postgres::connect(&conninfo, NoTls).await.unwrap();
    tokio::task::spawn_local(connection);
    client
}

async fn rows(client: &Client, sql: &str) -> Vec<Vec<String>> {
    let messages = client.simple_query(sql).await.unwrap();
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    rows.map(|row| {
        (0..row.len())
            .map(|at| row.get(at).unwrap().to_owned())
            .collect()
    })
    .collect()
}

async fn catalog(client: &Client) -> Catalog {
    let rows = rows(client, Catalog::QUERY).await;
    let rows = rows.iter().map(|row| match row.as_slice() {
        [kind, name, class] => [kind.as_bytes(), name.as_bytes(), class.as_bytes()],
        other => panic!("three columns are asked for, not {}", other.len()),
    });
    Catalog::from_rows(rows).unwrap()
}

/// Runs a statement so that it changes nothing.
async fn truth(client: &Client, sql: &str, quoting: Quoting) -> Truth {
    let begin = match quoting {
        Quoting::Standard => "begin read only",
        Quoting::Backslash => "begin read only; set standard_conforming_strings = off",
    };
    client.batch_execute(begin).await.unwrap();
    // An accident may have made a loop without an end.
    let limit = "set statement_timeout = '500ms'";
    client.batch_execute(limit).await.unwrap();
    // What would come as a copy goes nowhere.
    let sent = sql
        .replace("stdout", "'/dev/null'")
        .replace("STDOUT", "'/dev/null'");
    let ran = client.simple_query(&sent).await;
    let called = match &ran {
        Ok(_) => traced(client).await,
        Err(_) => false,
    };
    client.batch_execute("rollback").await.unwrap();
    client.batch_execute("discard all").await.unwrap();
    match ran {
        Ok(_) if called => Truth::NoRead,
        Ok(_) => Truth::Read,
        Err(error) if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => Truth::NoRead,
        Err(_) => Truth::Invalid,
    }
}

/// Whether a volatile function has been called, a lock taken, or the transaction ended.
async fn traced(client: &Client) -> bool {
    let sql = "select coalesce(current_setting('oracle.called', true), '') = 'yes' \
        or exists (select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) \
        or pg_current_xact_id_if_assigned() is not null \
        or exists (select from pg_class where relpersistence = 't')";
    let rows = rows(client, sql).await;
    rows[0][0] == "t"
}

fn number(name: &str, otherwise: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(otherwise, |value| value.parse().unwrap())
}

#[test]
fn nothing_that_the_server_calls_no_read_is_one_for_us() {
    let installation = Installation::find().unwrap();
    let cluster = Cluster::start(&installation, ClusterOptions::default()).unwrap();
    let server = cluster.primary();
    server.psql("postgres", SCHEMA).unwrap();
    let seed = number("PGWEIR_ORACLE_SEED", 1);
    let count = number("PGWEIR_ORACLE", STATEMENTS);
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime(), async {
        let client = connect(server).await;
        let catalog = catalog(&client).await;
        assert_eq!(catalog.knowledge(), Knowledge::Complete);
        let mut found: BTreeMap<(Truth, Option<Reason>), (u64, String)> = BTreeMap::new();
        let mut generator = Generator::new(seed);
        for at in 0..count {
            let sql = generator.statement();
            let quoting = [Quoting::Standard, Quoting::Backslash][usize::from(at % 4 == 0)];
            let truth = truth(&client, &sql, quoting).await;
            let reason = match classify(sql.as_bytes(), quoting, &catalog).class {
                Class::Read => None,
                Class::Primary(reason) => Some(reason),
            };
            let wrong = truth == Truth::NoRead && reason.is_none();
            assert!(
                !wrong,
                "statement {at} of seed {seed} is no read ({quoting:?}):\n{sql}"
            );
            found.entry((truth, reason)).or_insert((0, sql)).0 += 1;
        }
        report(&found);
    });
}

/// Shows what was found, and fails if the statements were not worth the trouble.
fn report(found: &BTreeMap<(Truth, Option<Reason>), (u64, String)>) {
    for ((truth, reason), (count, example)) in found {
        let reason = reason.map_or("read", Reason::word);
        println!(
            "{count:7} {truth:?} {reason}: {}",
            example.replace('\n', "\\n")
        );
    }
    let sum = |is: &dyn Fn(Truth, Option<Reason>) -> bool| -> u64 {
        let kinds = found
            .iter()
            .filter(|((truth, reason), _)| is(*truth, *reason));
        kinds.map(|(_, (count, _))| count).sum()
    };
    let reads = sum(&|truth, _| truth == Truth::Read);
    let seen = sum(&|truth, reason| truth == Truth::Read && reason.is_none());
    let others = sum(&|truth, _| truth == Truth::NoRead);
    let invalid = sum(&|truth, _| truth == Truth::Invalid);
    println!("{reads} reads, {seen} of them known; {others} others; {invalid} invalid");
    assert!(
        seen * 10 > reads * 8,
        "{seen} of {reads} reads are known as such"
    );
    assert!(
        others * 5 > invalid && others * 10 > reads,
        "{others} statements are no reads"
    );
}
