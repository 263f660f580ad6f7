"""What the workers do, what waits for them, and what they got done in the last hour: read in bounded time."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from app import clock
from app.execution.queue_depth import QueueDepths
from app.store.tallies import OPERATIONS_A_MINUTE, STEPS_A_MINUTE, list_minutes
from app.store.workers import count_takers, gone_workers, live_workers
from app.store.workload import count_in_hand, count_waiting, longest_overdue, steps_in_hand

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from app.execution.engine import Engine
    from app.store.users import User
    from app.store.workers import Worker
    from app.store.workload import InHand, Overdue

#: Workers that are told of; steps of each that are named, those it has held longest.
WORKERS: Final = 30
STEPS: Final = 5
#: Workers that have gone are told of for a day, the youngest.
_GONE: Final = 10
_LATELY: Final = 86_400.0
#: Minutes that are looked back.
MINUTES: Final = 60
#: Seconds for which an answer of the broker serves all who ask; and its silence, which takes a second to be noticed.
_FRESH_FOR: Final = 1.5
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
                self._until = clock.monotonic() + (_FRESH_FOR if self._found else _SILENT_FOR)
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
        held = steps_in_hand(tx, None if requester.is_admin else requester.id, STEPS)
        counts, waiting = count_in_hand(tx), count_waiting(tx, now)
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
