"""Starts programs in a temporary directory and ends each of them by its process id."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from machine import Account

# Longest wait for a program to answer on its port, and to end when it is asked to.
START_SECONDS = 20.0
STOP_SECONDS = 5.0


class Failed(Exception):
    """A program did not do what it was started for."""


class Hangs(Failed):
    """A program did not end in its time."""


class Child:
    """A program that runs until it is stopped."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.process = process
        self.log = log

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def wait_for_port(self, port: int) -> None:
        """Waits until it takes connections."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.is_running():
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise Failed(f"{self.name} does not take connections: {self.last_words()}")

    def last_words(self) -> str:
        """The end of what it wrote."""
        text = self.log.read_text(encoding="utf-8", errors="replace").strip()
        return text[-500:] or "it wrote nothing"

    def stop(self, how: int = signal.SIGTERM) -> None:
        """Ends it and its children: kindly, and after some seconds not."""
        if self.is_running():
            self.process.send_signal(how)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                # It leads a process group of its own, so this reaches no one else.
                os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()


class Stage:
    """A temporary directory and the programs that run in it; both are gone after the `with`."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.children: list[Child] = []
        self.directory = Path(tempfile.mkdtemp(prefix="pgweir-compare-"))
        self.own(self.directory)
        self.directory.chmod(0o755)

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # An impatient second Ctrl-C must not leave servers behind.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        for child in reversed(self.children):
            child.stop(signal.SIGINT if child.name == "postgres" else signal.SIGTERM)
        shutil.rmtree(self.directory, ignore_errors=True)

    def own(self, path: Path) -> None:
        """Gives a file to the account that runs the servers."""
        if self.account.uid is not None and self.account.gid is not None:
            os.chown(path, self.account.uid, self.account.gid)

    def folder(self, name: str) -> Path:
        """An empty directory for one program."""
        path = self.directory / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(mode=0o755)
        self.own(path)
        return path

    def write(self, path: Path, text: str) -> Path:
        """A file that only the account of the servers reads: it may have a password."""
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        self.own(path)
        return path

    def executable(self, program: str) -> str:
        """A copy of a program where the account of the servers can reach it."""
        if self.account.uid is None:
            return program
        folder = self.directory / "programs"
        folder.mkdir(mode=0o755, exist_ok=True)
        copy = folder / Path(program).name
        if not copy.exists():
            shutil.copy(program, copy)
            copy.chmod(0o755)
        return str(copy)

    def run(self, command: Sequence[str], cwd: Path) -> None:
        """Runs a program as the account of the servers, to its end."""
        done = subprocess.run(
            command,
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            user=self.account.uid,
            group=self.account.gid,
            extra_groups=self.account.groups,
        )
        if done.returncode != 0:
            raise Failed(f"{command[0]}: {(done.stderr or done.stdout).strip()[-500:]}")

    def start(self, name: str, command: Sequence[str], cwd: Path, on: Sequence[int] = ()) -> Child:
        """Starts a program as the account of the servers, on the given cores or on all."""
        log = cwd / "output.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, on) if on else None,
                user=self.account.uid,
                group=self.account.gid,
                extra_groups=self.account.groups,
            )
        child = Child(name, process, log)
        self.children.append(child)
        return child

    def stop(self, child: Child) -> None:
        """Ends a program before the stage ends."""
        child.stop()
        self.children.remove(child)


def free_port() -> int:
    """A port of the loopback interface that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
