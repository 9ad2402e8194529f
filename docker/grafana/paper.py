"""What a picture is made of: series, places, and texts of SVG. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

# A panel of Grafana's, as it stands in the dashboard.
Panel = dict[str, Any]

INK, PALE, EDGE, PAPER = "#24292e", "#6b7280", "#dcdfe4", "#f4f5f7"


@dataclass(frozen=True)
class Series:
    """One answer to one of a panel's questions."""

    legend: str
    labels: dict[str, str]
    # Time in seconds and value, in order; what is missing is not there.
    points: list[tuple[float, float]]
    # Which of the panel's questions, by its `refId`.
    question: str = "A"

    def last(self) -> float:
        return self.points[-1][1]


@dataclass(frozen=True)
class Span:
    """The time that is drawn, in seconds."""

    start: float
    end: float
    step: float


@dataclass(frozen=True)
class Box:
    """A rectangle on the paper."""

    x: float
    y: float
    width: float
    height: float


def text(
    x: float,
    y: float,
    words: str,
    *,
    size: float | None = None,
    weight: str | None = None,
    anchor: str | None = None,
    fill: str | None = None,
) -> str:
    given = {"font-size": size, "font-weight": weight, "text-anchor": anchor, "fill": fill}
    more = "".join(f' {name}="{value}"' for name, value in given.items() if value is not None)
    return f'<text x="{short(x)}" y="{short(y)}"{more}>{escape(words)}</text>'


def short(number: float) -> str:
    """A length: a tenth of a pixel cannot be seen."""
    return f"{number:.1f}".rstrip("0").rstrip(".")


def path(points: list[tuple[float, float]]) -> str:
    """Points of a line, without those that it passes anyway."""
    kept: list[tuple[str, str]] = []
    for x, y in ((short(x), short(y)) for x, y in points):
        if len(kept) > 1 and kept[-1][1] == kept[-2][1] == y:
            kept.pop()
        kept.append((x, y))
    return " ".join(f"{x},{y}" for x, y in kept)
