"""What a person looks at: the list of operations, and everything about one of them, each read in bounded time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from app.commands import as_shown
from app.domain.states import CLAIMABLE, ENDED, Completion
from app.domain.timeline import Stretch, stretches
from app.errors import PictureTooLarge
from app.execution.explaining import explanation
from app.store.overview import (
    Asked,
    count_by_completion,
    find_operations,
    latest_events,
    latest_moves,
    latest_runs,
    running_parts,
    searched_down_to,
    step_to_look_at,
)
from app.store.shown_steps import shown_steps
from app.store.users import names_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.commands import Commands, View
    from app.store.events import Event
    from app.store.operations import Operation, OperationSummary
    from app.store.overview import Move, Ran
    from app.store.shown_steps import ShownStep
    from app.store.users import User

#: Steps that a page lists, and draws as bars; events that it tells.
STEPS: Final = 25
BARS: Final = 40
EVENTS: Final = 20
#: Reasons that a page gives for why an operation waits.
CAUSES: Final = 3
#: Moves of an operation that are looked through for its pauses.
_MOVES: Final = 200
#: A picture of more steps takes longer to draw than a page may take.
DRAWN: Final = 1000
#: Steps above the one that people look for first.
_ABOVE: Final = 5
#: Larger than any key of either database.
_LAST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of operations; `following` is where the next one begins, 0 where there is none.

    `parts` is how much of running steps is done, in steps; `searched_to` the id down to which a search looked.
    """

    operations: Sequence[OperationSummary]
    parts: Mapping[int, float]
    counts: Mapping[Completion, int]
    names: Mapping[int, str]
    following: int
    searched_to: int


@dataclass(frozen=True, slots=True)
class Portrait:
    """Everything about one operation that its page shows; `picture` is SVG, None where it is too large to be drawn.

    `causes` are sentences that say why it waits, where nothing of it runs and something should.
    """

    view: View
    requester: str
    part: float
    steps: Sequence[ShownStep]
    bars: Sequence[Ran]
    moves: Sequence[Move]
    stretches: Sequence[Stretch]
    events: Sequence[Event]
    picture: str | None
    causes: Sequence[str]


def operations_of(commands: Commands, requester: User, asked: Asked, limit: int) -> Listed:
    """The operations that are asked for among those that the requester may see, the newest first."""
    asked = replace(asked, requester_id=None if requester.is_admin else requester.id)
    with commands.engine.database.read() as tx:
        down_to = searched_down_to(tx, asked) if asked.words else 0
        found = find_operations(tx, asked, limit + 1, down_to)
        shown = found[:limit]
        return Listed(
            shown,
            running_parts(tx, [one.id for one in shown if one.completion not in ENDED]),
            count_by_completion(tx, asked.requester_id),
            names_of(tx, {one.requester_id for one in shown}),
            shown[-1].id if len(found) > limit else down_to and down_to + 1,
            down_to,
        )


def portrait(
    commands: Commands, requester: User, operation_id: int, *, after: int | None = None, before: int | None = None
) -> Portrait:
    """An operation with its steps after number `after`, and what happened before the event `before`.

    Where no step is named, it begins a little above the one that people look for first. Raises OperationNotFound.
    """
    view = commands.show(requester, operation_id)
    operation = view.operation
    picture = _picture(commands, requester, operation)
    causes = _causes(commands, view)
    with commands.engine.database.read() as tx:
        after = step_to_look_at(tx, operation_id) - _ABOVE - 1 if after is None else after
        moves = latest_moves(tx, operation_id, _MOVES)
        return Portrait(
            view,
            names_of(tx, {operation.requester_id}).get(operation.requester_id, ""),
            running_parts(tx, [operation_id]).get(operation_id, 0.0),
            as_shown(operation, shown_steps(tx, operation_id, after=max(-1, after), limit=STEPS + 1)),
            latest_runs(tx, operation_id, BARS),
            moves,
            stretches([(move.at, move.new) for move in moves]),
            latest_events(tx, operation_id, before=before or _LAST, limit=EVENTS + 1),
            picture,
            causes,
        )


def _picture(commands: Commands, requester: User, operation: Operation) -> str | None:
    if operation.steps_total > DRAWN:
        return None
    try:
        return commands.graph(requester, operation.id)
    except PictureTooLarge:
        return None


def _causes(commands: Commands, view: View) -> Sequence[str]:
    if view.in_flight or view.operation.completion not in CLAIMABLE:
        return ()
    return [cause.sentence for cause in explanation(commands.engine, view.operation.id).causes[:CAUSES]]
