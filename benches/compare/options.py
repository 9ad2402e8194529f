"""The command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench import Sizes
from recipes import RECIPES
from scenarios import SCENARIOS

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "target" / "compare" / "results.jsonl"

EPILOG = """\
Without options: all scenarios, three rounds, with pgweir and every pooler that is on PATH. That
takes some ten minutes a pooler; --quick takes less than half a minute for each and proves nothing
but that it works. On a machine that does other things only the ratios mean something.
"""


def parse() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        prog="benches/compare/run",
        description="Compares connection poolers for PostgreSQL on this machine.",
        epilog=EPILOG,
    )
    parser.add_argument("--scenarios", metavar="A,B", help="only these (see --list)")
    parser.add_argument("--list", action="store_true", help="print the scenarios and end")
    parser.add_argument("--only", metavar="A,B", help="only these poolers")
    parser.add_argument("--rounds", type=int, metavar="N", help="default 3")
    parser.add_argument("--seconds", type=float, metavar="S", help="of each run, default 5")
    parser.add_argument("--quick", action="store_true", help="one short round of everything")
    parser.add_argument(
        "--out",
        type=Path,
        default=RESULTS,
        metavar="FILE",
        help="where results go, default target/compare/results.jsonl; a picture lies beside it",
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="run nothing, print the tables of these results"
    )
    parser.add_argument(
        "--soak",
        type=float,
        metavar="MINUTES",
        help="instead: mixed load with cancels and kills; is memory flat, are the answers right?",
    )
    for name in RECIPES:
        option = f"--{name.replace('_', '-')}"
        built = ", default target/release/pgweir, built if it is missing"
        parser.add_argument(
            option,
            dest=name,
            metavar="PATH",
            help=f"the program{built if name == 'pgweir' else ', default: from PATH'}",
        )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="threads of those poolers that have them, with real PostgreSQL; "
        "default: one for each core, one where there are two",
    )
    parser.add_argument("--scale", type=int, metavar="N", help="of pgbench, default 10")
    parser.add_argument("--clients-idle", type=int, metavar="N", help="default 10,000")
    parser.add_argument("--pg-bin", metavar="DIRECTORY", help="programs of PostgreSQL")
    parser.add_argument("--user", help="who runs the servers when this is run by root")
    options = parser.parse_args()
    known = {scenario.name for scenario in SCENARIOS}
    unknown = set((options.scenarios or "").split(",")) - known - {""}
    if unknown:
        parser.error(f"no scenario {', '.join(sorted(unknown))}; see --list")
    return options


def sizes(options: argparse.Namespace, cores: int, files_max: int) -> Sizes:
    """How much of everything: as asked, else by `--quick`."""
    quick = options.quick

    def choose(asked: float | None, usual: float, short: float) -> float:
        return asked if asked is not None else (short if quick else usual)

    # A pooler needs a file for each client and some more.
    room = max(100, files_max - 1000)
    return Sizes(
        rounds=max(1, int(choose(options.rounds, 3, 1))),
        seconds=choose(options.seconds, 5.0, 0.5),
        scale=int(choose(options.scale, 10, 1)),
        copy_rows=20_000 if quick else 1_000_000,
        idle_clients=min(room, int(choose(options.clients_idle, 10_000, 500))),
        hang_seconds=3.0 if quick else 15.0,
        patience=20.0 if quick else 75.0,
        # As pgweir itself chooses.
        workers=options.workers or (cores if cores > 2 else 1),
    )
