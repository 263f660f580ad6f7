"""What state handlers cost: those who ask for them, and those who do not."""

from __future__ import annotations

from timeit import timeit
from typing import TYPE_CHECKING, Any

from bench.figure import Figure, Spread, at_most, compared, interleaved
from bench.throughput import run
from pausable.db.operations import find_operation
from pausable.db.transitions import StepTask
from pausable.engine.announce import Announcer
from pausable.engine.outcome import Ended, Ending
from pausable.engine.task import guard
from pausable.model.states import StepState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.bed import Bed
    from bench.service import Service

_STEPS = 5
_CALLS = 20_000


def handlers(bed: Bed) -> Iterator[Figure]:
    """Chains whose steps have a handler that keeps every state, beside chains whose steps have none."""
    many = bed.scale.chain_operations // 2
    with bed.service() as service:
        worker = service.start_worker()
        service.chain_rate(many // 10, "bench-handled")
        handled, plain = interleaved(
            bed.scale.rounds,
            lambda: run(bed, worker, lambda n: service.chain_rate(n, "bench-handled"), many // 4),
            lambda: run(bed, worker, service.chain_rate, many),
        )
        cpu = [one.cpu for one in handled], [one.cpu for one in plain]
        what = f"chain of {_STEPS} no-op steps, each with a state handler"
        yield compared(what, "ms of CPU an operation", cpu, "without handlers")
        spent = _spent_without(service)
        shares = [100 * spent / (one.cpu / 1000 / _STEPS) for one in plain]
    note = f"{spent * 1e6:.2f} µs of the {1000 * plain[0].cpu / _STEPS:.0f} µs that one takes"
    yield Figure("a step without handlers: what it pays for those that have some", "% of its CPU", Spread.of(shares),
                 at_most(2), note=note)  # fmt: skip


def _spent_without(service: Service) -> float:
    """Seconds that a step spends on finding out that nobody is to be asked or told of it."""
    return sum(_seconds(part) for part in (_guarding(service), _asking(service), _telling(service)))


def _guarding(service: Service) -> Callable[[], object]:
    """The layer around the code that knows signals, and the code, which does nothing."""
    task: Any = service.celery.tasks["bench.flows.noop"]
    bare = task.run
    guard(task)
    guarded, task.run = task.run, bare
    return lambda: guarded(1)


def _asking(service: Service) -> Callable[[], object]:
    """The looks at the policies of its task: before it runs, after it has, and before it is settled."""
    policies = service.celery.engine.policies
    return lambda: [policies.of_task("bench.flows.noop").is_plain for _ in range(3)]


def _telling(service: Service) -> Callable[[], object]:
    """Finding out, as it is settled, that nobody asked to be told."""
    engine = service.celery.engine
    with service.database.read() as tx:
        operation = find_operation(tx, 1)
    assert operation is not None
    step = StepTask(0, "noop", 1, 0, 1, 0, 0, '{"task":"bench.flows.noop"}', None, None, None, None, False)
    ended = [Ended(step, Ending(StepState.SUCCESS), True, 0.0, 0.0)]
    announcer: Any = Announcer
    unused: Any = None
    return lambda: announcer(unused, engine, 0.0).ends(operation, ended)


def _seconds(part: Callable[[], object]) -> float:
    return min(timeit(part, number=_CALLS) for _ in range(5)) / _CALLS
