use super::*;
use crate::sql::verdict::{Effect, Reason, Verdict};

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
            set("a", Value::Other(b"E'\\x41'"), false),
        ),
        (
            "SET a = 'b'\n'c'",
            set("a", Value::Other(b"'b'\n'c'"), false),
        ),
        (
            "SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE",
            set(
                "timezone",
                Value::Other(b"INTERVAL '-08:00' HOUR TO MINUTE"),
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
fn statements_inside_of_others_are_found() {
    let name = |name: &'static str| Cow::Borrowed(name.as_bytes());
    for (sql, expected) in [
        (
            "PREPARE a AS SELECT 1",
            Command::Prepare {
                name: name("a"),
                body: body("SELECT 1"),
            },
        ),
        (
            "PREPARE A (int, numeric(1, 2)) AS SELECT $1",
            Command::Prepare {
                name: name("a"),
                body: body("SELECT $1"),
            },
        ),
        (
            "PREPARE transaction AS SELECT 1",
            Command::Prepare {
                name: name("transaction"),
                body: body("SELECT 1"),
            },
        ),
        (
            "PREPARE \"A b\" AS DELETE FROM t",
            Command::Prepare {
                name: name("A b"),
                body: body("DELETE FROM t"),
            },
        ),
        (
            "EXECUTE a",
            Command::Execute {
                name: name("a"),
                arguments: body(""),
            },
        ),
        (
            "EXECUTE a (1, f())",
            Command::Execute {
                name: name("a"),
                arguments: body("(1, f())"),
            },
        ),
        (
            "DECLARE c CURSOR FOR SELECT 1",
            Command::Declare {
                hold: false,
                body: body("SELECT 1"),
            },
        ),
        (
            "DECLARE \"c\" BINARY INSENSITIVE NO SCROLL CURSOR WITH HOLD FOR SELECT 1",
            Command::Declare {
                hold: true,
                body: body("SELECT 1"),
            },
        ),
        (
            "DECLARE U&\"c\" CURSOR WITHOUT HOLD FOR SELECT 1",
            Command::Declare {
                hold: false,
                body: body("SELECT 1"),
            },
        ),
        (
            "EXPLAIN SELECT 1",
            Command::Explain {
                analyze: false,
                body: body("SELECT 1"),
            },
        ),
        (
            "EXPLAIN VERBOSE SELECT 1",
            Command::Explain {
                analyze: false,
                body: body("SELECT 1"),
            },
        ),
        (
            "EXPLAIN ANALYZE VERBOSE DELETE FROM t",
            Command::Explain {
                analyze: true,
                body: body("DELETE FROM t"),
            },
        ),
        (
            "EXPLAIN ANALYSE SELECT 1",
            Command::Explain {
                analyze: true,
                body: body("SELECT 1"),
            },
        ),
        (
            "EXPLAIN (SELECT 1)",
            Command::Explain {
                analyze: false,
                body: body("(SELECT 1)"),
            },
        ),
        (
            "EXPLAIN ((SELECT 1))",
            Command::Explain {
                analyze: false,
                body: body("((SELECT 1))"),
            },
        ),
        (
            "EXPLAIN (ANALYZE) SELECT 1",
            Command::Explain {
                analyze: true,
                body: body("SELECT 1"),
            },
        ),
        (
            "EXPLAIN (COSTS off, analyze true) SELECT 1",
            Command::Explain {
                analyze: true,
                body: body("SELECT 1"),
            },
        ),
        (
            "EXPLAIN (ANALYZE, ANALYZE off) SELECT 1",
            Command::Explain {
                analyze: false,
                body: body("SELECT 1"),
            },
        ),
        (
            "EXPLAIN (ANALYZE 0, FORMAT json) (SELECT 1)",
            Command::Explain {
                analyze: false,
                body: body("(SELECT 1)"),
            },
        ),
        ("EXPLAIN (ANALYZE", Command::Unknown),
        ("PREPARE a", Command::Unknown),
        ("DECLARE c FOR SELECT 1", Command::Unknown),
    ] {
        assert_eq!(read(sql), expected, "{sql}");
    }
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

/// What the keywords decide, and what they leave open.
#[test]
fn the_leading_keywords_decide_what_they_can() {
    use Reason::*;
    let primary = Verdict::primary;
    let pins = |reason| primary(reason).with(Effect::Pins);
    let unpins = |reason| primary(reason).with(Effect::Unpins);
    for (expected, statements) in [
        (Some(Verdict::READ), &["", " -- c", ";", "/* c */"][..]),
        (
            None,
            &[
                "SELECT 1",
                "(SELECT 1)",
                "WITH a AS (SELECT 1) SELECT 1",
                "VALUES (1)",
                "TABLE t",
                "EXECUTE a",
                "EXPLAIN SELECT 1",
                "PREPARE a AS SELECT 1",
                "DECLARE c CURSOR FOR SELECT 1",
                "COPY t TO STDOUT",
                "COPY (SELECT 1) TO STDOUT",
                "EXPLAIN ANALYZE EXECUTE a",
            ],
        ),
        (
            Some(primary(Write)),
            &[
                "INSERT INTO t VALUES (1)",
                "UPDATE t SET a = 1",
                "DELETE FROM t",
                "MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE",
                "TRUNCATE t",
                "COPY t FROM STDIN",
                "EXPLAIN ANALYZE DELETE FROM t",
                "PREPARE a AS UPDATE t SET a = 1",
                "COPY (DELETE FROM t RETURNING 1) TO STDOUT",
            ],
        ),
        (
            Some(pins(Write)),
            &[
                "INSERT INTO t SELECT pg_advisory_lock(1)",
                "UPDATE t SET a = \"pg_try_advisory_lock_shared\"(1)",
            ],
        ),
        (
            Some(primary(TransactionControl)),
            &[
                "BEGIN",
                "COMMIT",
                "ROLLBACK TO a",
                "SAVEPOINT a",
                "SET TRANSACTION READ ONLY",
                "PREPARE TRANSACTION 'a'",
                "SET CONSTRAINTS a IMMEDIATE",
            ],
        ),
        (
            Some(primary(Setting)),
            &["SET a = 1", "SHOW a", "RESET ALL"],
        ),
        (
            Some(pins(Setting)),
            &[
                "SET search_path = pg_temp, public",
                "SET search_path = 'PG_TEMP'",
            ],
        ),
        (
            Some(primary(SessionState)),
            &["FETCH 1 FROM c", "MOVE c", "DEALLOCATE a", "DISCARD PLANS"],
        ),
        (
            Some(pins(SessionState)),
            &["LISTEN a", "DECLARE c CURSOR WITH HOLD FOR SELECT 1"],
        ),
        (
            Some(unpins(SessionState)),
            &[
                "UNLISTEN *",
                "CLOSE c",
                "CLOSE ALL",
                "DISCARD ALL",
                "DISCARD TEMP",
                "DISCARD SEQUENCES",
            ],
        ),
        (
            Some(primary(Locking)),
            &["LOCK t", "LOCK TABLE t IN SHARE MODE"],
        ),
        (
            Some(primary(Utility)),
            &[
                "VACUUM",
                "ANALYZE t",
                "CHECKPOINT",
                "CALL p()",
                "NOTIFY a",
                "REINDEX TABLE t",
                "CLUSTER",
                "LOAD 'x'",
                "COPY t TO 'file'",
            ],
        ),
        (
            Some(primary(Utility).with(Effect::ChangesFunctions)),
            &["DO $$ begin end $$"],
        ),
        (
            Some(pins(Utility).with(Effect::ChangesFunctions)),
            &["DO $$ begin create temp table t (); end $$"],
        ),
        (
            Some(primary(Unparsed)),
            &["FROB", "1", "'x", "BEGIN 1", "\"select\" 1", "?"],
        ),
    ] {
        for sql in statements {
            assert_eq!(verdict_of(&read(sql)), expected, "{sql}");
        }
    }
}

#[test]
fn changes_of_the_schema_have_the_effects_that_matter() {
    use Effect::*;
    use Reason::{Ddl, Into};
    type Row = (Reason, &'static [Effect], &'static [&'static str]);
    let rows: [Row; 8] = [
        (
            Ddl,
            &[][..],
            &[
                "CREATE TABLE t (a int default nextval('s'))",
                "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)",
                "ALTER TABLE t ADD a int",
                "CREATE VIEW v AS SELECT 1",
                "CREATE UNLOGGED TABLE t ()",
                "COMMENT ON TABLE t IS 'x'",
                "CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY)",
                "CREATE ROLE r",
                "ALTER SYSTEM SET a = 1",
                "CREATE TEMP TABLE t (a int) ON COMMIT DROP",
                "CREATE TABLE pg_temp.t () ON COMMIT DROP",
                "SECURITY LABEL ON TABLE t IS 'x'",
                "REFRESH MATERIALIZED VIEW v",
                "CREATE FOREIGN TABLE t () SERVER s",
                "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON t EXECUTE FUNCTION f()",
            ],
        ),
        (
            Ddl,
            &[Pins],
            &[
                "CREATE TEMP TABLE t (a int)",
                "create global temporary table t ()",
                "CREATE TEMPORARY SEQUENCE s",
                "CREATE OR REPLACE TEMP VIEW v AS SELECT 1",
                "CREATE TABLE pg_temp.t ()",
                "CREATE TABLE \"pg_temp\".t ()",
                "CREATE TEMP TABLE t () ON COMMIT DELETE ROWS",
                "CREATE TEMP RECURSIVE VIEW v (n) AS SELECT 1",
            ],
        ),
        (
            Into,
            &[],
            &[
                "CREATE TABLE t AS SELECT 1",
                "CREATE TABLE t (a) AS VALUES (1)",
                "CREATE MATERIALIZED VIEW v AS SELECT 1",
                "CREATE TABLE t AS EXECUTE a",
                "CREATE TEMP TABLE t ON COMMIT DROP AS SELECT 1",
            ],
        ),
        (
            Into,
            &[Pins],
            &[
                "CREATE TEMP TABLE t AS SELECT 1",
                "CREATE TABLE t AS SELECT pg_advisory_lock(1)",
                "CREATE TABLE IF NOT EXISTS pg_temp_3.t AS SELECT 1",
                "EXPLAIN ANALYZE CREATE TEMP TABLE t AS SELECT 1",
            ],
        ),
        (
            Ddl,
            &[ChangesFunctions],
            &[
                "CREATE FUNCTION f() RETURNS int AS 'select 1' LANGUAGE sql",
                "CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC END",
                "CREATE AGGREGATE a (int) (x)",
                "CREATE OPERATOR + ()",
                "CREATE CAST (a AS b) WITHOUT FUNCTION",
                "CREATE EXTENSION x",
                "CREATE SCHEMA s",
                "ALTER FUNCTION f() STABLE",
                "ALTER EXTENSION x UPDATE",
                "CREATE TYPE t AS RANGE (subtype = int)",
                "GRANT USAGE ON SCHEMA s TO r",
                "REVOKE ALL ON SCHEMA s FROM r",
                "IMPORT FOREIGN SCHEMA s FROM SERVER x INTO y",
                "CREATE SOMETHING NEW",
                "CREATE",
                "ALTER SCHEMA s RENAME TO t",
            ],
        ),
        (
            Ddl,
            &[Pins, ChangesFunctions],
            &["CREATE FUNCTION pg_temp.f() RETURNS int AS 'select 1' LANGUAGE sql"],
        ),
        (
            Ddl,
            &[Unpins],
            &["DROP TABLE t", "DROP VIEW IF EXISTS v, w", "DROP INDEX i"],
        ),
        (
            Ddl,
            &[Unpins, ChangesFunctions],
            &[
                "DROP FUNCTION f()",
                "DROP SCHEMA s CASCADE",
                "DROP TABLE t CASCADE",
                "DROP OWNED BY r",
            ],
        ),
    ];
    for (reason, effects, statements) in rows {
        let mut expected = Verdict::primary(reason);
        for effect in effects {
            expected = expected.with(*effect);
        }
        for sql in statements {
            assert_eq!(verdict_of(&read(sql)), Some(expected), "{sql}");
        }
    }
}
