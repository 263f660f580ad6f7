"""Write the ends of short steps together: the batch of a slice, and the timer that writes it."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pausable import clock
from pausable.db.claims import keep_place
from pausable.db.operations import completion_of
from pausable.db.steps import window
from pausable.engine.outcome import Ended, Ending
from pausable.engine.settle import InHand, Settled, settle_and_confirm
from pausable.engine.task import call_errbacks
from pausable.errors import ClaimLost
from pausable.model.states import Completion, StepState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pausable.db.claims import Kept
    from pausable.db.database import Database
    from pausable.db.transitions import StepTask
    from pausable.engine.engine import Engine
    from pausable.engine.settle import Choice, MayGoOn

#: How many steps are read ahead at a time.
AHEAD: Final = 64


class Prefetch:
    """The steps after one step that are near enough to be read ahead."""

    def __init__(self) -> None:
        self._pending: dict[int, StepTask] = {}
        self._waiting: dict[int, int] = {}
        self._below: dict[int, list[int]] = {}
        self._ready: list[int] = []
        self._read: set[int] = set()

    def read(self, database: Database, operation_id: int, after: int) -> None:
        """Read the steps after `after`, in place of what was known."""
        with database.read() as tx:
            steps, edges = window(tx, operation_id, after=after, limit=AHEAD)
        self._pending = {step.number: step for step, state in steps if state is StepState.PENDING}
        self._waiting = {number: step.waiting for number, step in self._pending.items()}
        self._ready = []
        self._read = {after, *(step.number for step, _state in steps)}
        self._below = {}
        for up, down in edges:
            self._below.setdefault(up, []).append(down)

    def knows(self, number: int) -> bool:
        """Whether the edges below this step were read."""
        return number in self._read

    def count_down(self, number: int) -> None:
        """Take into account that a step has succeeded."""
        for below in self._below.get(number, ()):
            if below in self._waiting:
                self._waiting[below] -= 1
                if self._waiting[below] == 0:
                    self._ready.append(below)

    def below(self, number: int) -> list[int]:
        """The steps directly below one that was read."""
        return self._below.get(number, [])

    def first_ready(self) -> StepTask | None:
        """The first step that waits for nothing any more; it stays ready until it is taken."""
        return self._pending[min(self._ready)] if self._ready else None

    def take(self, step: StepTask) -> None:
        """Take a ready step out: it runs now."""
        self._ready.remove(step.number)

    def forget(self) -> None:
        """Forget everything: the table has been written, and may say more than was read."""
        self.__init__()  # type: ignore[misc]


#: Seconds that the step in hand may take before what is claimed behind it is given back to others.
PATIENCE: Final = 0.05


@dataclass(slots=True)
class Hand:
    """The step whose code runs now, and whether the table knows of its claim."""

    step: StepTask
    is_claimed: bool
    started_at: float


class Batch:
    """The endings of one slice that wait to be written; shared by the slice's thread and the timer's."""

    def __init__(self, engine: Engine, operation_id: int) -> None:
        self._engine = engine
        self._operation_id = operation_id
        self._near = Prefetch()
        self._ended: list[Ended] = []
        self._hand: Hand | None = None
        self._siblings: deque[StepTask] = deque()
        self._is_lost = False
        self._mutex = threading.Lock()
        #: Every claim that the table knows this slice to have made: number of the step, number of the claim.
        self.claims: list[tuple[int, int]] = []

    def due_at(self) -> float:
        """Return when an ending is to be written that has come now, on the monotonic clock."""
        return clock.monotonic() + self._engine.pace.latest

    def take_up(self, step: StepTask, *, is_claimed: bool) -> None:
        """Note the step whose code is about to run."""
        with self._mutex:
            self._hand = Hand(step, is_claimed, clock.now())
            if is_claimed:
                self.claims.append((step.number, step.claim))

    def finish(self, ending: Ending) -> Ended:
        """Note how the step in hand ended. Raises ClaimLost when the timer found its claim gone."""
        with self._mutex:
            hand, self._hand = self._hand, None
            if hand is None or self._is_lost:
                raise ClaimLost(self._operation_id)
            ended = Ended(hand.step, ending, hand.is_claimed, hand.started_at, clock.now())
            self._ended.append(ended)
            return ended

    def end(self) -> list[tuple[int, int]]:
        """Write nothing any more; returns every claim of the slice, once no other thread can add to them."""
        with self._mutex:
            self._is_lost = True
            return self.claims

    @property
    def has_siblings(self) -> bool:
        """Whether steps are claimed that have yet to run."""
        return bool(self._siblings)

    def next_sibling(self) -> StepTask | None:
        """The next step that was claimed beside the last one; None when none is left, or a pause or cancel is asked."""
        with self._mutex:
            if not self._siblings or self._completion() is not Completion.IN_PROGRESS:
                return None
            return self._siblings.popleft()

    def next_nearby(self, may_run_on: MayGoOn) -> StepTask | None:
        """The next step that may run before anything is written; None when the table must be asked."""
        with self._mutex:
            last = self._ended[-1].step.number
            if not self._near.knows(last):
                self._near.read(self._engine.database, self._operation_id, last)
            self._near.count_down(last)
            step = self._near.first_ready()
            if step is None or not self._is_free(step, may_run_on):
                return None
            self._near.take(step)
            return step

    def keep(self, kept: Kept) -> None:
        """Keep the place of the step in hand, which the table is told of first. Raises ClaimLost."""
        if self._hand and not self._hand.is_claimed:
            self.write_late()
        with self._mutex:
            hand = self._hand
            if hand is None or self._is_lost:
                raise ClaimLost(self._operation_id)
            with self._engine.database.write() as tx:
                self._is_lost = not keep_place(tx, self._operation_id, hand.step.number, hand.step.claim, kept)
            if self._is_lost:
                raise ClaimLost(self._operation_id)

    def known_results(self) -> dict[int, str | None]:
        """The results that are not in the table yet, by step number."""
        with self._mutex:
            return {one.step.number: one.ending.result for one in self._ended}

    def write(self, choice: Choice) -> Settled:
        """Settle all that has ended, give back what was claimed beside it, and take what comes. Raises ClaimLost."""
        with self._mutex:
            if self._is_lost:
                raise ClaimLost(self._operation_id)
            settled = settle_and_confirm(self._engine, self._operation_id, self._written(self._siblings), choice=choice)
            self._clear(self._siblings)
            self._siblings.extend(settled.siblings)
            taken = (settled.next, *settled.siblings) if settled.next else ()
            self.claims.extend((step.number, step.claim) for step in taken)
            return settled

    def write_late(self) -> bool:
        """Settle what has ended while the next step runs, and publish what became ready beside it.

        What is claimed behind that step is given back once it takes its time; returns whether to look for that again.
        """
        with self._mutex:
            hand = self._hand
            if hand is None or self._is_lost:
                return False
            back = tuple(self._siblings) if clock.now() - hand.started_at >= PATIENCE else ()
            settled = self._settled_behind(hand, back) if self._ended or back else Settled(Completion.IN_PROGRESS)
            is_waiting = bool(self._siblings) and not self._is_lost
        ready = (settled.ask, *settled.publish) if settled.ask else settled.publish
        self._engine.publisher.publish(self._operation_id, ready)
        for one in settled.failed:
            call_errbacks(self._engine, self._operation_id, one)
        return is_waiting

    def _settled_behind(self, hand: Hand, back: Iterable[StepTask]) -> Settled:
        """Settle what has ended before the step in hand, whose claim the table is told of too."""
        in_hand = None if hand.is_claimed else InHand(hand.step, hand.started_at)
        try:
            settled = settle_and_confirm(self._engine, self._operation_id, self._written(back), in_hand=in_hand)
        except ClaimLost:
            self._is_lost = True
            return Settled(Completion.IN_PROGRESS)
        if in_hand:
            claimed = hand.step.claimed()
            self._hand = Hand(claimed, True, hand.started_at)
            self.claims.append((claimed.number, claimed.claim))
        self._clear(back)
        return settled

    def _is_free(self, step: StepTask, may_run_on: MayGoOn) -> bool:
        if step.clause and not step.passed:
            return False
        completion = Completion.IN_PROGRESS if step.point is None else self._completion()
        return completion is Completion.IN_PROGRESS and may_run_on(completion, step)

    def _completion(self) -> Completion | None:
        """The pause point's question, asked between any two steps, whether or not they share a transaction."""
        with self._engine.database.glance() as tx:
            return completion_of(tx, self._operation_id)

    def _written(self, back: Iterable[StepTask]) -> list[Ended]:
        here = {one.step.number for one in self._ended}
        if self._hand:
            here.add(self._hand.step.number)
        ended = [replace(one, is_awaited=self._is_awaited(one.step.number, here)) for one in self._ended]
        return [*ended, *map(_given_back, back)]

    def _is_awaited(self, number: int, here: set[int]) -> bool:
        return not self._near.knows(number) or not here.issuperset(self._near.below(number))

    def _clear(self, back: Iterable[StepTask]) -> None:
        self._ended.clear()
        if back:
            self._siblings.clear()
        self._near.forget()


def _given_back(step: StepTask) -> Ended:
    """A step whose code was not started: it is queued again, or held."""
    return Ended(step, Ending(StepState.QUEUED), True, None, clock.now())


#: Seconds between two looks while batches come and go; a wake-up by a slice would cost that slice more than a look.
_LOOK: Final = 0.0025
#: Looks without a batch after which the thread sleeps until it is woken.
_PATIENCE: Final = 200

_log = logging.getLogger(__name__)


class LateWriter:
    """One thread for each process, however many slices run there; while it is awake, arming it wakes nobody."""

    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._due: dict[Batch, float] = {}
        self._is_asleep = False
        self._pid = 0

    def arm(self, batch: Batch) -> None:
        """Write this batch in 5 ms, unless it is disarmed before; arming it again changes nothing."""
        if batch in self._due:
            return
        with self._wake:
            if self._pid != os.getpid():
                self._start()
            elif self._is_asleep:
                self._wake.notify()
            self._due[batch] = batch.due_at()

    def disarm(self, batch: Batch) -> None:
        """Forget the batch: it has been written."""
        if batch in self._due:
            with self._wake:
                self._due.pop(batch, None)

    def _start(self) -> None:
        self._pid = os.getpid()
        self._due.clear()  # a process that forked this one writes its own
        threading.Thread(target=self._run, name="late-writer", daemon=True).start()

    def _run(self) -> None:
        while True:
            batch = self._next()
            try:
                if batch.write_late():
                    self.arm(batch)
            except Exception:  # the slice writes it itself when its step ends, and meets the fault there
                _log.exception("a batch could not be written early")

    def _next(self) -> Batch:
        looks = 0
        with self._wake:
            while True:
                batch = min(self._due, key=self._due.__getitem__, default=None)
                remaining = self._due[batch] - clock.monotonic() if batch else _LOOK
                if batch is not None and remaining <= 0:
                    del self._due[batch]
                    return batch
                looks = 0 if batch else looks + 1
                self._sleep(min(_LOOK, remaining) if looks < _PATIENCE else None)

    def _sleep(self, seconds: float | None) -> None:
        self._is_asleep = seconds is None
        self._wake.wait(seconds)
        self._is_asleep = False
