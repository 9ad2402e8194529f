"""Writes the tables. Pure: records in, text out."""

from __future__ import annotations

from goals import GOALS, MEASURES, OURS, REFERENCE, Goal, Measure, bound, is_met
from scenarios import SCENARIOS, Scenario, Stand
from summary import Cell, Results, Row, reference

# Share of a core beyond which the clients, and not the pooler, set the pace.
SATURATED = 0.97


def markdown(results: Results) -> str:
    """All tables, with the machine above and the faults below."""
    parts = [heading(results)]
    for stand in Stand:
        table = _table(results, [one for one in SCENARIOS if one.stand is stand])
        if table:
            parts.append(f"{_capital(stand.value)}:\n\n{table}")
    notes = _notes(results)
    if notes:
        parts.append("\n".join(notes))
    return "\n\n".join(parts) + "\n"


def heading(results: Results) -> str:
    """Where, when and with what."""
    machine = results.machine
    versions = machine["versions"]
    assert isinstance(versions, dict)
    return (
        f"{machine['date']}, {machine['cores']} cores ({machine['processor']}), "
        f"Linux {machine['kernel']}, TCP {machine['tcp']}; "
        f"{machine['rounds']} round(s) of {machine['seconds']:g} s; "
        f"{'; '.join(str(version) for version in versions.values())}.\n"
        f"Medians (least..most); **ratios to {REFERENCE} in the same round**."
    )


def _table(results: Results, scenarios: list[Scenario]) -> str | None:
    rows = [
        (scenario, name, row)
        for scenario in scenarios
        for name in scenario.measures
        if (row := results.row(scenario.name, name))
    ]
    if not rows:
        return None
    poolers = [name for name in results.poolers if any(name in row for _, _, row in rows)]
    lines = [
        f"| | | {' | '.join(poolers)} | goal |",
        "|---|---|" + "---|" * (len(poolers) + 1),
    ]
    shown = ""
    for scenario, name, row in rows:
        title = scenario.title if scenario.title != shown else ""
        shown = scenario.title
        cells = [cell_text(name, pooler, row) for pooler in poolers]
        goal = goal_text(scenario.name, name, row)
        lines.append(f"| {title} | {MEASURES[name].title} | {' | '.join(cells)} | {goal} |")
    return "\n".join(lines)


def cell_text(measure: str, pooler: str, row: Row) -> str:
    """Median, spread and ratio of one pooler."""
    cell = row.get(pooler)
    if cell is None:
        return "–"
    spread = cell.spread()
    if spread is None:
        return "hangs" if (cell.error or "").startswith("hangs") else "failed"
    digits = MEASURES[measure].digits
    text = f"{spread.middle:,.{digits}f}"
    if spread.low != spread.high:
        text += f" ({spread.low:,.{digits}f}..{spread.high:,.{digits}f})"
    ratio = cell.ratio_to(reference(row)) if pooler != REFERENCE else None
    if ratio:
        text += f" **{ratio.middle:.2f}**"
        if ratio.low != ratio.high:
            text += f" ({ratio.low:.2f}..{ratio.high:.2f})"
    return text


def goal_text(scenario: str, measure: str, row: Row) -> str:
    """The bounds, and whether they are met."""
    better = MEASURES[measure].better
    parts = []
    for goal in GOALS.get((scenario, measure), []):
        met = _verdict(row.get(OURS), row, goal, MEASURES[measure])
        parts.append(f"{bound(goal, better)}{met}")
    return ", ".join(parts)


def _verdict(ours: Cell | None, row: Row, goal: Goal, measure: Measure) -> str:
    spread = ours.spread() if ours else None
    if ours is None or spread is None:
        return ""
    ratio = ours.ratio_to(reference(row))
    met = is_met(goal, measure.better, spread.middle, ratio.middle if ratio else None)
    return {True: " ✓", False: " ✗", None: ""}[met]


def _notes(results: Results) -> list[str]:
    notes = [
        f"* {pooler}, {scenario}: {error.splitlines()[0] if error else 'failed'}"
        for scenario, pooler, error in results.errors()
    ]
    cores = results.machine["cores"]
    if results.row("two-workers", "two_workers_cpu"):
        if not results.row("two-workers", "two_workers_tps"):
            notes.append(
                f"* Two workers: {cores} cores are too few to say how throughput grows "
                "(4 are needed); the processor time of a transaction is compared instead."
            )
        elif results.saturated("two-workers", SATURATED):
            notes.append("* Two workers: the clients' core was full; the pooler could do more.")
    return notes


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
