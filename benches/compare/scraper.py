"""Asks for `/metrics` again and again, as many monitoring systems together would."""

from __future__ import annotations

from collections.abc import Sequence

from clients import Clients, LoadRun
from processes import Failed

# So many times a second.
RATE = 100
# What a machine that is busy with the queries must at least be asked, of what it should be.
ENOUGH = 0.7
PATIENCE = 10.0


class Scraper:
    """Scrapes over one connection, with a program of its own, as long as it is entered."""

    def __init__(self, clients: Clients, port: int, on: Sequence[int] = ()) -> None:
        arguments = ["scrape", "--port", str(port), "--rate", str(RATE)]
        self._run = LoadRun(clients.load, "", arguments, on)

    def __enter__(self) -> Scraper:
        self._run.line(PATIENCE)
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        with self._run:
            self._run.end()
            if failed:
                return
            found = self._run.outcome(PATIENCE)
        answers, seconds = found["answers"], found["seconds"]
        if answers < ENOUGH * RATE * seconds:
            raise Failed(f"/metrics answered {answers} times in {seconds:.1f} s only")
