"""Flows: a wide one beside a chain, and one whose slowest line says how long it takes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.figure import Figure, Spread, at_most, compared, interleaved

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.bed import Bed
    from bench.service import Service

#: Steps of the slow line, and seconds that each takes.
_LENGTH, _SECONDS = 10, 0.2


def flow(bed: Bed) -> Iterator[Figure]:
    """How long a step of a wide flow takes, beside one of a chain, and how far beyond its slowest line a flow ends."""
    width = bed.scale.width
    with bed.service() as service:
        service.start_worker()
        service.chain_rate(5, "bench-diamond", width=10)
        wide, line = interleaved(
            bed.scale.rounds,
            lambda: 1000 * _taken(service, "bench-diamond", width=width) / (width + 3),
            lambda: 1000 * _taken(service, "bench-chain", length=width + 3) / (width + 3),
        )
        what = f"a step of a flow of 2 + {width:,} + 1"
        yield compared(what, "ms", (wide, line), f"a step of a chain of {width + 3:,}", at_most(2))
        critical = _LENGTH * _SECONDS
        taken = [_taken(service, "bench-branches", length=_LENGTH, seconds=_SECONDS) for _ in range(bed.scale.rounds)]
    beyond = Spread.of(100 * (one / critical - 1) for one in taken)
    note = f"its slowest line takes {critical:g} s, with 20 others beside it"
    yield Figure("a flow with one slow line: beyond its critical path", "%", beyond, at_most(10), note=note)


def _taken(service: Service, workflow: str, **arguments: float) -> float:
    begun = time.perf_counter()
    service.chain_rate(1, workflow, **arguments)
    return time.perf_counter() - begun
