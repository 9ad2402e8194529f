"""Configurations, pgbench's output, the trend of memory, and the clocks."""

from __future__ import annotations

import os
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import soak
from clients import logged_latencies, pgbench_sample
from measure import cpu_seconds, family, rss_kb
from processes import Failed
from recipes import RECIPES, Certificate, Login, Service

try:
    import tomllib
except ImportError:  # Python before 3.11.
    tomllib = None  # type: ignore[assignment]

SERVICE = Service(
    port=7001,
    backend=7002,
    workers=3,
    login=Login.SCRAM,
    password="secret",
    verifier="SCRAM-SHA-256$4096:a$b:c",
    directory=Path("/nowhere"),
)
TLS = Certificate(Path("/nowhere/certificate.pem"), Path("/nowhere/key.pem"))

PGBENCH = """pgbench (15.18)
number of transactions actually processed: 1000
number of failed transactions: 0 (0.000%)
latency average = 1.000 ms
initial connection time = 2.500 ms
tps = 2000.500000 (without initial connection time)
"""


class Recipes(unittest.TestCase):
    def test_every_pooler_is_told_ports_pool_and_password(self) -> None:
        for name, recipe in RECIPES.items():
            text = "".join(recipe(SERVICE).files.values())
            for word in ("7001", "7002", "20", "secret"):
                self.assertIn(word, text, name)

    def test_every_pooler_is_told_how_clients_log_in(self) -> None:
        for name, recipe in RECIPES.items():
            trust = recipe(replace(SERVICE, login=Login.TRUST)).files
            self.assertNotEqual(trust, recipe(SERVICE).files, name)

    def test_every_pooler_is_given_the_certificate_only_when_there_is_one(self) -> None:
        for name, recipe in RECIPES.items():
            self.assertNotIn("key.pem", "".join(recipe(SERVICE).files.values()), name)
            text = "".join(recipe(replace(SERVICE, tls=TLS)).files.values())
            self.assertIn("/nowhere/key.pem", text, name)
            self.assertIn("/nowhere/certificate.pem", text, name)

    def test_the_packet_buffer_is_pgbouncers_alone(self) -> None:
        wide = replace(SERVICE, packet_buffer=65536)
        for name, recipe in RECIPES.items():
            text = "".join(recipe(wide).files.values())
            self.assertEqual("pkt_buf = 65536" in text, name == "pgbouncer", name)

    def test_every_file_that_is_named_as_an_argument_is_written(self) -> None:
        for name, recipe in RECIPES.items():
            made = recipe(SERVICE)
            named = {word for word in made.arguments if "." in word}
            self.assertTrue(named and named <= set(made.files), name)

    @unittest.skipIf(tomllib is None, "no parser for TOML in this Python")
    def test_toml_is_toml(self) -> None:
        for recipe in RECIPES.values():
            for service in (SERVICE, replace(SERVICE, tls=TLS, login=Login.TRUST)):
                for name, text in recipe(service).files.items():
                    if name.endswith(".toml"):
                        self.assertTrue(tomllib.loads(text), name)


class Pgbench(unittest.TestCase):
    def test_speed_cost_and_percentiles_are_found(self) -> None:
        latencies = [float(number) for number in range(1, 101)]
        self.assertEqual(
            pgbench_sample(PGBENCH, latencies, cpu=0.02),
            {"tps": 2000.5, "cpu_us": 20.0, "p50_us": 51.0, "p99_us": 100.0},
        )

    def test_a_run_without_a_transaction_or_with_a_lost_client_fails(self) -> None:
        none = PGBENCH.replace("processed: 1000", "processed: 0")
        lost = "pgbench: error: client 3 aborted in command 1\n" + PGBENCH
        for output, words in ((none, "no transaction"), (lost, "client 3"), ("", "no transaction")):
            with self.assertRaisesRegex(Failed, words):
                pgbench_sample(output, [], cpu=0.0)

    def test_its_log_gives_sorted_latencies_without_a_torn_line(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory)
            (path / "l.1").write_text("0 1 900 0 17 5\n0 2 300 0 17 6\n0 3 4\n", encoding="ascii")
            (path / "l.1.1").write_text("1 1 500 0 17 5\n", encoding="ascii")
            self.assertEqual(logged_latencies(path), [300.0, 500.0, 900.0])


class Memory(unittest.TestCase):
    def test_what_grew_only_at_the_start_is_flat(self) -> None:
        samples = [(float(at), min(at, 40) * 1000.0) for at in range(100)]
        found = soak.trend(samples)
        assert found
        self.assertTrue(found.is_flat())
        self.assertAlmostEqual(found.growth_kb, 0.0)

    def test_what_never_stops_growing_is_not(self) -> None:
        found = soak.trend([(float(at), 10_000.0 + at * 100.0) for at in range(100)])
        assert found
        self.assertFalse(found.is_flat())
        self.assertAlmostEqual(found.growth_kb, 4900.0)

    def test_too_few_samples_say_nothing(self) -> None:
        self.assertIsNone(soak.trend([]))
        self.assertIsNone(soak.trend([(0.0, 1.0), (1.0, 1.0)]))


class Clocks(unittest.TestCase):
    def test_the_time_of_a_process_grows_with_what_it_does(self) -> None:
        before = cpu_seconds(os.getpid())
        while cpu_seconds(os.getpid()) < before + 0.01:
            sum(range(10_000))
        times = os.times()
        self.assertAlmostEqual(cpu_seconds(os.getpid()), times.user + times.system, delta=0.05)

    def test_a_process_that_is_gone_has_used_nothing(self) -> None:
        child = os.spawnlp(os.P_NOWAIT, "true", "true")
        os.waitpid(child, 0)
        self.assertEqual((cpu_seconds(child), rss_kb(child)), (0.0, 0))

    def test_this_process_has_memory_and_is_its_own_family(self) -> None:
        self.assertIn(os.getpid(), family(os.getpid()))
        self.assertGreater(rss_kb(os.getpid()), 1000)


if __name__ == "__main__":
    unittest.main()
