"""Runs the checks of one driver: functions marked `@check`, in the order they are written.

Called as `<script> URL MODE [NAME...]`: a database behind the pooler, the pooler's mode
(`transaction` or `session`), and optionally the names of the only checks to run. The environment
names a directory with the pooler's Unix socket (PGWEIR_TEST_SOCKETS) and the file of the authority
that signed its certificate (PGWEIR_TEST_CA).

A check fails by an exception. One that hangs ends the whole run with every thread's stack. The last
line is `N passed, N failed`.
"""

import asyncio
import faulthandler
import inspect
import os
import sys
import time
import traceback
from urllib.parse import urlsplit, urlunsplit

HANGS_AFTER_SECONDS = 60

_checks = []

URL = sys.argv[1]
MODE = sys.argv[2]
SOCKETS = os.environ.get("PGWEIR_TEST_SOCKETS", "")
CA = os.environ.get("PGWEIR_TEST_CA", "")
_parts = urlsplit(URL)
HOST, PORT = _parts.hostname, _parts.port
USER, PASSWORD = _parts.username, _parts.password
DATABASE = _parts.path.lstrip("/")


def url_of(database):
    """The same pooler and user, another database."""
    return urlunsplit(_parts._replace(path="/" + database))


def check(function=None, *, mode=None):
    """Marks a check; with `mode`, one that only makes sense in that pool mode."""

    def mark(function):
        if mode is None or mode == MODE:
            _checks.append(function)
        return function

    return mark(function) if function is not None else mark


def raises(kind, call, *arguments, containing="", **named):
    """The exception of class `kind` that the call has to raise."""
    try:
        call(*arguments, **named)
    except kind as error:
        assert containing in str(error), f"{containing!r} is not in {error!r}"
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def run():
    """Runs all checks and ends the program."""
    wanted = sys.argv[3:]
    passed = failed = 0
    for function in _checks:
        name = function.__name__
        if wanted and name not in wanted:
            continue
        faulthandler.dump_traceback_later(HANGS_AFTER_SECONDS, exit=True)
        print(f"{name} ... ", end="", flush=True)
        started = time.monotonic()
        try:
            if inspect.iscoroutinefunction(function):
                asyncio.run(function())
            else:
                function()
        except Exception:
            failed += 1
            print("FAILED", flush=True)
            traceback.print_exc(file=sys.stdout)
        else:
            passed += 1
            print(f"ok ({time.monotonic() - started:.2f} s)", flush=True)
        faulthandler.cancel_dump_traceback_later()
    print(f"{passed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed or not passed else 0)
