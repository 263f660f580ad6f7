"""What the console's pages show: operations, workers, queues and the last hour, read in bounded time."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pausable import clock
from pausable.db.stats import OPERATIONS_A_MINUTE, STEPS_A_MINUTE, list_minutes
from pausable.db.steps import shown_steps
from pausable.db.users import names_of
from pausable.db.views import (
    Search,
    count_by_completion,
    find_operations,
    latest_events,
    latest_moves,
    latest_runs,
    running_parts,
    searched_down_to,
    step_to_look_at,
)
from pausable.db.workers import (
    count_held_steps,
    count_takers,
    count_waiting,
    gone_workers,
    live_workers,
    longest_held_steps,
    longest_overdue,
)
from pausable.engine.dispatch import QueueDepths
from pausable.errors import PictureTooLarge
from pausable.model.states import CLAIMABLE, ENDED, Completion
from pausable.model.times import Stretch, stretches
from pausable.service.explain import explanation_of
from pausable.service.operations import as_shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pausable.db.history import Event
    from pausable.db.operations import Operation, OperationSummary
    from pausable.db.steps import ShownStep
    from pausable.db.users import User
    from pausable.db.views import Move, Ran
    from pausable.db.workers import InHand, Overdue, Worker
    from pausable.engine.engine import Engine
    from pausable.service.operations import Commands, View

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


def operations_of(commands: Commands, requester: User, asked: Search, limit: int) -> Listed:
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
    return [cause.sentence for cause in explanation_of(commands.engine, view.operation.id).causes[:CAUSES]]


#: Workers that are told of; steps of each that are named, those it has held longest.
WORKERS: Final = 30
STEPS_OF_A_WORKER: Final = 5
#: Workers that have gone are told of for a day, the youngest.
_GONE: Final = 10
_LATELY: Final = 86_400.0
#: Minutes that are looked back.
MINUTES: Final = 60
#: Seconds for which an answer of the broker serves all who ask; and its silence, which takes a second to be noticed.
_QUEUES_FRESH_FOR: Final = 1.5
_SILENT_FOR: Final = 4.0


@dataclass(frozen=True, slots=True)
class AtWork:
    """A worker, the steps of it that may be named, and how many others it runs."""

    worker: Worker
    steps: Sequence[InHand]
    others: int


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue: how many messages wait at the broker, None where that is not known, and how many live workers take them.

    Workers that do not tell their queues are taken to take from all.
    """

    name: str
    messages: int | None
    takers: int


@dataclass(frozen=True, slots=True)
class Workload:
    """Everything that the page of workers tells; `minutes` are what ended in each, the last of them being this one."""

    at_work: Sequence[AtWork]
    more_workers: int
    gone: Sequence[Worker]
    running: int
    waiting: int
    overdue: int
    longest: Overdue | None
    queues: Sequence[Queue]
    is_broker_silent: bool
    first_minute: int
    steps_a_minute: Sequence[int]
    operations_a_minute: Sequence[int]


class Backlog:
    """How many messages wait in which queue, asked of the broker once for all who ask at about the same time."""

    def __init__(self, engine: Engine) -> None:
        self._depths = QueueDepths(engine)
        self._asking = threading.Lock()
        self._found: Mapping[str, int] = {}
        self._until = float("-inf")

    def by_queue(self) -> Mapping[str, int]:
        """Messages by queue; nothing while the broker is silent. It takes a second at the most."""
        with self._asking:
            if clock.monotonic() >= self._until:
                self._found = self._depths.depths()
                self._until = clock.monotonic() + (_QUEUES_FRESH_FOR if self._found else _SILENT_FOR)
            return self._found

    def last(self) -> Mapping[str, int]:
        """What `by_queue` was told last, at once."""
        return self._found


def workload(engine: Engine, requester: User, backlog: Mapping[str, int]) -> Workload:
    """What the workers do; of others' operations, who is no admin is told how many steps run, and none by name."""
    now = clock.now()
    minute = int(now // 60)
    with engine.database.read() as tx:
        live, takers = live_workers(tx, WORKERS, now - engine.lease), count_takers(tx)
        held = longest_held_steps(tx, None if requester.is_admin else requester.id, STEPS_OF_A_WORKER)
        counts, waiting = count_held_steps(tx), count_waiting(tx, now)
        return Workload(
            list(_at_work(live, held, counts)),
            sum(takers.values()) - len(live),
            gone_workers(tx, now - _LATELY, _GONE),
            sum(counts.values()),
            **waiting,
            longest=longest_overdue(tx, now),
            queues=_queues(backlog, takers),
            is_broker_silent=not backlog,
            first_minute=(first := minute - MINUTES + 1),
            steps_a_minute=_minutes(found := list_minutes(tx, first), STEPS_A_MINUTE, first),
            operations_a_minute=_minutes(found, OPERATIONS_A_MINUTE, first),
        )


def _at_work(live: Sequence[Worker], held: Iterable[InHand], counts: Mapping[int, int]) -> Iterable[AtWork]:
    named: dict[int, list[InHand]] = {}
    for step in held:
        named.setdefault(step.worker_id, []).append(step)
    for worker in live:
        mine = named.get(worker.id, [])
        yield AtWork(worker, mine, counts.get(worker.id, 0) - len(mine))


def _queues(backlog: Mapping[str, int], takers: Mapping[tuple[str, ...] | None, int]) -> list[Queue]:
    names = {*backlog, *(name for queues in takers for name in queues or ())}
    return [
        Queue(name, backlog.get(name), sum(many for of, many in takers.items() if of is None or name in of))
        for name in sorted(names)
    ]


def _minutes(found: Mapping[tuple[str, int], int], name: str, first: int) -> list[int]:
    return [found.get((name, minute), 0) for minute in range(first, first + MINUTES)]
