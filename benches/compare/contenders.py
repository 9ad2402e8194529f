"""The poolers that take part, and how they are started for one setup."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from goals import OURS
from machine import Missing, version
from processes import Child, Failed, Stage, free_port
from recipes import RECIPES, Certificate, Login, Service


@dataclass(frozen=True)
class Contender:
    """A pooler on this machine."""

    name: str
    program: str
    version: str


def find(paths: dict[str, str | None], only: set[str] | None) -> list[Contender]:
    """Those that a path was given for, and those on PATH; `only` leaves others out."""
    found = []
    for name in RECIPES:
        given = paths.get(name)
        if only is not None and name not in only:
            continue
        program = shutil.which(given or name)
        if program:
            found.append(Contender(name, program, version(program)))
        elif given:
            raise Missing(f"--{name.replace('_', '-')}: {given} is no program.")
        elif only is not None:
            raise Missing(f"{name} is not on PATH; install it, or name it by option.")
    if OURS not in (contender.name for contender in found):
        raise Missing("pgweir itself has to take part.")
    return found


@dataclass
class Running:
    """A pooler that serves."""

    contender: Contender
    service: Service
    child: Child

    @property
    def port(self) -> int:
        """Where clients connect."""
        return self.service.port

    @property
    def pid(self) -> int:
        """Whose time and memory count."""
        return self.child.pid


@dataclass(frozen=True)
class Setup:
    """What is the same for all poolers of some scenarios."""

    backend: int
    login: Login
    password: str
    verifier: str
    workers: int
    tls: Certificate | None = None
    packet_buffer: int | None = None
    metrics: int | None = None
    counted: bool = True
    on: Sequence[int] = ()


def start(stage: Stage, contender: Contender, setup: Setup) -> Running:
    """Starts a pooler and waits until it takes connections."""
    directory = stage.folder(contender.name)
    service = Service(
        port=free_port(),
        backend=setup.backend,
        workers=setup.workers,
        login=setup.login,
        password=setup.password,
        verifier=setup.verifier,
        directory=directory,
        tls=setup.tls,
        packet_buffer=setup.packet_buffer,
        metrics=setup.metrics,
        counted=setup.counted,
    )
    recipe = RECIPES[contender.name](service)
    for name, text in recipe.files.items():
        stage.write(directory / name, text)
    program = contender.program
    if contender.name == OURS:
        program = stage.executable(program)
    command = [program, *recipe.arguments]
    child = stage.start(contender.name, command, cwd=directory, on=setup.on)
    try:
        child.wait_for_port(service.port)
    except Failed:
        stage.stop(child)
        raise
    return Running(contender, service, child)
