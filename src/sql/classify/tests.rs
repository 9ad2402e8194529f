use super::*;

/// A database with functions of every kind, as `Catalog::QUERY` would tell of it.
fn catalog() -> Catalog {
    let rows = [
        ["function", "sta", "harmless"],
        ["function", "vol", "volatile"],
        ["function", "badagg", "volatile"],
        ["function", "substring", "volatile"],
        ["function", "Mixed", "volatile"],
        ["function", "touch", "volatile"],
        ["of rows", "touch", "volatile"],
        ["function", "uuid_generate_v4", "volatile in c"],
        ["operator", "===", "volatile"],
        ["operator", "<#>", "harmless"],
        ["relation", "cache", "of its server"],
        ["relation", "t_id_seq", "of its server"],
    ];
    Catalog::from_rows(rows.iter().map(|row| row.map(str::as_bytes))).expect("known kinds")
}

fn verdict(sql: &str) -> Verdict {
    classify(sql.as_bytes(), Quoting::Standard, &catalog())
}

fn reason(sql: &str) -> Option<Reason> {
    match verdict(sql).class {
        Class::Read => None,
        Class::Primary(reason) => Some(reason),
    }
}

#[track_caller]
fn all_are(expected: Option<Reason>, statements: &[&str]) {
    let others = statements.iter().map(|sql| (reason(sql), sql));
    let others: Vec<_> = others.filter(|(reason, _)| *reason != expected).collect();
    assert!(others.is_empty(), "expected {expected:?}, got {others:#?}");
}

#[test]
fn reads_of_every_shape_are_reads() {
    all_are(
        None,
        &[
            "SELECT 1",
            "select from t",
            "VALUES (1, 'a'), (2, 'b')",
            "TABLE t",
            "TABLE s.t",
            "(SELECT 1)",
            "((select 1) union all (select 2)) order by 1 limit 3",
            "select a, b.c, d.* from t b join s.d using (id) where a = $1 and b.c <> 'x'",
            "select * from a left join b on a.x = b.x cross join c natural join d",
            "select * from a full outer join (b inner join c on true) on a.x = b.x",
            "with x as (select 1), y as materialized (select * from x) select * from y",
            "with recursive n(i) as (values (1) union all select i + 1 from n where i \
             < 9) table n",
            "select count(*), sum(x) filter (where x > 0) from t group by a having count(*) > 1",
            "select distinct on (a) a, b from t order by a, b desc nulls last limit 10 offset 5",
            "select a from t group by grouping sets ((a), ()), rollup (b), cube (c, d)",
            "select row_number() over (partition by a order by b rows between 1 \
             preceding and current row) from t",
            "select rank() over w from t window w as (order by a)",
            "select percentile_cont(0.5) within group (order by x) from t",
            "select string_agg(a, ',' order by b) from t",
            "select case when a then 1 when b then 2 else coalesce(c, 3) end from t",
            "select case a when 1 then 2 end from t",
            "select a::int, cast(b as numeric(10, 2)), date '2020-01-01', interval '1 \
             day' from t",
            "select '2020-01-01'::timestamptz at time zone 'UTC', x::mood, y::text[] from t",
            "select array[1, 2, 3], array(select a from t), a[1], b[1:2] from t",
            "select (row(1, 2)), (a, b) = (1, 2), (t).x from t",
            "select exists (select 1 from t), not exists (select from t), a in (1, 2), \
             b in (select c from d)",
            "select a = any($1), b <> all (array[1, 2]), c between 1 and 2, d is not \
             distinct from e from t",
            "select a like 'x%', b ilike 'y' escape '!', c similar to 'z', d ~* 'w' from t",
            "select a -> 'x' ->> 'y', b #>> '{a}', c @> '{}', d ? 'k', e && f, g || h, \
             i @@ j from t",
            "select extract(epoch from now()), position('a' in b), trim(both 'x' from c), \
             overlay(a placing b from 1)",
            "select current_date, current_timestamp, localtime, current_user, \
             session_user, current_schema",
            "select now(), upper(a), length(b), to_char(c, 'YYYY'), sta(1), s.sta(2)",
            "select random(), clock_timestamp(), gen_random_uuid(), \
             uuid_generate_v4(), pg_sleep(0), timeofday()",
            "select pg_typeof(1), pg_size_pretty(1::bigint), pg_get_viewdef('v'::regclass), \
             pg_column_size(a) from t",
            "select * from generate_series(1, 10) g(i), unnest(array[1, 2]) with \
             ordinality u(a, b)",
            "select * from t, lateral (select * from u where u.id = t.id) x",
            "select * from json_to_recordset('[]') as x(a int, b text)",
            "select * from t tablesample bernoulli (10) repeatable (1)",
            "select a from t union select b from u except select c from v intersect \
             select d from w",
            "select * from t fetch first 5 rows only",
            "select 'insert into t', $$delete from t$$, E'update \\' t', U&'\\0061' from t",
            "select a /* insert into t */ from t -- delete from t",
            "select \"insert\", \"update\", \"into\" from \"delete\"",
            "select t.version, t.update, u.delete from t, u",
            "select a <#> b, a operator(pg_catalog.+) b from t order by a using <",
            "select sum(a) over (order by b), lag(c, 1) over w from t window w as \
             (partition by d order by e)",
            "select x.a from (values (1), (2)) as x (a)",
            "select greatest(1, 2), least(a, b), nullif(c, d) from t",
            "select make_interval(days => 10), f.x from generate_series(1, 2) as f(x)",
            "SELECT \"User\".\"Id\" FROM \"Users\" AS \"User\" WHERE \
             (\"User\".\"Deleted\" = false) LIMIT $1",
        ],
    );
}

#[test]
fn writes_at_any_depth_are_writes() {
    all_are(
        Some(Reason::Write),
        &[
            "with x as (insert into t values (1) returning *) select * from x",
            "with x as (delete from t returning a) select 1",
            "with x as (select 1), y as (update t set a = 1 returning *) table x",
            "with x as (merge into t using u on true when matched then delete \
             returning 1) select 1",
            "with x as (with y as (delete from t returning 1) select * from y) select * from x",
            "select * from (with x as (insert into t values (1) returning 1) select * from x) y",
            "with x as (select 1) insert into t select * from x",
            "WITH x AS (SELECT 1) DELETE FROM t",
            "select lo_unlink(1)",
            "select lo_get(a) from t",
            "select pg_notify('a', 'b')",
        ],
    );
}

#[test]
fn locking_clauses_are_found_at_any_depth() {
    let locks = ["update", "no key update", "share", "key share"];
    for lock in locks {
        for sql in [
            format!("select * from t for {lock}"),
            format!("select * from t where id = 1 FOR /* x */ {lock} of t nowait"),
            format!("select * from t order by a limit 1 for {lock} skip locked"),
            format!("select * from (select * from t for {lock}) x"),
            format!("with x as (select 1 from t for {lock}) select * from x"),
            format!("select 1 where exists (select 1 from t for {lock})"),
            format!("(select 1 from t for {lock})"),
            format!("select * from t for read only for {lock}"),
        ] {
            assert_eq!(reason(&sql), Some(Reason::Locking), "{sql}");
        }
    }
}

#[test]
fn storing_a_result_is_not_a_read() {
    all_are(
        Some(Reason::Into),
        &[
            "select * into u from t",
            "select 1 as a INTO TEMP u",
            "select 1 into unlogged table u",
            "with x as (select 1) select * into u from x",
        ],
    );
}

#[test]
fn volatile_functions_are_found_wherever_they_are_called() {
    for call in [
        "vol(1)",
        "s.vol(1)",
        "\"vol\"(1)",
        "VoL ( 1 )",
        "nextval('t_id_seq')",
        "\"Mixed\"()",
    ] {
        for sql in [
            format!("select {call}"),
            format!("select * from {call}"),
            format!("select * from t, lateral {call} x"),
            format!("select * from rows from ({call}) x"),
            format!("select 1 from t where a = {call}"),
            format!("select 1 from t order by {call}"),
            format!("select 1 from t group by {call} having {call} > 1"),
            format!("select 1 limit {call}"),
            format!("select 1 offset {call}"),
            format!("select case when true then {call} end"),
            format!("select (select {call})"),
            format!("select array[{call}], array(select {call})"),
            format!("values ({call})"),
            format!("select upper({call}::text)"),
            format!("select count(*) filter (where {call} > 0) from t"),
            format!("select sum(a order by {call}) from t"),
            format!("select sum(a) over (partition by {call}) from t"),
            format!("select 1 from t window w as (order by {call})"),
            format!("select * from t join u on {call} = 1"),
            format!("select a[{call}], b between 1 and {call} from t"),
            format!("select a in (1, {call}), row({call}) from t"),
            format!("select interval '1 day' * {call}"),
            format!("select distinct on ({call}) 1"),
            format!("select extract(epoch from {call}), trim({call} from 'x')"),
            format!("select * from t tablesample system ({call})"),
            format!("with x as (select {call}) select 1"),
            format!("select 1 union select {call}"),
            format!("select xmlelement(name a, {call})"),
            format!("select json_object('a': {call})"),
            format!("select make_interval(days => {call})"),
            format!("select ({call}).x, ({call}).*"),
        ] {
            assert_eq!(reason(&sql), Some(Reason::VolatileFunction), "{sql}");
        }
    }
    all_are(
        Some(Reason::VolatileFunction),
        &[
            "select badagg(a) from t",
            "select substring(a, 1, 2) from t",
            "select setval('t_id_seq', 1)",
            "select query_to_xml('delete from t', true, true, '')",
            "select * from dblink('x', 'y') as z(a int)",
            "select ts_stat('select 1')",
        ],
    );
}

#[test]
fn attribute_notation_calls_functions_too() {
    all_are(
        Some(Reason::VolatileFunction),
        &[
            "select t.touch from t",
            "select t.\"touch\" from t",
            "select s.t . Touch from s.t",
            "select (t).touch from t",
            "select ('t_id_seq'::regclass).nextval",
            "select (1).vol",
            "select $1.vol",
            "select (array[1])[1].vol",
        ],
    );
    // A row has no column that `vol` could be taken for, and `vol` takes no row.
    all_are(None, &["select t.vol from t", "select t.nextval from t"]);
    all_are(
        Some(Reason::AdvisoryLock),
        &["select (1::bigint).pg_advisory_lock"],
    );
}

#[test]
fn operators_of_users_are_looked_up() {
    all_are(
        Some(Reason::VolatileFunction),
        &[
            "select a === b from t",
            "select 1 from t order by a using ===",
            "select a operator(s.===) b from t",
            "select === a from t",
            "select 1 === any(array[1])",
        ],
    );
    all_are(
        Some(Reason::UnknownFunction),
        &["select a <|> b from t", "select @#@ a from t"],
    );
}

#[test]
fn functions_and_types_that_nobody_knows_are_for_the_primary() {
    all_are(
        Some(Reason::UnknownFunction),
        &[
            "select mystery(1)",
            "select * from mystery(1) x",
            "select s.mystery()",
            "select \"UPPER\"('x')",
            "select \"coalesce\"(1)",
            "select s.coalesce(1)",
            "select mood('x')",
        ],
    );
    let builtin = Catalog::builtin();
    for (sql, expected) in [
        ("select 'x'::mood", Some(Reason::UnknownFunction)),
        ("select cast('x' as s.mood)", Some(Reason::UnknownFunction)),
        ("select '{}'::mood[]", Some(Reason::UnknownFunction)),
        ("select 'x'::blob", Some(Reason::UnknownFunction)),
        ("select 'x'::regclass, 'y'::jsonb[], z::varchar(10)", None),
        ("select sta(1)", Some(Reason::UnknownFunction)),
        ("select upper('x')", None),
    ] {
        let verdict = classify(sql.as_bytes(), Quoting::Standard, &builtin);
        let expected = expected.map_or(Verdict::READ, Verdict::primary);
        assert_eq!(verdict, expected, "{sql}");
    }
}

#[test]
fn what_depends_on_the_server_or_the_session_is_for_the_primary() {
    all_are(
        Some(Reason::NodeDependent),
        &[
            "select pg_is_in_recovery()",
            "select inet_server_addr()",
            "select pg_last_wal_replay_lsn()",
            "select pg_current_wal_lsn()",
            "select txid_current()",
            "select pg_current_xact_id()",
            "select pg_backend_pid()",
            "select pg_switch_wal()",
            "select pg_logical_emit_message(true, 'a', 'b')",
            "select pg_create_physical_replication_slot('a')",
            "select pg_stat_reset()",
            "select pg_reload_conf()",
            "select pg_terminate_backend(1)",
            "select pg_cancel_backend(1)",
            "select pg_relation_size('t')",
            "select pg_postmaster_start_time()",
            "select version()",
            "select * from cache",
            "select * from s.cache",
            "select last_value from t_id_seq",
        ],
    );
    all_are(
        Some(Reason::SystemCatalog),
        &[
            "select * from pg_class",
            "select * from pg_catalog.pg_class",
            "select * from PG_STAT_ACTIVITY",
            "select * from information_schema.tables",
            "table pg_settings",
            "TABLE PG_SETTINGS",
            "select * from t, (select * from pg_locks) x",
        ],
    );
    all_are(
        Some(Reason::SessionState),
        &[
            "select * from pg_temp.t",
            "select currval('t_id_seq')",
            "select lastval()",
            "select setseed(1)",
        ],
    );
    all_are(
        Some(Reason::Setting),
        &[
            "select set_config('a', 'b', false)",
            "select current_setting('a')",
        ],
    );
}

#[test]
fn advisory_locks_are_found_with_what_they_leave_behind() {
    for lock in [
        "pg_advisory_lock(1)",
        "pg_catalog.pg_advisory_lock(1, 2)",
        "\"pg_advisory_lock\"(hashtext('x'))",
        "PG_TRY_ADVISORY_LOCK(1)",
        "pg_advisory_lock_shared(1)",
    ] {
        for sql in [
            format!("select {lock}"),
            format!("select 1 where {lock} is null"),
            format!("with x as (select {lock}) select * from x"),
            format!("select nextval('s'), {lock}"),
            format!("select 1 from a b c d {lock}"),
        ] {
            assert!(verdict(&sql).effects.has(Effect::Pins), "{sql}");
            assert_ne!(reason(&sql), None, "{sql}");
        }
    }
    for sql in [
        "select pg_advisory_xact_lock(1)",
        "select pg_try_advisory_xact_lock_shared(1, 2)",
    ] {
        assert_eq!(
            verdict(sql),
            Verdict::primary(Reason::AdvisoryLock),
            "{sql}"
        );
    }
    for sql in [
        "select pg_advisory_unlock(1)",
        "select pg_advisory_unlock_all()",
    ] {
        assert_eq!(
            verdict(sql),
            Verdict::primary(Reason::AdvisoryLock).with(Effect::Unpins)
        );
    }
}

#[test]
fn what_cannot_be_read_is_for_the_primary() {
    all_are(
        Some(Reason::Unparsed),
        &[
            "select 'open",
            "select \"open",
            "select /* open",
            "select $a$ open $b$",
            "select 1)",
            "(select 1",
            "select 1 \0",
            "select U&\"nextv\\0061l\"('s')",
            "select t.U&\"n\\0061me\" from t",
            "select * from t pivot (sum(a) for b in (1, 2))",
            "select top 5 * from t",
            "from t select a",
            "select a from t qualify a > 1",
            "select * exclude (a) from t",
        ],
    );
    let broken = classify(b"select '\xff'", Quoting::Standard, &catalog());
    assert_eq!(broken, Verdict::READ, "a value may be of any encoding");
    for sql in [
        &b"select \xff from t"[..],
        b"select \xff(1)",
        b"select * from \"\xff\"",
    ] {
        let verdict = classify(sql, Quoting::Standard, &catalog());
        assert_eq!(verdict, Verdict::primary(Reason::Unparsed));
    }
}

#[test]
fn statements_in_one_message_are_all_looked_at() {
    all_are(
        None,
        &[
            "",
            " ; -- nothing",
            "select 1;",
            "select 1; select 2",
            "values (1); ; table t;",
        ],
    );
    for (sql, expected) in [
        ("select 1; delete from t", Reason::Write),
        (
            "select 1; select nextval('s'); delete from t",
            Reason::VolatileFunction,
        ),
        ("begin; select 1; commit", Reason::TransactionControl),
        ("select 1; execute x", Reason::UnknownStatement),
        ("create table t (a int); select 1", Reason::Ddl),
        ("select 1; do $$ begin end $$", Reason::Utility),
    ] {
        assert_eq!(reason(sql), Some(expected), "{sql}");
    }
    assert!(
        verdict("select pg_advisory_lock(1); select 1")
            .effects
            .has(Effect::Pins)
    );
    assert!(
        verdict("select 1; select pg_advisory_unlock(1)")
            .effects
            .has(Effect::Unpins)
    );
}

#[test]
fn statements_with_another_one_inside_are_what_that_one_is() {
    all_are(
        None,
        &[
            "explain select * from t",
            "explain (analyze, costs off) select * from t",
            "explain analyze verbose values (1)",
            "declare c cursor for select * from t",
            "copy t to stdout",
            "copy s.t (a, b) to stdout with (format csv)",
            "copy (select * from t) to stdout",
        ],
    );
    for (sql, expected) in [
        ("explain analyze delete from t", Reason::Write),
        ("explain insert into t select 1", Reason::Write),
        (
            "explain analyze select nextval('s')",
            Reason::VolatileFunction,
        ),
        ("explain select * from t for update", Reason::Locking),
        ("explain create table u as select 1", Reason::Into),
        ("explain execute p(1)", Reason::UnknownStatement),
        (
            "declare c cursor for select * from t for update",
            Reason::Locking,
        ),
        (
            "declare c cursor with hold for select * from t",
            Reason::SessionState,
        ),
        ("copy t from stdin", Reason::Write),
        ("copy t to '/tmp/x'", Reason::Utility),
        ("copy t to program 'cat'", Reason::Utility),
        ("copy pg_class to stdout", Reason::SystemCatalog),
        ("copy s.\"cache\" to stdout", Reason::NodeDependent),
        ("copy (delete from t returning *) to stdout", Reason::Write),
        ("copy (select vol(1)) to stdout", Reason::VolatileFunction),
        (
            "copy (with x as (insert into t values (1) returning 1) table x) to stdout",
            Reason::Write,
        ),
    ] {
        assert_eq!(reason(sql), Some(expected), "{sql}");
    }
    for sql in ["prepare p as select 1", "prepare p (int) as delete from t"] {
        assert_eq!(reason(sql), Some(Reason::SessionState), "{sql}");
        assert!(verdict(sql).effects.has(Effect::Pins), "{sql}");
    }
    assert!(verdict("deallocate p").effects.has(Effect::Unpins));
    let hold = verdict("declare c cursor with hold for select pg_advisory_unlock_all()");
    assert!(hold.effects.has(Effect::Pins) && hold.effects.has(Effect::Unpins));
}

#[test]
fn other_statements_are_what_their_keywords_say_and_their_effects_count() {
    for (sql, expected) in [
        ("insert into t values (1)", Reason::Write),
        (
            "merge into t using u on true when matched then delete",
            Reason::Write,
        ),
        ("truncate t", Reason::Write),
        ("begin", Reason::TransactionControl),
        ("prepare transaction 'x'", Reason::TransactionControl),
        ("create table u as select 1", Reason::Into),
        ("refresh materialized view v", Reason::Ddl),
        ("lock table t", Reason::Locking),
        ("call p()", Reason::Utility),
        ("vacuum", Reason::Utility),
        ("listen a", Reason::SessionState),
        ("set a = 1", Reason::Setting),
        ("nonsense", Reason::Unparsed),
    ] {
        assert_eq!(reason(sql), Some(expected), "{sql}");
    }
    for sql in [
        "insert into t select pg_advisory_lock(1)",
        "insert into t values (1) returning lastval()",
        "select 1 into temp u",
        "create temp table u (a int)",
        "listen a",
    ] {
        assert!(verdict(sql).effects.has(Effect::Pins), "{sql}");
    }
}

#[test]
fn arguments_of_execute_are_looked_at_too() {
    let arguments = |sql: &'static str| {
        let body = Body {
            sql: sql.as_bytes(),
            quoting: Quoting::Standard,
        };
        classify_arguments(body, &catalog()).class
    };
    for harmless in [
        "",
        " -- x",
        "(1, 'a')",
        "($1)",
        "(now() + interval '1 day', upper('x'))",
    ] {
        assert_eq!(arguments(harmless), Class::Read, "{harmless}");
    }
    for (sql, expected) in [
        ("(nextval('s'))", Reason::VolatileFunction),
        ("(1, mystery())", Reason::UnknownFunction),
        ("(1) 2", Reason::Unparsed),
        ("(", Reason::Unparsed),
        ("(1, )", Reason::Unparsed),
    ] {
        assert_eq!(arguments(sql), Class::Primary(expected), "{sql}");
    }
}

#[test]
fn a_backslash_hides_nothing_when_it_escapes() {
    let sql = br"select 'a\', nextval('s'), 'b'";
    let read = |quoting| classify(sql, quoting, &catalog()).class;
    assert_eq!(
        read(Quoting::Standard),
        Class::Primary(Reason::VolatileFunction)
    );
    assert_eq!(read(Quoting::Backslash), Class::Primary(Reason::Unparsed));
    let sql = br"select 'a\'', vol(1), '\''";
    let read = |quoting| classify(sql, quoting, &catalog()).class;
    assert_eq!(read(Quoting::Standard), Class::Primary(Reason::Unparsed));
    assert_eq!(
        read(Quoting::Backslash),
        Class::Primary(Reason::VolatileFunction)
    );
}

#[test]
fn long_statements_are_not_looked_at_and_long_lists_are_short() {
    let list = |count: usize| {
        format!(
            "select * from t where id in ({}1)",
            "12345678, ".repeat(count)
        )
    };
    assert_eq!(reason(&list(6000)), None);
    assert_eq!(reason(&list(7000)), Some(Reason::TooLong));
    assert_eq!(
        reason(&format!("select {}1", "1 + ".repeat(3000))),
        Some(Reason::Unparsed)
    );
    let pinning = format!("select pg_advisory_lock(1), '{}'", "x".repeat(MAX_PARSED));
    assert!(verdict(&pinning).effects.has(Effect::Pins));
}

#[test]
fn constants_do_not_change_a_verdict() {
    for (first, second) in [
        ("select '', 1, $1", "select 'delete', 0x1F, $99"),
        ("select a in ('a', 'b', 'c')", "select a in ('x')"),
        ("select f(1, 2)", "select f('insert', $$ into $$)"),
    ] {
        assert_eq!(verdict(first), verdict(second), "{first}");
    }
}

/// Deep in every way that the grammar knows, on a thread with the stack of a worker.
#[test]
fn no_depth_overflows_the_stack() {
    let nested = |open: &str, middle: &str, close: &str, depth: usize| {
        format!(
            "select {}{middle}{}",
            open.repeat(depth),
            close.repeat(depth)
        )
    };
    let shapes = [
        ("(", "1", ")"),
        ("(select ", "1", ")"),
        ("f(", "1", ")"),
        ("array[", "1", "]"),
        ("not ", "a", ""),
        ("- ", "1", ""),
        ("case when ", "a", " then 1 end"),
        ("1 + ", "1", ""),
        ("a or ", "a", ""),
        ("", "a", "[1]"),
        ("", "a", "::int"),
        ("", "a::int", "[]"),
        ("", "a", " is null"),
        ("", "a", " collate \"C\""),
        ("", "a", " at time zone 'x'"),
        ("", "1", " union select 1"),
        ("", "a", ".b"),
        ("1 from (select ", "1", ") x"),
        ("* from ((", "t", "))"),
        ("* from t join ", "t", " on true"),
        ("", "* from t", " join t on true"),
        ("exists (select ", "1", ")"),
        ("a in (", "1", ")"),
        ("a between ", "1", " and 2"),
        ("cast(", "a", " as int)"),
        ("interval ", "'1'", ""),
        ("a = any (", "b", ")"),
        ("x over (order by ", "b", ")"),
        ("a like ", "b", ""),
        ("with x as (select ", "1", ") select 1"),
        ("row(", "1", ")"),
        ("{", "1", "}"),
        ("struct<", "int", ">"),
        ("a < ", "b", ""),
    ];
    let worker = std::thread::Builder::new().stack_size(2 << 20);
    let all = worker.spawn(move || {
        for (open, middle, close) in shapes {
            for depth in [10, 40, 500, 2000, 4000] {
                let sql = nested(open, middle, close, depth);
                classify(sql.as_bytes(), Quoting::Standard, &Catalog::builtin());
            }
        }
    });
    all.expect("a thread can be started")
        .join()
        .expect("no shape fails");
}

#[test]
fn constructs_of_newer_versions_are_known_with_a_catalog_only() {
    let sql = b"select json_scalar(1), json_array(2)";
    let of = |catalog: &Catalog| classify(sql, Quoting::Standard, catalog);
    assert_eq!(of(&catalog()), Verdict::READ);
    assert_eq!(
        of(&Catalog::builtin()),
        Verdict::primary(Reason::UnknownFunction)
    );
}

#[test]
fn a_database_with_hidden_calls_has_no_reads() {
    let rows = [["cast", "any", "implicit"].map(str::as_bytes)];
    let catalog = Catalog::from_rows(rows).expect("known kinds");
    let verdict = classify(b"select a from t", Quoting::Standard, &catalog);
    assert_eq!(verdict, Verdict::primary(Reason::VolatileFunction));
}

mod random {
    use proptest::prelude::*;

    use super::*;
    use crate::sql::lexer::tests::runs;

    /// Queries with a hole, which is `{}`.
    const HOLES: &[&str] = &[
        "select {}",
        "select a from t where {} > 1",
        "select (select {})",
        "select * from (select {}) x",
        "with x as (select {}) select * from x",
        "select case when {} = 1 then 2 else 3 end",
        "select 1 union all select {}",
        "select count(*) filter (where {} > 1) over (order by a) from t",
        "select a from t group by a having max(b) > {} order by a limit 1",
        "select * from (values ({}, 1), (2, 3)) x",
        "select coalesce(upper(a), {}::text), array[1, {}] from t join u on a = {}",
        "select exists (select from t where a in (1, {}))",
        "select * from generate_series(1, {}) x, lateral (select {}) y",
    ];
    /// What is no read, as an expression.
    const POISON: &[&str] = &[
        "vol(1)",
        "s.\"vol\"(1)",
        "nextval('s')",
        "mystery()",
        "(t).touch",
        "(select 1 from t for no key update)",
        "(select a === b from t)",
        "(with x as (delete from t returning 1) select 1 from x)",
        "pg_is_in_recovery()",
        "(select count(*) from pg_class)",
    ];

    fn read() -> impl Strategy<Value = String> {
        let leaf =
            prop::sample::select(&["1", "a", "'x'", "now()", "$1"][..]).prop_map(str::to_owned);
        leaf.prop_recursive(4, 16, 1, nested)
    }

    fn nested(inner: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
        let hole = prop::sample::select(HOLES);
        (hole, inner).prop_map(|(hole, inner)| format!("({})", hole.replace("{}", &inner)))
    }

    proptest! {
        #![proptest_config(runs(100))]

        #[test]
        fn what_is_no_read_is_none_wherever_it_stands(
            poison in prop::sample::select(POISON),
            holes in prop::collection::vec(prop::sample::select(HOLES), 1..4),
            capitals in any::<bool>(),
        ) {
            let nest = |inner: String| {
                let nested = holes.iter().fold(inner, |inner, hole| {
                    format!("({})", hole.replace("{}", &inner))
                });
                if capitals { nested.replace("select", "SELECT /* x */") } else { nested }
            };
            prop_assert_ne!(verdict(&nest(poison.to_owned())), Verdict::READ);
            prop_assert_eq!(verdict(&nest("sta(1)".to_owned())), Verdict::READ);
        }

        #[test]
        fn a_read_does_not_depend_on_space_comments_or_case(sql in read()) {
            let sql = format!("select {sql}");
            let other = sql.replace(' ', " /* insert */ -- delete\n").to_ascii_uppercase();
            prop_assert_eq!(verdict(&sql), verdict(&other));
        }

        #[test]
        fn any_bytes_have_a_verdict(sql in prop::collection::vec(any::<u8>(), 0..200)) {
            for quoting in [Quoting::Standard, Quoting::Backslash] {
                classify(&sql, quoting, &catalog());
            }
        }

        #[test]
        fn any_tokens_have_a_verdict(
            tokens in prop::collection::vec(prop::sample::select(TOKENS), 0..60),
        ) {
            let sql = format!("select {}", tokens.join(" "));
            classify(sql.as_bytes(), Quoting::Standard, &catalog());
        }
    }

    const TOKENS: &[&str] = &[
        "select", "from", "(", ")", "[", "]", ",", ".", "::", "a", "t", "f", "1", "'x'", "\"q\"",
        "$1", "*", "=", "+", "->", "@>", "case", "when", "then", "end", "in", "not", "between",
        "and", "as", "with", "values", "table", "union", "order", "by", "over", "filter", "array",
        "row", "cast", "interval", "extract", "lateral", "join", "on", "group", "having", "limit",
        "for", "update",
    ];
}
