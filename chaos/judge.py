"""The judge: counts in the evidence what must never happen, and names each case."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from chaos.evidence import GIVEN_UP
from chaos.shapes import SHAPES, Fails
from pausable.model.states import ENDED, Completion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chaos.evidence import Asked, Evidence, Move, Operation
    from chaos.ledger import Execution


def lost(evidence: Evidence) -> Iterator[str]:
    """Operations whose start was answered and that the table does not know, or that were never started at all."""
    ids = {one.id for one in evidence.operations}
    for one in evidence.asked:
        if one.key not in evidence.by_key:
            yield f"{one.key} ({one.shape}) is not in the table; its start was answered with {one.operation_id}"
        elif one.operation_id is not None and evidence.by_key[one.key].id != one.operation_id:
            yield f"{one.key} was answered with {one.operation_id} and is {evidence.by_key[one.key].id}"
    for missing in sorted(evidence.executions_of.keys() - ids):
        yield f"operation {missing} ran and is not in the table"


def stuck(evidence: Evidence) -> Iterator[str]:
    """Operations that have not come to an end."""
    for one in evidence.operations:
        if one.completion not in ENDED:
            yield f"operation {one.id} stands at {one.completion}"


def wrong(evidence: Evidence) -> Iterator[str]:
    """Operations that ended otherwise than their arguments, and what was asked of them, allow."""
    for asked in evidence.asked:
        operation = evidence.by_key.get(asked.key)
        if operation and operation.completion in ENDED and (fault := _fault(evidence, asked, operation)):
            yield f"operation {operation.id} ({asked.shape}): {fault}"


def _fault(evidence: Evidence, asked: Asked, operation: Operation) -> str | None:
    moves = [move.new for move in evidence.moves_of[operation.id]]
    if operation.completion == Completion.CANCELLED:
        return None if Completion.REQUESTING_CANCEL in moves and asked.is_cancelled else "nobody has cancelled it"
    if asked.is_cancelled and Completion.REQUESTING_CANCEL not in moves:
        return f"its cancel was granted, and it is {operation.completion}"
    expected = SHAPES[asked.shape].expected(asked.arguments, operation.id)
    if operation.completion == Completion.FAILED:
        allowed = operation.error_type == GIVEN_UP or expected == Fails(operation.error_type)
        return None if allowed else f"it failed: {operation.error_type}"
    if isinstance(expected, Fails):
        return f"it was to fail, and its result is {operation.result}"
    return None if operation.result == expected else f"its result is {operation.result}, not {expected}"


def recorded_twice(evidence: Evidence) -> Iterator[str]:
    """Steps whose ending was written more than once."""
    times = Counter((one.operation_id, one.step) for one in evidence.recordings)
    for (operation_id, step), number in times.items():
        if number > 1 + _retries(evidence.moves_of[operation_id]):
            yield f"{step} of operation {operation_id} was recorded {number} times"


def _retries(moves: list[Move]) -> int:
    """How often people have retried an operation: each time what had failed in it runs, and is written, again."""
    return sum(move.new == Completion.FAILED and after.new == Completion.IN_PROGRESS for move, after in pairwise(moves))


def running_while_paused(evidence: Evidence) -> Iterator[str]:
    """Executions that were under way, or began, while their operation said PAUSED."""
    for operation_id, executions in evidence.executions_of.items():
        for since, until in _pauses(evidence.moves_of[operation_id]):
            for one in executions:
                if one.begun < until and evidence.over(one) > since:
                    yield f"{_told(evidence, one)}, PAUSED from {since:.3f} to {until:.3f}"


def _told(evidence: Evidence, one: Execution) -> str:
    least = "" if one.ended else "at least "
    place = f"{one.step} of operation {one.operation_id} ran in {one.process.pid}"
    return f"{place} from {one.begun:.3f} {least}to {evidence.over(one):.3f}"


def _pauses(moves: list[Move]) -> Iterator[tuple[float, float]]:
    for move, following in zip(moves, [*moves[1:], None], strict=True):
        if move.new == Completion.PAUSED:
            yield move.at, following.at if following else float("inf")


#: What must be 0, in the order in which it is told.
MUST_BE_NONE: Final[dict[str, Callable[[Evidence], Iterator[str]]]] = {
    "operations lost": lost,
    "operations stuck": stuck,
    "wrong results": wrong,
    "steps recorded twice": recorded_twice,
    "PAUSED while code runs": running_while_paused,
}
