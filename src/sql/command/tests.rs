use super::*;
use crate::sql::fingerprint::fingerprint;
use crate::sql::lexer::Lexer;
use crate::sql::verdict::{Class, Effect};

fn read(sql: &str) -> Command<'_> {
    command(sql.as_bytes(), Quoting::Standard)
}

fn begin(
    access: Option<Access>,
    isolation: Option<Isolation>,
    deferrable: Option<bool>,
) -> Command<'static> {
    Command::Begin(BeginOptions {
        access,
        isolation,
        deferrable,
    })
}

#[test]
fn transactions_begin_with_their_modes() {
    let (read_only, read_write) = (Some(Access::ReadOnly), Some(Access::ReadWrite));
    for (sql, expected) in [
        ("BEGIN", begin(None, None, None)),
        ("begin;", begin(None, None, None)),
        ("BEGIN WORK", begin(None, None, None)),
        ("/* c */ Begin Transaction -- c", begin(None, None, None)),
        ("START TRANSACTION", begin(None, None, None)),
        ("BEGIN READ ONLY", begin(read_only, None, None)),
        ("begin read write", begin(read_write, None, None)),
        ("BEGIN READ ONLY, READ WRITE", begin(read_write, None, None)),
        (
            "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE",
            begin(read_only, Some(Isolation::Serializable), Some(true)),
        ),
        (
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE NOT DEFERRABLE",
            begin(read_write, Some(Isolation::RepeatableRead), Some(false)),
        ),
        (
            "BEGIN ISOLATION LEVEL READ COMMITTED",
            begin(None, Some(Isolation::ReadCommitted), None),
        ),
        (
            "BEGIN ISOLATION LEVEL READ UNCOMMITTED",
            begin(None, Some(Isolation::ReadUncommitted), None),
        ),
    ] {
        assert_eq!(read(sql), expected, "{sql}");
    }
}

#[test]
fn what_the_grammar_of_transactions_does_not_have_is_unknown() {
    for sql in [
        "BEGIN READ",
        "BEGIN READ ONLY,",
        "BEGIN , READ ONLY",
        "BEGIN READ ONLY 1",
        "BEGIN ATOMIC",
        "BEGIN WORK TRANSACTION",
        "BEGIN ISOLATION LEVEL",
        "BEGIN; SELECT 1",
        "BEGIN \"READ\" ONLY",
        "START",
        "START READ ONLY",
        "COMMIT AND",
        "COMMIT AND NO",
        "COMMIT 1",
        "COMMIT WORK TRANSACTION",
        "ROLLBACK AND CHAIN CHAIN",
        "SET TRANSACTION",
        "SET TRANSACTION READ ONLY,",
        "SET SESSION CHARACTERISTICS AS TRANSACTION",
        "\"BEGIN\"",
        "BEGIN '",
    ] {
        assert_eq!(read(sql), Command::Unknown, "{sql}");
    }
}

#[test]
fn transactions_end_divide_and_are_prepared() {
    let (commit, rollback) = (
        |chain| Command::Commit { chain },
        |chain| Command::Rollback { chain },
    );
    for (sql, expected) in [
        ("COMMIT", commit(false)),
        ("COMMIT WORK", commit(false)),
        ("COMMIT TRANSACTION AND CHAIN", commit(true)),
        ("COMMIT AND NO CHAIN;", commit(false)),
        ("END", commit(false)),
        ("END TRANSACTION AND CHAIN", commit(true)),
        ("ROLLBACK", rollback(false)),
        ("ROLLBACK WORK AND CHAIN", rollback(true)),
        ("ABORT", rollback(false)),
        ("ABORT TRANSACTION AND NO CHAIN", rollback(false)),
        ("SAVEPOINT a", Command::Savepoint),
        ("RELEASE a", Command::Release),
        ("RELEASE SAVEPOINT a", Command::Release),
        ("ROLLBACK TO a", Command::RollbackTo),
        ("ROLLBACK TRANSACTION TO SAVEPOINT a", Command::RollbackTo),
        ("PREPARE TRANSACTION 'a'", Command::PrepareTransaction),
        ("COMMIT PREPARED 'a'", Command::CommitPrepared),
        ("ROLLBACK PREPARED 'a'", Command::RollbackPrepared),
        (
            "SET TRANSACTION SNAPSHOT '00000003-0000001B-1'",
            Command::SetSnapshot,
        ),
        ("SET CONSTRAINTS ALL DEFERRED", Command::SetConstraints),
    ] {
        assert_eq!(read(sql), expected, "{sql}");
    }
    let read_only = BeginOptions {
        access: Some(Access::ReadOnly),
        ..BeginOptions::default()
    };
    for sql in [
        "SET TRANSACTION READ ONLY",
        "set local transaction read only",
        "SET SESSION TRANSACTION READ ONLY",
    ] {
        assert_eq!(read(sql), Command::SetTransaction(read_only), "{sql}");
    }
    let sql = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY";
    assert_eq!(read(sql), Command::SessionCharacteristics(read_only));
}

fn set<'a>(name: &'a str, values: &[&'a str]) -> Command<'a> {
    let values = values.iter().map(|value| Cow::Borrowed(value.as_bytes()));
    Command::Set {
        name: Cow::Borrowed(name.as_bytes()),
        value: Value::List(values.collect()),
        local: false,
    }
}

#[test]
fn settings_are_read_in_all_forms() {
    for (sql, expected) in [
        ("SET a = 1", set("a", &["1"])),
        ("SET A TO 'X y'", set("a", &["X y"])),
        ("SET \"A\" = On", set("a", &["on"])),
        ("SET SESSION a = b", set("a", &["b"])),
        (
            "SET pgweir.route = 'primary'",
            set("pgweir.route", &["primary"]),
        ),
        (
            "SET PgWeir.Min_LSN TO '0/16B6C50';",
            set("pgweir.min_lsn", &["0/16B6C50"]),
        ),
        (
            "SET search_path TO a, \"B\", 'c, d', ''",
            set("search_path", &["a", "B", "c, d", ""]),
        ),
        ("SET a = -1.5", set("a", &["-1.5"])),
        ("SET a = 'it''s'", set("a", &["it's"])),
        ("SET a = E'b'", set("a", &["b"])),
        ("SET session = 1", set("session", &["1"])),
        ("SET local TO 1", set("local", &["1"])),
        ("SET role = 'x'", set("role", &["x"])),
        ("SET ROLE x", set("role", &["x"])),
        ("SET SESSION ROLE 'X'", set("role", &["X"])),
        ("SET ROLE NONE", set("role", &["none"])),
        ("SET TIME ZONE 'UTC'", set("timezone", &["UTC"])),
        ("SET TIME ZONE -7", set("timezone", &["-7"])),
        ("SET NAMES 'utf8'", set("client_encoding", &["utf8"])),
        ("SET SCHEMA 'a'", set("search_path", &["a"])),
        (
            "SET SESSION AUTHORIZATION 'x'",
            set("session_authorization", &["x"]),
        ),
        (
            "SET SESSION SESSION AUTHORIZATION x",
            set("session_authorization", &["x"]),
        ),
        ("SET XML OPTION DOCUMENT", set("xmloption", &["document"])),
    ] {
        assert_eq!(read(sql), expected, "{sql}");
    }
}

#[test]
fn settings_are_given_back_kept_or_left_as_they_are_written() {
    let set = |name: &'static str, value, local| Command::Set {
        name: Cow::Borrowed(name.as_bytes()),
        value,
        local,
    };
    for (sql, expected) in [
        ("SET a = DEFAULT", set("a", Value::Default, false)),
        ("SET LOCAL a TO default", set("a", Value::Default, true)),
        ("SET a FROM CURRENT", set("a", Value::Current, false)),
        (
            "SET TIME ZONE LOCAL",
            set("timezone", Value::Default, false),
        ),
        (
            "SET LOCAL TIME ZONE DEFAULT",
            set("timezone", Value::Default, true),
        ),
        ("SET NAMES", set("client_encoding", Value::Default, false)),
        (
            "SET SESSION AUTHORIZATION DEFAULT",
            set("session_authorization", Value::Default, false),
        ),
        (
            "SET a = E'\\x41'",
            set("a", Value::Other(body("E'\\x41'")), false),
        ),
        (
            "SET a = 'b'\n'c'",
            set("a", Value::Other(body("'b'\n'c'")), false),
        ),
        (
            "SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE",
            set(
                "timezone",
                Value::Other(body("INTERVAL '-08:00' HOUR TO MINUTE")),
                false,
            ),
        ),
    ] {
        assert_eq!(read(sql), expected, "{sql}");
    }
    let name = |name: &'static str| Some(Cow::Borrowed(name.as_bytes()));
    for (sql, expected) in [
        ("RESET a.b", Command::Reset(name("a.b"))),
        ("RESET ALL", Command::Reset(None)),
        (
            "RESET SESSION AUTHORIZATION",
            Command::Reset(name("session_authorization")),
        ),
        ("SHOW a", Command::Show(name("a"))),
        ("SHOW pgweir.lsn", Command::Show(name("pgweir.lsn"))),
        ("SHOW \"Search_Path\"", Command::Show(name("search_path"))),
        ("SHOW all;", Command::Show(None)),
        ("SHOW TIME ZONE", Command::Show(name("timezone"))),
        (
            "SHOW TRANSACTION ISOLATION LEVEL",
            Command::Show(name("transaction_isolation")),
        ),
        ("SHOW", Command::Unknown),
        ("SHOW a b", Command::Unknown),
        ("SET a", Command::Unknown),
        ("SET", Command::Unknown),
    ] {
        assert_eq!(read(sql), expected, "{sql}");
    }
}

fn body(sql: &str) -> Body<'_> {
    Body {
        sql: sql.as_bytes(),
        quoting: Quoting::Standard,
    }
}

#[test]
fn prepared_statements_are_found_by_name() {
    let name = |name: &'static str| Cow::Borrowed(name.as_bytes());
    for (sql, expected, statement) in [
        ("PREPARE a AS SELECT 1", "a", "SELECT 1"),
        (
            "PREPARE A (int, numeric(1, 2)) AS SELECT $1;",
            "a",
            "SELECT $1;",
        ),
        ("PREPARE transaction AS SELECT 1", "transaction", "SELECT 1"),
        ("PREPARE \"A b\" AS DELETE FROM t", "A b", "DELETE FROM t"),
    ] {
        let (name, body) = (name(expected), body(statement));
        assert_eq!(read(sql), Command::Prepare { name, body }, "{sql}");
    }
    for (sql, expected, arguments) in [
        ("EXECUTE a", "a", ""),
        ("EXECUTE A (1, f())", "a", "(1, f())"),
    ] {
        let (name, arguments) = (name(expected), body(arguments));
        assert_eq!(read(sql), Command::Execute { name, arguments }, "{sql}");
    }
    assert_eq!(read("PREPARE a"), Command::Unknown);
}

#[test]
fn cursors_have_a_query_and_may_outlive_their_transaction() {
    for (sql, hold) in [
        ("DECLARE c CURSOR FOR SELECT 1", false),
        ("DECLARE U&\"c\" CURSOR WITHOUT HOLD FOR SELECT 1", false),
        ("DECLARE c SCROLL CURSOR FOR SELECT 1", false),
        (
            "DECLARE \"c\" BINARY INSENSITIVE NO SCROLL CURSOR WITH HOLD FOR SELECT 1",
            true,
        ),
    ] {
        let body = body("SELECT 1");
        assert_eq!(read(sql), Command::Declare { hold, body }, "{sql}");
    }
    assert_eq!(read("DECLARE c FOR SELECT 1"), Command::Unknown);
}

#[test]
fn explained_statements_are_found_in_both_forms() {
    for (sql, analyze, statement) in [
        ("EXPLAIN SELECT 1", false, "SELECT 1"),
        ("EXPLAIN VERBOSE SELECT 1", false, "SELECT 1"),
        (
            "EXPLAIN ANALYZE VERBOSE DELETE FROM t",
            true,
            "DELETE FROM t",
        ),
        ("EXPLAIN ANALYSE SELECT 1", true, "SELECT 1"),
        ("EXPLAIN (SELECT 1)", false, "(SELECT 1)"),
        ("EXPLAIN ((SELECT 1))", false, "((SELECT 1))"),
        ("EXPLAIN (VALUES (1))", false, "(VALUES (1))"),
        ("EXPLAIN (ANALYZE) SELECT 1", true, "SELECT 1"),
        (
            "EXPLAIN (COSTS off, analyze true) SELECT 1",
            true,
            "SELECT 1",
        ),
        ("EXPLAIN (ANALYZE, ANALYZE off) SELECT 1", false, "SELECT 1"),
        (
            "EXPLAIN (ANALYZE 0, FORMAT json) (SELECT 1)",
            false,
            "(SELECT 1)",
        ),
    ] {
        let body = body(statement);
        assert_eq!(read(sql), Command::Explain { analyze, body }, "{sql}");
    }
    assert_eq!(read("EXPLAIN (ANALYZE"), Command::Unknown);
}

#[test]
fn copies_go_into_tables_or_out_to_clients_and_files() {
    use {CopyPlace::*, Direction::*};
    let table = |name: &'static str| CopySource::Table(name.as_bytes());
    let query = |sql: &'static str| CopySource::Query(body(sql));
    for (sql, direction, source, place) in [
        ("COPY t TO STDOUT", To, table("t"), Client),
        ("COPY t TO STDIN", To, table("t"), Client),
        (
            "copy \"S\".t (a, b) to stdout with (format csv)",
            To,
            table("\"S\".t"),
            Client,
        ),
        ("COPY BINARY t TO STDOUT", To, table("t"), Client),
        ("COPY binary TO STDOUT", To, table("binary"), Client),
        ("COPY t FROM STDIN", From, table("t"), Client),
        ("COPY t FROM 'file' WHERE a > 1", From, table("t"), File),
        ("COPY t TO 'file'", To, table("t"), File),
        ("COPY t TO PROGRAM 'cat'", To, table("t"), Program),
        ("COPY t FROM PROGRAM 'cat'", From, table("t"), Program),
        (
            "COPY (SELECT (1)) TO STDOUT",
            To,
            query("SELECT (1)"),
            Client,
        ),
        (
            "COPY (DELETE FROM t RETURNING a) TO STDOUT",
            To,
            query("DELETE FROM t RETURNING a"),
            Client,
        ),
    ] {
        let expected = Command::Copy {
            direction,
            source,
            place,
        };
        assert_eq!(read(sql), expected, "{sql}");
    }
    for sql in ["COPY", "COPY t", "COPY (SELECT 1", "COPY t.TO STDOUT"] {
        assert_eq!(read(sql), Command::Unknown, "{sql}");
    }
}

#[test]
fn names_are_read_as_the_server_does() {
    let long = "é".repeat(40);
    let name = |sql: &str| match read(sql) {
        Command::Deallocate(Which::Named(name)) => String::from_utf8(name.into_owned()).unwrap(),
        other => format!("{other:?}"),
    };
    for (sql, expected) in [
        ("DEALLOCATE Abc", "abc"),
        ("DEALLOCATE PREPARE Abc", "abc"),
        ("DEALLOCATE prepare", "prepare"),
        ("DEALLOCATE \"A\"\"b\"", "A\"b"),
        ("DEALLOCATE ÉA", "Éa"),
        (&format!("DEALLOCATE {}", "x".repeat(70)), &"x".repeat(63)),
        (&format!("DEALLOCATE {long}"), &"é".repeat(31)),
    ] {
        assert_eq!(name(sql), expected, "{sql}");
    }
    assert_eq!(read("DEALLOCATE ALL"), Command::Deallocate(Which::All));
    assert_eq!(
        read("DEALLOCATE PREPARE ALL"),
        Command::Deallocate(Which::All)
    );
    assert_eq!(read("CLOSE ALL"), Command::Close(Which::All));
}

/// The verdict of the keywords in words: `open` where there is none.
fn verdict(sql: &str) -> String {
    let Some(verdict) = verdict_of(&read(sql)) else {
        return "open".to_owned();
    };
    let mut words = match verdict.class {
        Class::Read => "read".to_owned(),
        Class::Primary(reason) => reason.to_string(),
    };
    for (effect, word) in [
        (Effect::Pins, " pins"),
        (Effect::Unpins, " unpins"),
        (Effect::ChangesFunctions, " functions"),
    ] {
        if verdict.effects.has(effect) {
            words.push_str(word);
        }
    }
    words
}

#[test]
fn the_leading_keywords_decide_what_they_can() {
    assert_eq!(verdict(""), "read");
    for line in include_str!("verdicts.txt").lines() {
        let (expected, sql) = line.split_once(" | ").unwrap();
        assert_eq!(verdict(sql), expected, "{sql}");
    }
}

#[test]
fn texts_that_differ_in_values_only_have_the_same_verdict() {
    let values = [
        "'x'",
        "'PG_TEMP'",
        "'create temp table t ()'",
        "$$x$$",
        "'off'",
        "0",
        "1",
    ];
    let mut pairs = 0;
    let told = include_str!("verdicts.txt").lines();
    let told = told.map(|line| line.split_once(" | ").unwrap().1);
    let more = [
        "EXPLAIN (ANALYZE 0) CREATE TEMP TABLE t AS SELECT 1",
        "SET search_path = 'x', y",
        "SET x TO E'\\x'; DO LANGUAGE plpgsql 'x'",
        "SET LOCAL search_path = \"pg_temp\", 'x'",
    ];
    for sql in told.chain(more) {
        for value in values {
            let tokens = Lexer::new(sql.as_bytes(), Quoting::Standard);
            let other = tokens.flat_map(|token| match token.kind {
                Kind::Text | Kind::Number => value.as_bytes(),
                _ => token.text,
            });
            let other = String::from_utf8(other.copied().collect()).unwrap();
            let [one, two] =
                [sql, &other].map(|sql| fingerprint(sql.as_bytes(), Quoting::Standard, 1));
            if one == two {
                pairs += 1;
                assert_eq!(verdict(sql), verdict(&other), "{sql} and {other}");
            }
        }
    }
    assert!(pairs > 800, "{pairs}");
}
