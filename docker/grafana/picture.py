#!/usr/bin/env python3
"""Draws the dashboard: asks Prometheus what its panels ask, and writes one SVG.

    docker/grafana/picture.py http://localhost:9090 docker/grafana/dashboard.svg --minutes 8

No Grafana is needed, only Prometheus with some minutes of pgweir's metrics. It is no screenshot:
the panels, their places, titles, units and questions are the dashboard's own, the drawing is ours.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from drawing import document
from paper import Panel, Series, Span

DASHBOARD = Path(__file__).with_name("pgweir.json")
# Points of a line, and columns of a heatmap.
POINTS, COLUMNS = 96, 48
# Seconds that Prometheus has for an answer.
PATIENCE = 30
# No answer is longer, in bytes.
LONGEST = 16 << 20

# Asks the API: a path and its parameters in, the `result` of the answer out.
Ask = Callable[[str, dict[str, str]], list[dict[str, Any]]]


def api(server: str) -> Ask:
    """Asks a Prometheus over HTTP."""

    def ask(path: str, parameters: dict[str, str]) -> list[dict[str, Any]]:
        url = f"{server.rstrip('/')}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return json.loads(answer.read(LONGEST))["data"]["result"]

    return ask


def expression(target: dict[str, Any], interval: float) -> str:
    """A panel's question with its variables filled in: all instances, databases and users."""
    filled = target["expr"].replace("$__rate_interval", f"{math.ceil(interval)}s")
    return re.sub(r"\$(instance|database|user)\b", ".*", filled)


def named(legend: str | None, labels: dict[str, str]) -> str:
    """A legend with its labels filled in."""
    if not legend:
        return ", ".join(labels.values()) or "value"
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), legend).strip()


def answers(ask: Ask, panel: Panel, span: Span, interval: float) -> Iterator[Series]:
    """What the panel's questions are answered."""
    for target in panel.get("targets", []):
        query = expression(target, interval)
        if target.get("instant"):
            found = ask("query", {"query": query, "time": f"{span.end}"})
        else:
            within = {"start": f"{span.start}", "end": f"{span.end}", "step": f"{span.step}"}
            found = ask("query_range", {"query": query, **within})
        for one in found:
            labels = {name: value for name, value in one["metric"].items() if name != "__name__"}
            given = [one["value"]] if "value" in one else one["values"]
            points = [(float(at), float(value)) for at, value in given]
            points = [(at, value) for at, value in points if math.isfinite(value)]
            if points:
                legend = named(target.get("legendFormat"), labels)
                yield Series(legend, labels, points, target["refId"])


def chosen(dashboard: dict[str, Any], rows: int | None) -> list[Panel]:
    """The panels of the first so many rows, or all."""
    panels, seen = [], 0
    for panel in dashboard["panels"]:
        seen += panel["type"] == "row"
        if rows is None or seen <= rows:
            panels.append(panel)
    return panels


def picture(ask: Ask, panels: list[Panel], span: Span, scrape: float) -> str:
    """The SVG of these panels."""
    drawn = []
    for panel in panels:
        points = COLUMNS if panel["type"] == "heatmap" else POINTS
        step = max(scrape, (span.end - span.start) / points)
        own = Span(span.start, span.end, step)
        # As Grafana has it: enough for four scrapes, and no gap between two points.
        interval = max(4 * scrape, step + scrape)
        drawn.append((panel, own, list(answers(ask, panel, own, interval))))
    return document("pgweir", drawn, span)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Draws the dashboard from Prometheus' answers.")
    parser.add_argument("server", help="URL of Prometheus")
    parser.add_argument("output", type=Path, help="the SVG to write")
    parser.add_argument("--minutes", type=float, default=60, help="how many to draw")
    parser.add_argument("--end", type=float, help="when they end, in seconds since 1970: now")
    parser.add_argument("--scrape", type=float, default=5, help="seconds from scrape to scrape")
    parser.add_argument("--rows", type=int, help="rows of panels to draw: all")
    return parser.parse_args()


def main() -> None:
    chosen_options = options()
    end = chosen_options.end or time.time()
    span = Span(end - chosen_options.minutes * 60, end, chosen_options.scrape)
    panels = chosen(json.loads(DASHBOARD.read_text(encoding="utf-8")), chosen_options.rows)
    svg = picture(api(chosen_options.server), panels, span, chosen_options.scrape)
    chosen_options.output.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
