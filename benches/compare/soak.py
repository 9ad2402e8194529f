"""Minutes of everything that goes wrong in practice, with an eye on memory and on the answers.

Clients come and go, cancel, pipeline, leave in the middle of a query; servers are terminated. The
outcome is whether memory is flat, and that nobody got a wrong answer.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench import Bench
from clients import LoadRun
from contenders import Contender
from measure import rss_kb
from processes import Failed
from recipes import USER, Login

CLIENTS = 60
# Seconds between two looks at the memory, and between two terminated servers.
SAMPLE_SECONDS, TERMINATE_SECONDS = 2.0, 1.0
# Growth over the later half that is still called flat.
FLAT_KB, FLAT_SHARE = 1024.0, 0.03

TERMINATE = f"""SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE usename = '{USER}' ORDER BY random() LIMIT 1"""


@dataclass(frozen=True)
class Trend:
    """How memory went in the later half."""

    level_kb: float
    growth_kb: float

    def is_flat(self) -> bool:
        """Whether the growth is within what comes and goes."""
        return self.growth_kb <= max(FLAT_KB, FLAT_SHARE * self.level_kb)


def trend(samples: Sequence[tuple[float, float]]) -> Trend | None:
    """The straight line through the later half of (seconds, KB); `None` with too few."""
    if not samples:
        return None
    middle = (samples[0][0] + samples[-1][0]) / 2
    late = [sample for sample in samples if sample[0] >= middle]
    if len(late) < 3:
        return None
    time_mean = sum(at for at, _ in late) / len(late)
    level = sum(kb for _, kb in late) / len(late)
    spread = sum((at - time_mean) ** 2 for at, _ in late)
    slope = sum((at - time_mean) * (kb - level) for at, kb in late) / spread
    return Trend(level, slope * (late[-1][0] - late[0][0]))


def run(bench: Bench, contender: Contender, minutes: float) -> bool:
    """Runs it, prints what it finds, and says whether all is well."""
    pooler = bench.start(contender, bench.real_setup(Login.SCRAM))
    seconds = minutes * 60
    arguments = ["chaos", "--port", str(pooler.port), "--clients", str(CLIENTS)]
    samples: list[tuple[float, float]] = []
    terminated, began = 0, time.monotonic()
    try:
        load = LoadRun(bench.clients.load, bench.password, [*arguments, "--seconds", str(seconds)])
        with load:
            due = began
            while (now := time.monotonic()) < began + seconds and load.process.poll() is None:
                if now >= due:
                    samples.append((now - began, rss_kb(pooler.pid)))
                    due += SAMPLE_SECONDS
                if not pooler.child.is_running():
                    raise Failed(f"{contender.name} ended: {pooler.child.last_words()}")
                terminated += bool(bench.postgres.sql(TERMINATE))
                time.sleep(TERMINATE_SECONDS)
            found = load.outcome(120)
    finally:
        bench.stop(pooler)
    return _verdict(found, terminated, samples)


def _verdict(found: dict[str, float], terminated: int, samples: list[tuple[float, float]]) -> bool:
    print(
        f"{found['answers']:,} answers, {found['logins']:,} logins, {found['cancels']:,} cancels, "
        f"{found['abandoned']:,} clients gone in a query, {terminated:,} servers terminated, "
        f"{found['lost']:,} sessions lost"
    )
    errors: object = found["errors"]
    if isinstance(errors, dict) and errors:
        ordered = sorted(errors.items(), key=lambda item: -item[1])
        print("errors: " + ", ".join(f"{count:,} × {state}" for state, count in ordered))
    right = not found["wrong"] and not found["crashed"]
    print("every answer was right" if right else f"WRONG: {found['wrong']}, {found['first_wrong']}")
    memory = trend(samples)
    if memory is None:
        print("too short to say anything about memory")
        return right
    kbs = [kb for _, kb in samples]
    print(
        f"memory: {kbs[0] / 1024:.1f} MB at the start, at most {max(kbs) / 1024:.1f} MB; in the "
        f"later half {memory.level_kb / 1024:.1f} MB and {memory.growth_kb / 1024:+.2f} MB: "
        + ("flat" if memory.is_flat() else "GROWING")
    )
    return right and memory.is_flat()
