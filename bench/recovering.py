"""How long it takes until a step runs again whose worker died or fell silent, and until a leaving one lets go."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from sqlalchemy import text

from bench.figure import Figure, Spread, at_most
from bench.programs import until
from pausable.config import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.bed import Bed
    from bench.service import Service

_NAP, _LONG_NAP = 3.0, 60.0
_DELIVERIES = 12
_AFTER_LEASE = 5.0
_HELD = text("SELECT process FROM steps WHERE state = 'Running'")


def recover(bed: Bed) -> Iterator[Figure]:
    """Kill and stop the worker that holds a step, beside another; then tell workers to leave."""
    lease, grace = Settings().lease, Settings().grace
    for number in (signal.SIGKILL, signal.SIGSTOP):
        yield Figure(
            f"a step whose worker is lost ({number.name}): until it runs again in another, LEASE={lease:g}", "s",
            Spread.of([_lost(bed, number) for _ in range(bed.scale.rounds)]), at_most(lease + _AFTER_LEASE),
        )  # fmt: skip
    yield Figure(
        "SIGTERM: until all that had not started is in the queue again", "ms",
        Spread.of([1000 * _unstarted(bed) for _ in range(bed.scale.rounds)]), at_most(1000),
    )  # fmt: skip
    yield Figure(
        f"SIGTERM with steps of a minute in hand: until they are handed back and the worker has ended, GRACE={grace:g}",
        "s", Spread.of([_held(bed) for _ in range(bed.scale.rounds)]), at_most(grace + 1),
    )  # fmt: skip


def _lost(bed: Bed, number: signal.Signals) -> float:
    """Seconds from the signal to the second start of the step."""
    with bed.service() as service:
        workers = [service.start_worker(), service.start_worker("other")]
        service.journal.write_text("")
        ids = _napping(service, 1, _NAP)
        until(lambda: _starts(service) == 1, "the step runs")
        holder = next(worker for worker in workers if _processes(service) <= set(worker.pids))
        begun = time.monotonic()
        holder.signal(number, all_of_it=number is signal.SIGSTOP)
        until(lambda: _starts(service) == 2, "the step runs again")
        taken = time.monotonic() - begun
        service.forget(holder)
        service.await_all(ids)
    return taken


def _unstarted(bed: Bed) -> float:
    """Seconds from the signal until every delivery that was not started is in the queue."""
    with bed.service() as service:
        worker = service.start_worker()
        service.journal.write_text("")
        processes = service.settings.workers
        _napping(service, _DELIVERIES, _NAP)
        until(lambda: _starts(service) == processes, "steps run")
        begun = time.monotonic()
        worker.signal(signal.SIGTERM)
        until(lambda: service.waiting() >= _DELIVERIES - processes, "the rest is handed back", pause=0.001)
        taken = time.monotonic() - begun
        service.forget(worker)
    return taken


def _held(bed: Bed) -> float:
    """Seconds from the signal until nothing is held by a worker that has ended."""
    with bed.service() as service:
        worker = service.start_worker()
        service.journal.write_text("")
        _napping(service, service.settings.workers, _LONG_NAP)
        until(lambda: _starts(service) == service.settings.workers, "steps run")
        begun = time.monotonic()
        worker.signal(signal.SIGTERM)
        until(lambda: not worker.runs and not _processes(service), "all is handed back")
        taken = time.monotonic() - begun
        service.forget(worker)
    return taken


def _napping(service: Service, operations: int, seconds: float) -> list[int]:
    return service.start_many(operations, "bench-naps", length=1, seconds=seconds)


def _starts(service: Service) -> int:
    return service.journal.read_text().count("start")


def _processes(service: Service) -> set[int]:
    with service.database.glance() as tx:
        return set(tx.execute(_HELD).scalars())
