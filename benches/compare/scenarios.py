"""The scenarios: what the clients do, with which setup, and what of it is shown.

The stand-in ones answer from a fake PostgreSQL that costs next to nothing: the pooler has one core
and one worker, clients and stand-in another core. The real ones run against PostgreSQL, everything
on all cores.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from statistics import median
from typing import Callable

from bench import Backend, Bench
from clients import Sample, per_megabyte
from contenders import Contender, Running
from goals import OURS
from processes import Hangs, free_port
from recipes import SINGLE_THREADED, Login
from scraper import Scraper

POOL = 20
FEW, MANY, DEEP = 64, 1000, 16
LARGE = "LARGE"
# How often the runs of a comparison with itself take turns in one round.
TURNS = 3
# Within less, two hundred clients may not have ended a single transaction.
SECONDS_FOR_200_CLIENTS = 3.0


class Absent(Exception):
    """A scenario is none for this pooler."""


class Stand(enum.Enum):
    """Where a scenario takes place."""

    # Poolers are up side by side, with the stand-in or with PostgreSQL.
    FAKE = "stand-in for PostgreSQL, one core and one worker"
    FAKE_64K = "the same, PgBouncer with pkt_buf=65536"
    # pgbench takes longer to make a key of a password than poolers for the whole login, so its
    # clients have none.
    REAL = "PostgreSQL, clients without password"
    TLS = "PostgreSQL, clients without password but with TLS"
    SCRAM = "PostgreSQL, clients with password, one worker"
    # One pooler after the other, started by the scenario itself.
    WORKERS = "stand-in for PostgreSQL, one worker and two"
    STATISTICS = "stand-in for PostgreSQL, pgweir beside itself"
    MEMORY = "PostgreSQL, clients that do nothing"


@dataclass(frozen=True)
class Scenario:
    """One row, or a few, of the table."""

    name: str
    title: str
    stand: Stand
    # By the names of `goals.MEASURES`; the first is drawn.
    measures: tuple[str, ...]
    # With a `Running` pooler; those of the last three stands get a `Contender` and start it.
    run: Callable[..., Sample]


def fake(
    clients: int, mode: str = "simple", depth: int = 1, sql: str = "SELECT 1"
) -> Callable[[Bench, Running], Sample]:
    """Clients of the load generator."""

    def run(bench: Bench, pooler: Running) -> Sample:
        return bench.clients.queries(
            pooler.port,
            pooler.pid,
            bench.seconds,
            clients,
            mode=mode,
            depth=depth,
            sql=sql,
            on=bench.generator_cores,
        )

    return run


def real(*arguments: str, tls: bool = False) -> Callable[[Bench, Running], Sample]:
    """Clients of pgbench."""

    def run(bench: Bench, pooler: Running) -> Sample:
        given = [bench.script(word) if word.endswith(".sql") else word for word in arguments]
        return bench.clients.pgbench(pooler.port, pooler.pid, bench.seconds, given, tls=tls)

    return run


def large(tls: bool = False) -> Callable[[Bench, Running], Sample]:
    """Results of a megabyte."""
    run = real("-f", "large.sql", "-M", "simple", "-c", "4", tls=tls)
    return lambda bench, pooler: per_megabyte(run(bench, pooler))


def more_clients_than_servers(bench: Bench, pooler: Running) -> Sample:
    """Prepared transactions of ten times as many clients as servers, with a limit of time.

    pgbench waits in its thread for the answer to each Parse, while its other clients hold all
    servers inside transactions. A pooler that needs a server for a Parse stands still for ever.
    """
    try:
        return bench.clients.pgbench(
            pooler.port,
            pooler.pid,
            max(bench.seconds, SECONDS_FOR_200_CLIENTS),
            ["-M", "prepared", "-c", "200", "-j", "2"],
            patience=bench.hang_seconds,
        )
    except Hangs:
        bench.restart(pooler)
        raise
    finally:
        bench.postgres.settle()


def copy_out(bench: Bench, pooler: Running) -> Sample:
    """`COPY ... TO STDOUT` of a table."""
    command = "\\copy copy_source TO '/dev/null'"
    return bench.clients.copy(pooler.port, pooler.pid, command, bench.copy_mb)


def copy_in(bench: Bench, pooler: Running) -> Sample:
    """`COPY ... FROM STDIN` into an empty table."""
    bench.postgres.sql("TRUNCATE copy_target")
    command = f"\\copy copy_target FROM '{bench.copy_file}'"
    return bench.clients.copy(pooler.port, pooler.pid, command, bench.copy_mb)


def logins(bench: Bench, pooler: Running) -> Sample:
    """Logins with SCRAM, one after the other in each of ten clients."""
    return bench.clients.logins(pooler.port, pooler.pid, bench.seconds, 10)


def idle(queries: int) -> Callable[[Bench, Contender], Sample]:
    """Memory for each client that is there and does nothing."""

    def run(bench: Bench, contender: Contender) -> Sample:
        pooler = bench.start(contender, bench.real_setup(Login.SCRAM))
        try:
            base = bench.resting_kb(pooler)
            with bench.clients.idle(pooler.port, bench.idle_clients, queries) as idlers:
                held = idlers.outcome(300)["held"]
                grown = max(0, bench.resting_kb(pooler) - base)
        finally:
            bench.stop(pooler)
        return {"kb_per_client": grown / held, "base_mb": base / 1024}

    return run


def two_workers(bench: Bench, contender: Contender) -> Sample:
    """The stand-in's queries with one worker and with two.

    With four cores, poolers have two for themselves, and the stand-in and the clients one each.
    With fewer, everything shares them, and only the processor time says something.
    """
    if contender.name in SINGLE_THREADED:
        raise Absent("has one thread")
    samples = []
    with Backend(bench, bench.cores[2:3] if bench.apart() else ()) as port:
        for workers in (1, 2):
            on = bench.cores[:workers] if bench.apart() else ()
            setup = replace(bench.fake_setup(), backend=port, workers=workers, on=on)
            pooler = bench.start(contender, setup)
            try:
                on = bench.cores[3:] if bench.apart() else ()
                samples.append(
                    bench.clients.queries(pooler.port, pooler.pid, bench.seconds, FEW, on=on)
                )
            finally:
                bench.stop(pooler)
    one, two = samples
    sample = {
        "two_workers_cpu": two["cpu_us"] / one["cpu_us"],
        "generator_busy": two["generator_busy"],
    }
    if bench.apart():
        sample["two_workers_tps"] = two["tps"] / one["tps"]
    return sample


def statistics(bench: Bench, contender: Contender) -> Sample:
    """What pgweir's statistics cost: one that counts no statements beside one that does, in turns, and
    the latter with and without somebody who scrapes it a hundred times a second."""
    if contender.name != OURS:
        raise Absent("is measured against itself")
    setup = bench.fake_setup()
    metrics = free_port()
    plain = bench.start(contender, replace(setup, counted=False))
    try:
        counting = bench.start(contender, replace(setup, metrics=metrics))
        try:
            runs: dict[str, list[Sample]] = {"plain": [], "counting": [], "scraped": []}
            queries = fake(FEW)
            for _ in range(TURNS):
                runs["plain"].append(queries(bench, plain))
                runs["counting"].append(queries(bench, counting))
                with Scraper(bench.clients, metrics, bench.generator_cores):
                    runs["scraped"].append(queries(bench, counting))
        finally:
            bench.stop(counting)
    finally:
        bench.stop(plain)

    def middle(run: str, measure: str) -> float:
        return median(sample[measure] for sample in runs[run])

    return {
        "counted_cpu": middle("counting", "cpu_us") / middle("plain", "cpu_us"),
        "scraped_cpu": middle("scraped", "cpu_us") / middle("counting", "cpu_us"),
        "scraped_p99": middle("scraped", "p99_us") / middle("counting", "p99_us"),
    }


CPU = ("cpu_us", "p50_us", "p99_us", "tps")
BULK = ("cpu_ms_per_mb", "mb_s")
RATE = ("mb_s", "cpu_ms_per_mb")
MEMORY = ("kb_per_client", "base_mb")

SCENARIOS = [
    Scenario("simple", f"simple, {FEW} clients", Stand.FAKE, CPU, fake(FEW)),
    Scenario("extended", f"extended, {FEW} clients", Stand.FAKE, CPU, fake(FEW, mode="extended")),
    Scenario("prepared", f"prepared, {FEW} clients", Stand.FAKE, CPU, fake(FEW, mode="prepared")),
    Scenario(
        "simple-pipelined",
        f"simple, {FEW} clients, {DEEP} pipelined",
        Stand.FAKE,
        CPU,
        fake(FEW, depth=DEEP),
    ),
    Scenario(
        "prepared-pipelined",
        f"prepared, {FEW} clients, {DEEP} pipelined",
        Stand.FAKE,
        CPU,
        fake(FEW, mode="prepared", depth=DEEP),
    ),
    Scenario("many-clients", f"simple, {MANY:,} clients", Stand.FAKE, CPU, fake(MANY)),
    Scenario("one-client", "simple, one client", Stand.FAKE, ("p50_us", "cpu_us"), fake(1)),
    Scenario("large", "results of 1 MB, 4 clients", Stand.FAKE, RATE, fake(4, sql=LARGE)),
    Scenario(
        "large-64k",
        "results of 1 MB, PgBouncer with pkt_buf=65536",
        Stand.FAKE_64K,
        RATE,
        fake(4, sql=LARGE),
    ),
    Scenario(
        "two-workers",
        f"simple, {FEW} clients, by workers",
        Stand.WORKERS,
        ("two_workers_tps", "two_workers_cpu"),
        two_workers,
    ),
    Scenario(
        "statistics",
        f"simple, {FEW} clients, with and without statistics",
        Stand.STATISTICS,
        ("counted_cpu", "scraped_cpu", "scraped_p99"),
        statistics,
    ),
    Scenario(
        "select-simple",
        "`-S` simple, 50 clients",
        Stand.REAL,
        CPU,
        real("-S", "-M", "simple", "-c", "50", "-j", "2"),
    ),
    Scenario(
        "select-extended",
        "`-S` extended, 50 clients",
        Stand.REAL,
        CPU,
        real("-S", "-M", "extended", "-c", "50", "-j", "2"),
    ),
    Scenario(
        "select-prepared",
        "`-S` prepared, 50 clients",
        Stand.REAL,
        CPU,
        real("-S", "-M", "prepared", "-c", "50", "-j", "2"),
    ),
    Scenario(
        "tpcb-simple",
        "TPC-B simple, 50 clients",
        Stand.REAL,
        CPU,
        real("-M", "simple", "-c", "50", "-j", "2"),
    ),
    Scenario(
        "tpcb-prepared",
        f"TPC-B prepared, {POOL} clients",
        Stand.REAL,
        CPU,
        real("-M", "prepared", "-c", str(POOL), "-j", "2"),
    ),
    Scenario(
        "select-one",
        "`SELECT 1` simple, one client",
        Stand.REAL,
        ("p50_us", "p99_us", "cpu_us"),
        real("-f", "one.sql", "-M", "simple", "-c", "1"),
    ),
    Scenario("select-large", "`SELECT` of 1 MB, 4 clients", Stand.REAL, BULK, large()),
    Scenario("copy-out", "COPY out", Stand.REAL, BULK, copy_out),
    Scenario("copy-in", "COPY in", Stand.REAL, BULK, copy_in),
    Scenario(
        "connect",
        "connect for each `SELECT 1`, 10 clients",
        Stand.REAL,
        ("cpu_us", "tps"),
        real("-C", "-f", "one.sql", "-c", "10", "-j", "2"),
    ),
    # The last of its stand: a pooler that stands still is started again.
    Scenario(
        "tpcb-prepared-200",
        f"TPC-B prepared, 200 clients on {POOL} servers",
        Stand.REAL,
        ("tps", "p50_us", "p99_us"),
        more_clients_than_servers,
    ),
    Scenario(
        "logins", "logins (SCRAM), 10 clients", Stand.SCRAM, ("cpu_us", "p50_us", "tps"), logins
    ),
    Scenario(
        "tls-select",
        "TLS: `-S` prepared, 50 clients",
        Stand.TLS,
        CPU,
        real("-S", "-M", "prepared", "-c", "50", "-j", "2", tls=True),
    ),
    Scenario("tls-large", "TLS: `SELECT` of 1 MB, 4 clients", Stand.TLS, BULK, large(tls=True)),
    Scenario(
        "tls-connect",
        "TLS: connect for each `SELECT 1`, 10 clients",
        Stand.TLS,
        ("cpu_us", "tps"),
        real("-C", "-f", "one.sql", "-c", "10", "-j", "2", tls=True),
    ),
    Scenario("idle-fresh", "idle clients after login", Stand.MEMORY, MEMORY, idle(0)),
    Scenario(
        "idle-used",
        "idle clients that have run queries",
        Stand.MEMORY,
        MEMORY,
        idle(3),
    ),
]
