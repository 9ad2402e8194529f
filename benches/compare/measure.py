"""Reads what a program has used: processor time and memory, with all its threads and children."""

from __future__ import annotations

import os
import time
from pathlib import Path


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            children = Path(f"/proc/{pid}/task/{task}/children").read_text(encoding="ascii")
            for child in children.split():
                found += family(int(child))
    except OSError:
        pass  # It ended while we looked.
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its descendants.

    It is `utime` + `stime` of `/proc/PID/stat`, read from the process's own clock, which counts in
    nanoseconds and not in hundredths of a second.
    """
    return sum(_cpu_of_one(member) for member in family(pid))


def _cpu_of_one(pid: int) -> float:
    try:
        # The clock of a process has its id in the upper bits, negated; 2 is "scheduler's time".
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        pass
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_kb(pid: int) -> int:
    """Resident memory of a process and its descendants."""
    return sum(_rss_of_one(member) for member in family(pid))


def _rss_of_one(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


class Stopwatch:
    """Processor time that a process uses between `start` and `stop`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.began = 0.0
        self.used = 0.0

    def start(self) -> None:
        """Begins to count."""
        self.began = cpu_seconds(self.pid)

    def stop(self) -> None:
        """Ends counting."""
        self.used = cpu_seconds(self.pid) - self.began
