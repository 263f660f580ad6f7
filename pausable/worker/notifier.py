"""The notifier: threads of each worker that deliver the rows of the outbox."""

from __future__ import annotations

import logging
import queue
import random
import threading
from typing import TYPE_CHECKING, Final, NamedTuple

from pausable import clock
from pausable.canvas.task import is_author_error
from pausable.db.database import is_outage
from pausable.db.history import append_event
from pausable.db.operations import find_operation, lock_operation
from pausable.db.outbox import Lease, mark_failed, mark_sent, next_notification, reschedule, take_due
from pausable.engine.notices import message_of
from pausable.errors import NotDelivered
from pausable.notifications.notification import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pausable.db.database import Connection
    from pausable.db.outbox import Outgoing, Place
    from pausable.engine.engine import Engine

#: Seconds after which a delivery counts as slow, and for how long its endpoint then counts as slow.
_SLOW: Final = 1.0
_REMEMBERED: Final = 60.0
#: Rows in delivery for one slow endpoint at most.
_FEW: Final = 2


class _InDelivery:
    """The rows that this notifier is delivering, by endpoint; an endpoint is identified by its notification's place."""

    def __init__(self) -> None:
        self._places: dict[int, Place] = {}
        self._hanging: dict[int, Place] = {}
        self._slow_until: dict[Place, float] = {}

    def __len__(self) -> int:
        return len(self._places)

    def add(self, row: Outgoing) -> None:
        """Add a row that is being delivered."""
        self._places[row.id] = row.place

    def remove(self, row_id: int) -> None:
        """Remove a row whose delivery ended."""
        self._places.pop(row_id, None)
        self._hanging.pop(row_id, None)

    def mark_hanging(self, row: Outgoing) -> None:
        """Count a row whose delivery hangs against its endpoint only, so that deliveries to others go on."""
        self._places.pop(row.id, None)
        self._hanging[row.id] = row.place

    def record_duration(self, place: Place, seconds: float) -> None:
        """Record how long a delivery took; a fast one clears the endpoint's slow mark."""
        if seconds > _SLOW:
            self._slow_until[place] = clock.monotonic() + _REMEMBERED
        else:
            self._slow_until.pop(place, None)

    def slow(self) -> list[Place]:
        """Return the endpoints that were slow recently or have a hanging delivery."""
        now = clock.monotonic()
        self._slow_until = {place: until for place, until in self._slow_until.items() if until > now}
        return sorted({*self._slow_until, *self._hanging.values()})

    def room_for(self, place: Place) -> int:
        """Return how many more rows a slow endpoint may be given."""
        return max(0, _FEW - [*self._places.values(), *self._hanging.values()].count(place))

    def full(self) -> list[Place]:
        """Return the slow endpoints that may be given no more rows now."""
        return [place for place in self.slow() if not self.room_for(place)]


#: Concurrent deliveries, and rows leased at a time; a delivery that could not end within its lease is not started.
THREADS: Final = 8
_BATCH: Final = 2 * THREADS
#: Seconds for which a row that was taken is reserved for this worker.
LEASE: Final = 3 * DEADLINE
#: Attempts after which a notification is marked as failed: almost two hours.
TRIES: Final = 20
#: Seconds before the second attempt (doubled for each further one), and the maximum.
_FIRST, _LONGEST = 1.0, 600.0
#: Seconds after which a delivery thread counts as hanging, and the number of hanging threads that are replaced.
_HANGS: Final = 3 * DEADLINE
_REPLACED: Final = 24
#: Seconds between two reads of the outbox: at least (rows that others hold may be due), and at most.
_SHORTEST, _PERIOD = 0.02, 2.0

_WHO: Final = "notifications"
_log: Final = logging.getLogger(__name__)


class _Outcome(NamedTuple):
    """The result of one attempt; `fault` is empty if it was delivered, and a final one is not retried."""

    row: Outgoing
    fault: str = ""
    is_final: bool = False
    place: str = ""
    seconds: float = 0.0
    #: Whether the attempt has not returned; its thread was abandoned.
    is_hanging: bool = False

    @property
    def is_last(self) -> bool:
        """Return whether the attempt failed and is not retried."""
        return bool(self.fault) and (self.is_final or self.row.attempts >= TRIES)

    @property
    def is_recorded(self) -> bool:
        """Return whether the history records the attempt: a first failure, a success after it, the final failure."""
        return self.is_last or bool(self.fault) != bool(self.row.error)


class Notifier:
    """Delivers the outbox until it is stopped; each worker has one, in its main process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._inbox: queue.SimpleQueue[_Outcome | None] = queue.SimpleQueue()
        self._outbox: queue.SimpleQueue[tuple[Outgoing, float] | None] = queue.SimpleQueue()
        self._rows = _InDelivery()
        self._threads: list[_DeliveryThread] = []
        self._abandoned: list[_DeliveryThread] = []
        self._is_stopped = False
        self._ends_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Read the outbox now instead of at the next period."""
        self._inbox.put(None)

    def begin_shutdown(self) -> None:
        """Take no more rows; safe to call from a signal handler, since it only sets flags."""
        if self._ends_at is None:
            self._ends_at = clock.monotonic() + self._engine.grace
        self._is_stopped = True
        self.wake()

    def stop(self) -> None:
        """Take no more rows and wait for running deliveries, for the worker's grace period at most."""
        self.begin_shutdown()
        self._thread.join(max(0.0, (self._ends_at or 0.0) - clock.monotonic()))

    def _run(self) -> None:
        waiting: list[_Outcome] = []
        pause = 0.0
        while not (self._is_stopped and not self._rows):
            waiting += self._receive_results(pause)
            try:
                pause = self._record_and_take(waiting)
                waiting = []
            except Exception as fault:
                pause = _PERIOD
                if is_outage(fault):  # record the results once the database is back
                    _log.warning("the outbox cannot be reached, retrying: %s", type(fault).__name__)
                else:  # the row is sent again after its lease: at-least-once delivery
                    _log.exception("the results of deliveries could not be recorded")
                    waiting = []
        for _ in self._threads:
            self._outbox.put(None)
        self._engine.database.close()

    def _receive_results(self, pause: float) -> list[_Outcome]:
        """Return the results received, after the first one or after `pause` seconds."""
        found: list[_Outcome | None] = []
        try:
            found.append(self._inbox.get(timeout=pause) if pause > 0 else self._inbox.get_nowait())
            while True:
                found.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        outcomes = [one for one in found if one]
        for one in outcomes:
            if not one.is_hanging:
                self._rows.remove(one.row.id)
                self._rows.record_duration(one.row.place, one.seconds)
        return outcomes

    def _record_and_take(self, outcomes: Sequence[_Outcome]) -> float:
        """Record results and take due rows; return the seconds to wait before the next turn."""
        room = 0 if self._is_stopped else _BATCH - len(self._rows)
        taken: list[Outgoing] = []
        now = clock.now()
        if outcomes or (room and self._is_any_due(now)):
            with self._engine.database.write() as tx:
                _write_outcomes(tx, outcomes, now)
                if room:
                    taken = self._take(tx, room, now)
        self._distribute(taken)
        return self._seconds_to_wait(is_full=len(taken) == room, now=now)

    def _take(self, tx: Connection, room: int, now: float) -> list[Outgoing]:
        """Take due rows, only a few for each slow endpoint so that they do not delay the others."""
        slow, lease = self._rows.slow(), Lease(now + LEASE, self._engine.incarnation.worker_id)
        taken = take_due(tx, now=now, lease=lease, limit=room, besides=slow)
        for place in slow:
            some = min(room - len(taken), self._rows.room_for(place))
            if some > 0:
                taken += take_due(tx, now=now, lease=lease, limit=some, only=place)
        return taken

    def _next_due(self) -> float | None:
        with self._engine.database.glance() as tx:
            return next_notification(tx, self._rows.full(), self._engine.incarnation.worker_id)

    def _is_any_due(self, now: float) -> bool:
        due = self._next_due()
        return due is not None and due <= now

    def _seconds_to_wait(self, *, is_full: bool, now: float) -> float:
        if is_full or self._is_stopped:
            return _PERIOD  # nothing can be taken before a delivery ends
        due = self._next_due()
        return _PERIOD if due is None else min(_PERIOD, max(_SHORTEST, due - now))

    def _distribute(self, taken: Sequence[Outgoing]) -> None:
        until = clock.monotonic() + LEASE - DEADLINE
        for row in taken:
            self._rows.add(row)
            self._outbox.put((row, until))
        if self._rows:
            self._keep_threads()

    def _keep_threads(self) -> None:
        """Start as many threads as there are rows to deliver, and replace threads that hang."""
        self._abandoned = [thread for thread in self._abandoned if thread.began is not None]
        for thread in [one for one in self._threads if one.is_hanging()][: _REPLACED - len(self._abandoned)]:
            self._abandon(thread)
        while len(self._threads) < min(THREADS, len(self._rows)):
            self._threads.append(_DeliveryThread(self._engine, self._outbox, self._inbox))

    def _abandon(self, thread: _DeliveryThread) -> None:
        """Abandon a thread that hangs, log what it was delivering, and record that attempt as failed."""
        thread.is_abandoned = True
        self._abandoned.append(thread)
        self._threads.remove(thread)
        row = thread.row
        if row is None:
            return
        fault = f"it has not returned for {_HANGS:g} s"
        what = "the state handlers" if row.kind == "telling" else f"notification {row.number}"
        step = f", step {row.step}" if row.step else ""
        _log.error("%s of %s (operation %s%s) may hang: %s", what, row.source, row.operation_id, step, fault)
        self._rows.mark_hanging(row)
        self._inbox.put(_Outcome(row, fault, is_hanging=True))


class _DeliveryThread:
    """A thread that delivers rows one after the other."""

    def __init__(
        self,
        engine: Engine,
        outbox: queue.SimpleQueue[tuple[Outgoing, float] | None],
        inbox: queue.SimpleQueue[_Outcome | None],
    ) -> None:
        self._engine = engine
        self._outbox = outbox
        self._inbox = inbox
        self.began: float | None = None
        self.row: Outgoing | None = None
        self.is_abandoned = False
        threading.Thread(target=self._run, name="delivery", daemon=True).start()

    def is_hanging(self) -> bool:
        """Return whether the current delivery takes longer than any may take."""
        began = self.began
        return began is not None and clock.monotonic() - began > _HANGS

    def _run(self) -> None:
        while not self.is_abandoned and (given := self._outbox.get()):
            row, until = given
            self.row, self.began = row, clock.monotonic()
            outcome = (
                self._handle(row)
                if self.began <= until
                else _Outcome(row, "no delivery thread was free within its lease")
            )
            outcome = outcome._replace(seconds=clock.monotonic() - self.began)
            self.began = None
            self._inbox.put(outcome)
        self._engine.database.close()

    def _handle(self, row: Outgoing) -> _Outcome:
        try:
            if row.kind == "telling":
                self._engine.notices.tell(self._engine, row)
                return _Outcome(row)
            return self._deliver(row)
        except BaseException as fault:  # the author's template or function raised
            if not is_author_error(fault):
                raise
            _log.exception("a notification could not be built")
            return _Outcome(row, f"it could not be built ({type(fault).__name__})")

    def _deliver(self, row: Outgoing) -> _Outcome:
        with self._engine.database.glance() as tx:
            operation = find_operation(tx, row.operation_id) if row.source.startswith("flow:") else None
        notification = self._engine.notices.find(row.source, row.number, operation)
        if notification is None:
            return _Outcome(row, f"the code has no notification {row.number} of {row.source} any more", is_final=True)
        post = self._engine.notices.post
        try:
            post.deliver(notification.to, message_of(row, notification))
            fault = ""
        except NotDelivered as why:
            fault = why.why
        outcome = _Outcome(row, fault)
        return outcome._replace(place=post.name_of(notification.to)) if outcome.is_recorded else outcome


def _write_outcomes(tx: Connection, outcomes: Sequence[_Outcome], now: float) -> None:
    """Write the results of attempts, after locking each operation whose history gets an entry.

    Locking keeps the history in commit order, as its followers require; locking in ascending order prevents deadlocks.
    """
    for operation_id in sorted({one.row.operation_id for one in outcomes if one.is_recorded}):
        lock_operation(tx, operation_id)
    for one in outcomes:
        _write(tx, one, now)


def _write(tx: Connection, outcome: _Outcome, now: float) -> None:
    row, fault = outcome.row, outcome.fault
    if not fault:
        written = mark_sent(tx, row, now), "NotificationSent", f"delivered with attempt {row.attempts}"
    elif outcome.is_last:
        written = (
            mark_failed(tx, row, fault, now),
            "NotificationFailed",
            f"given up after {row.attempts} attempts: {fault}",
        )
    else:
        written = reschedule(tx, row, now + _wait(row.attempts), fault), "NotificationFailed", f"{fault}; retrying"
    is_written, new, why = written
    if is_written and outcome.is_recorded:
        _append_event(tx, outcome, now, new, why)


def _append_event(tx: Connection, outcome: _Outcome, now: float, new: str, why: str) -> None:
    row = outcome.row
    place = f" to {outcome.place}" if outcome.place else ""
    what = f"notification {row.number} of {row.source}{place}: {why}"
    append_event(tx, row.operation_id, at=now, who=_WHO, step=row.step or None, new=new, why=what)


def _wait(attempts: int) -> float:
    """Return the seconds until the next attempt, with jitter."""
    return float(min(_LONGEST, _FIRST * 2 ** min(attempts - 1, 20))) * random.uniform(0.8, 1.2)  # noqa: S311
