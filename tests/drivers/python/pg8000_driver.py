"""pg8000 through the pooler: a protocol implementation in pure Python, unnamed statements."""

import io
import ssl

import pg8000.dbapi
import pg8000.native

from checks import CA, DATABASE, HOST, MODE, PASSWORD, PORT, URL, USER, check, raises, run

LOGIN = {"user": USER, "password": PASSWORD, "host": HOST, "port": PORT, "database": DATABASE}


def connect(**options):
    return pg8000.native.Connection(**{**LOGIN, **options})


@check
def parameters_and_results_pass():
    conn = connect()
    for n in range(100):
        assert conn.run("select :n + 1, :t || 'x'", n=n, t="t" * n) == [[n + 1, "t" * n + "x"]]
    assert conn.run("select 1; select 2") is not None
    conn.close()


@check
def prepared_statements_are_kept():
    conn = connect()
    statements = [conn.prepare(f"select {n} + cast(:v as integer)") for n in range(20)]
    for turn in range(5):
        for n, statement in enumerate(statements):
            assert statement.run(v=turn) == [[n + turn]]
    for statement in statements:
        statement.close()
    conn.close()


@check
def errors_and_transactions():
    conn = connect()
    conn.run("start transaction")
    conn.run("create temp table pg8_rows (n int) on commit drop")
    conn.run("insert into pg8_rows values (:n)", n=1)
    error = raises(pg8000.native.DatabaseError, conn.run, "select 1 / :n", n=0)
    assert error.args[0]["C"] == "22012"
    raises(pg8000.native.DatabaseError, conn.run, "select 1")
    conn.run("rollback")
    assert conn.run("select to_regclass('pg_temp.pg8_rows')") == [[None]]
    conn.close()


@check
def copy_in_and_out():
    conn = connect()
    conn.run("start transaction")
    conn.run("create temp table pg8_copy (n int, t text) on commit drop")
    text = "".join(f"{n},line {n}\n" for n in range(5000))
    conn.run("copy pg8_copy from stdin with (format csv)", stream=io.StringIO(text))
    out = io.BytesIO()
    conn.run("copy pg8_copy to stdout with (format csv)", stream=out)
    assert out.getvalue().decode() == text
    conn.run("commit")
    conn.close()


@check
def tls_with_scram_chooses_what_the_server_offers():
    context = ssl.create_default_context(cafile=CA)
    conn = connect(host="localhost", ssl_context=context)
    assert conn.run("select 1") == [[1]]
    conn.close()


@check
def the_db_api_works():
    conn = pg8000.dbapi.connect(**LOGIN)
    cursor = conn.cursor()
    cursor.execute("select cast(%s as integer), %s", (1, "two"))
    assert list(cursor.fetchone()) == [1, "two"]
    conn.commit()
    cursor.executemany("select %s", [(n,) for n in range(50)])
    conn.rollback()
    conn.close()


@check(mode="session")
def notifications_arrive():
    conn = connect()
    conn.run("listen pg8_channel")
    conn.run("notify pg8_channel, 'hello'")
    conn.run("select 1")
    assert [note[1:] for note in conn.notifications] == [("pg8_channel", "hello")], conn.notifications
    conn.close()


if __name__ == "__main__":
    run()
