"""Numbers and times as people read them. Pure."""

from __future__ import annotations

import math
from datetime import datetime, timezone


def shown(value: float, unit: str | None) -> str:
    """A number as people write it, in a unit of Grafana's."""
    if unit == "s":
        for size, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms")):
            if abs(value) >= size * (2 if size > 1 else 1):
                return f"{digits(value / size)} {name}"
        return f"{digits(value * 1e6)} µs" if value else "0 s"
    if unit == "percentunit":
        return f"{digits(value * 100)} %"
    if unit == "bytes":
        return scaled(value, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))
    if unit == "Bps":
        return scaled(value, 1000, ("B/s", "kB/s", "MB/s", "GB/s"))
    if unit == "ops":
        return scaled(value, 1000, ("/s", " k/s", " M/s")).replace(" /s", "/s").replace("  ", " ")
    return scaled(value, 1000, ("", "k", "M", "G")).rstrip()


def scaled(value: float, base: int, names: tuple[str, ...]) -> str:
    """A number with the largest of the names that fits."""
    power = 0
    while abs(value) >= base and power + 1 < len(names):
        value /= base
        power += 1
    return f"{digits(value)} {names[power]}"


def digits(value: float) -> str:
    """Three of them, none in vain."""
    if value == 0:
        return "0"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    rounded = f"{value:.{min(places, 6)}f}"
    return rounded.rstrip("0").rstrip(".") if "." in rounded else rounded


def ticks(highest: float, unit: str | None) -> list[float]:
    """Round numbers from 0 to above `highest`, at most six."""
    if highest <= 0:
        highest = 1.0
    base = 2.0 if unit == "bytes" else 10.0
    step = base ** math.floor(math.log(highest / 4, base))
    if base == 10.0:
        step *= next(factor for factor in (1, 2, 5, 10) if highest / (step * factor) <= 4.5)
    count = math.ceil(highest / step - 1e-9)
    return [step * number for number in range(count + 1)]


def clock(time: float, form: str = "%H:%M") -> str:
    return datetime.fromtimestamp(time, timezone.utc).strftime(form)
