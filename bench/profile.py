"""`python -m bench.profile`: where the time of the chain goes, for whoever looks into a figure that was missed."""

from __future__ import annotations

import cProfile
import os
import pstats
import sys
import time
from argparse import ArgumentParser
from typing import TYPE_CHECKING, TypeVar

from celery._state import _task_stack  # type: ignore[attr-defined]

from bench.bed import bed
from bench.machine import describe
from bench.programs import cpu_seconds
from bench.scale import FULL
from pausable.engine.publish import RUN_SLICE
from pausable.engine.runner import run_slice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.bed import Bed
    from bench.service import Service

T = TypeVar("T")
_WARM = 50
_STEPS = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the machine, the CPU that an operation takes by process, and the profiles of its start and of its slice."""
    parser = ArgumentParser(prog="python -m bench.profile", description="Show where the time of a chain of 5 goes.")
    parser.add_argument("--operations", type=int, default=500, help="how many are run for each part")
    parser.add_argument("--lines", type=int, default=35, help="how many functions are shown of each profile")
    parser.add_argument("--slice-steps", type=int, default=1000, help="SLICE_STEPS: 1 makes a message of every step")
    asked = parser.parse_args(arguments)
    with bed(FULL) as here:
        print(*(f"{name:<10} {value}" for name, value in describe(here.folder, here.broker_url).items()), sep="\n")
        with here.service(slice_steps=asked.slice_steps) as service:
            _by_process(here, service, asked.operations)
        with here.service(slice_steps=asked.slice_steps) as service:
            _by_function(service, asked.operations, asked.lines)
    return 0


def _by_process(here: Bed, service: Service, many: int) -> None:
    worker = service.start_worker()
    pids = {"client": [os.getpid()], "broker": here.broker.pids, "worker, main": worker.pids[:1]}
    pids |= {f"worker, process {number}": [pid] for number, pid in enumerate(worker.pids[1:], 1)}
    before, begun = _cpu(pids), time.perf_counter()
    service.chain_rate(many)
    taken, after = time.perf_counter() - begun, _cpu(pids)
    print(f"\n== a chain of 5 no-op steps: {many / taken:,.0f} operations/s, {1000 * taken / many:.2f} ms each")
    for name, seconds in after.items():
        print(f"    {name:<20} {1000 * (seconds - before[name]) / many:.2f} ms of CPU")


def _cpu(pids: dict[str, list[int]]) -> dict[str, float]:
    return {name: sum(map(cpu_seconds, some)) for name, some in pids.items()}


def _by_function(service: Service, many: int, lines: int) -> None:
    """Start operations with no worker there, then run their slices in this process, as a worker's would."""
    ids = service.start_many(_WARM)
    ids += _profiled("starting", many, lines, lambda _: service.start_many(1)[0])
    pretend_to_be_a_worker(service)
    for id_ in ids[:_WARM]:
        _run(service, id_)
    _profiled("running", many, lines, lambda number: _run(service, ids[_WARM + number]))
    service.await_all(ids)


def _run(service: Service, operation_id: int) -> None:
    for first in range(0, _STEPS, service.settings.slice_steps):
        run_slice(service.celery.engine, operation_id, first)


def pretend_to_be_a_worker(service: Service) -> None:
    """A slice tells its steps of the message that it was delivered with, which it asks Celery for."""
    task = service.celery.tasks[RUN_SLICE]
    task.push_request(id="profiled", hostname="bench", delivery_info={}, called_directly=False)
    _task_stack.push(task)


def _profiled(what: str, many: int, lines: int, work: Callable[[int], T]) -> list[T]:
    profile = cProfile.Profile()
    begun, cpu = time.perf_counter(), time.process_time()
    profile.enable()
    done = [work(number) for number in range(many)]
    profile.disable()
    taken, busy = time.perf_counter() - begun, time.process_time() - cpu
    print(f"\n== {what}: {1000 * taken / many:.2f} ms, {1000 * busy / many:.2f} ms of CPU, under the profiler")
    pstats.Stats(profile, stream=sys.stdout).strip_dirs().sort_stats("tottime").print_stats(lines)
    return done


if __name__ == "__main__":
    sys.exit(main())
