"""What is asked, what numbers look like, and that every panel is drawn as it says."""

from __future__ import annotations

import json
import unittest
import xml.etree.ElementTree as ElementTree
from typing import Any

from drawing import lines, pieces, stacked, state
from paper import Box, Series, Span
from picture import DASHBOARD, answers, chosen, expression, named, picture
from scale import shown, ticks
from tables import cells

SPAN = Span(1_700_000_000.0, 1_700_000_480.0, 5.0)
SCRAPE = 5.0
PICTURES = [DASHBOARD.with_name(name) for name in ("overview.svg", "dashboard.svg")]


def dashboard() -> dict[str, Any]:
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))


def words(svg: str) -> list[str]:
    """The texts of a picture, which has to be well-formed."""
    root = ElementTree.fromstring(svg)
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


class Prometheus:
    """Answers every question with two series, and keeps the questions."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []

    def __call__(self, path: str, parameters: dict[str, str]) -> list[dict[str, Any]]:
        self.asked.append((path, parameters))
        found: list[dict[str, Any]] = []
        for number, bound in enumerate(("0.001", "+Inf"), 1):
            labels = {"database": "shop", "user": f"u<{number}>", "le": bound, "role": "primary"}
            if path == "query":
                found.append({"metric": labels, "value": [SPAN.end, str(number)]})
                continue
            start, step = float(parameters["start"]), float(parameters["step"])
            values = [[start + step * at, str(number * at)] for at in range(90)]
            found.append({"metric": labels, "values": values})
        return found


class Questions(unittest.TestCase):
    def test_no_variable_is_left_in_a_question(self) -> None:
        prometheus = Prometheus()
        panels = dashboard()["panels"]
        picture(prometheus, panels, SPAN, SCRAPE)
        self.assertEqual(
            len(prometheus.asked), sum(len(panel.get("targets", [])) for panel in panels)
        )
        for _, parameters in prometheus.asked:
            self.assertNotIn("$", parameters["query"])

    def test_an_interval_is_as_long_as_grafanas(self) -> None:
        question = {"expr": 'rate(a{user=~"$user"}[$__rate_interval])'}
        self.assertEqual(expression(question, 20.0), 'rate(a{user=~".*"}[20s])')

    def test_a_legend_has_its_labels(self) -> None:
        labels = {"user": "u", "database": "d"}
        self.assertEqual(named("{{user}} on {{ database }}", labels), "u on d")
        self.assertEqual(named(None, {}), "value")

    def test_what_is_no_number_is_not_drawn(self) -> None:
        def ask(_path: str, _parameters: dict[str, str]) -> list[dict[str, Any]]:
            return [
                {"metric": {}, "values": [[1, "NaN"], [2, "3"], [3, "+Inf"]]},
                {"metric": {"user": "u"}, "values": [[1, "NaN"]]},
            ]

        panel = {"targets": [{"refId": "A", "expr": "a"}]}
        found = list(answers(ask, panel, SPAN, 20.0))
        self.assertEqual([one.points for one in found], [[(2.0, 3.0)]])


class Pictures(unittest.TestCase):
    def test_every_panel_is_there_with_its_title_and_its_legend(self) -> None:
        found = words(picture(Prometheus(), dashboard()["panels"], SPAN, SCRAPE))
        for panel in dashboard()["panels"]:
            self.assertIn(panel["title"], found)
        self.assertIn("u<1> on shop", found)
        self.assertNotIn("nothing", found)

    def test_panels_without_an_answer_say_so(self) -> None:
        panels = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]
        found = words(picture(lambda _path, _parameters: [], panels, SPAN, SCRAPE))
        self.assertEqual(found.count("nothing"), len(panels))

    def test_the_first_rows_can_be_chosen(self) -> None:
        first = chosen(dashboard(), 1)
        self.assertEqual([panel["type"] for panel in first].count("row"), 1)
        self.assertLess(max(panel["gridPos"]["y"] for panel in first), 21)

    def test_those_in_the_repository_have_all_panels_filled_and_are_not_large(self) -> None:
        for path in PICTURES:
            svg = path.read_text(encoding="utf-8")
            self.assertLess(len(svg), 300_000, path)
            self.assertIn("Wait in the pool", words(svg))
            self.assertNotIn("nothing", words(svg))


class Numbers(unittest.TestCase):
    def test_numbers_are_written_as_people_do(self) -> None:
        for value, unit, expected in (
            (0.0, "s", "0 s"),
            (0.0000634, "s", "63.4 µs"),
            (0.25, "s", "250 ms"),
            (1.5, "s", "1.5 s"),
            (90.0, "s", "90 s"),
            (7776000.0, "s", "90 d"),
            (0.225, "percentunit", "22.5 %"),
            (1024.0 * 1536, "bytes", "1.5 MiB"),
            (320_000.0, "Bps", "320 kB/s"),
            (0.5, "ops", "0.5/s"),
            (1234.0, "ops", "1.23 k/s"),
            (12345.0, "short", "12.3 k"),
            (7.0, None, "7"),
        ):
            self.assertEqual(shown(value, unit), expected)

    def test_an_axis_has_few_round_numbers_and_reaches_the_highest(self) -> None:
        for highest in (0.00007, 0.3, 1.0, 3.0, 42.0, 99.0, 730.0, 5e9):
            for unit in ("short", "bytes"):
                found = ticks(highest, unit)
                self.assertGreaterEqual(found[-1], highest * 0.999)
                self.assertTrue(3 <= len(found) <= 9, (highest, unit, found))
        self.assertEqual(ticks(42.0, "short"), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0])

    def test_a_threshold_counts_from_its_value_on(self) -> None:
        steps = [{"color": "green", "value": None}, {"color": "red", "value": 1}]
        panel = {"fieldConfig": {"defaults": {"thresholds": {"steps": steps}}}}
        colours = [state(panel, [Series("", {}, [(0.0, value)])]) for value in (0.0, 0.9, 1.0)]
        self.assertEqual(colours[0], colours[1])
        self.assertNotEqual(colours[1], colours[2])


class Lines(unittest.TestCase):
    def test_a_line_is_cut_where_values_are_missing(self) -> None:
        points = [(0.0, 1.0), (5.0, 1.0), (20.0, 1.0), (25.0, 1.0)]
        self.assertEqual([len(part) for part in pieces(points, 5.0)], [2, 2])

    def test_areas_stand_on_each_other(self) -> None:
        lower = Series("a", {}, [(0.0, 1.0), (5.0, 2.0)])
        upper = Series("b", {}, [(5.0, 10.0)])
        self.assertEqual(stacked([lower, upper])[1].points, [(5.0, 12.0)])

    def test_the_highest_value_is_within_its_panel(self) -> None:
        panel = {"fieldConfig": {"defaults": {"unit": "short"}}}
        points = [(SPAN.start + 5.0 * at, float(at)) for at in range(90)]
        drawn = "".join(lines(panel, [Series("a", {}, points)], Box(0, 0, 400, 200), SPAN))
        root = ElementTree.fromstring(f"<svg>{drawn}</svg>")
        line = root.find("polyline")
        assert line is not None
        heights = [float(point.split(",")[1]) for point in line.attrib["points"].split()]
        self.assertTrue(0 < min(heights) < max(heights) < 200)

    def test_rows_of_a_table_are_merged_and_sorted_as_the_panel_says(self) -> None:
        panel = next(panel for panel in dashboard()["panels"] if panel["type"] == "table")
        shop, billing = ({"database": name, "user": "u"} for name in ("shop", "billing"))
        series = [
            Series("", shop, [(0.0, 3.0)], "A"),
            Series("", shop, [(0.0, 0.1)], "B"),
            Series("", billing, [(0.0, 2.5)], "B"),
        ]
        columns, rows = cells(panel, series)
        self.assertEqual(columns[:4], ["database", "user", "Waiting", "Oldest wait"])
        self.assertEqual([row[:4] for row in rows], [
            ["billing", "u", "", "2.5 s"],
            ["shop", "u", "3", "100 ms"],
        ])


if __name__ == "__main__":
    unittest.main()
