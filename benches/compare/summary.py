"""From records to medians and ratios. Pure: no files, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from goals import REFERENCE

Record = Mapping[str, object]


@dataclass(frozen=True)
class Spread:
    """Median, least and most of some numbers."""

    middle: float
    low: float
    high: float

    @staticmethod
    def of(numbers: Iterable[float]) -> Spread | None:
        """Of these; `None` where there are none."""
        found = sorted(numbers)
        return Spread(median(found), found[0], found[-1]) if found else None


@dataclass(frozen=True)
class Cell:
    """One pooler in one row."""

    # By round.
    values: Mapping[int, float]
    error: str | None = None

    def spread(self) -> Spread | None:
        """Of its values."""
        return Spread.of(self.values.values())

    def ratio_to(self, other: Cell | None) -> Spread | None:
        """Of its ratios to another pooler, each taken within one round."""
        theirs = other.values if other else {}
        return Spread.of(
            value / theirs[number] for number, value in self.values.items() if theirs.get(number)
        )


# By pooler.
Row = dict[str, Cell]


class Results:
    """All records, found again by scenario, measure and pooler."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.machine: Record = {}
        self.poolers: list[str] = []
        self._samples: dict[tuple[str, str], dict[int, Record]] = {}
        self._errors: dict[tuple[str, str], str] = {}
        for record in records:
            if record["kind"] == "machine":
                self._begin(record)
            else:
                self._take(record)

    def _begin(self, record: Record) -> None:
        self.machine = record
        versions = record["versions"]
        assert isinstance(versions, dict)
        self.poolers = [name for name in versions if name != "postgres"]

    def _take(self, record: Record) -> None:
        key = (str(record["scenario"]), str(record["pooler"]))
        sample, number = record.get("sample"), record["round"]
        assert isinstance(number, int)
        if isinstance(sample, dict):
            self._samples.setdefault(key, {})[number] = sample
        else:
            self._errors[key] = str(record["error"])

    def row(self, scenario: str, measure: str) -> Row:
        """The poolers that have something to show."""
        row: Row = {}
        for pooler in self.poolers:
            key = (scenario, pooler)
            samples = self._samples.get(key, {})
            values = {
                number: float(str(sample[measure]))
                for number, sample in samples.items()
                if measure in sample
            }
            if values or (key in self._errors and not samples):
                row[pooler] = Cell(values, self._errors.get(key))
        return row

    def errors(self) -> list[tuple[str, str, str]]:
        """Scenario, pooler and what went wrong, the last time that it did."""
        return [(*key, error) for key, error in self._errors.items()]

    def failed(self, pooler: str) -> bool:
        """Whether some run of a pooler went wrong."""
        return any(name == pooler for _, name in self._errors)

    def saturated(self, scenario: str, limit: float) -> bool:
        """Whether the clients themselves were the limit in some run."""
        return any(
            float(str(sample.get("generator_busy", 0))) > limit
            for (name, _), samples in self._samples.items()
            if name == scenario
            for sample in samples.values()
        )


def reference(row: Row) -> Cell | None:
    """PgBouncer's cell."""
    return row.get(REFERENCE)
