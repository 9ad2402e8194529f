//! The statements that look like reads and are none, and the other way round: one test a kind, in
//! both protocols.

use super::{Expect, Place, Protocol, Stage};
use crate::support::message::{
    bind, copy_data, copy_done, describe, execute, extended, flush, parse, query, sync,
};
use crate::support::wait::until;

use Expect::{Any, Primary, Replica};

/// Each test runs its steps one after the other over one client, in each protocol.
macro_rules! traps {
    ($(
        $(#[$attribute:meta])*
        $name:ident { $( $sql:expr => $place:expr ),+ $(,)? }
    )+) => { $(
        $(#[$attribute])*
        #[test]
                fn $name() {
            Stage::both(&[ $( ($sql, $place) ),+ ]);
        }
    )+ };
}

traps! {
    plain_reads_run_on_a_replica {
        "select name from items where id = 3" => Replica,
        "select count(*), max(name) from items group by id % 2 order by 1" => Replica,
        "select * from items i join quiet q using (id) where i.id in (select 1)" => Replica,
        "with a as (select 1 as n) select * from a union select id from items" => Replica,
        "select 1" => Replica,
        "(select 1) union all (select 2) limit 1" => Replica,
    }

    values_and_table_are_reads {
        "values (1, 'a'), (2, 'b')" => Replica,
        "table items" => Replica,
    }

    writes_run_on_the_primary {
        "insert into noted (what) values ('a')" => Primary,
        "update noted set what = 'b' where id = -1" => Primary,
        "delete from noted where id = -1" => Primary,
        "merge into target using items on target.id = items.id \
            when matched then delete" => Primary,
        "truncate target" => Primary,
    }

    sequences_run_on_the_primary_and_remember_their_value_in_a_block {
        "begin" => Any,
        "select nextval('numbers')" => Primary,
        "select currval('numbers')" => Primary,
        "select lastval()" => Primary,
        "commit" => Primary,
        "select nextval('numbers')" => Primary,
        "select setval('numbers', 100)" => Primary,
        "select id, nextval('numbers') from items where id < 3" => Primary,
        "select 1 where exists (select pg_catalog.nextval('numbers'::regclass))" => Primary,
    }

    functions_run_by_what_the_catalog_says_of_them {
        "select steady(1), fixed(2)" => Expect::Soon,
        "select lower(name), now(), random(), gen_random_uuid(), clock_timestamp() from items \
            where id = 1" => Replica,
        "select bump('a')" => Primary,
        "select bump_for_all('a')" => Primary,
        "select public.bump('a')" => Primary,
        "select harmless()" => Primary,
        "select id from items where id = (select bump('b'))" => Primary,
        "select * from bump('c')" => Primary,
    }

    a_function_that_lies_is_found_out_without_an_error {
        "select liar()" => Primary,
    }

    a_view_that_writes_is_found_out_without_an_error {
        "select * from bumping" => Primary,
    }

    an_unlogged_table_is_read_where_it_has_rows {
        "select * from scratch" => Primary,
    }

    what_is_not_the_same_on_every_server_is_read_on_the_primary {
        "select last_value from numbers" => Primary,
        "select n.last_value from numbers n" => Primary,
        "table numbers" => Primary,
        "select * from numbered" => Primary,
        "select * from around" => Primary,
        "select * from locking" => Primary,
        "select * from asking" => Primary,
        "select * from watching" => Primary,
        "select * from bumping" => Primary,
        "select count(*) from picking" => Replica,
        "select count(*) from quiet" => Replica,
    }

    functions_that_need_the_primary_run_there {
        "select txid_current()" => Primary,
        "select pg_current_xact_id()" => Primary,
        "select pg_current_wal_lsn()" => Primary,
        "select pg_switch_wal()" => Primary,
        "select pg_notify('c', 'x')" => Primary,
        "select pg_logical_emit_message(false, 'p', 'x')" => Primary,
        "select pg_create_physical_replication_slot('slot_{n}')" => Primary,
        "select pg_drop_replication_slot('slot_{n}')" => Primary,
        "select pg_stat_reset()" => Primary,
        "select lo_unlink(lo_from_bytea(0, 'x'))" => Primary,
        "select set_config('work_mem', '5MB', true)" => Primary,
        "select pg_reload_conf()" => Primary,
        "select pg_terminate_backend(2147483647)" => Primary,
        "select pg_cancel_backend(2147483647)" => Primary,
    }

    what_depends_on_the_server_is_asked_of_the_primary {
        "select pg_is_in_recovery()" => Primary,
        "select inet_server_addr()" => Primary,
        "select inet_server_port()" => Primary,
        "select count(*) from pg_stat_activity" => Primary,
        "select count(*) from pg_stat_replication" => Primary,
        "select relname from pg_class where relname = 'items'" => Primary,
        "select table_name from information_schema.tables limit 1" => Primary,
    }

    selects_that_store_run_on_the_primary {
        "select * into kept_a{n} from items" => Primary,
        "create table kept_b{n} as select * from items" => Primary,
        "create table kept_c{n} as table items" => Primary,
    }

    locking_reads_run_on_the_primary {
        "select * from items where id = 1 for update" => Primary,
        "select * from items where id = 1 for no key update" => Primary,
        "select * from items where id = 1 for share" => Primary,
        "select * from items where id = 1 for key share" => Primary,
        "select * from (select * from items where id = 1 for update) a" => Primary,
        "with a as (select * from items where id = 1 for share) select * from a" => Primary,
        "select 1 where 1 in (select id from items where id = 1 for update skip locked)" => Primary,
    }

    writes_inside_with_run_on_the_primary {
        "with a as (insert into noted (what) values ('x') returning id) select * from a" => Primary,
        "with a as (update noted set what = '' where id = -1 returning id) select 1" => Primary,
        "with a as (delete from noted where id = -1 returning id) table a" => Primary,
        "with a as (select 1), b as (insert into noted (what) values ('y') returning 1) \
            select * from a" => Primary,
        "with a as (select 1 as n) insert into noted (what) select 'z' from a" => Primary,
        "with a as (select -1 as n) update noted set what = '' from a where id = n" => Primary,
        "with a as (select -1 as n) delete from noted using a where id = n" => Primary,
        "with a as (select -1 as id) merge into target using a on target.id = a.id \
            when matched then delete" => Primary,
    }

    explain_runs_where_its_statement_would {
        "explain select * from items" => Replica,
        "explain (costs off) select * from items" => Replica,
        "explain analyze select * from items" => Replica,
        "explain insert into noted (what) values ('x')" => Primary,
        "explain analyze insert into noted (what) values ('x')" => Primary,
        "explain (analyze, costs off) select bump('x')" => Primary,
    }

    commands_run_on_the_primary {
        "do 'begin perform 1; end'" => Primary,
        "call proceed()" => Primary,
        "vacuum noted" => Primary,
        "analyze noted" => Primary,
        "cluster clustered" => Primary,
        "reindex table target" => Primary,
        "checkpoint" => Primary,
        "refresh materialized view many" => Primary,
        "refresh materialized view concurrently many" => Primary,
        "comment on table items is 'things'" => Primary,
        "grant select on items to public" => Primary,
        "create table made_{n} (id int)" => Primary,
        "alter table made_{n} add column name text" => Primary,
        "create index on made_{n} (id)" => Primary,
        "drop table made_{n}" => Primary,
        "notify channel" => Primary,
    }

    table_locks_run_on_the_primary {
        "begin" => Any,
        "lock table target in share mode" => Primary,
        "commit" => Primary,
    }

    a_block_runs_on_the_primary_if_it_does_not_say_more {
        "begin" => Any,
        "select * from items" => Primary,
        "insert into noted (what) values ('x')" => Primary,
        "select * from items" => Primary,
        "commit" => Primary,
    }

    a_block_that_only_reads_runs_on_a_replica {
        "begin read only" => Any,
        "select * from items" => Replica,
        "select count(*) from items" => Replica,
        "commit" => Replica,
        "start transaction isolation level repeatable read, read only" => Any,
        "select * from items" => Replica,
        "rollback" => Replica,
    }

    a_serializable_block_runs_on_the_primary {
        "begin isolation level serializable read only" => Any,
        "select * from items" => Primary,
        "commit" => Primary,
    }

    an_empty_block_is_no_trouble {
        "begin" => Any,
        "commit" => Any,
        "begin" => Any,
        "rollback" => Any,
        "select * from items" => Expect::Soon,
    }

    savepoints_stay_with_their_block {
        "begin read only" => Any,
        "savepoint a" => Any,
        "select * from items" => Replica,
        "rollback to savepoint a" => Replica,
        "release a" => Replica,
        "commit" => Replica,
    }

    temporary_tables_stay_with_their_client {
        "create temp table mine (id int)" => Primary,
        "insert into mine values (1)" => Primary,
        "select * from mine" => Primary,
        "select * from items" => Primary,
        "drop table mine" => Primary,
    }

    advisory_locks_stay_with_their_client {
        "select pg_advisory_lock({n})" => Primary,
        "select * from items" => Primary,
        "select pg_advisory_unlock({n})" => Primary,
        "select pg_advisory_lock({n}, 1 + 1)" => Primary,
        "select pg_advisory_unlock({n}, 2)" => Primary,
        "select pg_catalog.pg_try_advisory_lock({n})" => Primary,
        "select pg_advisory_unlock_all()" => Primary,
        "select id from items where id = 1 and pg_try_advisory_lock({n})" => Primary,
        "with a as (select pg_advisory_unlock({n})) select * from a" => Primary,
        "select pg_advisory_xact_lock({n})" => Primary,
    }

    copies_run_where_their_query_would {
        "copy items to stdout" => Replica,
        "copy items (id) to stdout with (format csv)" => Replica,
        "copy (select * from items) to stdout" => Replica,
        "copy (select bump('copy')) to stdout" => Primary,
        "copy (insert into noted (what) values ('c') returning id) to stdout" => Primary,
        "copy items to '/dev/null'" => Primary,
        "copy items to program 'cat > /dev/null'" => Primary,
    }

    cursors_stay_on_one_server {
        "begin read only" => Any,
        "declare c cursor for select * from items" => Replica,
        "fetch 2 from c" => Replica,
        "move 2 in c" => Replica,
        "close c" => Replica,
        "commit" => Replica,
        "begin" => Any,
        "declare c cursor for select * from items" => Primary,
        "fetch 2 from c" => Primary,
        "commit" => Primary,
    }

    a_cursor_that_outlives_its_block_keeps_its_server {
        "begin" => Any,
        "declare held cursor with hold for select * from items" => Primary,
        "commit" => Primary,
        "fetch 2 from held" => Primary,
        "close held" => Primary,
    }

    statements_prepared_in_sql_are_found_again {
        "begin" => Any,
        "prepare p_{n} as select * from items where id = $1" => Primary,
        "execute p_{n} (1)" => Primary,
        "deallocate p_{n}" => Primary,
        "prepare w_{n} as insert into noted (what) values ('w')" => Primary,
        "execute w_{n}" => Primary,
        "prepare w2_{n} as select * from items" => Primary,
        "create table executed_{n} as execute w2_{n}" => Primary,
        "rollback" => Any,
    }

    a_name_that_writes_in_any_schema_runs_on_the_primary {
        "select calm.weather()" => Primary,
        "select wild.weather()" => Primary,
    }

    quotes_and_comments_are_read_as_postgresql_reads_them {
        "select 'insert into noted' /* delete /* from */ noted */" => Replica,
        "select $$ ; delete from noted; $$" => Replica,
        "select $a$ $$ insert $$ $a$" => Replica,
        r"select E'\'; delete from noted; --'" => Replica,
        "select \"id\" from \"public\".\"items\" where name = 'for update'" => Replica,
        "/* first */ -- second\n select 1" => Replica,
        r#"select U&"\0069d" from items where id = 1"# => Any,
        "sElEcT \"bump\"('quoted')" => Primary,
        r#"select U&"b\0075mp"('escaped')"# => Primary,
    }

    two_phase_commit_runs_on_the_primary {
        "begin" => Any,
        "insert into noted (what) values ('2pc')" => Primary,
        "prepare transaction 't_{n}'" => Primary,
        "commit prepared 't_{n}'" => Primary,
    }
}

#[test]
fn a_search_path_hides_no_function_that_writes() {
    let stage = Stage::shared();
    let weir = stage.setup().user("calm", "").user("wild", "").start();
    let steps = [("select * from items", Expect::Soon)];
    stage.play(&mut weir.client("app", "calm"), Protocol::Simple, &steps);
    for protocol in Protocol::ALL {
        let steps = [("select weather()", Primary)];
        stage.play(&mut weir.client("app", "wild"), protocol, &steps);
        let steps = [
            ("begin", Any),
            ("set local search_path = wild, public", Any),
            ("select weather()", Primary),
            ("commit", Any),
        ];
        stage.play(&mut weir.client("app", "calm"), protocol, &steps);
    }
}

#[test]
fn a_block_can_be_told_to_read_only_before_its_first_query() {
    let (weir, stage) = (Stage::weir(), Stage::shared());
    let steps = [
        ("begin", Any),
        ("set transaction read only", Any),
        ("select * from items", Replica),
        ("end", Replica),
    ];
    let mut client = weir.client("app", "app");
    stage.play(&mut client, Protocol::Simple, &steps);
}

#[test]
fn what_a_replica_has_refused_is_not_sent_there_again() {
    let (weir, stage) = (Stage::weir(), Stage::shared());
    for protocol in Protocol::ALL {
        let mut client = weir.client("app", "app");
        stage.play(&mut client, protocol, &[("select liar_too()", Primary)]);
        let mark = stage.mark();
        let answer = protocol.run(&mut client, &format!("select liar_too() {mark}"));
        assert_eq!(answer.error(), None);
        let runs = stage.runs(&mark);
        assert!(
            runs.len() == 1 && runs[0].place == Place::Primary,
            "{protocol:?}: {runs:?}"
        );
    }
}

#[test]
fn a_statement_that_is_refused_behind_another_ones_rows_runs_again_with_it() {
    let (weir, stage) = (Stage::weir(), Stage::shared());
    let mut client = weir.client("app", "app");
    let answer = client.query("select 1 as before_it; select liar_behind()");
    assert_eq!(answer.error(), None, "{answer:?}");
    stage.play(&mut client, Protocol::Simple, &[("select 1", Expect::Soon)]);
    let run = |sql| [parse("", sql, &[]), bind("", "", &[]), execute("", 0)].concat();
    client.send(
        &[
            run("select 2 as before_it"),
            run("select liar_behind()"),
            sync(),
        ]
        .concat(),
    );
    let frames = client.until_ready(1);
    assert!(frames.iter().all(|frame| frame.tag != b'E'), "{frames:?}");
}

#[test]
fn a_statement_that_is_refused_behind_rows_that_are_gone_is_not_refused_twice() {
    let mut client = Stage::weir().client("app", "app");
    let sql = "select repeat('x', 10000), case when n > 100 then liar_late() end \
        from generate_series(1, 101) n";
    until("it reads on a replica", || {
        let error = client.query(sql).error();
        error.is_some_and(|error| error.starts_with("25006 "))
    });
    for _ in 0..3 {
        assert_eq!(client.query(sql).error(), None);
    }
}

#[test]
fn several_statements_in_one_message_run_together() {
    let (weir, stage) = (Stage::weir(), Stage::shared());
    let mut client = weir.client("app", "app");
    for (sql, place) in [
        ("select 1; select * from items", Place::Replica),
        (
            "select 1; insert into noted (what) values ('m')",
            Place::Primary,
        ),
        ("select 1; begin; select 2; commit", Place::Primary),
        ("begin; select * from items; commit", Place::Primary),
        (
            r"select '\'; insert into noted (what) values ('s'); --'",
            Place::Primary,
        ),
    ] {
        // The mark stands inside, for the last of them ends in a comment.
        let mark = stage.mark();
        let answer = Protocol::Simple.run(&mut client, &format!("{mark} {sql}"));
        assert_eq!(answer.error(), None, "{sql}");
        assert_eq!(stage.place(&mark), Some(place), "{sql}");
    }
}

#[test]
fn a_backslash_is_read_as_the_client_has_set_it() {
    let (weir, stage) = (Stage::weir(), Stage::shared());
    let mut client = weir.client("app", "app");
    client.run("set standard_conforming_strings = off");
    client.run("set escape_string_warning = off");
    let mark = stage.mark();
    let text = client.value(&format!(
        r"select '\'; insert into noted (what) values (''hidden''); --' {mark}"
    ));
    assert_eq!(text, "'; insert into noted (what) values ('hidden'); --");
    assert_eq!(stage.runs(&mark).len(), 1);
}

#[test]
fn what_is_no_sql_gets_its_error_once() {
    let (weir, stage) = (Stage::weir(), Stage::shared());
    for protocol in Protocol::ALL {
        let mut client = weir.client("app", "app");
        for sql in ["select from where", "frobnicate the items", "select 'open"] {
            let mark = stage.mark();
            let answer = protocol.run(&mut client, &format!("{mark} {sql}"));
            let error = answer.error().unwrap();
            assert!(error.starts_with("42601 "), "{error}");
            assert_eq!(stage.runs(&mark).len(), 1, "{protocol:?} {sql}");
        }
        assert_eq!(client.value("select 1"), "1");
    }
}

#[test]
fn a_very_long_statement_runs_and_a_long_write_on_the_primary() {
    let long = "x".repeat(1 << 20);
    let insert = format!("insert into noted (what) values ('{long}')");
    let select = format!("select length('{long}')");
    Stage::both(&[(&insert, Primary), (&select, Any)]);
}

#[test]
fn a_very_long_statement_can_be_prepared() {
    let mut client = Stage::weir().client("app", "app");
    let sql = format!("select 1 /* {} */", "x".repeat(1 << 20));
    client.send(&[parse("long", &sql, &[]), sync()].concat());
    client.until_ready(1);
    client.send(&[bind("", "long", &[]), execute("", 0), sync()].concat());
    let frames = client.until_ready(1);
    assert!(frames.iter().any(|frame| frame.tag == b'D'), "{frames:?}");
}

#[test]
fn rows_are_copied_in_on_the_primary() {
    let (weir, stage) = (Stage::weir(), Stage::shared());
    for protocol in Protocol::ALL {
        let mut client = weir.client("app", "app");
        let mark = stage.mark();
        let sql = format!("copy noted (what) from stdin {mark}");
        client.send(&match protocol {
            Protocol::Simple => query(&sql),
            Protocol::Extended => extended(&sql),
        });
        client.until_tag(b'G');
        let end = match protocol {
            Protocol::Simple => Vec::new(),
            // The Sync of the batch is skipped while rows are copied.
            Protocol::Extended => sync(),
        };
        client.send(&[copy_data(b"copied\n"), copy_done(), end].concat());
        let done = client.until_ready(1);
        assert!(done.iter().all(|frame| frame.tag != b'E'), "{done:?}");
        assert_eq!(stage.place(&mark), Some(Place::Primary), "{protocol:?}");
    }
}

#[test]
fn a_statement_is_classified_when_it_is_parsed_and_routed_when_it_is_executed() {
    let (weir, stage) = (Stage::weir(), Stage::shared());
    let mut client = weir.client("app", "app");
    let (read, write) = (stage.mark(), stage.mark());
    let sql = format!("select name from items where id = $1 {read}");
    client.send(&[parse("r", &sql, &[]), describe('S', "r"), sync()].concat());
    client.until_ready(1);
    for _ in 0..2 {
        client.send(&[bind("", "r", &[Some(b"3")]), execute("", 0), sync()].concat());
        let frames = client.until_ready(1);
        let row = frames.iter().find(|frame| frame.tag == b'D').unwrap();
        assert_eq!(row.columns(), [Some(b"item 3".to_vec())]);
    }
    let sql = format!("insert into noted (what) values ($1) {write}");
    client.send(&[parse("w", &sql, &[]), describe('S', "w"), sync()].concat());
    client.until_ready(1);
    client.send(&[bind("", "w", &[Some(b"e")]), execute("", 0), sync()].concat());
    client.until_ready(1);
    let places: Vec<Place> = stage.runs(&read).iter().map(|run| run.place).collect();
    assert_eq!(places, [Place::Replica; 2]);
    assert_eq!(stage.place(&write), Some(Place::Primary));
}

#[test]
fn a_batch_runs_as_a_whole_on_the_primary_if_anything_in_it_writes() {
    let (weir, stage) = (Stage::weir(), Stage::shared());
    let batch = |statements: &[&str]| {
        let mut bytes = Vec::new();
        for sql in statements {
            bytes.extend(parse("", sql, &[]));
            bytes.extend(bind("", "", &[]));
            bytes.extend(execute("", 0));
        }
        bytes.extend(sync());
        bytes
    };
    let mut client = weir.client("app", "app");
    let marks: [String; 2] = std::array::from_fn(|_| stage.mark());
    client.send(&batch(&[
        &format!("select 1 {}", marks[0]),
        &format!("select * from items {}", marks[1]),
    ]));
    client.until_ready(1);
    let servers = marks.map(|mark| stage.runs(&mark).remove(0));
    assert_eq!(servers[0].place, Place::Replica);
    assert_eq!(servers[0].pid, servers[1].pid, "one batch, one connection");
    let marks: [String; 3] = std::array::from_fn(|_| stage.mark());
    client.send(&batch(&[
        &format!("select 1 {}", marks[0]),
        &format!("insert into noted (what) values ('batch') {}", marks[1]),
        &format!("select 2 {}", marks[2]),
    ]));
    let frames = client.until_ready(1);
    assert!(frames.iter().all(|frame| frame.tag != b'E'), "{frames:?}");
    for mark in marks {
        let runs = stage.runs(&mark);
        assert_eq!(stage.place(&mark), Some(Place::Primary), "{runs:?}");
    }
}

#[test]
fn a_portal_that_is_read_in_pieces_stays_on_its_server() {
    let (weir, stage) = (Stage::weir(), Stage::shared());
    let mut client = weir.client("app", "app");
    let mark = stage.mark();
    let sql = format!("select id from items order by id {mark}");
    let begin = [parse("", &sql, &[]), bind("p", "", &[]), execute("p", 2)].concat();
    client.send(&[begin, flush()].concat());
    let first = client.until_tag(b's');
    client.send(&[execute("p", 3), flush()].concat());
    let second = client.until_tag(b's');
    client.send(&[execute("p", 0), sync()].concat());
    let rest = client.until_ready(1);
    let rows = [first, second, rest].concat();
    let rows: Vec<_> = rows.iter().filter(|frame| frame.tag == b'D').collect();
    assert_eq!(rows.len(), 50);
    let servers = stage.runs(&mark);
    assert!(
        servers.iter().all(|run| run.server == servers[0].server),
        "{servers:?}"
    );
}

#[test]
fn a_client_that_has_let_go_of_its_lock_reads_on_replicas_again() {
    let (weir, stage) = (Stage::weir(), Stage::shared());
    let mut client = weir.client("app", "app");
    client.run("select pg_advisory_lock(4711)");
    stage.play(&mut client, Protocol::Simple, &[("select 1", Primary)]);
    client.run("select pg_advisory_unlock(4711)");
    stage.play(&mut client, Protocol::Simple, &[("select 1", Expect::Soon)]);
}
