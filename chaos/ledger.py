"""The ledger: a file outside the database in which each execution of a step's code notes when it begins and ends."""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from chaos.processes import Process, state_of, this_process

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

#: The variable that tells a worker where the ledger is.
PLACE = "CHAOS_LEDGER"

_numbers = count()


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of a step's code; `ended` is None when the code never came to its end."""

    operation_id: int
    step: str
    retries: int
    process: Process
    begun: float
    ended: float | None = None
    #: The worker that the process belongs to, dead or alive.
    worker: Process | None = None
    #: The place of its cursor that it went on from, counted from 0.
    place: int = 0

    def is_hit(self, processes: Collection[Process]) -> bool:
        """Whether its process is one of these, or the worker without which that process lives no longer."""
        return self.process in processes or self.worker in processes

    @property
    def turn(self) -> tuple[int, str, int, int]:
        """What is to be run once: a step, once more for every retry that it asked for, and from each place it kept."""
        return self.operation_id, self.step, self.retries, self.place


@contextmanager
def executing(request: Any, place: int = 0) -> Iterator[None]:
    """Note that the code of a step begins, and, however it ends, that it has ended."""
    process = this_process()
    execution = f"{process.pid}-{process.start}-{next(_numbers)}"
    facts = {
        "operation": request.operation_id,
        "step": request.slug,
        "retries": request.retries,
        "place": place,
        "process": process,
        "worker": state_of(os.getppid()),
    }
    _note(execution, "begins", facts)
    try:
        yield
    finally:
        _note(execution, "ends", {})


def read(file: Path) -> list[Execution]:
    """All executions of a ledger, in the order in which they began."""
    found: dict[str, Execution] = {}
    for line in file.read_text().splitlines() if file.exists() else []:
        fact = json.loads(line)
        name = fact["execution"]
        found[name] = _begun(fact) if fact["what"] == "begins" else _ended(found[name], fact["at"])
    return sorted(found.values(), key=lambda one: one.begun)


def _begun(fact: dict[str, Any]) -> Execution:
    worker = Process(*fact["worker"]) if fact.get("worker") else None
    process = Process(*fact["process"])
    step, retries, place = fact["step"], fact["retries"], fact["place"]
    return Execution(fact["operation"], step, retries, process, fact["at"], worker=worker, place=place)


def _ended(one: Execution, at: float) -> Execution:
    return replace(one, ended=at)


def _note(execution: str, what: str, facts: dict[str, Any]) -> None:
    line = json.dumps({"execution": execution, "what": what, "at": time.time(), **facts}) + "\n"
    # One write of a short line at the end of the file: lines of several processes do not mix.
    file = os.open(os.environ[PLACE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)
