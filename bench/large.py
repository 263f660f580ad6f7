"""A large result in a target: how much of it goes where it must not, and how long handing it on takes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import text

from bench.figure import Figure, Spread, at_most

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.bed import Bed
    from bench.service import Service

_LONGEST = text("SELECT max(length(result)) FROM steps WHERE operation_id = :id")
_MEGABYTE = 1_000_000


class Passed(NamedTuple):
    """What one operation took: bytes that the broker was given, characters of a row, seconds."""

    broker: int
    row: int
    seconds: float


def large(bed: Bed) -> Iterator[Figure]:
    """One step writes a large text into its target, and the next is handed it."""
    size = bed.scale.megabytes * _MEGABYTE
    with bed.service() as service:
        service.start_worker()
        service.chain_rate(1)
        runs = [_passed(bed, service, size, number) for number in range(bed.scale.rounds)]
    what = f"a result of {bed.scale.megabytes} MB in a target"
    yield Figure(f"{what}: given to the broker", "kB", Spread.of(run.broker / 1000 for run in runs), at_most(64))
    yield Figure(f"{what}: in its row", "characters", Spread.of(run.row for run in runs), at_most(1000))
    yield Figure(f"{what}: written, read, and handed on", "s", Spread.of(run.seconds for run in runs))


def _passed(bed: Bed, service: Service, size: int, number: int) -> Passed:
    before, begun = _given(bed), time.perf_counter()
    ids = service.start_many(1, "bench-large", size=size, number=number)
    service.await_all(ids)
    seconds = time.perf_counter() - begun
    with service.database.glance() as tx:
        row = int(tx.execute(_LONGEST, {"id": ids[0]}).scalar_one())
    return Passed(_given(bed) - before, row, seconds)


def _given(bed: Bed) -> int:
    facts = bed.redis.info("stats")
    return int(facts["total_net_input_bytes"])
