"""Draws the ratios: bars for the terminal, and an SVG. Pure: results in, text out.

A bar is what a scenario costs against PgBouncer: less is better everywhere, so where the table has
a rate the bar has its inverse. Bars that would leave the picture are cut and say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from textwrap import wrap

from goals import MEASURES, REFERENCE, Better
from scenarios import SCENARIOS
from summary import Results, reference

# A bar ends here; PgBouncer's are 1 long.
LONGEST = 4.0
# Columns of the terminal for a bar of that length.
COLUMNS = 48
# Colours that stay apart for people who see few of them.
COLOURS = ("#8c8c8c", "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00")

WIDTH, LABELS, UNIT = 960, 330, 140
BAR, GAP, TOP, FOOT = 12, 12, 64, 48
# Characters of a line of the caption.
CAPTION_WIDTH = 170


@dataclass(frozen=True)
class Bar:
    """One pooler in one scenario."""

    pooler: str
    # Cost against PgBouncer; `None` where it hangs or failed.
    cost: float | None
    words: str


@dataclass(frozen=True)
class Group:
    """The bars of a scenario."""

    title: str
    # What of it is compared.
    measure: str
    bars: list[Bar]


def groups(results: Results) -> Iterator[Group]:
    """What there is to draw: the first measure of each scenario that PgBouncer took part in."""
    for scenario in SCENARIOS:
        measure = scenario.measures[0]
        row = results.row(scenario.name, measure)
        base = reference(row)
        if base is None or base.spread() is None:
            continue
        bars = []
        for pooler, cell in row.items():
            ratio = cell.ratio_to(base)
            if ratio is None or not ratio.middle:
                bars.append(Bar(pooler, None, (cell.error or "failed").splitlines()[0][:40]))
                continue
            less = MEASURES[measure].better is Better.LESS
            cost = ratio.middle if less else 1 / ratio.middle
            bars.append(Bar(pooler, cost, f"{cost:.2f}"))
        turned = "" if MEASURES[measure].better is Better.LESS else ", turned round"
        title = scenario.title.replace("`", "")
        yield Group(title, MEASURES[measure].title + turned, bars)


def text(results: Results) -> str:
    """Bars for the terminal."""
    lines = [f"Cost against {REFERENCE} (less is better; rates are turned round)"]
    for group in groups(results):
        lines.append(f"\n{group.title}: {group.measure}")
        for bar in group.bars:
            lines.append(f"  {bar.pooler:<11}{_blocks(bar.cost)} {bar.words}")
    return "\n".join(lines) + "\n" if len(lines) > 1 else ""


def _blocks(cost: float | None) -> str:
    if cost is None:
        return ""
    eighths = round(min(cost, LONGEST) / LONGEST * COLUMNS * 8)
    part = " ▏▎▍▌▋▊▉"[eighths % 8].strip()
    return "█" * (eighths // 8) + part + ("…" if cost > LONGEST else "")


def svg(results: Results, caption: str) -> str:
    """The same as a picture."""
    drawn = list(groups(results))
    colours = dict(zip(results.poolers, COLOURS))
    height = TOP + sum(len(group.bars) * BAR + GAP for group in drawn) + FOOT
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="20" font-size="14" font-weight="bold">Cost against {REFERENCE}: '
        "less is better</text>",
        *_legend(colours),
    ]
    line, top = LABELS + UNIT, TOP
    out.append(
        f'<line x1="{line}" y1="{TOP - 6}" x2="{line}" y2="{height - FOOT}" stroke="#000000" '
        'stroke-dasharray="3 3"/>'
    )
    for group in drawn:
        out.append(
            f'<text x="{LABELS - 10}" y="{top + 9}" text-anchor="end">{escape(group.title)}</text>'
            f'<text x="{LABELS - 10}" y="{top + 21}" text-anchor="end" font-size="9" '
            f'fill="#555555">{escape(group.measure)}</text>'
        )
        for bar in group.bars:
            out.append(_svg_bar(bar, top, colours.get(bar.pooler, "#000000")))
            top += BAR
        top += GAP
    for place, words in enumerate(wrap(caption, CAPTION_WIDTH)[:3]):
        y = height - FOOT + 14 + place * 12
        out.append(f'<text x="12" y="{y}" font-size="9" fill="#555555">{escape(words)}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"


def _legend(colours: dict[str, str]) -> Iterator[str]:
    for place, (pooler, colour) in enumerate(colours.items()):
        x = 12 + place * 110
        yield f'<rect x="{x}" y="32" width="10" height="10" fill="{colour}"/>'
        yield f'<text x="{x + 15}" y="41">{escape(pooler)}</text>'


def _svg_bar(bar: Bar, top: float, colour: str) -> str:
    length = min(bar.cost or 0.0, LONGEST) * UNIT
    words = bar.words + (" (cut)" if (bar.cost or 0.0) > LONGEST else "")
    return (
        f'<rect x="{LABELS}" y="{top}" width="{length:.1f}" height="{BAR - 2}" fill="{colour}"/>'
        f'<text x="{LABELS + length + 4:.1f}" y="{top + BAR - 3}" font-size="9">'
        f"{escape(words)}</text>"
    )
