"""The cursor: the place that a step's code has reached, where it is stopped, and where it goes on."""

from __future__ import annotations

import os
from collections.abc import Sized
from contextvars import ContextVar
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from pausable import clock
from pausable.canvas.values import decode, encode
from pausable.db.claims import Kept
from pausable.db.database import retry_outages
from pausable.db.operations import completion_of
from pausable.engine.limits import soft_limit
from pausable.engine.outcome import words_of
from pausable.errors import ClaimLost, OverTwice, PlaceOfAnother, PlaceRefused, PlaceRefusedToChild, SecretInResult
from pausable.model.states import CLAIMABLE
from pausable.secrets import found_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pausable.db.transitions import StepTask
    from pausable.engine.engine import Engine

#: Seconds between two places that are written, at the least.
EVERY: Final = 1.0
#: Seconds between two looks whether the operation is to pause or to be cancelled.
_LOOK: Final = 0.1
_LARGEST: Final = 2**63 - 1

#: The keeper of the step whose code runs here; None outside an operation.
keeper: ContextVar[Keeper | None] = ContextVar("keeper", default=None)


#: Characters of a place that is made text whenever it is kept; a larger one, for a tenth of the time at the most.
_SMALL: Final = 4096
_SHARE: Final = 9


class KeepsPlaces(Protocol):
    """The batch of a slice, as far as the place of the step in hand goes."""

    def keep(self, kept: Kept) -> None:
        """Keep the place; raise ClaimLost when another worker has taken the step over."""


class StoppedAtCursor(BaseException):
    """Ends the code of a step at its cursor; no `except Exception` holds it up, nor does Celery's tracer."""


class Keeper:
    """Keeps the place of one run of a step; `place` is the last that its code reached, at first an earlier run's.

    Once it has stopped the code it does so at every further `keep`, and keeps nothing more: whatever the code then
    comes to, the run ends at the place where it was stopped.
    """

    def __init__(self, engine: Engine, operation_id: int, batch: KeepsPlaces, step: StepTask) -> None:
        self.place: Any = decode(step.cursor)
        self.is_over = False
        self.is_stopped = False
        self._engine = engine
        self._operation_id = operation_id
        self._batch = batch
        self._task = step.task
        self._pid = os.getpid()
        self._unwritten: Kept | None = None
        #: A place that cannot change, which is made text when it is needed.
        self._later: tuple[int, int | None, int | None] | None = None
        self._kept_at = float("-inf")
        self._looked_at = clock.monotonic()
        self._may_encode_at = float("-inf")

    def keep(self, place: Any, done: int | None, total: int | None, every: float = EVERY) -> None:
        """Reach a place; it is written if that is `every` seconds ago, or if the code is to stop here.

        Raises StoppedAtCursor, PlaceRefused, PlaceRefusedToChild, SecretInResult.
        """
        if self.is_stopped:
            raise StoppedAtCursor
        if os.getpid() != self._pid:
            raise PlaceRefusedToChild
        if type(place) is int and self._is_nothing_due(every):  # rows by the million are counted so
            self.place, self._later = place, (place, done, total)
            return
        with soft_limit.held():
            self._keep(place, done, total, every)

    def unwritten(self) -> Kept | None:
        """Return the last place that was kept and is not written; it is written with the end of the run.

        Of a large place, the last one that was made text in time.
        """
        if self._later is None:
            return self._unwritten
        try:
            return self._kept(*self._later)
        except (PlaceRefused, SecretInResult):  # the code is told of that where a place is written
            return self._unwritten

    def _is_nothing_due(self, every: float) -> bool:
        now = clock.monotonic()
        is_looked = now - self._looked_at < _LOOK and not self._engine.shutdown.is_set
        return is_looked and now - self._kept_at < max(every, EVERY)

    def _keep(self, place: Any, done: int | None, total: int | None, every: float) -> None:
        self.place, self._later = place, None
        now = clock.monotonic()
        is_asked = self._is_asked_to_stop(now)
        if is_asked or now - self._kept_at >= max(every, EVERY):
            self._write(self._kept(place, done, total))
            self._unwritten = None
            self._kept_at = clock.monotonic()
        elif now >= self._may_encode_at:
            started = clock.monotonic()
            self._unwritten = self._kept(place, done, total)
            if len(self._unwritten.place) > _SMALL:
                ended = clock.monotonic()
                self._may_encode_at = ended + _SHARE * (ended - started)
        if is_asked:
            self._stop()

    def _stop(self) -> None:
        self.is_stopped = True
        raise StoppedAtCursor

    def _is_asked_to_stop(self, now: float) -> bool:
        if self._engine.shutdown.is_set:
            return True
        if now - self._looked_at < _LOOK:
            return False
        if retry_outages(self._completion) not in CLAIMABLE:
            return True
        self._looked_at = now
        return False

    def _completion(self) -> str | None:
        with self._engine.database.glance() as tx:
            return completion_of(tx, self._operation_id)

    def _write(self, kept: Kept) -> None:
        try:
            retry_outages(partial(self._batch.keep, kept))
        except ClaimLost:  # another worker has taken over: the batch, which knows it, records nothing of this one
            self._stop()

    def _kept(self, place: Any, done: int | None, total: int | None) -> Kept:
        try:
            text = encode(place)
        except Exception as why:  # a value may bring code of its own that makes JSON of it
            raise PlaceRefused("a place", f"JSON cannot hold ({words_of(why)})") from None
        if secret := found_in(text):
            raise SecretInResult(self._task, "cursor", secret)
        return Kept(text, _count("done", done), _count("total", total))


def _count(name: str, count: object) -> int | None:
    if count is None or (type(count) is int and 0 <= count <= _LARGEST):
        return count
    raise PlaceRefused(f"{name}={str(count)[:80]}", "is no whole number from 0 on")


T = TypeVar("T")


class Cursor:
    """The cursor of whichever step runs here; outside an operation it keeps nothing."""

    @property
    def place(self) -> Any:
        """The place reached, as JSON gives it back: an earlier run's until this one keeps its own; None at first."""
        mine = keeper.get()
        return None if mine is None else mine.place

    def keep(self, place: Any, *, done: int | None = None, total: int | None = None) -> None:
        """Say that all before `place` is done; the step stops here when a pause or cancel is requested.

        It is written at most once a second, and always where the step stops. Raises PlaceRefused.
        """
        mine = keeper.get()
        if mine is not None:
            mine.keep(place, done, total)

    def over(self, rows: Iterable[T], every: float = EVERY) -> Iterator[T]:
        """The rows that were not done by an earlier run, the place being how many are; they must come in one order.

        It is kept after a row, at most each `every` seconds, 1 or more. Raises OverTwice, PlaceOfAnother.
        """
        mine = keeper.get()
        return iter(rows) if mine is None else _over(mine, rows, every)


def _over(mine: Keeper, rows: Iterable[T], every: float) -> Iterator[T]:
    if mine.is_over:
        raise OverTwice
    mine.is_over = True
    done = mine.place or 0
    if type(done) is not int or done < 0:
        raise PlaceOfAnother(mine.place)
    total = len(rows) if isinstance(rows, Sized) else None
    for row in islice(rows, done, None):
        yield row
        done += 1
        mine.keep(done, done, total, every)


#: What steps are written with.
cursor = Cursor()
