"""Draws panels of a Grafana dashboard as SVG. Pure: what Prometheus has answered in, text out.

It knows as much of Grafana's model as our dashboard uses: rows, stats, lines and areas, one table,
one heatmap. What a panel asks for (unit, limit, thresholds, stacking, columns) is read from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from paper import EDGE, INK, PALE, PAPER, Box, Panel, Series, Span, path, short, text
from scale import clock, shown, ticks
from tables import table

# Grafana's grid has 24 columns. Pixels of a column and of a row of it, and between two panels.
COLUMNS, COLUMN, ROW, GAP = 24, 50, 26, 6
# Pixels above the first panel, for the title.
HEAD = 44
# Pixels of a plot's margins: for the numbers beside it, the title above it, the time below it.
LEFT, RIGHT, ABOVE, AXIS = 52, 10, 26, 14
# Lines of a legend, their height, and the width of a letter in them.
LEGEND_LINES, LEGEND_LINE, LETTER = 2, 13, 5.5

# Lines, in the order of a legend.
LINES = (
    "#3274d9",
    "#e0752d",
    "#37872d",
    "#a352cc",
    "#c4162a",
    "#0aa3a3",
    "#b8860b",
    "#d683ce",
    "#7c7c7c",
    "#8f6f5e",
)
# What thresholds are called.
STATES = {"green": "#3a9b46", "orange": "#e5842b", "red": "#cf2a3d", "text": INK}


def document(title: str, drawn: list[tuple[Panel, Span, list[Series]]], span: Span) -> str:
    """The dashboard: its panels where its grid has them, each with its answers."""
    places = [panel["gridPos"] for panel, _, _ in drawn]
    top = min((place["y"] for place in places), default=0)
    rows = max((place["y"] + place["h"] for place in places), default=0)
    width, height = COLUMNS * COLUMN + GAP, HEAD + (rows - top) * ROW + GAP
    when = f"{clock(span.start, '%Y-%m-%d %H:%M')} to {clock(span.end)} UTC"
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="Helvetica,Arial,sans-serif" font-size="9.5" fill="{INK}">',
        f'<rect width="{width}" height="{height}" fill="{PAPER}"/>',
        text(12, 28, title, size=18, weight="bold"),
        text(width - 12, 28, when, size=12, anchor="end", fill=PALE),
    ]
    for panel, own, series in drawn:
        grid = panel["gridPos"]
        box = Box(
            GAP + grid["x"] * COLUMN,
            HEAD + (grid["y"] - top) * ROW,
            grid["w"] * COLUMN - GAP,
            grid["h"] * ROW - GAP,
        )
        out.extend(draw(panel, series, box, own))
    return "\n".join([*out, "</svg>"]) + "\n"


def draw(panel: Panel, series: list[Series], box: Box, span: Span) -> Iterator[str]:
    """One panel."""
    kind = panel["type"]
    if kind == "row":
        yield text(box.x + 2, box.y + 15, panel["title"], size=13, weight="bold")
        return
    colour = state(panel, series) if kind == "stat" and is_filled(panel) else "#ffffff"
    yield (
        f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="3" '
        f'fill="{colour}" stroke="{EDGE}"/>'
    )
    ink = "#ffffff" if kind == "stat" and is_filled(panel) else INK
    yield text(box.x + 9, box.y + 16, panel["title"], size=11, weight="bold", fill=ink)
    found = [one for one in series if one.points]
    if not found:
        middle = box.y + box.height / 2 + 8
        yield text(box.x + box.width / 2, middle, "nothing", size=11, anchor="middle", fill=PALE)
        return
    if kind == "stat":
        yield from stat(panel, found, box, span)
    elif kind == "table":
        yield from table(panel, found, box)
    elif kind == "heatmap":
        yield from heatmap(panel, found, box, span)
    else:
        yield from lines(panel, found, box, span)


def pieces(points: list[tuple[float, float]], step: float) -> Iterator[list[tuple[float, float]]]:
    """A line's parts, cut where values are missing."""
    part: list[tuple[float, float]] = []
    for point in points:
        if part and point[0] - part[-1][0] > 1.5 * step:
            yield part
            part = []
        part.append(point)
    if part:
        yield part


def defaults(panel: Panel) -> dict[str, Any]:
    return panel.get("fieldConfig", {}).get("defaults", {})


def is_filled(panel: Panel) -> bool:
    return panel.get("options", {}).get("colorMode") == "background"


def state(panel: Panel, series: list[Series]) -> str:
    """The colour of the last threshold that the value has passed."""
    steps = defaults(panel).get("thresholds", {}).get("steps", [])
    value = max((one.last() for one in series if one.points), default=0.0)
    passed = [step for step in steps if step["value"] is None or value >= step["value"]]
    return STATES[passed[-1]["color"]] if passed else INK


def stat(panel: Panel, series: list[Series], box: Box, span: Span) -> Iterator[str]:
    """A large number, or names where the panel asks for those."""
    options, unit = panel.get("options", {}), defaults(panel).get("unit")
    if options.get("textMode") in ("name", "value_and_name"):
        for place, one in enumerate(series[: int(box.height // 20) - 1]):
            value = f": {shown(one.last(), unit)}" if options["textMode"] != "name" else ""
            yield text(box.x + 12, box.y + 40 + place * 20, one.legend + value, size=13)
        return
    if is_filled(panel) and options.get("graphMode") == "area":
        yield from spark(series[0], box, span)
    value = shown(series[0].last(), unit)
    size = min(box.height / 2.8, (box.width - 24) / len(value) / 0.6)
    fill = "#ffffff" if is_filled(panel) else state(panel, series)
    y = box.y + box.height / 2 + size / 2
    middle = box.x + box.width / 2
    yield text(middle, y, value, size=round(size), weight="bold", anchor="middle", fill=fill)


def spark(series: Series, box: Box, span: Span) -> Iterator[str]:
    """The way there, behind a number."""
    highest = max(value for _, value in series.points) or 1.0
    bottom, room = box.y + box.height - 1, box.height * 0.4
    for part in pieces(series.points, span.step):
        line = [(along(time, box, span), bottom - value / highest * room) for time, value in part]
        ends = [(line[0][0], bottom), *line, (line[-1][0], bottom)]
        yield f'<polygon points="{path(ends)}" fill="#ffffff" fill-opacity="0.28"/>'


def along(time: float, box: Box, span: Span) -> float:
    return box.x + (time - span.start) / (span.end - span.start) * box.width


def frame(box: Box, legend_lines: int) -> Box:
    """Where a panel's values are drawn."""
    below = AXIS + legend_lines * LEGEND_LINE + 6
    return Box(box.x + LEFT, box.y + ABOVE, box.width - LEFT - RIGHT, box.height - ABOVE - below)


def axes(plot: Box, marks: list[tuple[float, str]], span: Span) -> Iterator[str]:
    """Numbers beside a plot, times below it. A mark is a place between 0 and 1, and words."""
    for share, words in marks:
        y = plot.y + plot.height * (1 - share)
        yield (
            f'<line x1="{short(plot.x)}" y1="{short(y)}" x2="{short(plot.x + plot.width)}" '
            f'y2="{short(y)}" stroke="{EDGE}" stroke-width="0.7"/>'
        )
        yield text(plot.x - 5, y + 3, words, anchor="end", fill=PALE)
    lengths = (60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
    between = next((one for one in lengths if (span.end - span.start) / one <= 6), 86400)
    time = math.ceil(span.start / between) * between
    while time <= span.end:
        x = along(time, plot, span)
        yield text(x, plot.y + plot.height + 12, clock(time), anchor="middle", fill=PALE)
        time += between


def legend(series: list[Series], box: Box) -> tuple[int, list[str]]:
    """How many lines it has, and what is in them; what has no room is counted."""
    left, right = box.x + 10, box.x + box.width - 10
    rows: list[list[tuple[float, int]]] = [[]]
    x = left
    for place, one in enumerate(series):
        wide = len(one.legend) * LETTER + 24
        reserve = 40 if len(rows) == LEGEND_LINES and place + 1 < len(series) else 0
        if rows[-1] and x + wide > right - reserve:
            if len(rows) == LEGEND_LINES:
                break
            rows.append([])
            x = left
        rows[-1].append((x, place))
        x += wide
    out = []
    bottom = box.y + box.height - 7 - (len(rows) - 1) * LEGEND_LINE
    for line, row in enumerate(rows):
        y = bottom + line * LEGEND_LINE
        for start, place in row:
            colour = LINES[place % len(LINES)]
            out.append(
                f'<rect x="{short(start)}" y="{short(y - 4.5)}" width="11" height="3" '
                f'fill="{colour}"/>'
            )
            out.append(text(start + 15, y, series[place].legend))
    left_out = len(series) - sum(len(row) for row in rows)
    if left_out:
        out.append(text(x + 4, bottom + (len(rows) - 1) * LEGEND_LINE, f"+ {left_out}", fill=PALE))
    return len(rows), out


def stacked(series: list[Series]) -> list[Series]:
    """Each on top of those before it."""
    sums: dict[float, float] = {}
    piled = []
    for one in series:
        for time, value in one.points:
            sums[time] = sums.get(time, 0.0) + value
        points = [(time, sums[time]) for time, _ in one.points]
        piled.append(Series(one.legend, one.labels, points, one.question))
    return piled


def lines(panel: Panel, series: list[Series], box: Box, span: Span) -> Iterator[str]:
    """Lines over time, or areas on top of each other."""
    custom, unit = defaults(panel).get("custom", {}), defaults(panel).get("unit")
    is_stacked = custom.get("stacking", {}).get("mode") == "normal"
    drawn = stacked(series) if is_stacked else series
    rows, words = legend(series, box)
    plot = frame(box, rows)
    highest = max(value for one in drawn for _, value in one.points)
    steps = ticks(max(highest, 0.0), unit)
    top = min(steps[-1], defaults(panel).get("max", math.inf)) or 1.0
    marks = [(step / top, shown(step, unit)) for step in steps if step <= top]
    yield from axes(plot, marks, span)
    bottom = plot.y + plot.height
    # From the back: the sums of all first, so that each area is seen.
    for place, one in reversed(list(enumerate(drawn))):
        colour = LINES[place % len(LINES)]
        for part in pieces(one.points, span.step):
            line = [
                (along(time, plot, span), bottom - min(max(value / top, 0.0), 1.0) * plot.height)
                for time, value in part
            ]
            if is_stacked:
                ends = [(line[0][0], bottom), *line, (line[-1][0], bottom)]
                yield f'<polygon points="{path(ends)}" fill="#ffffff"/>'
                yield f'<polygon points="{path(ends)}" fill="{colour}" fill-opacity="0.22"/>'
            if len(line) == 1:
                x, y = map(short, line[0])
                yield f'<circle cx="{x}" cy="{y}" r="1.5" fill="{colour}"/>'
                continue
            yield (
                f'<polyline points="{path(line)}" fill="none" stroke="{colour}" '
                'stroke-width="1.3" stroke-linejoin="round"/>'
            )
    yield from words


def heatmap(panel: Panel, series: list[Series], box: Box, span: Span) -> Iterator[str]:
    """How many were in each bucket of a histogram, by their shade."""
    bounds = sorted(series, key=lambda one: float(one.labels["le"]))
    counts: list[dict[float, float]] = []
    below: dict[float, float] = {}
    for one in bounds:
        now = dict(one.points)
        counts.append({time: value - below.get(time, 0.0) for time, value in now.items()})
        below = now
    used = [place for place, each in enumerate(counts) if max(each.values()) >= 0.5]
    if not used:
        return
    first, last = max(used[0] - 1, 0), used[-1] + 1
    plot = frame(box, 0)
    share = 1 / (last - first)
    unit = panel.get("options", {}).get("yAxis", {}).get("unit")
    every = math.ceil((last - first) / 8)
    marks = []
    for place in range(first, last):
        bound = bounds[place].labels["le"]
        if (place - first) % every == every - 1:
            words = "more" if bound == "+Inf" else shown(float(bound), unit)
            marks.append(((place - first + 1) * share, words))
    yield from axes(plot, marks, span)
    most = max(max(each.values()) for each in counts)
    wide = span.step / (span.end - span.start) * plot.width
    for place in range(first, last):
        y = plot.y + plot.height * (1 - (place - first + 1) * share)
        for time, count in counts[place].items():
            x = along(time, plot, span)
            if count < 0.5 or x + wide > plot.x + plot.width + 0.5:
                continue
            # Few are to be seen beside many.
            depth = 0.15 + 0.85 * math.log1p(count) / math.log1p(most)
            yield (
                f'<rect x="{short(x)}" y="{short(y)}" width="{short(wide + 0.2)}" '
                f'height="{short(plot.height * share)}" fill="#d9480f" '
                f'fill-opacity="{depth:.2f}"/>'
            )
