"""Many operations that are paused: what they cost while nothing happens to them, and how fast they are started."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import text

from bench.figure import Figure, Spread, at_least, at_most
from pausable.model.states import Completion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.bed import Bed
    from bench.service import Service

T = TypeVar("T")
_CHECKPOINT = text("PRAGMA wal_checkpoint(TRUNCATE)")
_USED = text("SELECT (SELECT page_count FROM pragma_page_count) - (SELECT freelist_count FROM pragma_freelist_count)")
_PAGE = text("SELECT page_size FROM pragma_page_size")


def rest(bed: Bed) -> Iterator[Figure]:
    """Start many operations with no worker there, pause them, and watch the whole service with all of them at rest."""
    many = bed.scale.resting
    with bed.service() as service:
        empty = _bytes(service)
        starting, ids = _timed(lambda: service.start_many(many))
        pausing, _ = _timed(lambda: _pause(service, ids))
        each = (_bytes(service) - empty) / many
        idle = _idle(bed, service, ids)
    with bed.service() as untouched:
        nothing = _idle(bed, untouched, [])
    yield Figure(
        f"starting {many:,} operations of 5 steps by command, no worker running", "operations/s",
        Spread.of([many / starting]), at_least(500), note=f"pausing them: {many / pausing:,.0f}/s",
    )  # fmt: skip
    yield Figure(f"{many:,} operations paused: bytes each in the database", "bytes", Spread.of([each]), at_most(4096))
    yield Figure(
        f"{many:,} operations paused at rest: CPU beyond that of a service without any", "% of a core",
        Spread.of([idle - nothing]), at_most(0.5), note=f"{idle:.2f} % with them, {nothing:.2f} % without any",
    )  # fmt: skip


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    begun = time.perf_counter()
    done = work()
    return time.perf_counter() - begun, done


def _pause(service: Service, ids: list[int]) -> None:
    user, pause = service.user, service.commands.pause
    for operation_id in ids:
        pause(user, operation_id)
    service.await_all(ids, Completion.PAUSED)


def _idle(bed: Bed, service: Service, ids: list[int]) -> float:
    """Percent of a core that worker, web server and broker take once they have nothing to do."""
    service.start_worker()
    service.start_web()
    programs = (*service.programs.values(), bed.broker)
    time.sleep(min(3.0, bed.scale.seconds))  # what was published for them before their pause is thrown away meanwhile
    before = sum(program.cpu_seconds() for program in programs)
    time.sleep(bed.scale.seconds)
    taken = sum(program.cpu_seconds() for program in programs) - before
    if ids:
        service.await_all(ids, Completion.PAUSED)
    return 100 * taken / bed.scale.seconds


def _bytes(service: Service) -> int:
    """How much of the database file is in use."""
    with service.database.glance() as tx:
        tx.execute(_CHECKPOINT).all()
    with service.database.read() as tx:
        return int(tx.execute(_USED).scalar_one()) * int(tx.execute(_PAGE).scalar_one())
