"""Medians, ratios, tables and bars, from records made up here."""

from __future__ import annotations

import unittest
import xml.etree.ElementTree as ElementTree

import plot
import report
from goals import GOALS, MEASURES, Better, Goal, Of, bound, is_met
from scenarios import SCENARIOS
from summary import Cell, Record, Results, Spread

MACHINE: Record = {
    "kind": "machine",
    "date": "2026-11-22",
    "cores": 2,
    "processor": "a processor",
    "kernel": "6.1",
    "tcp": "cubic",
    "rounds": 3,
    "seconds": 5.0,
    "versions": {"pgbouncer": "PgBouncer 1.26", "pgweir": "pgweir 0.1", "postgres": "PG 15"},
}


def result(scenario: str, pooler: str, number: int, **sample: float) -> Record:
    """A run that went well."""
    return {
        "kind": "result",
        "scenario": scenario,
        "pooler": pooler,
        "round": number,
        "sample": sample,
    }


def error(scenario: str, pooler: str, text: str) -> Record:
    """A run that did not."""
    return {
        "kind": "result",
        "scenario": scenario,
        "pooler": pooler,
        "round": 0,
        "error": text,
    }


class Ratios(unittest.TestCase):
    def test_a_ratio_is_taken_within_a_round(self) -> None:
        # The machine got slower by half each round; the ratio did not change.
        theirs = Cell({0: 10.0, 1: 20.0, 2: 40.0})
        ours = Cell({0: 5.0, 1: 10.0, 2: 20.0})
        self.assertEqual(ours.ratio_to(theirs), Spread(0.5, 0.5, 0.5))

    def test_a_round_in_which_one_failed_has_no_ratio(self) -> None:
        self.assertEqual(Cell({0: 1.0, 1: 9.0}).ratio_to(Cell({0: 2.0})), Spread(0.5, 0.5, 0.5))
        self.assertIsNone(Cell({0: 1.0}).ratio_to(Cell({})))
        self.assertIsNone(Cell({0: 1.0}).ratio_to(None))

    def test_a_spread_has_median_least_and_most(self) -> None:
        self.assertEqual(Spread.of([3.0, 1.0, 2.0]), Spread(2.0, 1.0, 3.0))
        self.assertIsNone(Spread.of([]))


class Goals(unittest.TestCase):
    def test_a_bound_goes_the_way_its_measure_goes(self) -> None:
        less, more = Goal(0.8), Goal(5.0)
        self.assertTrue(is_met(less, Better.LESS, 99.0, 0.8))
        self.assertFalse(is_met(less, Better.LESS, 0.1, 0.82))
        self.assertTrue(is_met(more, Better.MORE, 0.1, 5.2))
        self.assertFalse(is_met(more, Better.MORE, 99.0, 4.9))

    def test_a_bound_of_the_value_needs_no_reference_and_one_of_the_ratio_does(self) -> None:
        self.assertFalse(is_met(Goal(2.0, None, Of.VALUE), Better.LESS, 3.0, None))
        self.assertIsNone(is_met(Goal(2.0), Better.LESS, 3.0, None))
        self.assertEqual(bound(Goal(2.0, None, Of.VALUE), Better.LESS), "≤ 2")
        self.assertEqual(bound(Goal(0.8), Better.LESS), "≤ 0.8 ×")

    def test_every_goal_is_for_a_row_of_the_table(self) -> None:
        rows = {(one.name, measure) for one in SCENARIOS for measure in one.measures}
        self.assertLessEqual(set(GOALS), rows)
        self.assertLessEqual({measure for _, measure in rows}, set(MEASURES))

    def test_scenarios_have_names_and_titles_of_their_own(self) -> None:
        self.assertEqual(len({one.name for one in SCENARIOS}), len(SCENARIOS))
        self.assertEqual(len({one.title for one in SCENARIOS}), len(SCENARIOS))


class Tables(unittest.TestCase):
    def setUp(self) -> None:
        self.records = [MACHINE]
        for number in range(3):
            self.records += [
                result("simple", "pgbouncer", number, cpu_us=20.0 + number, generator_busy=0.5),
                result("simple", "pgweir", number, cpu_us=10.0 + number / 2, generator_busy=0.5),
            ]

    def markdown(self) -> str:
        return report.markdown(Results(self.records))

    def test_a_row_has_medians_spreads_ratios_and_the_verdict(self) -> None:
        self.assertIn(
            "| simple, 64 clients | CPU µs per transaction | 21.0 (20.0..22.0) "
            "| 10.5 (10.0..11.0) **0.50** | ≤ 0.8 × ✓ |",
            self.markdown(),
        )

    def test_a_missed_goal_is_marked(self) -> None:
        self.records = [
            MACHINE,
            result("simple", "pgbouncer", 0, cpu_us=10.0),
            result("simple", "pgweir", 0, cpu_us=9.0),
        ]
        self.assertIn("**0.90** | ≤ 0.8 × ✗ |", self.markdown())

    def test_without_pgbouncer_there_are_values_and_no_ratios(self) -> None:
        self.records = [MACHINE, result("simple", "pgweir", 0, cpu_us=9.0)]
        self.assertIn("| 9.0 | ≤ 0.8 × |", self.markdown())

    def test_who_hangs_or_fails_is_named(self) -> None:
        self.records += [
            error("tpcb-prepared-200", "pgbouncer", "hangs"),
            error("select-simple", "pgbouncer", "FATAL: no\nmore"),
            result("tpcb-prepared-200", "pgweir", 0, tps=100.0),
        ]
        text = self.markdown()
        self.assertIn("| transactions/s | hangs | 100 |", text)
        self.assertIn("* pgbouncer, select-simple: FATAL: no\n", text)

    def test_few_cores_and_a_full_generator_are_told_of(self) -> None:
        self.records.append(result("two-workers", "pgweir", 0, two_workers_cpu=1.1))
        self.assertIn("2 cores are too few", self.markdown())
        self.records[-1] = result(
            "two-workers",
            "pgweir",
            0,
            two_workers_cpu=1.1,
            two_workers_tps=1.9,
            generator_busy=0.99,
        )
        text = self.markdown()
        self.assertNotIn("too few", text)
        self.assertIn("≥ 1.8 ✓", text)
        self.assertIn("the clients' core was full", text)


class Bars(unittest.TestCase):
    def setUp(self) -> None:
        self.results = Results(
            [
                MACHINE,
                result("simple", "pgbouncer", 0, cpu_us=20.0),
                result("simple", "pgweir", 0, cpu_us=10.0),
                result("large", "pgbouncer", 0, mb_s=100.0),
                result("large", "pgweir", 0, mb_s=500.0),
                error("tpcb-prepared-200", "pgbouncer", "hangs"),
                result("tpcb-prepared-200", "pgweir", 0, tps=5.0),
                result("one-client", "pgbouncer", 0, p50_us=1.0),
                result("one-client", "pgweir", 0, p50_us=90.0),
            ]
        )

    def test_a_rate_is_turned_round_so_that_less_is_better(self) -> None:
        bars = {group.title: group.bars for group in plot.groups(self.results)}
        self.assertEqual(bars["results of 1 MB, 4 clients"][1].cost, 0.2)
        self.assertEqual(bars["simple, 64 clients"][1].cost, 0.5)

    def test_nothing_is_drawn_where_pgbouncer_has_no_figure(self) -> None:
        self.assertNotIn("TPC-B", plot.text(self.results))

    def test_a_bar_beyond_the_picture_is_cut_and_says_so(self) -> None:
        self.assertIn("█… 90.00", plot.text(self.results))
        self.assertIn("90.00 (cut)", plot.svg(self.results, ""))

    def test_the_picture_is_well_formed_whatever_the_caption(self) -> None:
        root = ElementTree.fromstring(plot.svg(self.results, "a < b & c"))
        rectangles = root.findall("{http://www.w3.org/2000/svg}rect")
        # The ground, two in the legend, and a bar for each pooler of three scenarios.
        self.assertEqual(len(rectangles), 1 + 2 + 6)


if __name__ == "__main__":
    unittest.main()
