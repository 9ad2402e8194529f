"""The machine and what is installed on it: cores, programs, limits, the account for servers."""

from __future__ import annotations

import os
import platform
import pwd
import resource
import shutil
import subprocess
from dataclasses import dataclass
from glob import glob
from pathlib import Path

# Accounts that root steps down to, best first: PostgreSQL and pgweir do not run as root.
UNPRIVILEGED = ("postgres", "nobody")
# Programs of PostgreSQL that are needed.
PROGRAMS = ("initdb", "postgres", "psql", "pgbench")


class Missing(Exception):
    """Something is not there; the text says what to install or to give."""


@dataclass(frozen=True)
class Account:
    """Who runs the servers; without an id: whoever runs this."""

    uid: int | None = None
    gid: int | None = None

    @property
    def groups(self) -> list[int] | None:
        """Its other groups: none, lest it keeps root's."""
        return None if self.uid is None else []


def account(wanted: str | None) -> Account:
    """The account asked for; else ourselves, or an unprivileged one when we are root."""
    if os.geteuid() != 0:
        return Account()
    for name in [wanted] if wanted else UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid)
    raise Missing(
        "Servers do not run as root, and there is no other account to run them as. "
        "Name one with --user, or run this as an ordinary user."
    )


def cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


def raise_file_limit() -> int:
    """Allows as many open files as may be had; poolers and clients inherit it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY:
        hard = 1 << 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def postgres_programs(wanted: str | None) -> dict[str, str]:
    """Where initdb and the others are: the directory asked for, the newest one, or PATH."""
    named = wanted or os.environ.get("PGWEIR_PG_BIN")
    versions = glob("/usr/lib/postgresql/*/bin")
    newest = sorted(versions, key=lambda place: float(place.split("/")[4]), reverse=True)
    for place in [named] if named else [*newest, os.environ.get("PATH", "")]:
        found = {name: shutil.which(name, path=place) for name in PROGRAMS}
        if all(found.values()):
            return {name: str(path) for name, path in found.items()}
    raise Missing(
        f"PostgreSQL's {', '.join(PROGRAMS)} are not {f'in {named}' if named else 'here'}. "
        "Install PostgreSQL (Debian, Ubuntu: apt-get install postgresql), or name the directory "
        "of its programs with --pg-bin."
    )


def version(program: str) -> str:
    """The first line that a program says about its version."""
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if lines else "unknown"


def describe() -> dict[str, object]:
    """What a reader of the figures has to know about the machine."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith(("model name", "Model")):
            model = line.split(":", 1)[1].strip()
            break
    control = Path("/proc/sys/net/ipv4/tcp_congestion_control")
    return {
        "cores": len(cores()),
        "processor": model,
        "kernel": platform.release(),
        "tcp": control.read_text(encoding="utf-8").strip() if control.exists() else "unknown",
    }
