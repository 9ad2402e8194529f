"""asyncpg through the pooler: named statements for everything, binary values, timeouts, cursors."""

import asyncio
import datetime
import decimal
import io
import ssl
import uuid

import asyncpg

from checks import CA, DATABASE, HOST, MODE, PASSWORD, PORT, SOCKETS, URL, USER, check, run, url_of


async def connect(**options):
    return await asyncpg.connect(options.pop("dsn", URL), **options)


async def raises(kind, awaitable):
    """The exception of class `kind` that awaiting has to raise."""
    try:
        await awaitable
    except kind as error:
        return error
    raise AssertionError(f"no {kind} was raised")


@check
async def values_of_many_types_come_back_in_binary():
    conn = await connect()
    utc = datetime.timezone.utc
    for kind, value in [
        ("int8", 2**62), ("text", "žluťoučký 🐎"), ("float8", 0.1), ("bool", True), ("bytea", b"\x00\xff"),
        ("numeric", decimal.Decimal("1234567890.12345")), ("date", datetime.date(2024, 2, 29)),
        ("timestamptz", datetime.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=utc)), ("uuid", uuid.UUID(int=5)),
        ("int[]", [1, None, 3]), ("text[]", ["a", "b,c"]), ("jsonb", '{"a": 1}'),
        ("int4range", asyncpg.Range(1, 5)), ("interval", datetime.timedelta(days=3)), ("text", None),
    ]:
        assert await conn.fetchval(f"select $1::{kind}", value) == value, (kind, value)
    await conn.close()


@check
async def prepared_statements_are_kept_and_described():
    conn = await connect()
    statement = await conn.prepare("select $1::int as a, $2::text as b")
    assert [kind.name for kind in statement.get_parameters()] == ["int4", "text"]
    assert [column.name for column in statement.get_attributes()] == ["a", "b"]
    for n in range(100):
        assert tuple(await statement.fetchrow(n, "x")) == (n, "x")
    assert "Result" in str(await statement.explain(1, "x"))
    await conn.close()


@check
async def more_statements_than_anybody_keeps_can_be_used_in_turn():
    conn = await connect(statement_cache_size=600)
    for turn in range(3):
        for n in range(350):
            assert await conn.fetchval(f"select {n} + $1::int", turn) == n + turn
    await conn.close()
    conn = await connect(statement_cache_size=5)
    for turn in range(3):
        for n in range(30):
            assert await conn.fetchval(f"select {n} + $1::int", turn) == n + turn
    await conn.close()
    conn = await connect(statement_cache_size=0)
    for n in range(20):
        assert await conn.fetchval("select $1::int", n) == n
    await conn.close()


@check
async def equal_names_of_many_clients_mean_different_statements():
    conns = [await connect() for _ in range(12)]
    for turn in range(5):
        values = await asyncio.gather(*(conn.fetchval(f"select {n} * 100 + $1::int", turn)
                                        for n, conn in enumerate(conns)))
        assert values == [n * 100 + turn for n in range(12)]
    for conn in conns:
        await conn.close()


@check
async def types_of_the_database_are_looked_up():
    conn = await connect()
    await conn.execute("drop type if exists apg_pair; drop type if exists apg_mood;"
                       "create type apg_mood as enum ('good', 'bad');"
                       "create type apg_pair as (n int, mood apg_mood)")
    assert await conn.fetchval("select $1::apg_mood", "bad") == "bad"
    assert tuple(await conn.fetchval("select (1, 'good')::apg_pair")) == (1, "good")
    assert [tuple(pair) for pair in await conn.fetchval("select array[(1, 'good')::apg_pair]")] == [(1, "good")]
    await conn.execute("drop type apg_pair; drop type apg_mood")
    await conn.close()


@check
async def transactions_nest_and_roll_back():
    conn = await connect()
    await conn.execute("drop table if exists apg_rows; create table apg_rows (n int primary key)")
    async with conn.transaction():
        for n in range(10):
            try:
                async with conn.transaction():
                    await conn.execute("insert into apg_rows values ($1)", n % 5)
            except asyncpg.UniqueViolationError as error:
                assert error.constraint_name == "apg_rows_pkey"
    assert await conn.fetchval("select count(*) from apg_rows") == 5
    transaction = conn.transaction(isolation="serializable", readonly=True)
    await transaction.start()
    await raises(asyncpg.ReadOnlySQLTransactionError, conn.execute("delete from apg_rows"))
    await raises(asyncpg.InFailedSQLTransactionError, conn.fetchval("select 1"))
    await transaction.rollback()
    assert await conn.fetchval("select count(*) from apg_rows") == 5
    await conn.execute("drop table apg_rows")
    await conn.close()


@check
async def errors_do_not_disturb_what_follows():
    conn = await connect()
    for _ in range(20):
        await raises(asyncpg.UndefinedTableError, conn.fetch("select * from apg_nowhere"))
        await raises(asyncpg.DivisionByZeroError, conn.fetchval("select 1 / $1::int", 0))
        await raises(asyncpg.DataError, conn.fetchval("select $1::int", "text"))
        await raises(asyncpg.PostgresSyntaxError, conn.execute("selekt"))
        assert await conn.fetchval("select $1::int", 1) == 1
    await conn.close()


@check
async def a_result_type_that_changed_is_found_out():
    conn = await connect()
    await conn.execute("drop table if exists apg_change; create table apg_change as select 1 as a")
    assert tuple(await conn.fetchrow("select * from apg_change")) == (1,)
    await conn.execute("alter table apg_change add column b text default 'b'")
    rows = None
    for _ in range(3):
        try:
            rows = await conn.fetchrow("select * from apg_change")
            break
        except (asyncpg.InvalidCachedStatementError, asyncpg.FeatureNotSupportedError):
            await conn.reload_schema_state()
    if MODE == "session":
        assert rows is not None and tuple(rows) == (1, "b"), rows
    assert tuple(await conn.fetchrow("select a, b from apg_change")) == (1, "b")
    await conn.execute("drop table apg_change")
    await conn.close()


@check
async def cursors_fetch_in_parts_over_portals():
    conn = await connect()
    async with conn.transaction():
        total = 0
        async for row in conn.cursor("select n from generate_series(1, $1::int) n", 1000, prefetch=37):
            total += row["n"]
        assert total == 500500
        cursor = await conn.cursor("select generate_series(1, 100)")
        await cursor.forward(10)
        assert [row[0] for row in await cursor.fetch(3)] == [11, 12, 13]
        other = await conn.cursor("select 'other'")
        assert (await other.fetchrow())[0] == "other"
        assert [row[0] for row in await cursor.fetch(2)] == [14, 15]
    await conn.close()


@check
async def copy_moves_records_in_binary_and_csv():
    conn = await connect()
    await conn.execute("drop table if exists apg_copy; create table apg_copy (n int, t text)")
    records = [(n, f"record {n}") for n in range(20000)]
    assert await conn.copy_records_to_table("apg_copy", records=records) == "COPY 20000"
    out = io.BytesIO()
    await conn.copy_from_query("select * from apg_copy where n < $1 order by n", 3, output=out, format="csv")
    assert out.getvalue() == b"0,record 0\n1,record 1\n2,record 2\n"
    await conn.copy_to_table("apg_copy", source=io.BytesIO(b"7,seven\n"), format="csv")
    await raises(asyncpg.BadCopyFileFormatError,
                 conn.copy_to_table("apg_copy", source=io.BytesIO(b"1,2,3,4\n" * 10000), format="csv"))

    async def broken():
        yield b"1,one\n"
        raise ZeroDivisionError

    await raises(ZeroDivisionError, conn.copy_to_table("apg_copy", source=broken(), format="csv"))
    assert await conn.fetchval("select count(*) from apg_copy") == 20001
    await conn.execute("drop table apg_copy")
    await conn.close()


@check
async def a_timeout_cancels_the_query():
    conn = await connect()
    for _ in range(5):
        await raises(asyncio.TimeoutError, conn.fetchval("select pg_sleep($1)", 40.0, timeout=0.2))
        assert await conn.fetchval("select 1") == 1
    await conn.close()


@check
async def a_cancelled_task_frees_its_connection():
    conn = await connect()
    for _ in range(3):
        task = asyncio.create_task(conn.execute("select pg_sleep(40)"))
        await asyncio.sleep(0.2)
        task.cancel()
        await raises(asyncio.CancelledError, task)
        assert await conn.fetchval("select 2") == 2
    await conn.close()


@check(mode="session")
async def listeners_hear_notifications():
    listener, sender = await connect(), await connect()
    heard = asyncio.Queue()
    await listener.add_listener("apg_channel", lambda *note: heard.put_nowait(note[3]))
    for n in range(10):
        await sender.execute("select pg_notify('apg_channel', $1)", str(n))
    assert [await asyncio.wait_for(heard.get(), 10) for _ in range(10)] == [str(n) for n in range(10)]
    await listener.reset()
    await listener.close()
    await sender.close()


@check
async def log_messages_reach_their_listener():
    conn = await connect()
    heard = []
    conn.add_log_listener(lambda _, message: heard.append(message.message))
    await conn.execute("do $$ begin raise warning 'careful'; end $$")
    await conn.fetchval("select 1")
    assert heard == ["careful"], heard
    await conn.close()


@check
async def executemany_sends_all_rows_in_one_go():
    conn = await connect()
    await conn.execute("drop table if exists apg_many; create table apg_many (n int check (n < 5000), t text)")
    await conn.executemany("insert into apg_many values ($1, $2)", [(n, "t" * 100) for n in range(5000)])
    assert await conn.fetchval("select count(*) from apg_many") == 5000
    rows = [(n, "t") for n in range(4000, 6000)]
    await raises(asyncpg.CheckViolationError, conn.executemany("insert into apg_many values ($1, $2)", rows))
    assert await conn.fetchval("select count(*) from apg_many") == 5000
    await conn.execute("drop table apg_many")
    await conn.close()


@check
async def large_values_pass_in_both_directions():
    conn = await connect()
    data = bytes(range(256)) * 40000
    assert await conn.fetchval("select $1::bytea", data) == data
    text = "x" * 10_000_000
    assert await conn.fetchval("select $1::text || 'y'", text) == text + "y"
    rows = await conn.fetch("select n, repeat('z', 500) as z from generate_series(1, 30000) n")
    assert len(rows) == 30000 and rows[-1]["n"] == 30000
    await conn.close()


@check
async def a_driver_s_own_pool_works_over_ours():
    async with asyncpg.create_pool(URL, min_size=2, max_size=20, max_inactive_connection_lifetime=1) as pool:
        async def work(number):
            for turn in range(10):
                async with pool.acquire() as conn:
                    async with conn.transaction():
                        pid = await conn.fetchval("select pg_backend_pid()")
                        assert await conn.fetchval("select $1::int * $2::int", number, turn) == number * turn
                        assert await conn.fetchval("select pg_backend_pid()") == pid

        await asyncio.gather(*(work(number) for number in range(50)))


@check
async def settings_of_the_startup_message_take_effect():
    conn = await connect(server_settings={"application_name": "apg startup", "timezone": "Asia/Tokyo"})
    others = [await connect() for _ in range(4)]
    for _ in range(5):
        assert await conn.fetchval("show application_name") == "apg startup"
        assert await conn.fetchval("show timezone") == "Asia/Tokyo"
        for other in others:
            assert await other.fetchval("show timezone") != "Asia/Tokyo"
    assert conn.get_settings().TimeZone == "Asia/Tokyo"
    for each in (conn, *others):
        await each.close()


@check
async def tls_and_unix_sockets_work():
    context = ssl.create_default_context(cafile=CA)
    direct = ssl.create_default_context(cafile=CA)
    direct.set_alpn_protocols(["postgresql"])
    for options in ({"ssl": context}, {"ssl": direct, "direct_tls": True}, {"ssl": "prefer"}):
        conn = await connect(host="localhost", port=PORT, **options)
        assert await conn.fetchval("select length($1::text)", "x" * 3000000) == 3000000
        await raises(asyncio.TimeoutError, conn.execute("select pg_sleep(40)", timeout=0.3))
        assert await conn.fetchval("select 1") == 1
        await conn.close()
    conn = await asyncpg.connect(host=SOCKETS, port=PORT, user=USER, password=PASSWORD, database=DATABASE)
    assert await conn.fetchval("select 1") == 1
    await conn.close()


@check
async def wrong_logins_are_refused():
    await raises((asyncpg.PostgresError, OSError), connect(password="wrong"))
    await raises((asyncpg.PostgresError, OSError), connect(database="no_such_database"))


@check
async def the_console_answers_simple_queries():
    conn = await connect(dsn=url_of("pgbouncer"))
    await conn.execute("show pools")
    await conn.execute("show version")
    await conn.close()


if __name__ == "__main__":
    run()
