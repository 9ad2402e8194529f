"""The table of a dashboard: answers with the same labels are one row. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

from paper import EDGE, PALE, Box, Panel, Series, text
from scale import shown


def cells(panel: Panel, series: list[Series]) -> tuple[list[str], list[list[str]]]:
    """Names of columns and rows: values with the same labels stand together."""
    organize = next(
        (one["options"] for one in panel.get("transformations", []) if one["id"] == "organize"), {}
    )
    names = {
        target["refId"]: organize.get("renameByName", {}).get(
            f"Value #{target['refId']}", target["refId"]
        )
        for target in panel["targets"]
    }
    units = {}
    for override in panel["fieldConfig"].get("overrides", []):
        for known in override["properties"]:
            if known["id"] == "unit":
                units[override["matcher"]["options"]] = known["value"]
    labels = sorted({label for one in series for label in one.labels})
    rows: dict[tuple[str, ...], dict[str, float]] = {}
    for one in series:
        key = tuple(one.labels.get(label, "") for label in labels)
        rows.setdefault(key, {})[names[one.question]] = one.last()
    order = sorted(rows)
    for wish in panel.get("options", {}).get("sortBy", []):
        order.sort(
            key=lambda key: rows[key].get(wish["displayName"], -math.inf), reverse=wish["desc"]
        )
    columns = list(names.values())
    lines_of_it = []
    for key in order:
        values = [rows[key].get(column) for column in columns]
        written = [
            "" if value is None or math.isnan(value) else shown(value, units.get(column, "short"))
            for column, value in zip(columns, values)
        ]
        lines_of_it.append([*key, *written])
    return [*labels, *columns], lines_of_it


def table(panel: Panel, series: list[Series], box: Box) -> Iterator[str]:
    """Rows and columns; what has no room is counted."""
    columns, rows = cells(panel, series)
    room = int((box.height - 48) // 17)
    fitting = rows if len(rows) <= room else rows[: room - 1]
    # A column's share of the width is that of its longest words.
    longest = [max(map(len, column)) + 2 for column in zip(columns, *fitting)]
    letter = (box.width - 24) / sum(longest)
    starts = [box.x + 12 + sum(longest[:place]) * letter for place in range(len(columns))]
    for x, name in zip(starts, columns):
        yield text(x, box.y + 36, name, size=11, weight="bold", fill=PALE)
    y = box.y + 54
    for row in fitting:
        yield (
            f'<line x1="{box.x + 10}" y1="{y - 12}" x2="{box.x + box.width - 10}" y2="{y - 12}" '
            f'stroke="{EDGE}" stroke-width="0.7"/>'
        )
        for x, words in zip(starts, row):
            yield text(x, y, words, size=11)
        y += 17
    if len(fitting) < len(rows):
        yield text(box.x + 12, y, f"+ {len(rows) - len(fitting)}", size=11, fill=PALE)
