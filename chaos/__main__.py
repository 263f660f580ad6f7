"""`python -m chaos`: one run of the service under faults; the status is 1 when anything happened that must not."""

from __future__ import annotations

import random
import signal
import sys
import tempfile
from argparse import ArgumentParser
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.database import postgresql
from chaos.disk import own_disk
from chaos.plan import FAULTS, OF_BROKER, OF_DISK, OF_SERVER, make_plan
from chaos.report import figures, rows, verdict, verdict_lines
from chaos.run import Run

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the figures, and judge."""
    asked = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything started is ended
    seed = random.randrange(2**32) if asked.seed is None else asked.seed
    print(f"python -m chaos --seed {seed} --seconds {asked.seconds:g} --operations {asked.operations}", flush=True)
    if asked.keep:
        asked.keep.mkdir(parents=True)
        return _judged(asked, seed, asked.keep.absolute())
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        return _judged(asked, seed, Path(name))


def _judged(asked: Namespace, seed: int, folder: Path) -> int:
    on_server = asked.database == "postgresql"
    with own_disk(folder, keep=asked.keep is not None) as disk, postgresql() if on_server else nullcontext() as server:
        left_out = (frozenset() if disk and not server else OF_DISK) | (frozenset() if server else OF_SERVER)
        left_out |= OF_BROKER if asked.broker else frozenset()
        kinds = [kind for kind in asked.only or FAULTS if kind not in left_out]
        plan = make_plan(seed, asked.seconds, asked.operations, kinds)
        course = Run(plan, folder, database=server, broker_url=asked.broker, disk=disk).go()
    cases = verdict(course)
    print(*figures(course), "", *verdict_lines(cases), *rows(course.told), sep="\n", flush=True)
    return 1 if any(cases.values()) else 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m chaos", description="Run the service under faults, and judge what it did.")
    parser.add_argument("--seconds", type=float, default=180.0, help="how long it takes, coming to an end included")
    parser.add_argument("--operations", type=int, default=2000, help="how many operations are started")
    parser.add_argument("--seed", type=int, help="chooses operations, wishes and faults; printed when it is not given")
    parser.add_argument(
        "--database", default="sqlite", choices=("sqlite", "postgresql"), help="a file, or a server of the run's own"
    )
    parser.add_argument("--broker", metavar="URL", help="a broker that runs already, and is left alone: amqp://…")
    parser.add_argument("--only", action="append", choices=FAULTS, help="a fault that may happen, once for each")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep all files of the run in this new folder")
    return parser


if __name__ == "__main__":
    sys.exit(main())
