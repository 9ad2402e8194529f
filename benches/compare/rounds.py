"""Runs the scenarios: round by round, scenario by scenario, pooler by pooler.

The poolers of a stand are up side by side and take turns every few seconds, each round beginning
with another one. So the ratio of two poolers holds although the machine gets slower and faster.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Callable

from bench import Bench
from clients import Sample
from contenders import Contender, Running, Setup
from processes import Failed
from recipes import Certificate, Login
from scenarios import Absent, Scenario, Stand

# Takes the record of one run.
Emit = Callable[[dict[str, object]], None]
# A packet buffer with which PgBouncer does large results best.
LARGE_PACKET_BUFFER = 65536


class Rounds:
    """A whole comparison."""

    def __init__(
        self,
        bench: Bench,
        contenders: list[Contender],
        scenarios: list[Scenario],
        certificate: Certificate | None,
        emit: Emit,
    ) -> None:
        self.bench = bench
        self.contenders = contenders
        self.scenarios = scenarios
        self.certificate = certificate
        self.emit = emit

    def run(self) -> None:
        """All rounds."""
        for number in range(self.bench.sizes.rounds):
            turn = number % len(self.contenders)
            order = self.contenders[turn:] + self.contenders[:turn]
            for stand in Stand:
                wanted = [one for one in self.scenarios if one.stand is stand]
                if wanted:
                    self._stand(number, stand, wanted, order)

    def _stand(
        self, number: int, stand: Stand, scenarios: list[Scenario], order: list[Contender]
    ) -> None:
        if stand in (Stand.WORKERS, Stand.STATISTICS, Stand.MEMORY):
            for scenario in scenarios:
                for contender in order:
                    run = partial(scenario.run, self.bench, contender)
                    self._record(number, scenario, contender, run)
            return
        with self._running(number, stand, scenarios, order) as poolers:
            for scenario in scenarios:
                for pooler in poolers:
                    run = partial(scenario.run, self.bench, pooler)
                    self._record(number, scenario, pooler.contender, run)

    @contextlib.contextmanager
    def _running(
        self, number: int, stand: Stand, scenarios: list[Scenario], order: list[Contender]
    ) -> Iterator[list[Running]]:
        """The poolers of a stand; what cannot be started is recorded and left out."""
        setup, poolers = self._setup(stand), []
        try:
            for contender in order:
                try:
                    poolers.append(self.bench.start(contender, setup))
                except Failed as error:
                    for scenario in scenarios:
                        self._emit(number, scenario, contender, error=str(error))
            yield poolers
        finally:
            for pooler in poolers:
                self.bench.stop(pooler)

    def _setup(self, stand: Stand) -> Setup:
        if stand is Stand.FAKE:
            return self.bench.fake_setup()
        if stand is Stand.FAKE_64K:
            return self.bench.fake_setup(LARGE_PACKET_BUFFER)
        if stand is Stand.TLS:
            return self.bench.real_setup(Login.TRUST, self.certificate)
        if stand is Stand.SCRAM:
            return replace(self.bench.real_setup(Login.SCRAM), workers=1)
        return self.bench.real_setup(Login.TRUST)

    def _record(
        self,
        number: int,
        scenario: Scenario,
        contender: Contender,
        run: Callable[[], Sample],
    ) -> None:
        try:
            self._emit(number, scenario, contender, sample=run())
        except Absent:
            pass
        except Failed as error:
            self._emit(number, scenario, contender, error=str(error))

    def _emit(
        self, number: int, scenario: Scenario, contender: Contender, **outcome: object
    ) -> None:
        self.emit(
            {
                "kind": "result",
                "scenario": scenario.name,
                "pooler": contender.name,
                "round": number,
                **outcome,
            }
        )
