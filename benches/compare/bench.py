"""What the scenarios use: the running programs, the sizes, and the poolers of a round."""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clients import Clients
from contenders import Contender, Running, Setup, start
from machine import cores
from measure import rss_kb
from postgres import Postgres
from processes import Child, Failed, Stage, free_port
from recipes import Certificate, Login

SCRIPTS = {"one.sql": "SELECT 1;\n", "large.sql": "SELECT value FROM large;\n"}
# Cores from which a second worker can be fed.
CORES_FOR_TWO_WORKERS = 4


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    rounds: int
    seconds: float
    scale: int
    copy_rows: int
    idle_clients: int
    # How long a pooler may stand still before it is said to hang.
    hang_seconds: float
    # The same where nobody is expected to.
    patience: float
    # Threads of the poolers that have them, where PostgreSQL is real.
    workers: int


class Bench:
    """All that runs beside the poolers."""

    def __init__(self, stage: Stage, load: str, programs: dict[str, str], sizes: Sizes) -> None:
        self.stage = stage
        self.sizes = sizes
        self.password = secrets.token_hex(8)
        self.clients = Clients(load, programs, self.password, sizes.patience)
        self.cores = cores()
        self.seconds = sizes.seconds
        self.hang_seconds = sizes.hang_seconds
        self.idle_clients = sizes.idle_clients
        self.copy_file = stage.directory / "copy.txt"
        self.copy_mb = 0.0
        self._postgres: Postgres | None = None
        self._backend_port = free_port()
        home = stage.folder("backend")
        command = [stage.executable(load), "backend", "--port", str(self._backend_port)]
        self.backend = stage.start("stand-in", command, cwd=home, on=self.generator_cores)
        self.backend.wait_for_port(self._backend_port)
        for name, text in SCRIPTS.items():
            (stage.directory / name).write_text(text, encoding="ascii")

    @property
    def postgres(self) -> Postgres:
        """A PostgreSQL with data, started when somebody asks for it."""
        if self._postgres is None:
            self._postgres = Postgres(self.stage, self.clients.programs, self.password)
            self._postgres.fill(self.sizes.scale, self.sizes.copy_rows)
            self._postgres.copy_file(self.copy_file)
            self.copy_mb = self.copy_file.stat().st_size / 1e6
        return self._postgres

    @property
    def pooler_cores(self) -> Sequence[int]:
        """Where a pooler with one worker runs; everywhere on a machine with one core."""
        return self.cores[:1] if len(self.cores) > 1 else ()

    @property
    def generator_cores(self) -> Sequence[int]:
        """Where clients and stand-in run then."""
        return self.cores[1:2]

    def script(self, name: str) -> str:
        """The path of a script of pgbench."""
        return str(self.stage.directory / name)

    def fake_setup(self, packet_buffer: int | None = None) -> Setup:
        """One worker on one core, the stand-in behind it."""
        return Setup(
            backend=self._backend_port,
            login=Login.TRUST,
            password=self.password,
            verifier=self.password,
            workers=1,
            packet_buffer=packet_buffer,
            on=self.pooler_cores,
        )

    def real_setup(self, login: Login, tls: Certificate | None = None) -> Setup:
        """PostgreSQL behind it, all cores."""
        return Setup(
            backend=self.postgres.port,
            login=login,
            password=self.password,
            verifier=self.postgres.verifier(),
            workers=self.sizes.workers,
            tls=tls,
        )

    def start(self, contender: Contender, setup: Setup) -> Running:
        """Starts a pooler and lets it open its servers."""
        pooler = start(self.stage, contender, setup)
        try:
            self.warm(pooler)
        except Failed:
            self.stop(pooler)
            raise
        return pooler

    def stop(self, pooler: Running) -> None:
        """Ends a pooler."""
        self.stage.stop(pooler.child)

    def restart(self, pooler: Running) -> None:
        """Ends a pooler that stands still and starts it again, at the same port."""
        self.stop(pooler)
        directory: Path = pooler.service.directory
        command: Sequence[str] = pooler.child.process.args  # type: ignore[assignment]
        pooler.child = self.stage.start(pooler.contender.name, command, cwd=directory)
        pooler.child.wait_for_port(pooler.port)

    def warm(self, pooler: Running) -> None:
        """Some queries of more clients than the pool has servers."""
        if pooler.service.tls:
            some = ["-f", self.script("one.sql"), "-c", "40"]
            self.clients.pgbench(pooler.port, pooler.pid, 1, some, tls=True)
        else:
            self.clients.queries(pooler.port, pooler.pid, 0.2, 40)

    def resting_kb(self, pooler: Running) -> int:
        """Memory when it has stopped changing, or after two seconds."""
        before, deadline = -1, time.monotonic() + 2
        while (now := rss_kb(pooler.pid)) != before and time.monotonic() < deadline:
            before = now
            time.sleep(0.4)
        return now

    def apart(self) -> bool:
        """Whether there are cores for two workers, the stand-in and the clients each."""
        return len(self.cores) >= CORES_FOR_TWO_WORKERS


class Backend:
    """A stand-in of one's own, on cores of one's own."""

    def __init__(self, bench: Bench, on: Sequence[int]) -> None:
        self.bench = bench
        self.on = on
        self.child: Child | None = None

    def __enter__(self) -> int:
        port = free_port()
        home = self.bench.stage.folder("backend-apart")
        program = self.bench.stage.executable(self.bench.clients.load)
        command = [program, "backend", "--port", str(port)]
        self.child = self.bench.stage.start("stand-in", command, cwd=home, on=self.on)
        self.child.wait_for_port(port)
        return port

    def __exit__(self, *_: object) -> None:
        assert self.child
        self.bench.stage.stop(self.child)


def make_certificate(stage: Stage, openssl: str) -> Certificate:
    """A certificate for the poolers, signed by itself."""
    made = Certificate(stage.directory / "certificate.pem", stage.directory / "key.pem")
    done = subprocess.run(
        [
            openssl,
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "7",
            "-subj",
            "/CN=localhost",
            "-keyout",
            str(made.key),
            "-out",
            str(made.certificate),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Failed(f"openssl: {done.stderr.strip()[-300:]}")
    stage.own(made.key)
    stage.own(made.certificate)
    return made
