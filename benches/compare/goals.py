"""What is measured, and the bar that this project sets for itself."""

from __future__ import annotations

import enum
from dataclasses import dataclass

# Whom everybody is compared with.
REFERENCE = "pgbouncer"
# Whom the goals are for.
OURS = "pgweir"


class Better(enum.Enum):
    """Which way is good."""

    LESS = "≤"
    MORE = "≥"


@dataclass(frozen=True)
class Measure:
    """A quantity of the tables."""

    title: str
    better: Better
    digits: int


MEASURES = {
    "cpu_us": Measure("CPU µs per transaction", Better.LESS, 1),
    "tps": Measure("transactions/s", Better.MORE, 0),
    "p50_us": Measure("p50 µs", Better.LESS, 0),
    "p99_us": Measure("p99 µs", Better.LESS, 0),
    "mb_s": Measure("MB/s", Better.MORE, 0),
    "cpu_ms_per_mb": Measure("CPU ms per MB", Better.LESS, 2),
    "kb_per_client": Measure("KB per client", Better.LESS, 2),
    "base_mb": Measure("MB without clients", Better.LESS, 1),
    "counted_cpu": Measure("CPU per transaction, statistics on to off", Better.LESS, 3),
    "scraped_cpu": Measure("CPU per transaction, scraped or not", Better.LESS, 3),
    "scraped_p99": Measure("p99, scraped or not", Better.LESS, 2),
    "two_workers_tps": Measure("transactions/s, 2 workers to 1", Better.MORE, 2),
    "two_workers_cpu": Measure("CPU per transaction, 2 workers to 1", Better.LESS, 2),
}


class Of(enum.Enum):
    """What a bound is about."""

    RATIO = "ratio"
    VALUE = "value"


@dataclass(frozen=True)
class Goal:
    """A bound; the ratio is to PgBouncer in the same round."""

    must: float
    aim: float | None = None
    of: Of = Of.RATIO


# By scenario and measure.
GOALS: dict[tuple[str, str], list[Goal]] = {
    ("simple", "cpu_us"): [Goal(0.80, 0.72)],
    ("extended", "cpu_us"): [Goal(0.80, 0.72)],
    ("prepared", "cpu_us"): [Goal(0.60, 0.55)],
    ("simple-pipelined", "cpu_us"): [Goal(1.0, 0.8)],
    ("prepared-pipelined", "cpu_us"): [Goal(0.15, 0.06)],
    ("many-clients", "cpu_us"): [Goal(0.80, 0.65)],
    ("many-clients", "p99_us"): [Goal(0.8, 0.7)],
    ("one-client", "p50_us"): [Goal(1.0, 0.95)],
    ("large", "mb_s"): [Goal(5.0, 9.0)],
    ("large-64k", "mb_s"): [Goal(1.3, 2.0)],
    ("two-workers", "two_workers_tps"): [Goal(1.8, 1.95, Of.VALUE)],
    ("statistics", "counted_cpu"): [Goal(1.03, None, Of.VALUE)],
    ("copy-out", "cpu_ms_per_mb"): [Goal(0.8, 0.7)],
    ("copy-in", "cpu_ms_per_mb"): [Goal(0.8, 0.6)],
    ("tls-select", "cpu_us"): [Goal(0.85, 0.75)],
    ("tls-large", "cpu_ms_per_mb"): [Goal(0.5, 0.4)],
    ("logins", "cpu_us"): [Goal(1.0, 0.8)],
    ("idle-fresh", "kb_per_client"): [Goal(2.0, 1.0, Of.VALUE), Goal(2.0)],
    ("idle-used", "kb_per_client"): [Goal(2.0, 1.0, Of.VALUE), Goal(2.0)],
}


def is_met(goal: Goal, better: Better, value: float, ratio: float | None) -> bool | None:
    """Whether a median reaches the bound; `None` where there is nothing to compare with."""
    found = value if goal.of is Of.VALUE else ratio
    if found is None:
        return None
    # Half a hundredth, as the table rounds.
    return found <= goal.must + 0.005 if better is Better.LESS else found >= goal.must - 0.005


def bound(goal: Goal, better: Better) -> str:
    """As the table shows it."""
    return f"{better.value} {goal.must:g}{'' if goal.of is Of.VALUE else ' ×'}"
