"""psycopg2 through the pooler: the simple protocol, COPY, cursors, old-style cancel requests."""

import io
import select
import threading
import time

import psycopg2
import psycopg2.extensions
import psycopg2.extras
from psycopg2 import errorcodes, errors, sql

from checks import CA, DATABASE, HOST, MODE, PASSWORD, PORT, SOCKETS, URL, USER, check, raises, run, url_of


def connect(autocommit=True, **options):
    conn = psycopg2.connect(options.pop("url", URL), **options)
    conn.autocommit = autocommit
    return conn


def query(conn, text, *arguments):
    """All rows of one query."""
    with conn.cursor() as cursor:
        cursor.execute(text, arguments or None)
        return cursor.fetchall() if cursor.description else None


@check
def values_are_quoted_and_come_back():
    conn = connect()
    for value in (1, -1.5, "it's \\ a text", "žluťoučký 🐎", None, True, [1, 2, 3], ["a'b", None]):
        assert query(conn, "select %s", value) == [(value,)], value
    rows = query(conn, "select %s::bytea", psycopg2.Binary(bytes(range(256))))
    assert bytes(rows[0][0]) == bytes(range(256))
    conn.close()


@check
def several_statements_in_one_query_are_one_transaction():
    conn = connect()
    query(conn, "drop table if exists pg2_many; create table pg2_many (n int)")
    raises(errors.DivisionByZero, query, conn,
           "insert into pg2_many values (1); insert into pg2_many values (1/0)")
    assert query(conn, "select 1; select n from pg2_many") == []
    query(conn, "insert into pg2_many values (1); commit; insert into pg2_many values (2)")
    raises(errors.DivisionByZero, query, conn,
           "begin; insert into pg2_many values (3); commit; insert into pg2_many values (4); select 1/0")
    assert query(conn, "select n from pg2_many order by n") == [(1,), (2,), (3,)]
    query(conn, "begin; select 1")
    assert conn.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_INTRANS
    query(conn, "insert into pg2_many values (9); rollback; drop table pg2_many")
    assert conn.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_IDLE
    conn.close()


@check
def transactions_roll_back_and_carry_their_modes():
    conn = connect(autocommit=False)
    conn.set_session(isolation_level="SERIALIZABLE", readonly=True)
    assert query(conn, "show transaction_isolation") == [("serializable",)]
    error = raises(psycopg2.Error, query, conn, "create table pg2_never (n int)")
    assert error.pgcode == errorcodes.READ_ONLY_SQL_TRANSACTION
    raises(errors.InFailedSqlTransaction, query, conn, "select 1")
    conn.rollback()
    conn.set_session(isolation_level="DEFAULT", readonly=False)
    query(conn, "create table pg2_rolled (n int)")
    conn.rollback()
    assert query(conn, "select to_regclass('pg2_rolled')") == [(None,)]
    query(conn, "savepoint a")
    raises(psycopg2.Error, query, conn, "select nix")
    query(conn, "rollback to savepoint a")
    assert query(conn, "select 1") == [(1,)]
    conn.commit()
    conn.close()


@check
def copy_moves_rows_in_and_out():
    conn = connect()
    query(conn, "drop table if exists pg2_copy; create table pg2_copy (n int, t text)")
    cursor = conn.cursor()
    text = "".join(f"{n}\tline {n}\n" for n in range(50000))
    cursor.copy_expert("copy pg2_copy from stdin", io.StringIO(text))
    assert cursor.rowcount == 50000
    out = io.StringIO()
    cursor.copy_expert("copy (select * from pg2_copy order by n) to stdout", out)
    assert out.getvalue() == text
    raises(psycopg2.DataError, cursor.copy_expert, "copy pg2_copy from stdin", io.StringIO("x\ty\n" * 5000))
    # A COPY within a simple query of several statements.
    cursor.copy_expert("truncate pg2_copy; copy pg2_copy from stdin", io.StringIO("1\tone\n"))
    assert query(conn, "select * from pg2_copy") == [(1, "one")]
    query(conn, "drop table pg2_copy")
    conn.close()


@check
def named_cursors_fetch_in_parts():
    conn = connect(autocommit=False)
    with conn.cursor("pg2_cursor") as cursor:
        cursor.itersize = 333
        cursor.execute("select n, repeat('x', 50) from generate_series(1, 4000) n")
        assert sum(row[0] for row in cursor) == 8002000
    conn.commit()
    conn.close()


@check(mode="session")
def a_cursor_with_hold_outlives_its_transaction():
    conn = connect(autocommit=False)
    cursor = conn.cursor("pg2_held", withhold=True)
    cursor.execute("select generate_series(1, 100)")
    conn.commit()
    assert cursor.fetchmany(2) == [(1,), (2,)]
    cursor.close()
    conn.commit()
    conn.close()


@check
def long_lists_of_values_are_inserted():
    conn = connect(autocommit=False)
    cursor = conn.cursor()
    cursor.execute("create temp table pg2_values (n int, t text) on commit drop")
    rows = [(n, "v" * (n % 100)) for n in range(20000)]
    psycopg2.extras.execute_values(cursor, "insert into pg2_values values %s", rows, page_size=5000)
    psycopg2.extras.execute_batch(cursor, "insert into pg2_values values (%s, %s)", rows[:500], page_size=50)
    assert query(conn, "select count(*), sum(n) from pg2_values") == [(20500, 199990000 + 124750)]
    conn.rollback()
    conn.close()


@check
def a_query_is_cancelled_by_a_second_connection():
    def cancel_when_running(conn):
        watcher = connect()
        running = "select state from pg_stat_activity where query = 'select pg_sleep(42)'"
        while query(watcher, running) != [("active",)]:
            time.sleep(0.02)
        watcher.close()
        conn.cancel()

    for sslmode in ("disable", "require"):
        conn = connect(sslmode=sslmode)
        thread = threading.Thread(target=cancel_when_running, args=[conn])
        thread.start()
        raises(errors.QueryCanceled, query, conn, "select pg_sleep(42)")
        thread.join()
        assert query(conn, "select 1") == [(1,)]
        conn.close()


@check(mode="session")
def notifications_are_polled():
    listener, sender = connect(), connect()
    query(listener, "listen pg2_channel")
    query(sender, "notify pg2_channel, 'one'; notify pg2_channel, 'two'")
    received, until = [], time.monotonic() + 10
    while len(received) < 2 and time.monotonic() < until:
        if select.select([listener], [], [], 1)[0]:
            listener.poll()
            received += [note.payload for note in listener.notifies]
            listener.notifies.clear()
    assert received == ["one", "two"], received
    listener.close()
    sender.close()


@check
def notices_are_kept_by_their_connection():
    conn = connect()
    query(conn, "do $$ begin raise warning 'watch out'; raise notice 'by the way'; end $$")
    assert conn.notices == ["WARNING:  watch out\n", "NOTICE:  by the way\n"], conn.notices
    conn.close()


@check
def other_encodings_pass_unchanged():
    conns = [connect(client_encoding=encoding) for encoding in ("latin1", "utf8", "win1250", "utf8")]
    for _ in range(5):
        for conn in conns:
            assert query(conn, "select %s, length(%s)", "é", "é") == [("é", 1)]
    conn = conns[1]
    conn.set_client_encoding("LATIN1")
    assert query(conn, "show client_encoding") == [("LATIN1",)]
    assert query(conn, "select %s", "ü") == [("ü",)]
    for conn in conns:
        conn.close()


@check
def an_asynchronous_connection_is_polled_to_its_end():
    conn = psycopg2.connect(URL, async_=True)
    wait(conn)
    cursor = conn.cursor()
    for n in range(50):
        cursor.execute("select %s, repeat('x', 100000)", [n])
        wait(conn)
        assert cursor.fetchone() == (n, "x" * 100000)
    conn.close()


def wait(conn):
    waiting = {psycopg2.extensions.POLL_READ: ([conn], []), psycopg2.extensions.POLL_WRITE: ([], [conn])}
    while (state := conn.poll()) != psycopg2.extensions.POLL_OK:
        select.select(*waiting[state], [], 10)


@check
def large_objects_are_written_and_read():
    conn = connect(autocommit=False)
    content = bytes(range(256)) * 4000
    large = conn.lobject(0, "wb")
    large.write(content)
    large.close()
    assert conn.lobject(large.oid, "rb").read() == content
    conn.lobject(large.oid).unlink()
    conn.commit()
    conn.close()


@check
def prepared_transactions_are_committed_by_name():
    conn = connect(autocommit=False)
    query(conn, "create table if not exists pg2_two (n int)")
    conn.commit()
    conn.tpc_begin(conn.xid(7, "pg2", "branch"))
    query(conn, "insert into pg2_two values (1)")
    conn.tpc_prepare()
    conn.tpc_rollback()
    assert query(conn, "select count(*) from pg2_two") == [(0,)]
    query(conn, "drop table pg2_two")
    conn.commit()
    conn.close()


@check
def dictionaries_and_composed_names_work():
    conn = connect()
    cursor = conn.cursor(cursor_factory=psycopg2.extras.RealDictCursor)
    cursor.execute(sql.SQL("select 1 as {}").format(sql.Identifier('odd "name"')))
    assert cursor.fetchall() == [{'odd "name"': 1}]
    assert query(conn, "select count(*) > 10 from information_schema.tables") == [(True,)]
    conn.close()


@check
def many_threads_share_few_servers():
    failures = []

    def work(number):
        try:
            conn = connect(autocommit=False)
            for turn in range(10):
                query(conn, "create temp table pg2_mine on commit drop as select %s as n", number)
                assert query(conn, "select n from pg2_mine") == [(number,)]
                conn.commit() if turn % 2 else conn.rollback()
            conn.close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=[number]) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]


@check
def tls_and_unix_sockets_work():
    for options in ({"sslmode": "require"}, {"sslmode": "verify-ca", "sslrootcert": CA},
                    {"host": "localhost", "sslmode": "verify-full", "sslrootcert": CA}):
        conn = connect(**options)
        assert conn.info.ssl_in_use
        assert query(conn, "select length(%s)", "x" * 3000000) == [(3000000,)]
        conn.close()
    conn = connect(url=f"user={USER} password={PASSWORD} dbname={DATABASE} host={SOCKETS} port={PORT}")
    assert query(conn, "select 1") == [(1,)]
    conn.close()


@check
def wrong_logins_are_refused():
    raises(psycopg2.OperationalError, connect, password="wrong", containing="failed")
    raises(psycopg2.OperationalError, connect, dbname="no_such_database", containing="no_such_database")


@check
def the_console_answers():
    conn = connect(url=url_of("pgbouncer"))
    assert query(conn, "show pools") and query(conn, "show config")
    query(conn, "reload")
    assert query(conn, "show databases")
    raises(psycopg2.Error, query, conn, "nonsense")
    assert query(conn, "show version")
    conn.close()


if __name__ == "__main__":
    run()
