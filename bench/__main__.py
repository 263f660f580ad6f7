"""`python -m bench`: measures all figures, or those that are named, and tells each as soon as it is known."""

from __future__ import annotations

import signal
import sys
import time
import traceback
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench import (
    console,
    counting,
    graphs,
    growth,
    handling,
    inspecting,
    large,
    listing,
    notifying,
    pausing,
    recovering,
    report,
    resting,
    slicing,
    throughput,
    watching,
    web,
    widening,
)
from bench.bed import bed
from bench.machine import Elsewhere, describe
from bench.scale import FULL, QUICK

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator, Sequence

    from bench.bed import Bed
    from bench.figure import Figure

MEASURES: dict[str, Callable[[Bed], Iterator[Figure]]] = {
    "chain": throughput.chain,
    "latency": throughput.latency,
    "fan": throughput.fan,
    "flow": graphs.flow,
    "large": large.large,
    "messages": throughput.messages,
    "size": growth.size,
    "wide": widening.wide,
    "pause": pausing.pause,
    "inside": pausing.inside,
    "recover": recovering.recover,
    "rest": resting.rest,
    "slices": slicing.slices,
    "http": web.http,
    "handlers": handling.handlers,
    "list": listing.listing,
    "console": console.console,
    "inspect": inspecting.inspect,
    "count": counting.count,
    "notify": notifying.notify,
    "watch": watching.watch,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, tell, and write what was asked for; the status is 1 when something could not be measured."""
    asked = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything started is ended
    scale = QUICK if asked.quick else FULL
    with bed(replace(scale, rounds=asked.rounds or scale.rounds)) as here:
        machine = describe(here.folder, here.broker_url)
        print(*(f"{name:<10} {value}" for name, value in machine.items()), sep="\n", flush=True)
        with Elsewhere(here.broker) as elsewhere:
            figures, failed = _all(asked.figures or list(MEASURES), here)
        machine["others"] = f"kept {elsewhere.share:.0%} of the cores busy during the run"
    _write(asked, machine, figures)
    missed = [figure.what for figure in figures if figure.verdict == "MISSED"]
    print(f"\n{len(figures)} figures, {len(missed)} missed", *missed, sep="\n    ")
    print(*(f"not measured: {name}" for name in failed), sep="\n")
    return 1 if failed else 0


def _all(names: Sequence[str], here: Bed) -> tuple[list[Figure], list[str]]:
    """All figures, and the names of what could not be measured: a fault in one does not lose the others."""
    figures: list[Figure] = []
    failed = []
    for name in names:
        try:
            figures += _measured(name, here)
        except Exception:
            traceback.print_exc()
            failed.append(name)
    return figures, failed


def _measured(name: str, here: Bed) -> Iterator[Figure]:
    print(f"\n== {name}", flush=True)
    begun = time.monotonic()
    with Elsewhere(here.broker) as elsewhere:
        for figure in MEASURES[name](here):
            print(report.told(figure), flush=True)
            yield figure
    taken = time.monotonic() - begun
    print(f"    ({taken:.0f} s; other programs kept {elsewhere.share:.0%} of this machine busy meanwhile)", flush=True)


def _write(asked: Namespace, machine: dict[str, str], figures: list[Figure]) -> None:
    command = " ".join(["python -m bench", *(["--quick"] if asked.quick else []), *asked.figures])
    if asked.json:
        report.put_json(asked.json, machine, figures)
    if asked.report:
        report.put_into(asked.report, report.document(machine, figures, command))


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m bench", description="Measure the service, and compare it with plain Celery."
    )
    parser.add_argument(
        "figures", nargs="*", choices=[*MEASURES, []], metavar="FIGURE", help=f"of {', '.join(MEASURES)}"
    )
    parser.add_argument("--quick", action="store_true", help="small numbers, which show only that everything works")
    parser.add_argument("--rounds", type=int, help="how often each contender has its turn")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the run as JSON")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="also write it between the marks of this Markdown file"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
