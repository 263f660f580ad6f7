"""What the judge is given: what people asked, what the table says, what the ledger says, and what was broken when."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chaos.faults import Hit
    from chaos.ledger import Execution
    from chaos.processes import Process


@dataclass(frozen=True)
class Asked:
    """An operation that people started: its shape and arguments, its id once they were told, whether they cancelled."""

    key: str
    shape: str
    arguments: dict[str, Any]
    operation_id: int | None
    is_cancelled: bool = False


@dataclass(frozen=True)
class Operation:
    """The row of an operation."""

    id: int
    key: str | None
    completion: str
    result: Any = None
    error_type: str = ""


#: The type of the error with which an operation ends whose step lost its worker too often.
GIVEN_UP: Final = "WorkerLost"


@dataclass(frozen=True)
class Move:
    """A change of where an operation stands, as its history tells it."""

    operation_id: int
    at: float
    new: str


@dataclass(frozen=True)
class Taken:
    """A step that was taken from its worker and queued again, as its history tells it."""

    operation_id: int
    step: str
    at: float

    @property
    def key(self) -> tuple[int, str]:
        """Which step it is."""
        return self.operation_id, self.step


@dataclass(frozen=True)
class Recording:
    """An ending of a step that was written to its row, as a trigger of the database noted it."""

    operation_id: int
    step: str
    at: float
    state: str


@dataclass(frozen=True)
class Evidence:
    """Everything."""

    asked: Sequence[Asked]
    operations: Sequence[Operation]
    moves: Sequence[Move] = ()
    recordings: Sequence[Recording] = ()
    taken: Sequence[Taken] = ()
    executions: Sequence[Execution] = ()
    hits: Sequence[Hit] = ()
    last_seen: Mapping[Process, float] = field(default_factory=dict)

    @cached_property
    def by_key(self) -> dict[str | None, Operation]:
        """The operations by the key that they were started under."""
        return {one.key: one for one in self.operations}

    @cached_property
    def moves_of(self) -> dict[int, list[Move]]:
        """The moves of each operation, in the order in which they happened."""
        found: dict[int, list[Move]] = defaultdict(list)
        for move in self.moves:
            found[move.operation_id].append(move)
        return found

    @cached_property
    def executions_of(self) -> dict[int, list[Execution]]:
        """The executions of each operation."""
        found: dict[int, list[Execution]] = defaultdict(list)
        for one in self.executions:
            found[one.operation_id].append(one)
        return found

    def over(self, one: Execution) -> float:
        """When an execution was over: it ended, or its process was seen alive for the last time."""
        return one.ended if one.ended is not None else self.last_seen.get(one.process, one.begun)
