"""Asks for `/metrics` again and again, as many monitoring systems together would."""

from __future__ import annotations

import http.client
import threading
import time

from processes import Failed

# So many times a second.
RATE = 100
# What a machine that is busy with the queries must at least be asked, of what it should be.
ENOUGH = 0.7
PATIENCE = 10.0


class Scraper:
    """Scrapes over one connection, in a thread of its own, as long as it is entered."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers = 0
        self.failure: Exception | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._began = 0.0

    def __enter__(self) -> Scraper:
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        seconds = time.monotonic() - self._began
        self._over.set()
        self._thread.join(2 * PATIENCE)
        if failed is None:
            self._check(seconds)

    def _check(self, seconds: float) -> None:
        if self.failure:
            raise Failed(f"/metrics: {self.failure}")
        if self.answers < ENOUGH * RATE * seconds:
            raise Failed(f"/metrics answered {self.answers} times in {seconds:.1f} s only")

    def _work(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        due = time.monotonic()
        try:
            while not self._over.wait(max(0.0, due - time.monotonic())):
                due += 1 / RATE
                connection.request("GET", "/metrics")
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200 or b"pgweir_" not in body:
                    raise Failed(f"status {answer.status}, {len(body)} bytes")
                self.answers += 1
        except (OSError, http.client.HTTPException, Failed) as error:
            self.failure = error
        finally:
            connection.close()
