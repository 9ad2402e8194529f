//! Sessions of simple queries, function calls and notifications.

use super::script::{Script, script};
use crate::support::message::{flush, function_call, query, sync, terminate};

/// `int4pl(int4, int4)`
const INT4PL: u32 = 177;
/// `int4div(int4, int4)`
const INT4DIV: u32 = 154;

pub fn scripts() -> Vec<Script> {
    let mut scripts = results();
    scripts.extend(errors());
    scripts.extend(transactions());
    scripts.extend(parameters());
    scripts.extend(function_calls());
    scripts.extend(session_state());
    scripts.extend(sizes());
    scripts
}

fn results() -> Vec<Script> {
    let texts = [
        "",
        ";",
        " ;; ",
        "-- nothing",
        "select",
        "select 1 as one, null as nothing, 'text' as text, 1.5::float8, now() is null",
        "select * from items order by id",
        "select * from items where false",
        "select * from items limit 1; select name from items where id = 2; select 3",
        "values (1, 'a'), (2, 'b')",
        "table parents",
        "show server_version",
        "explain (costs off) select * from items",
        "select remark('one'), remark('two')",
        "do $$ begin raise notice 'first'; raise warning 'second'; raise info 'third'; end $$",
        "select 'caf\u{e9}', E'\\x01', repeat('ab', 3)::bytea, array[1, 2], '{\"a\": 1}'::jsonb",
        "begin; create temp table made (a int, b text) on commit drop; \
         insert into made values (1, 'x') returning *; update made set a = 2; delete from made; \
         select * from made; commit",
        "select g from generate_series(1, 3000) g",
    ];
    let mut scripts: Vec<_> = texts
        .iter()
        .map(|sql| {
            let short: String = sql.chars().take(40).collect();
            script(format!("simple {short:?}"))
                .query(sql)
                .query("select 'after'")
        })
        .collect();
    scripts.push(
        script("several queries in one piece")
            .send(&[
                query("select 1"),
                query(""),
                query("select 2"),
                query("selec"),
                query("select 3"),
            ])
            .ready(5),
    );
    scripts.push(
        script("goodbye")
            .query("select 1")
            .send(&[terminate()])
            .closed(),
    );
    scripts.push(
        script("sync and flush between queries")
            .send(&[
                sync(),
                flush(),
                query("select 1"),
                flush(),
                sync(),
                query("select 2"),
                sync(),
            ])
            .ready(5),
    );
    scripts
}

fn errors() -> Vec<Script> {
    let texts = [
        "selec 1",
        "select * from no_such_table",
        "select 'open",
        "select 1; select 2; select 1/0; select 3",
        "select 1; selec; select 2",
        "begin; select 1; commit; select 1/0; select 2",
        "insert into items values (1, 'again', 0)",
        "insert into children values (1, 999)",
        "insert into guarded values (1)",
        "select complain('what', 'X0042')",
        "select complain(repeat('long ', 2000), 'X0043')",
        "select n / (n - 2000) from generate_series(1, 3000) n",
        "create database inside; select 1",
    ];
    let mut scripts: Vec<_> = texts
        .iter()
        .map(|sql| {
            script(format!("error {sql:?}"))
                .query(sql)
                .query("select 'after'")
        })
        .collect();
    for sql in texts {
        scripts.push(
            script(format!("error in a block {sql:?}"))
                .query("begin")
                .query(sql)
                .query("select 'ignored'")
                .query("rollback")
                .query("select 'after'"),
        );
    }
    scripts
}

fn transactions() -> Vec<Script> {
    vec![
        script("commit")
            .query("begin")
            .query("select 1")
            .query("commit")
            .query("select 2"),
        script("commit of a failed block")
            .query("begin")
            .query("select 1/0")
            .query("commit")
            .query("select 2"),
        script("warnings about blocks")
            .query("commit")
            .query("rollback")
            .query("begin")
            .query("begin")
            .query("commit"),
        script("savepoints")
            .query("begin")
            .query("savepoint a")
            .query("select 1/0")
            .query("rollback to a")
            .query("select 1")
            .query("savepoint b; release b; rollback to savepoint missing")
            .query("rollback"),
        script("chained blocks")
            .query("begin isolation level serializable")
            .query("commit and chain")
            .query("show transaction_isolation")
            .query("rollback"),
        script("a block that a string opens")
            .query("select 1; begin")
            .query("select 2")
            .query("commit; select 3; begin; select 4")
            .query("rollback"),
        script("a cursor")
            .query("begin")
            .query("declare c cursor for select * from items order by id")
            .query("fetch 3 from c")
            .query("move 2 in c")
            .query("fetch all from c")
            .query("close c")
            .query("fetch c")
            .query("rollback"),
        script("set local")
            .query("begin; set local timezone = 'Asia/Tokyo'; select '2000-01-01'::timestamptz")
            .query("commit; select '2000-01-01'::timestamptz"),
        script("set and rollback")
            .query("begin; set timezone = 'Asia/Tokyo'")
            .query("rollback")
            .query("select '2000-01-01 00:00:00+00'::timestamptz"),
        script("prepare and execute within a block")
            .query("begin; prepare p as select $1::int + 1; execute p(1)")
            .query("execute p(2); deallocate p; commit"),
        script("read only")
            .query("begin read only; insert into parents values (77)")
            .query("rollback"),
        script("notify within one string")
            .query("listen simple_one; notify simple_one, 'hello'; unlisten simple_one; select 1"),
        script("notify within a block")
            .query("begin; listen simple_two; notify simple_two, 'hello'; select 1")
            .query("commit; unlisten simple_two"),
    ]
}

fn parameters() -> Vec<Script> {
    let follows = |name: &str, value: &str, shows: &str| {
        script(format!("set {name}"))
            .query(&format!("set {name} = {value}"))
            .query(shows)
            .query(&format!("show {name}"))
            .query(&format!("set {name} = {value}"))
            .query("begin")
            .query(shows)
            .query("select 1/0")
            .query("rollback")
            .query(shows)
            .query(&format!("reset {name}"))
            .query(shows)
    };
    vec![
        follows(
            "timezone",
            "'America/New_York'",
            "select '2000-01-01 00:00+00'::timestamptz",
        ),
        follows("timezone", "'america/new_york'", "show timezone"),
        follows("datestyle", "'German, DMY'", "select '2000-01-31'::date"),
        follows("datestyle", "dmy", "select '2000-01-31'::date"),
        follows(
            "intervalstyle",
            "sql_standard",
            "select '1 year 2 days'::interval",
        ),
        follows("application_name", "'it''s \\ me'", "show application_name"),
        follows("client_encoding", "'LATIN1'", "select chr(233)"),
        follows("client_encoding", "'UTF8'", "select chr(233)"),
        follows("standard_conforming_strings", "off", "select 'a\\\\b'"),
        follows(
            "default_transaction_read_only",
            "on",
            "insert into parents values (1)",
        ),
        script("a character that the client's encoding does not have")
            .query("set client_encoding = 'LATIN1'")
            .query("select chr(8364)")
            .query("select 1"),
        script("bytes that are no text")
            .send(&[crate::support::message::message(
                b'Q',
                b"select 'a\xff\xfe'\0",
            )])
            .ready(1)
            .query("select 1"),
        script("an unknown parameter")
            .query("set no_such_parameter = 1")
            .query("set timezone = 'Nowhere/Never'")
            .query("show timezone"),
        script("reset all")
            .query("set timezone = 'Asia/Tokyo'; set datestyle = german")
            .query("reset all")
            .query("show timezone; ")
            .query("show datestyle"),
        script("discard all")
            .query("set timezone = 'Asia/Tokyo'")
            .query("discard all")
            .query("show timezone"),
        script("set_config")
            .query("select set_config('timezone', 'Asia/Tokyo', false)")
            .query("show timezone")
            .query("select set_config('timezone', 'Asia/Seoul', true), current_setting('timezone')")
            .query("show timezone"),
    ]
}

fn function_calls() -> Vec<Script> {
    let call = |oid, arguments: &[&str]| {
        let arguments: Vec<_> = arguments.iter().map(|text| Some(text.as_bytes())).collect();
        function_call(oid, &arguments)
    };
    vec![
        script("function call")
            .say(&[call(INT4PL, &["2", "3"])])
            .query("select 1"),
        script("function call with null").say(&[function_call(INT4PL, &[None, Some(b"1")])]),
        script("function call that fails")
            .say(&[call(INT4DIV, &["1", "0"])])
            .query("select 1"),
        script("function call of nothing")
            .say(&[call(4_000_000_000, &[])])
            .query("select 1"),
        script("function call in a block")
            .query("begin")
            .say(&[call(INT4PL, &["2", "3"])])
            .say(&[call(INT4DIV, &["1", "0"])])
            .say(&[call(INT4PL, &["2", "3"])])
            .query("rollback"),
        script("function calls and queries in one piece")
            .send(&[
                query("select 1"),
                call(INT4PL, &["2", "3"]),
                call(INT4DIV, &["1", "0"]),
                query("select 2"),
            ])
            .ready(4),
    ]
}

fn session_state() -> Vec<Script> {
    let scripts = vec![
        script("listen and notify")
            .query("listen one")
            .query("notify one, 'payload'")
            .query("notify other")
            .query("begin; notify one, 'later'")
            .query("select 1")
            .query("commit")
            .query("unlisten *")
            .query("notify one"),
        script("a temporary table")
            .query("create temp table kept (a int)")
            .query("insert into kept select g from generate_series(1, 5) g")
            .query("select * from kept")
            .query("discard temp")
            .query("select * from kept"),
        script("a cursor with hold")
            .query("begin; declare c cursor with hold for select * from items; commit")
            .query("fetch 2 from c")
            .query("fetch 2 from c")
            .query("close c"),
        script("a parameter that is not reported")
            .query("set statement_timeout = '77s'")
            .query("show statement_timeout"),
        script("prepare and execute")
            .query("prepare p as select $1::int + 1")
            .query("execute p(1)")
            .query("deallocate p")
            .query("execute p(1)"),
        script("an advisory lock")
            .query("select pg_advisory_lock(42) is null")
            .query("select pg_advisory_unlock(42)")
            .query("select pg_advisory_unlock(42)"),
        script("sequences")
            .query("create temp sequence s")
            .query("select nextval('s')")
            .query("select currval('s')"),
    ];
    scripts.into_iter().map(Script::session_only).collect()
}

fn sizes() -> Vec<Script> {
    let text = "x".repeat(1_000_000);
    vec![
        script("a large row")
            .query("select repeat('0123456789', 300000), 'end'")
            .query("select 1"),
        script("many large rows")
            .query("select repeat(g::text, 100000) from generate_series(1, 20) g"),
        script("a large query")
            .query(&format!("select length('{text}')"))
            .query("select 1"),
        script("a large query that comes back").query(&format!("select '{text}'")),
        script("a large query that fails").query(&format!("select '{text}'::int")),
        script("large queries in one piece")
            .send(&[
                query(&format!("select length('{text}')")),
                query("select 1/0"),
                query(&format!("select '{text}'")),
            ])
            .ready(3),
    ]
}
