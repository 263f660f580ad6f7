"""Wide groups: whether a step of one that is ten times as wide costs as much, a pause and a resume included."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.figure import Figure, at_most, compared, interleaved
from pausable.model.states import Completion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.bed import Bed
    from bench.service import Service

#: How many times as wide one group is as the other.
_TIMES = 10


def wide(bed: Bed) -> Iterator[Figure]:
    """Start a wide group, pause it, resume it, and let it end; beside groups of a tenth of the width."""
    many = bed.scale.wide
    few = many // _TIMES
    with bed.service() as service:
        service.start_worker()
        service.chain_rate(1, "bench-fan", width=few)
        ours, others = interleaved(
            bed.scale.rounds, lambda: _cost(service, many, 1), lambda: _cost(service, few, _TIMES)
        )
    what = f"a step of a group of {many:,}: start, pause, resume, end"
    yield compared(what, "ms", (ours, others), f"of a group of {few:,}", at_most(1.5))


def _cost(service: Service, width: int, groups: int) -> float:
    """Return the milliseconds that each step takes, over so many operations one after the other."""
    begun = time.perf_counter()
    for _ in range(groups):
        ids = service.start_many(1, "bench-fan", width=width)
        service.commands.pause(service.user, ids[0])
        service.await_all(ids, Completion.PAUSED, pause=0.002)
        service.commands.resume(service.user, ids[0])
        service.await_all(ids, pause=0.002)
    return 1000 * (time.perf_counter() - begun) / (width * groups)
