"""Looking at an operation: how long it takes to tell why it does not move, and what a resume would find."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.figure import Figure, Spread, at_most, percentile
from pausable.engine.engine import WakeUp
from pausable.service import explain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.bed import Bed
    from bench.service import Service

#: Milliseconds that a look may take.
_MOST = 50
_SHORT = 100


def inspect(bed: Bed) -> Iterator[Figure]:
    """Explain operations that are queued, wide and paused, and pre-flight the paused ones; short ones and long ones."""
    with bed.service() as service:
        service.celery.engine.become_worker(WakeUp())
        service.celery.engine.register([service.celery.conf.task_default_queue])
        for length in (_SHORT, bed.scale.long_chain):
            yield from _looks(bed, service, length)
        service.celery.engine.metrics.flush()


def _looks(bed: Bed, service: Service, length: int) -> Iterator[Figure]:
    known, user = service.commands, service.user
    chain = known.start_operation(user, "bench-chain", length=length)
    fan = known.start_operation(user, "bench-fan", width=length)
    yield _figure(bed, f"explain: a chain of {length:,} steps, queued", lambda: explain.explain(known, user, chain))
    yield _figure(bed, f"explain: a fan of {length:,} steps", lambda: explain.explain(known, user, fan))
    known.pause(user, chain)
    known.pause(user, fan)
    yield _figure(bed, f"explain: a chain of {length:,} steps, paused", lambda: explain.explain(known, user, chain))
    yield _figure(bed, f"preflight: a chain of {length:,} steps", lambda: explain.preflight(known, user, chain))
    yield _figure(bed, f"preflight: a fan of {length:,} steps", lambda: explain.preflight(known, user, fan))


def _figure(bed: Bed, what: str, look: Callable[[], object]) -> Figure:
    """The first look is told apart: it reads the code, which no later one in the same process does."""
    first, scale = _taken(look), bed.scale
    begun = time.process_time()
    taken = [percentile([_taken(look) for _ in range(scale.latencies)], 0.95) for _ in range(scale.rounds)]
    each = 1000 * (time.process_time() - begun) / (scale.latencies * scale.rounds)
    note = f"{each:.1f} ms of CPU each; the first look: {first:.1f} ms"
    return Figure(f"{what}, 95th percentile", "ms", Spread.of(taken), at_most(_MOST), note=note)


def _taken(look: Callable[[], object]) -> float:
    begun = time.perf_counter()
    look()
    return 1000 * (time.perf_counter() - begun)
