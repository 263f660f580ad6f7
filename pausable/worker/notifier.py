"""The notifier: threads of each worker that deliver what stands in the outbox."""

from __future__ import annotations

import logging
import queue
import random
import threading
from typing import TYPE_CHECKING, Final, NamedTuple

from pausable import clock
from pausable.canvas.task import is_of_the_code
from pausable.db.database import is_outage
from pausable.db.history import append_event
from pausable.db.operations import find_operation, lock_operation
from pausable.db.outbox import Lease, give_up, mark_sent, next_notification, put_off, take_due
from pausable.engine.notices import message_of
from pausable.errors import NotDelivered
from pausable.notifications.notification import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pausable.db.database import Connection
    from pausable.db.outbox import Outgoing, Place
    from pausable.engine.engine import Engine

#: Seconds after which a delivery counts as slow, and for which its endpoint does then.
_SLOW: Final = 1.0
_REMEMBERED: Final = 60.0
#: Rows in hand for one slow endpoint at the most.
_FEW: Final = 2


class InHand:
    """Of one thread; an endpoint is known by the place of its notification in the code."""

    def __init__(self) -> None:
        self._places: dict[int, Place] = {}
        self._hanging: dict[int, Place] = {}
        self._slow_until: dict[Place, float] = {}

    def __len__(self) -> int:
        return len(self._places)

    def add(self, row: Outgoing) -> None:
        """Have a row in hand."""
        self._places[row.id] = row.place

    def drop(self, row_id: int) -> None:
        """Have it in hand no more."""
        self._places.pop(row_id, None)
        self._hanging.pop(row_id, None)

    def leave(self, row: Outgoing) -> None:
        """Count a row whose delivery hangs for its endpoint alone: as many as may hang there, and others get on."""
        self._places.pop(row.id, None)
        self._hanging[row.id] = row.place

    def took(self, place: Place, seconds: float) -> None:
        """Note how long a delivery took: one that was quick makes up for those that were slow."""
        if seconds > _SLOW:
            self._slow_until[place] = clock.monotonic() + _REMEMBERED
        else:
            self._slow_until.pop(place, None)

    def slow(self) -> list[Place]:
        """The endpoints that were slow of late."""
        now = clock.monotonic()
        self._slow_until = {place: until for place, until in self._slow_until.items() if until > now}
        return sorted({*self._slow_until, *self._hanging.values()})

    def room_for(self, place: Place) -> int:
        """How many more a slow endpoint may be given."""
        return max(0, _FEW - [*self._places.values(), *self._hanging.values()].count(place))

    def full(self) -> list[Place]:
        """The slow endpoints that may be given no more for now."""
        return [place for place in self.slow() if not self.room_for(place)]


#: Deliveries at once, and rows in hand at once: each of these has ended before its lease is over, or is not begun.
THREADS: Final = 8
_IN_HAND: Final = 2 * THREADS
#: Seconds for which what was taken is nobody else's.
LEASE: Final = 3 * DEADLINE
#: Tries after which a notification is given up: almost two hours.
TRIES: Final = 20
#: Seconds before the second try and, doubled each time, at the most.
_FIRST, _LONGEST = 1.0, 600.0
#: Seconds after which a thread is believed to hang in a delivery; so many at a time are replaced, and no more.
_HANGS: Final = 3 * DEADLINE
_REPLACED: Final = 24
#: Seconds between two looks at the outbox, at the least where something is due that others hold, and at the most.
_SHORTEST, _PERIOD = 0.02, 2.0

_WHO: Final = "notifications"
_log: Final = logging.getLogger(__name__)


class _Outcome(NamedTuple):
    """What came of one try: `fault` is empty when it was delivered; one that is final is not tried again."""

    row: Outgoing
    fault: str = ""
    is_final: bool = False
    place: str = ""
    seconds: float = 0.0
    #: Whether it has not ended: its thread is left to itself.
    is_hanging: bool = False

    @property
    def is_last(self) -> bool:
        """Whether it failed and is given up."""
        return bool(self.fault) and (self.is_final or self.row.attempts >= TRIES)

    @property
    def is_news(self) -> bool:
        """Whether the operation's history tells it: the first failure, a success after one, and the giving up."""
        return self.is_last or bool(self.fault) != bool(self.row.error)


class Notifier:
    """Delivers until it is stopped; one for each worker, in its main process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._inbox: queue.SimpleQueue[_Outcome | None] = queue.SimpleQueue()
        self._outbox: queue.SimpleQueue[tuple[Outgoing, float] | None] = queue.SimpleQueue()
        self._in_hand = InHand()
        self._carriers: list[_Carrier] = []
        self._left: list[_Carrier] = []
        self._is_stopped = False
        self._leaves_until: float | None = None
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def wake(self) -> None:
        """Look at the outbox now: something may have been put in."""
        self._inbox.put(None)

    def leave(self) -> None:
        """Take nothing more; called from a signal's handler, so it only sets flags."""
        if self._leaves_until is None:
            self._leaves_until = clock.monotonic() + self._engine.grace
        self._is_stopped = True
        self.wake()

    def stop(self) -> None:
        """Take nothing more, and wait for what is being delivered, but not for longer than the worker's grace."""
        self.leave()
        self._thread.join(max(0.0, (self._leaves_until or 0.0) - clock.monotonic()))

    def _run(self) -> None:
        waiting: list[_Outcome] = []
        pause = 0.0
        while not (self._is_stopped and not self._in_hand):
            waiting += self._gathered(pause)
            try:
                pause = self._turn(waiting)
                waiting = []
            except Exception as fault:
                pause = _PERIOD
                if is_outage(fault):  # what was delivered is noted once the database is back
                    _log.warning("the outbox is out of reach, trying again: %s", type(fault).__name__)
                else:  # it is sent again when its lease is over: twice is better than never
                    _log.exception("what came of notifications was not noted")
                    waiting = []
        for _ in self._carriers:
            self._outbox.put(None)
        self._engine.database.close()

    def _gathered(self, pause: float) -> list[_Outcome]:
        """What has come in, once anything has or the pause is over."""
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
                self._in_hand.drop(one.row.id)
                self._in_hand.took(one.row.place, one.seconds)
        return outcomes

    def _turn(self, outcomes: Sequence[_Outcome]) -> float:
        """Note what came of deliveries and take what is due; returns how long to wait for more."""
        room = 0 if self._is_stopped else _IN_HAND - len(self._in_hand)
        taken: list[Outgoing] = []
        now = clock.now()
        if outcomes or (room and self._is_any_due(now)):
            with self._engine.database.write() as tx:
                _note(tx, outcomes, now)
                if room:
                    taken = self._taken(tx, room, now)
        self._hand_out(taken)
        return self._pause(is_full=len(taken) == room, now=now)

    def _taken(self, tx: Connection, room: int, now: float) -> list[Outgoing]:
        """Take what is due; to an endpoint that was slow of late go a few at a time, so that others do not wait."""
        slow, lease = self._in_hand.slow(), Lease(now + LEASE, self._engine.incarnation.worker_id)
        taken = take_due(tx, now=now, lease=lease, limit=room, besides=slow)
        for place in slow:
            some = min(room - len(taken), self._in_hand.room_for(place))
            if some > 0:
                taken += take_due(tx, now=now, lease=lease, limit=some, only=place)
        return taken

    def _next(self) -> float | None:
        with self._engine.database.glance() as tx:
            return next_notification(tx, self._in_hand.full(), self._engine.incarnation.worker_id)

    def _is_any_due(self, now: float) -> bool:
        due = self._next()
        return due is not None and due <= now

    def _pause(self, *, is_full: bool, now: float) -> float:
        if is_full or self._is_stopped:
            return _PERIOD  # the next thing to happen is that a delivery ends
        due = self._next()
        return _PERIOD if due is None else min(_PERIOD, max(_SHORTEST, due - now))

    def _hand_out(self, taken: Sequence[Outgoing]) -> None:
        until = clock.monotonic() + LEASE - DEADLINE
        for row in taken:
            self._in_hand.add(row)
            self._outbox.put((row, until))
        if self._in_hand:
            self._keep_carriers()

    def _keep_carriers(self) -> None:
        """Have as many as there is work for; one that hangs in a delivery is left to itself, and another takes over."""
        self._left = [carrier for carrier in self._left if carrier.began is not None]
        for carrier in [one for one in self._carriers if one.hangs()][: _REPLACED - len(self._left)]:
            self._leave(carrier)
        while len(self._carriers) < min(THREADS, len(self._in_hand)):
            self._carriers.append(_Carrier(self._engine, self._outbox, self._inbox))

    def _leave(self, carrier: _Carrier) -> None:
        """Leave a thread to itself, tell in what it hangs, and note that try as failed."""
        carrier.is_left = True
        self._left.append(carrier)
        self._carriers.remove(carrier)
        row = carrier.carries
        if row is None:
            return
        fault = f"it has not returned for {_HANGS:g} s"
        what = "the state handlers" if row.kind == "telling" else f"notification {row.number}"
        step = f", step {row.step}" if row.step else ""
        _log.error("%s of %s (operation %s%s) may hang: %s", what, row.source, row.operation_id, step, fault)
        self._in_hand.leave(row)
        self._inbox.put(_Outcome(row, fault, is_hanging=True))


class _Carrier:
    """A thread that delivers one after the other."""

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
        self.carries: Outgoing | None = None
        self.is_left = False
        threading.Thread(target=self._run, name="carrier", daemon=True).start()

    def hangs(self) -> bool:
        """Whether it has been at one delivery for far longer than any may take."""
        began = self.began
        return began is not None and clock.monotonic() - began > _HANGS

    def _run(self) -> None:
        while not self.is_left and (given := self._outbox.get()):
            row, until = given
            self.carries, self.began = row, clock.monotonic()
            outcome = _Outcome(row, "its turn did not come in time") if self.began > until else self._carry(row)
            outcome = outcome._replace(seconds=clock.monotonic() - self.began)
            self.began = None
            self._inbox.put(outcome)
        self._engine.database.close()

    def _carry(self, row: Outgoing) -> _Outcome:
        try:
            if row.kind == "telling":
                self._engine.notices.tell(self._engine, row)
                return _Outcome(row)
            return self._deliver(row)
        except BaseException as fault:  # a template that the code has changed, a workflow's function that raises
            if not is_of_the_code(fault):
                raise
            _log.exception("a notification could not be made")
            return _Outcome(row, f"it could not be made ({type(fault).__name__})")

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
        return outcome._replace(place=post.name_of(notification.to)) if outcome.is_news else outcome


def _note(tx: Connection, outcomes: Sequence[_Outcome], now: float) -> None:
    """Write what came of tries, each operation that has news being locked first.

    So its history grows in the order of the commits, as those who follow it rely on; and by the order of the locks two
    that do this never wait for each other.
    """
    for operation_id in sorted({one.row.operation_id for one in outcomes if one.is_news}):
        lock_operation(tx, operation_id)
    for one in outcomes:
        _write(tx, one, now)


def _write(tx: Connection, outcome: _Outcome, now: float) -> None:
    row, fault = outcome.row, outcome.fault
    if not fault:
        told = mark_sent(tx, row, now), "NotificationSent", f"delivered with try {row.attempts}"
    elif outcome.is_last:
        told = give_up(tx, row, fault, now), "NotificationFailed", f"given up after {row.attempts} tries: {fault}"
    else:
        told = put_off(tx, row, now + _wait(row.attempts), fault), "NotificationFailed", f"{fault}; it is tried again"
    is_written, new, why = told
    if is_written and outcome.is_news:
        _tell(tx, outcome, now, new, why)


def _tell(tx: Connection, outcome: _Outcome, now: float, new: str, why: str) -> None:
    row = outcome.row
    place = f" to {outcome.place}" if outcome.place else ""
    told = f"notification {row.number} of {row.source}{place}: {why}"
    append_event(tx, row.operation_id, at=now, who=_WHO, step=row.step or None, new=new, why=told)


def _wait(attempts: int) -> float:
    """Seconds until the next try; those that failed together are not tried again together."""
    return float(min(_LONGEST, _FIRST * 2 ** min(attempts - 1, 20))) * random.uniform(0.8, 1.2)  # noqa: S311
