"""Constant size: whether a step of a long chain costs what a step of a short one does."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import text

from bench.figure import Figure, at_most, compared, interleaved
from bench.programs import cpu_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.bed import Bed
    from bench.service import Service

_SHORT = 10
_SPAN = text("""
    SELECT max(finished_at) - min(started_at) FROM steps WHERE operation_id = :id AND number BETWEEN :first AND :last
""")


class Cost(NamedTuple):
    """What a step costs in milliseconds: by the clock, and of CPU in worker, client and broker.

    `first` and `last` are what one took in the first and in the last tenth of a chain, as its worker noted the times.
    """

    clock: float
    cpu: float
    first: float
    last: float


def size(bed: Bed) -> Iterator[Figure]:
    """A step of one long chain and of many short ones, as many steps in all, one operation at a time."""
    many = bed.scale.long_chain
    with bed.service() as service:
        service.start_worker()
        long, short = interleaved(
            bed.scale.rounds, lambda: _cost(bed, service, many, many), lambda: _cost(bed, service, many, _SHORT)
        )
    beside = f"a step of a {_SHORT}-step chain"
    for place, unit in enumerate(("ms by the clock", "ms of CPU")):
        costs = [one[place] for one in long], [one[place] for one in short]
        yield compared(f"a step of a {many:,}-step chain", unit, costs, beside, at_most(1.2))
    halves = [one.last for one in long], [one.first for one in long]
    yield compared(f"a step in the last tenth of a {many:,}-step chain", "ms", halves, "in its first", at_most(1.2))
    yield _with_messages(bed, max(2 * _SHORT, many // 50))


def _with_messages(bed: Bed, many: int) -> Figure:
    with bed.service(slice_steps=1) as service:
        service.start_worker()
        long, short = interleaved(
            bed.scale.rounds, lambda: _cost(bed, service, many, many), lambda: _cost(bed, service, many, _SHORT)
        )
    costs = [one.clock for one in long], [one.clock for one in short]
    what = f"a step of a {many:,}-step chain, SLICE_STEPS=1"
    return compared(what, "ms by the clock", costs, f"a step of a {_SHORT}-step chain")


def _cost(bed: Bed, service: Service, steps: int, length: int) -> Cost:
    """A step of chains of this length that run one after another, until so many steps have run."""
    begun, cpu = time.perf_counter(), _cpu(bed, service)
    for _ in range(steps // length):
        ids = service.start_many(1, length=length)
        service.await_all(ids, pause=0.002)
    clock, cpu = time.perf_counter() - begun, _cpu(bed, service) - cpu
    tenth = length // 10
    first, last = _span(service, ids[0], 0, tenth - 1), _span(service, ids[0], length - tenth, length - 1)
    return Cost(1000 * clock / steps, 1000 * cpu / steps, first, last)


def _cpu(bed: Bed, service: Service) -> float:
    worker, broker = service.programs["worker"].cpu_seconds(), bed.broker.cpu_seconds()
    return worker + broker + cpu_seconds(os.getpid())


def _span(service: Service, operation_id: int, first: int, last: int) -> float:
    with service.database.glance() as tx:
        seconds = tx.execute(_SPAN, {"id": operation_id, "first": first, "last": last}).scalar_one()
    return 1000 * float(seconds) / (last - first + 1)
