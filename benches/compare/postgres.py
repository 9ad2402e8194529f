"""A PostgreSQL of our own, with the data that the scenarios ask for."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from processes import START_SECONDS, Failed, Stage, free_port
from recipes import DATABASE, USER

# A large result: so many rows of so many characters.
LARGE_ROWS, LARGE_VALUE = 1000, 1024
# Its bytes on the wire: each row has a header and one length besides.
LARGE_MB = LARGE_ROWS * (LARGE_VALUE + 11) / 1e6

SETTINGS = """
listen_addresses = '127.0.0.1'
shared_buffers = 512MB
max_connections = 300
max_wal_size = 8GB
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
checkpoint_timeout = 1h
jit = off
password_encryption = 'scram-sha-256'
log_min_messages = fatal
"""
# The administrator comes by the socket, which lies in a directory that only the server's account
# enters; everybody else has a password.
LOGINS = """
local all all trust
host all all 127.0.0.1/32 scram-sha-256
"""


class Postgres:
    """A running server."""

    def __init__(self, stage: Stage, programs: dict[str, str], password: str) -> None:
        self.programs = programs
        self.password = password
        self.port = free_port()
        home = stage.folder("postgres")
        home.chmod(0o700)
        self.sockets = home
        data = home / "data"
        stage.run(
            [
                programs["initdb"],
                "-D",
                str(data),
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ],
            cwd=home,
        )
        with (data / "postgresql.conf").open("a", encoding="utf-8") as settings:
            settings.write(SETTINGS)
            settings.write(f"port = {self.port}\nunix_socket_directories = '{home}'\n")
        stage.write(data / "pg_hba.conf", LOGINS)
        self.child = stage.start("postgres", [programs["postgres"], "-D", str(data)], cwd=home)
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.child.is_running():
            try:
                self.sql("SELECT 1", database="postgres")
                return
            except Failed:
                time.sleep(0.05)
        raise Failed(f"PostgreSQL did not start: {self.child.last_words()}")

    def fill(self, scale: int, copy_rows: int) -> None:
        """Makes the database of the scenarios."""
        self.sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{self.password}'", database="postgres")
        self.sql(f"CREATE DATABASE {DATABASE} OWNER {USER}", database="postgres")
        done = subprocess.run(
            [
                self.programs["pgbench"],
                *self._where(),
                "-U",
                USER,
                "-i",
                "-q",
                "-s",
                str(scale),
                DATABASE,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise Failed(f"pgbench -i: {done.stderr.strip()[-500:]}")
        self.sql(
            f"""CREATE TABLE large (value text);
            ALTER TABLE large ALTER value SET STORAGE EXTERNAL;
            INSERT INTO large SELECT repeat('x', {LARGE_VALUE})
                FROM generate_series(1, {LARGE_ROWS});
            CREATE TABLE copy_source AS SELECT i AS id, repeat('y', 90) AS value
                FROM generate_series(1, {copy_rows}) i;
            CREATE UNLOGGED TABLE copy_target (id int, value text);
            VACUUM ANALYZE large, copy_source;""",
            user=USER,
        )

    def verifier(self) -> str:
        """The stored form of the user's password."""
        return self.sql(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{USER}'")

    def sql(self, text: str, database: str = DATABASE, user: str = "postgres") -> str:
        """Runs statements one by one and gives what they print, without decoration."""
        statements = [part for part in text.split(";") if part.strip()]
        arguments = [word for statement in statements for word in ("-c", statement)]
        done = subprocess.run(
            [
                self.programs["psql"],
                *self._where(),
                "-U",
                user,
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                *arguments,
                database,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise Failed(f"psql: {done.stderr.strip()[-500:]}")
        return done.stdout.strip()

    def settle(self) -> None:
        """Waits until nobody is inside a transaction any more, a few seconds at most."""
        busy = f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{USER}' AND state <> 'idle'"
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and self.sql(busy) != "0":
            time.sleep(0.1)

    def copy_file(self, path: Path) -> None:
        """Writes what a copy into the database reads."""
        self.sql(f"\\copy copy_source TO '{path}'")

    def _where(self) -> list[str]:
        return ["-h", str(self.sockets), "-p", str(self.port)]


def client_environment(password: str, tls: bool) -> dict[str, str]:
    """The environment of psql and pgbench when they go through a pooler."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PG")},
        "PGPASSWORD": password,
        "PGSSLMODE": "require" if tls else "disable",
        "PGGSSENCMODE": "disable",
    }
