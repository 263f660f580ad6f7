"""Evidence of a small run in which nothing went wrong, to be spoiled by the tests in one place each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chaos.evidence import Asked, Evidence, Move, Operation, Recording
from chaos.faults import Hit
from chaos.ledger import Execution
from chaos.processes import Process
from chaos.shapes import SHAPES

ARGUMENTS = {"start": 1, "numbers": [2, 3, 4, 5, 6]}
RESULT = SHAPES["chain of 5"].expected(ARGUMENTS, 1)
FIRST, SECOND = Process(100, 1), Process(200, 2)


def execution(step: str, begun: float, ended: float | None, process: Process = FIRST, retries: int = 0) -> Execution:
    return Execution(1, step, retries, process, begun, ended)


def hit(at: float, *processes: Process) -> Hit:
    return Hit(at, "kill a worker", frozenset(processes))


def moves(*told: tuple[float, str]) -> list[Move]:
    return [Move(1, at, new) for at, new in told]


def evidence(**others: Any) -> Evidence:
    """One chain that was paused between its first two steps, resumed, and completed."""
    sound = Evidence(
        asked=[Asked("a", "chain of 5", ARGUMENTS, 1)],
        operations=[Operation(1, "a", "COMPLETED", RESULT)],
        moves=moves((10, "SCHEDULED"), (11, "IN PROGRESS"), (13, "PAUSED"), (20, "IN PROGRESS"), (23, "COMPLETED")),
        recordings=[Recording(1, f"mix-{n}", at, "Success") for n, at in enumerate((12, 21, 22, 23, 23), 1)],
        executions=[execution(f"mix-{n}", at, at + 0.5) for n, at in enumerate((11, 20, 21, 22, 22), 1)],
    )
    return replace(sound, **others)
