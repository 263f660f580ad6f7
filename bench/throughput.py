"""Operations per second and the latency of one, beside plain Celery; and what the broker is given meanwhile."""

from __future__ import annotations

import os
import statistics
from typing import TYPE_CHECKING, NamedTuple

from bench.figure import Figure, Spread, at_least, at_most, compared, interleaved
from bench.programs import cpu_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.bed import Bed
    from bench.programs import Program
    from bench.service import Service

_BESIDE = "plain Celery"


class Run(NamedTuple):
    """Operations per second, and the milliseconds that the cores were busy with each."""

    rate: float
    cpu: float


def chain(bed: Bed) -> Iterator[Figure]:
    """Chains of five steps that do nothing, in slices and with a message for each step."""
    many, few = bed.scale.chain_operations, bed.scale.chain_operations // 4
    with bed.plain() as plain, bed.service() as sliced, bed.service(slice_steps=1) as single:
        workers = sliced.start_worker(), plain.worker, single.start_worker()
        ours, theirs, one = interleaved(
            bed.scale.rounds,
            lambda: run(bed, workers[0], sliced.chain_rate, many),
            lambda: run(bed, workers[1], plain.chain_rate, many),
            lambda: run(bed, workers[2], single.chain_rate, few),
        )
    what = "chain of 5 no-op steps, 2 worker processes"
    for how, mine, target in (
        (f"{what}, {many:,} operations", ours, at_least(4)),
        (f"{what}, {few:,} operations, SLICE_STEPS=1", one, at_least(1)),
    ):
        rates = [run.rate for run in mine], [run.rate for run in theirs]
        yield compared(how, "operations/s", rates, _BESIDE, target)
        cpu = [run.cpu for run in mine], [run.cpu for run in theirs]
        yield compared(f"{how}: worker, client and broker", "ms of CPU an operation", cpu, _BESIDE)


def run(bed: Bed, worker: Program, rate: Callable[[int], float], many: int) -> Run:
    """Run so many operations; returns how fast that went and how busy worker, broker and client were."""
    before = worker.cpu_seconds() + bed.broker.cpu_seconds() + cpu_seconds(os.getpid())
    reached = rate(many)
    after = worker.cpu_seconds() + bed.broker.cpu_seconds() + cpu_seconds(os.getpid())
    return Run(reached, 1000 * (after - before) / many)


def latency(bed: Bed) -> Iterator[Figure]:
    """One such chain on an idle system, from the call that starts it to its result."""
    many = bed.scale.latencies
    with bed.plain() as plain, bed.service() as service:
        service.start_worker()
        ours, theirs = interleaved(
            bed.scale.rounds,
            lambda: statistics.median(service.latency() for _ in range(many)),
            lambda: statistics.median(plain.latency() for _ in range(many)),
        )
    yield compared("one chain of 5, idle system, start to result", "ms", (ours, theirs), _BESIDE, at_most(0.5))


def fan(bed: Bed) -> Iterator[Figure]:
    """Fan-out and fan-in: 1 → group of 10 → 1."""
    many = bed.scale.fan_operations
    with bed.plain() as plain, bed.service() as service:
        service.start_worker()
        service.chain_rate(many, "bench-fan")
        ours, theirs = interleaved(
            bed.scale.rounds,
            lambda: service.chain_rate(many, "bench-fan"),
            lambda: plain.fan_rate(many),
        )
    what = f"fan-out 1 → group of 10 → 1, {many:,} operations"
    yield compared(what, "operations/s", (ours, theirs), "plain Celery's chord", at_least(5))


def messages(bed: Bed) -> Iterator[Figure]:
    """Celery messages, counted at the broker: one for each slice, none for a pause point."""
    many = bed.scale.message_operations
    for steps, slice_steps in ((5, 1000), (6, 2), (5, 1)):
        with bed.service(slice_steps=slice_steps) as service:
            service.start_worker()
            asked = _messages(bed, service, many, "bench-chain", steps)
            never = _messages(bed, service, many, "bench-unpausable", steps)
        slices = -(-steps // slice_steps)
        what = f"messages for each slice of a chain of {steps}, SLICE_STEPS={slice_steps}"
        note = f"{asked:g} for {steps} steps and {steps - 1} pause points, {never:g} without pause points"
        yield Figure(what, "messages", Spread.of([asked / slices]), at_most(1), note=note)


def _messages(bed: Bed, service: Service, many: int, workflow: str, steps: int) -> float:
    before = bed.pushes()
    service.chain_rate(many, workflow, length=steps)
    return (bed.pushes() - before) / many
