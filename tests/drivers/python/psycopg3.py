"""psycopg 3 through the pooler: prepared statements, pipelines, COPY, cancelling, TLS, protocol 3.2."""

import asyncio
import datetime
import decimal
import socket
import threading
import time
import uuid

import psycopg
import psycopg_pool
from psycopg import errors, pq, sql
from psycopg.types.json import Jsonb
from psycopg.types.range import Int4Range

from checks import (CA, DATABASE, HOST, MODE, PASSWORD, PORT, SOCKETS, URL, USER, check, raises, run,
                    url_of)


def connect(**options):
    options.setdefault("autocommit", True)
    return psycopg.connect(options.pop("url", URL), **options)


@check
def values_of_many_types_come_back_as_text_and_binary():
    values = [
        7, -2**62, "text with 'quotes' and \\", "žluťoučký 🐎", 1.5, True, None, b"\x00\xff" * 300,
        decimal.Decimal("12345678901234567890.0987654321"), datetime.date(2024, 2, 29),
        datetime.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc),
        datetime.timedelta(days=3, microseconds=5), uuid.UUID(int=2**127 + 1), [1, 2, None, 4],
        Jsonb({"a": [1, {"b": None}]}), Int4Range(1, 10),
    ]
    with connect() as conn:
        conn.execute("set timezone to 'UTC'")
        for binary in (False, True):
            for value in values:
                row = conn.execute("select %s", [value], binary=binary).fetchone()
                expected = value.obj if isinstance(value, Jsonb) else value
                assert row == (expected,), (binary, row, value)


@check
def one_statement_is_prepared_once_and_runs_often():
    with connect(prepare_threshold=0) as conn:
        for n in range(200):
            assert conn.execute("select %s::int + 1", [n]).fetchone() == (n + 1,)


@check
def more_statements_than_anybody_keeps_can_be_used_in_turn():
    with connect(prepare_threshold=0) as conn:
        conn.prepared_max = 1000
        for turn in range(3):
            for n in range(350):
                row = conn.execute(f"select %s::int as c{n}", [turn * n]).fetchone()
                assert row == (turn * n,), (turn, n, row)


@check
def statements_that_a_driver_forgets_are_closed():
    with connect(prepare_threshold=0) as conn:
        conn.prepared_max = 5
        for turn in range(4):
            for n in range(12):
                assert conn.execute(f"select {n}, %s::text", [str(turn)]).fetchone() == (n, str(turn))


@check
def equal_names_of_many_clients_mean_different_statements():
    conns = [connect(prepare_threshold=0) for _ in range(12)]
    try:
        for turn in range(5):
            for n, conn in enumerate(conns):
                query = f"select {n} * 1000 + %s::int as n{n}"
                assert conn.execute(query, [turn]).fetchone() == (n * 1000 + turn,)
    finally:
        for conn in conns:
            conn.close()


@check
def a_result_type_that_changed_is_an_error_and_the_next_try_works():
    with connect(prepare_threshold=0) as conn:
        conn.execute("drop table if exists psy_change")
        conn.execute("create table psy_change as select 1 as a")
        assert conn.execute("select * from psy_change").fetchone() == (1,)
        conn.execute("alter table psy_change add column b text default 'b'")
        try:
            row = conn.execute("select * from psy_change").fetchone()
        except errors.FeatureNotSupported as error:
            assert "cached plan must not change result type" in str(error)
            conn.execute("deallocate all")
            row = conn.execute("select *, 1 as fresh from psy_change").fetchone()[:2]
        assert row == (1, "b"), row
        conn.execute("drop table psy_change")


@check
def sql_prepare_and_execute_work_inside_one_transaction():
    with connect() as conn, conn.transaction():
        conn.execute("prepare psy_plan as select $1::int * 2")
        assert conn.execute("execute psy_plan(21)").fetchone() == (42,)
        conn.execute("deallocate psy_plan")


@check
def a_pipeline_gives_every_answer_in_order():
    with connect(prepare_threshold=1) as conn:
        with conn.pipeline():
            cursors = [conn.execute("select %s::int, repeat('x', %s)", [n, n * 10]) for n in range(300)]
            for n, cursor in enumerate(cursors):
                assert cursor.fetchone() == (n, "x" * n * 10)
        assert conn.execute("select 1").fetchone() == (1,)


@check
def a_pipeline_goes_on_after_an_error_and_its_sync():
    def fail(conn):
        with conn.pipeline():
            conn.execute("select 1 / %s::int", [0])
            conn.execute("select 2")

    with connect(prepare_threshold=0) as conn:
        for n in range(5):
            raises(errors.DivisionByZero, fail, conn)
            assert conn.info.transaction_status == pq.TransactionStatus.IDLE
            assert conn.execute("select %s::int", [n]).fetchone() == (n,)


@check
def everything_up_to_the_sync_is_skipped_after_an_error():
    ok, aborted, synced = pq.ExecStatus.TUPLES_OK, pq.ExecStatus.PIPELINE_ABORTED, pq.ExecStatus.PIPELINE_SYNC
    with connect() as conn:
        pgconn = conn.pgconn
        for _ in range(5):
            pgconn.enter_pipeline_mode()
            pgconn.send_prepare(b"psy_raw", b"select $1::int")
            pgconn.pipeline_sync()
            pgconn.send_query_params(b"select 1 / $1::int", [b"0"])
            pgconn.send_query_prepared(b"psy_raw", [b"1"])
            pgconn.send_prepare(b"psy_skipped", b"select 1")
            pgconn.pipeline_sync()
            pgconn.send_query_prepared(b"psy_raw", [b"2"])
            pgconn.send_query_prepared(b"psy_skipped", None)
            pgconn.pipeline_sync()
            pgconn.send_query_prepared(b"psy_raw", [b"3"])
            pgconn.send_close_prepared(b"psy_raw")
            pgconn.pipeline_sync()
            expected = [
                pq.ExecStatus.COMMAND_OK, synced,
                pq.ExecStatus.FATAL_ERROR, aborted, aborted, synced,
                ok, pq.ExecStatus.FATAL_ERROR, synced,
                ok, pq.ExecStatus.COMMAND_OK, synced,
            ]
            seen = []
            while len(seen) < len(expected):
                result = pgconn.get_result()
                if result is not None:
                    seen.append(result.status)
            assert seen == expected, seen
            pgconn.exit_pipeline_mode()
        assert conn.execute("select 1").fetchone() == (1,)


@check
def a_failed_prepare_inside_a_pipeline_is_prepared_anew():
    with connect(prepare_threshold=0) as conn:
        conn.execute("drop table if exists psy_late")
        for query in ("select count(*) from psy_late where a = %s",) * 2:
            raises(errors.UndefinedTable, conn.execute, query, [1])
        conn.execute("create table psy_late (a int)")
        assert conn.execute("select count(*) from psy_late where a = %s", [1]).fetchone() == (0,)
        conn.execute("drop table psy_late")


@check
def a_pipelined_transaction_rolls_back_as_a_whole():
    with connect(autocommit=False) as conn:
        conn.execute("create table if not exists psy_pipe (n int)")
        conn.execute("truncate psy_pipe")
        conn.commit()

        def fill():
            with conn.pipeline():
                for n in range(20):
                    conn.execute("insert into psy_pipe values (%s)", [n])
                conn.execute("insert into psy_pipe values ('x'::text::int)")

        raises(errors.InvalidTextRepresentation, fill)
        conn.rollback()
        assert conn.execute("select count(*) from psy_pipe").fetchone() == (0,)
        conn.execute("drop table psy_pipe")
        conn.commit()


@check
def executemany_returns_every_row():
    with connect() as conn, conn.transaction():
        conn.execute("create temp table psy_many (n int, t text) on commit drop")
        cursor = conn.cursor()
        rows = [(n, f"row {n}") for n in range(500)]
        cursor.executemany("insert into psy_many values (%s, %s) returning n", rows, returning=True)
        returned = []
        while True:
            returned += [row[0] for row in cursor.fetchall()]
            if not cursor.nextset():
                break
        assert returned == list(range(500))


@check
def copy_moves_rows_in_and_out_as_text_and_binary():
    with connect() as conn:
        conn.execute("drop table if exists psy_copy; create table psy_copy (n int, t text, b bytea)")
        rows = [(n, f"tab\tand line\n{n}", bytes([n % 256]) * 50) for n in range(3000)]
        for form in ("text", "binary"):
            conn.execute("truncate psy_copy")
            with conn.cursor().copy(f"copy psy_copy from stdin (format {form})") as copy:
                copy.set_types(["int4", "text", "bytea"])
                for row in rows:
                    copy.write_row(row)
            with conn.cursor().copy(f"copy (select * from psy_copy order by n) to stdout (format {form})") as copy:
                copy.set_types(["int4", "text", "bytea"])
                assert list(copy.rows()) == rows
        conn.execute("drop table psy_copy")


@check
def a_copy_that_fails_on_either_side_leaves_the_connection_usable():
    with connect() as conn:
        conn.execute("drop table if exists psy_bad; create table psy_bad (n int)")

        def server_fails():
            with conn.cursor().copy("copy psy_bad from stdin") as copy:
                for n in range(2000):
                    copy.write(b"1\n")
                copy.write(b"not a number\n")
                for n in range(2000):
                    copy.write(b"1\n")

        def client_fails():
            with conn.cursor().copy("copy psy_bad from stdin") as copy:
                copy.write(b"1\n")
                raise ZeroDivisionError("client")

        def client_leaves_early():
            with conn.cursor().copy("copy (select * from generate_series(1, 200000)) to stdout") as copy:
                next(iter(copy))
                raise ZeroDivisionError("the driver cancels the query now")

        for _ in range(3):
            raises(errors.InvalidTextRepresentation, server_fails)
            raises(ZeroDivisionError, client_fails)
            raises(ZeroDivisionError, client_leaves_early)
            assert conn.execute("select count(*) from psy_bad").fetchone() == (0,)
        conn.execute("drop table psy_bad")


@check
def errors_end_transactions_and_savepoints_save_them():
    with connect(autocommit=False) as conn:
        conn.execute("create temp table psy_save (n int primary key)")
        conn.execute("insert into psy_save values (1)")
        error = raises(errors.UniqueViolation, conn.execute, "insert into psy_save values (1)")
        assert error.diag.constraint_name == "psy_save_pkey" and "(n)=(1)" in error.diag.message_detail
        raises(errors.InFailedSqlTransaction, conn.execute, "select 1")
        conn.rollback()
        with conn.transaction():
            conn.execute("create temp table psy_nest (n int primary key) on commit drop")
            for n in range(10):
                try:
                    with conn.transaction():
                        conn.execute("insert into psy_nest values (%s)", [n])
                        with conn.transaction():
                            conn.execute("insert into psy_nest values (%s)", [n if n < 3 else n + 100])
                        conn.execute("delete from psy_nest where n > 100")
                except errors.UniqueViolation:
                    pass
            assert conn.execute("select array_agg(n) from psy_nest").fetchone() == ([*range(3, 10)],)


@check
def errors_keep_their_fields():
    with connect() as conn:
        error = raises(errors.UndefinedColumn, conn.execute, "select nix from pg_class")
        assert error.diag.statement_position == "8" and error.sqlstate == "42703"
        error = raises(
            psycopg.Error, conn.execute,
            "do $$ begin raise exception 'own' using errcode = 'ZZ123', hint = 'h', detail = 'd'; end $$")
        diag = error.diag
        fields = (diag.sqlstate, diag.message_primary, diag.message_hint, diag.message_detail)
        assert fields == ("ZZ123", "own", "h", "d")


@check
def notices_reach_the_client_that_caused_them():
    with connect() as conn:
        seen = []
        conn.add_notice_handler(lambda diag: seen.append(diag.message_primary))
        conn.execute("do $$ begin for i in 1..100 loop raise notice 'n %', i; end loop; end $$")
        assert seen == [f"n {i}" for i in range(1, 101)]


@check
def simple_queries_give_several_results():
    with connect() as conn:
        cursor = conn.execute("select 1; select 2, 'b'; values (3), (4)")
        results = [cursor.fetchall()]
        while cursor.nextset():
            results.append(cursor.fetchall())
        assert results == [[(1,)], [(2, "b")], [(3,), (4,)]]
        raises(errors.DivisionByZero, conn.execute, "select 1; select 1/0; select 3")
        assert conn.execute("").statusmessage is None
        assert conn.execute("select 5").fetchone() == (5,)


@check
def server_side_cursors_fetch_in_parts():
    with connect(autocommit=False) as conn:
        with conn.cursor("psy_cursor", scrollable=True) as cursor:
            cursor.itersize = 100
            cursor.execute("select n from generate_series(1, %s) n", [1050])
            assert [row[0] for row in cursor] == list(range(1, 1051))
            cursor.scroll(10, mode="absolute")
            assert cursor.fetchmany(3) == [(11,), (12,), (13,)]
        conn.commit()


@check
def rows_can_be_streamed_one_by_one_and_in_chunks():
    with connect() as conn:
        query = "select n, repeat('y', 100) from generate_series(1, 5000) n"
        assert sum(row[0] for row in conn.cursor().stream(query)) == 12502500
        assert sum(row[0] for row in conn.cursor().stream(query, size=77)) == 12502500
        assert sum(row[0] for row in conn.cursor(binary=True).stream(query)) == 12502500


def cancelled(conn, cancel):
    """Runs a long query over `conn` and calls `cancel` as soon as the server has it."""
    problems = []

    def when_running():
        try:
            with connect() as watcher:
                query = "select state from pg_stat_activity where query = 'select pg_sleep(41)'"
                while watcher.execute(query).fetchall() != [("active",)]:
                    time.sleep(0.02)
            cancel()
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=when_running)
    thread.start()
    raises(errors.QueryCanceled, conn.execute, "select pg_sleep(41)")
    thread.join()
    assert not problems, problems
    assert conn.execute("select 'still there'").fetchone() == ("still there",)


@check
def a_query_can_be_cancelled_and_only_that_one():
    with connect() as sleeper, connect() as bystander:
        for cancel in (sleeper.cancel_safe, sleeper.cancel):
            outcome = []
            thread = threading.Thread(
                target=lambda: outcome.append(bystander.execute("select pg_sleep(1)").fetchall()))
            thread.start()
            cancelled(sleeper, cancel)
            thread.join()
            assert outcome == [[("",)]], outcome


@check
def a_cancel_with_nothing_to_cancel_harms_nobody():
    with connect() as idle, connect() as other:
        idle.execute("select 1")
        for _ in range(10):
            idle.cancel_safe()
            assert other.execute("select 2").fetchone() == (2,)
            assert idle.execute("select 3").fetchone() == (3,)


@check
async def an_asynchronous_query_is_cancelled_with_its_task():
    conn = await psycopg.AsyncConnection.connect(URL, autocommit=True)
    for _ in range(3):
        started = time.monotonic()
        try:
            await asyncio.wait_for(conn.execute("select pg_sleep(40)"), 0.5)
            raise AssertionError("it was not cancelled")
        except asyncio.TimeoutError:
            pass
        assert time.monotonic() - started < 20
        cursor = await conn.execute("select 1")
        assert await cursor.fetchone() == (1,)
    await conn.close()


@check(mode="session")
def notifications_arrive_in_session_mode():
    with connect() as listener, connect() as sender:
        listener.execute("listen psy_channel")
        for n in range(20):
            sender.execute("select pg_notify('psy_channel', %s)", [f"message {n}"])
        received = [note.payload for note in listener.notifies(timeout=10, stop_after=20)]
        assert received == [f"message {n}" for n in range(20)]
        listener.execute("unlisten *")


@check(mode="session")
def a_session_keeps_its_state_and_the_next_one_starts_clean():
    with connect() as conn:
        conn.execute("create temp table psy_temp as select 1 as a")
        conn.execute("prepare psy_kept as select 5")
        conn.execute("set statement_timeout = '123s'; set search_path to pg_catalog")
        conn.execute("select pg_advisory_lock(4711)")
        pid = conn.execute("select pg_backend_pid()").fetchone()
        for _ in range(5):
            assert conn.execute("select pg_backend_pid()").fetchone() == pid
        assert conn.execute("execute psy_kept").fetchone() == (5,)
        assert conn.execute("show statement_timeout").fetchone() == ("123s",)
    for _ in range(10):
        with connect() as conn:
            assert conn.execute("select to_regclass('pg_temp.psy_temp')").fetchone() == (None,)
            assert conn.execute("select count(*) from pg_prepared_statements where name = 'psy_kept'").fetchone() == (0,)
            assert conn.execute("show statement_timeout").fetchone() == ("0",)
            assert conn.execute("select pg_try_advisory_xact_lock(4711)").fetchone() == (True,)


@check
def large_values_pass_in_both_directions():
    text = "0123456789abcdef" * (1 << 20)
    with connect() as conn:
        for binary in (False, True):
            cursor = conn.execute("select %s::text, length(%s)", [text, text], binary=binary)
            assert cursor.fetchone() == (text, len(text))
        data = bytes(range(256)) * (1 << 16)
        assert conn.execute("select %s::bytea", [data], binary=True).fetchone() == (data,)
        rows = conn.execute("select repeat('z', 1000) from generate_series(1, 20000)").fetchall()
        assert len(rows) == 20000 and all(len(row[0]) == 1000 for row in rows)
        wide = ", ".join(f"{n} as c{n}" for n in range(1600))
        assert conn.execute(f"select {wide}").fetchone() == tuple(range(1600))
        many = conn.execute("select cardinality(array[" + ", ".join(["%s::int"] * 30000) + "])", range(30000))
        assert many.fetchone() == (30000,)


@check
def many_clients_share_few_servers():
    clients, rounds = 40, 15
    with connect() as conn:
        conn.execute("drop table if exists psy_count; create table psy_count (n int); insert into psy_count values (0)")
    failures = []

    def work(number):
        try:
            with connect(prepare_threshold=1) as conn:
                for turn in range(rounds):
                    with conn.transaction():
                        first = conn.execute("select pg_backend_pid(), %s::int", [number]).fetchone()
                        conn.execute("update psy_count set n = n + 1")
                        second = conn.execute("select pg_backend_pid(), %s::int", [number]).fetchone()
                        assert first == second and second[1] == number, (first, second)
                    assert conn.execute("select %s::text", [f"{number}/{turn}"]).fetchone() == (f"{number}/{turn}",)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=[number]) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]
    with connect() as conn:
        assert conn.execute("select n from psy_count").fetchone() == (clients * rounds,)
        conn.execute("drop table psy_count")


@check
async def a_driver_s_own_pool_works_over_ours():
    async with psycopg_pool.AsyncConnectionPool(URL, min_size=2, max_size=10, open=False) as pool:
        async def work(number):
            for turn in range(10):
                async with pool.connection() as conn:
                    cursor = await conn.execute("select %s::int * %s::int", [number, turn])
                    assert await cursor.fetchone() == (number * turn,)

        await asyncio.gather(*(work(number) for number in range(30)))


@check
def tracked_parameters_follow_their_client():
    conns = [connect(application_name=f"psy {n}", options="") for n in range(6)]
    try:
        for n, conn in enumerate(conns):
            conn.execute("set client_encoding to " + ("latin1" if n % 2 else "utf8"))
            conn.execute("set datestyle to " + ("german" if n % 3 else "iso"))
        for _ in range(4):
            for n, conn in enumerate(conns):
                assert conn.execute("show application_name").fetchone() == (f"psy {n}",)
                assert conn.execute("select 'é'::text").fetchone() == ("é",)
                date = conn.execute("select date '2024-03-01'::text").fetchone()
                assert date == ("01.03.2024" if n % 3 else "2024-03-01",), (n, date)
        conns[0].execute("set application_name to 'renamed'")
        assert conns[0].info.parameter_status("application_name") == "renamed"
        assert conns[1].execute("show application_name").fetchone() == ("psy 1",)
        assert conns[0].execute("show application_name").fetchone() == ("renamed",)
    finally:
        for conn in conns:
            conn.close()


@check
def parameters_of_the_startup_message_take_effect():
    with connect(application_name="from startup", client_encoding="latin2") as conn:
        assert conn.execute("show application_name").fetchone() == ("from startup",)
        assert conn.execute("show client_encoding").fetchone() == ("LATIN2",)
        assert conn.info.server_version >= 140000
        assert conn.info.parameter_status("integer_datetimes") == "on"


@check
def prepared_transactions_outlive_their_connection():
    with connect() as conn:
        conn.execute("create table if not exists psy_two (n int)")
    conn = connect(autocommit=False)
    conn.tpc_begin(conn.xid(1, f"psy_{uuid.uuid4()}", "branch"))
    conn.execute("insert into psy_two values (1)")
    conn.tpc_prepare()
    conn.close()
    with connect() as conn:
        found = [xid for xid in conn.tpc_recover() if xid.gtrid.startswith("psy_")]
        assert len(found) == 1, found
        conn.tpc_commit(found[0])
        assert conn.execute("select count(*) from psy_two").fetchone() == (1,)
        conn.execute("drop table psy_two")


@check
def a_client_that_vanishes_in_a_transaction_leaves_nothing_behind():
    with connect() as conn:
        conn.execute("drop table if exists psy_gone; create table psy_gone (n int)")
    for n in range(25):
        conn = psycopg.connect(URL)
        conn.execute("insert into psy_gone values (%s)", [n])
        # Not a Terminate: the socket just closes.
        socket.socket(fileno=conn.fileno()).close() if n % 2 else conn.close()
        del conn
    with connect() as conn:
        for _ in range(10):
            assert conn.execute("select count(*) from psy_gone").fetchone() == (0,)
        conn.execute("drop table psy_gone")


@check
def large_objects_work_inside_a_transaction():
    with connect() as conn, conn.transaction():
        oid = conn.execute("select lo_from_bytea(0, %s)", [b"large" * 10000]).fetchone()[0]
        assert conn.execute("select lo_get(%s)", [oid], binary=True).fetchone() == (b"large" * 10000,)
        conn.execute("select lo_unlink(%s)", [oid])


@check
def tls_works_negotiated_and_direct():
    for options in (
        {"sslmode": "require"},
        {"sslmode": "verify-full", "sslrootcert": CA},
        {"sslmode": "verify-full", "sslrootcert": CA, "sslnegotiation": "direct"},
        {"sslmode": "require", "sslnegotiation": "direct", "ssl_min_protocol_version": "TLSv1.3"},
        {"sslmode": "require", "ssl_max_protocol_version": "TLSv1.2"},
        {"sslmode": "require", "channel_binding": "prefer"},
        {"sslmode": "disable", "channel_binding": "disable"},
        {"sslmode": "prefer", "gssencmode": "prefer"} if "gssencmode" in supported() else {},
    ):
        with connect(**{"host": "localhost", **options}) as conn:
            assert conn.pgconn.ssl_in_use == (options.get("sslmode", "prefer") != "disable"), options
            text = "encrypted " * 200000
            assert conn.execute("select %s", [text]).fetchone() == (text,)
            cancelled(conn, conn.cancel_safe)


def supported():
    return {option.keyword.decode() for option in pq.Conninfo.get_defaults()}


@check
def newer_protocol_versions_are_negotiated():
    for version in ("3.0", "latest", "3.2"):
        with connect(max_protocol_version=version) as conn:
            assert conn.info.full_protocol_version >= 30000
            assert conn.execute("select %s::int", [1]).fetchone() == (1,)
            cancelled(conn, conn.cancel_safe)
            print(f"[{version}: {conn.info.full_protocol_version}] ", end="")


@check
def authentication_methods_can_be_demanded():
    with connect(require_auth="scram-sha-256") as conn:
        assert conn.execute("select current_user").fetchone() == (USER,)
    raises(psycopg.OperationalError, connect, require_auth="password")


@check
def unix_sockets_are_served():
    url = f"postgresql://{USER}:{PASSWORD}@/{DATABASE}"
    with connect(url=url, host=SOCKETS, port=PORT) as conn:
        assert conn.execute("select 1").fetchone() == (1,)


@check
def wrong_logins_are_refused_in_words():
    raises(psycopg.OperationalError, connect, password="wrong", containing="failed")
    raises(psycopg.OperationalError, connect, user="nobody_here", containing="failed")
    error = raises(psycopg.OperationalError, connect, dbname="no_such_database")
    assert "no_such_database" in str(error), error


@check
def the_console_answers_simple_queries():
    with connect(url=url_of("pgbouncer")) as conn:
        assert len(conn.execute("show version").fetchone()) == 1
        cursor = conn.execute("show pools")
        names = [column.name for column in cursor.description]
        assert names[:2] == ["database", "user"], names
        assert any(row[0] == DATABASE for row in cursor.fetchall())
        for what in ("databases", "clients", "servers", "stats", "config", "lists", "users", "sockets",
                     "mem", "dns_hosts", "dns_zones", "state", "totals", "stats_totals"):
            conn.execute("show " + what).fetchall()
        raises(psycopg.Error, conn.execute, "show nothing_of_this_kind")
        raises(psycopg.Error, conn.execute, "select 1")
        assert conn.execute("show databases").fetchall()


if __name__ == "__main__":
    run()
