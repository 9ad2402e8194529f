"""Runs the clients, our load generator, pgbench and psql, and says what they measured."""

from __future__ import annotations

import json
import re
import select
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from measure import Stopwatch
from postgres import LARGE_MB, client_environment
from processes import Failed, Hangs
from recipes import DATABASE, USER

# What one run measured, by the names of `goals.MEASURES`.
Sample = dict[str, float]
# One transaction of this many is written down by pgbench, for the percentiles.
SAMPLING = 0.2


class LoadRun:
    """A run of the load generator that talks in lines."""

    def __init__(
        self, program: str, password: str, arguments: Sequence[str], on: Sequence[int] = ()
    ) -> None:
        pin = ["taskset", "-c", ",".join(map(str, on))] if on else []
        self.process = subprocess.Popen(
            [*pin, program, *arguments, "--user", USER, "--database", DATABASE],
            env=client_environment(password, tls=False),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )

    def __enter__(self) -> LoadRun:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def line(self, patience: float) -> str:
        """The next line that it prints."""
        assert self.process.stdout and self.process.stderr
        if not select.select([self.process.stdout], [], [], patience)[0]:
            raise Hangs("hangs")
        line = self.process.stdout.readline().decode()
        if not line:
            raise Failed(self.process.stderr.read().decode().strip()[-300:])
        return line.strip()

    def tell(self) -> None:
        """Lets it go on."""
        assert self.process.stdin
        self.process.stdin.write(b"\n")

    def end(self) -> None:
        """Says that it has done enough."""
        assert self.process.stdin
        self.process.stdin.close()
        # Or its end would be flushed, which cannot be done twice.
        self.process.stdin = None

    def outcome(self, patience: float) -> dict[str, float]:
        """The JSON that it prints at its end; an error where clients failed or stood still."""
        found: dict[str, float] = json.loads(self.line(patience))
        if found.get("stalled"):
            raise Hangs(f"hangs: {found['stalled']} clients got no answer")
        if found.get("failed"):
            raise Failed(f"{found['failed']} clients failed, the first: {found['failure']}")
        return found


@dataclass(frozen=True)
class Clients:
    """The programs that act as clients."""

    load: str
    programs: dict[str, str]
    password: str
    # Longest time beyond what a program was asked to take, in seconds.
    patience: float

    def queries(
        self,
        port: int,
        pid: int,
        seconds: float,
        clients: int,
        *,
        mode: str = "simple",
        depth: int = 1,
        sql: str = "SELECT 1",
        on: Sequence[int] = (),
    ) -> Sample:
        """Closed loop of the load generator."""
        arguments = [
            "queries",
            "--port",
            str(port),
            "--clients",
            str(clients),
            "--mode",
            mode,
            "--depth",
            str(depth),
            "--sql",
            sql,
            "--seconds",
            str(seconds),
            "--warm-up",
            str(min(1.0, seconds / 2)),
        ]
        sample, found = self._measured(arguments, pid, seconds, on)
        megabytes = found["bytes"] / 1e6
        sample["mb_s"] = megabytes / found["seconds"]
        sample["cpu_ms_per_mb"] = sample["cpu_us"] * found["transactions"] / 1e3 / megabytes
        return sample

    def logins(self, port: int, pid: int, seconds: float, clients: int) -> Sample:
        """Connect, log in, one query, goodbye."""
        arguments = [
            "logins",
            "--port",
            str(port),
            "--clients",
            str(clients),
            "--seconds",
            str(seconds),
        ]
        return self._measured(arguments, pid, seconds, ())[0]

    def _measured(
        self, arguments: Sequence[str], pid: int, seconds: float, on: Sequence[int]
    ) -> tuple[Sample, dict[str, float]]:
        with LoadRun(self.load, self.password, arguments, on) as run:
            run.line(self.patience)
            # Both stand still now, and again at the end: the clocks see the run and nothing else.
            pooler, generator = Stopwatch(pid), Stopwatch(run.process.pid)
            pooler.start()
            generator.start()
            run.tell()
            found = run.outcome(seconds + self.patience)
            pooler.stop()
            generator.stop()
        if not found["transactions"]:
            raise Failed("no query was answered")
        sample = {
            "cpu_us": pooler.used * 1e6 / found["transactions"],
            "tps": found["transactions"] / found["seconds"],
            "p50_us": found["p50_us"],
            "p99_us": found["p99_us"],
            "generator_busy": generator.used / found["seconds"],
        }
        return sample, found

    def idle(self, port: int, clients: int, queries: int) -> LoadRun:
        """Clients that stay until the run is left."""
        arguments = ["idle", "--port", str(port), "--clients", str(clients)]
        return LoadRun(self.load, self.password, [*arguments, "--queries", str(queries)])

    def pgbench(
        self,
        port: int,
        pid: int,
        seconds: float,
        arguments: Sequence[str],
        *,
        tls: bool = False,
        patience: float | None = None,
    ) -> Sample:
        """A run of pgbench."""
        whole = max(1, round(seconds))
        watch = Stopwatch(pid)
        with tempfile.TemporaryDirectory(prefix="pgweir-compare-log-") as log:
            command = [
                self.programs["pgbench"],
                "-n",
                "-h",
                "127.0.0.1",
                "-p",
                str(port),
                "-U",
                USER,
                "-T",
                str(whole),
                "-l",
                "--log-prefix",
                f"{log}/l",
                "--sampling-rate",
                str(SAMPLING),
                *arguments,
                DATABASE,
            ]
            watch.start()
            try:
                done = subprocess.run(
                    command,
                    env=client_environment(self.password, tls),
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=whole + (patience or self.patience),
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
            except subprocess.TimeoutExpired:
                raise Hangs("hangs") from None
            watch.stop()
            latencies = logged_latencies(Path(log))
        return pgbench_sample(done.stdout + done.stderr, latencies, watch.used)

    def copy(self, port: int, pid: int, command: str, megabytes: float) -> Sample:
        """A `\\copy` of psql."""
        watch, began = Stopwatch(pid), time.monotonic()
        where = ["-h", "127.0.0.1", "-p", str(port), "-U", USER]
        watch.start()
        try:
            done = subprocess.run(
                [self.programs["psql"], "-X", "-q", *where, "-c", command, DATABASE],
                env=client_environment(self.password, tls=False),
                capture_output=True,
                text=True,
                check=False,
                timeout=self.patience,
            )
        except subprocess.TimeoutExpired:
            raise Hangs("hangs") from None
        watch.stop()
        if done.returncode != 0:
            raise Failed(done.stderr.strip()[-300:])
        return {
            "cpu_ms_per_mb": watch.used * 1e3 / megabytes,
            "mb_s": megabytes / (time.monotonic() - began),
        }


def logged_latencies(directory: Path) -> list[float]:
    """What pgbench wrote down, in microseconds."""
    texts = (path.read_text(encoding="ascii") for path in directory.iterdir())
    lines = (line.split() for text in texts for line in text.splitlines())
    # A line that pgbench was killed in the middle of has fewer fields.
    return sorted(float(fields[2]) for fields in lines if len(fields) >= 6)


def pgbench_sample(output: str, latencies: list[float], cpu: float) -> Sample:
    """What pgbench's last words, its log and the pooler's clock tell."""
    count = re.search(r"transactions actually processed: (\d+)", output)
    speed = re.search(r"^tps = ([\d.]+)", output, re.MULTILINE)
    error = re.search(r"(?:ERROR|FATAL|error): .*", output)
    if not count or not speed or int(count[1]) == 0 or "aborted" in output:
        raise Failed(error[0][:300] if error else "no transaction came to its end")
    sample = {"tps": float(speed[1]), "cpu_us": cpu * 1e6 / int(count[1])}
    if latencies:
        sample["p50_us"] = latencies[len(latencies) // 2]
        sample["p99_us"] = latencies[len(latencies) * 99 // 100]
    return sample


def per_megabyte(sample: Sample) -> Sample:
    """The sample of a run whose every transaction was one large result."""
    return {
        **sample,
        "mb_s": sample["tps"] * LARGE_MB,
        "cpu_ms_per_mb": sample["cpu_us"] / 1e3 / LARGE_MB,
    }
