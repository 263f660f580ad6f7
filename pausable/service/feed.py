"""Following operations while they move: one thread of a process looks, however many follow, and wakes those concerned.

A look costs a few statements. Whoever follows holds no connection to the database while they wait.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pausable.db.database import is_database_error
from pausable.db.history import Sweep, events_of, marks_of, newest_event
from pausable.errors import OperationNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Hashable, Iterator, Mapping, Sequence

    from pausable.db.database import Database
    from pausable.db.history import Event, Mark
    from pausable.db.users import User
    from pausable.service.operations import Commands, View

T = TypeVar("T")

_log = logging.getLogger(__name__)

#: Seconds between two looks; and between two while the database cannot be reached.
_PERIOD: Final = 0.2
_PERIOD_OF_OUTAGE: Final = 1.0
#: Seconds after which a stream says something at the latest: a dead connection is noticed when it is written to.
BEAT: Final = 15.0
#: Followers of one process that read at the same time, each on a connection of its own.
_READERS: Final = 4
#: Events that are read at once.
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one look saw: a mark of each operation that is there, and what the sweeps found that were asked for."""

    marks: Mapping[int, Mark]
    swept: Mapping[Sweep, Mark]


@dataclass(eq=False, slots=True)
class _Shared:
    """What is read once for several: whoever comes first reads, under the lock."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    found: list[Any] = field(default_factory=list)


class Follower:
    """Somebody who follows operations; `ids` are those, and `sweep` tells of something wider, as of all.

    `is_over` turns true once nobody is to follow any longer, because the process ends: then `wait` returns at once.
    """

    def __init__(self, feed: Feed, ids: Collection[int], sweep: Sweep | None = None) -> None:
        self.ids: frozenset[int] = frozenset(ids)
        self.sweeps: Final = frozenset([sweep] if sweep else [])
        self.is_over = False
        self._feed: Final = feed
        self._woken = threading.Condition(feed.lock)
        self._has_changed = False
        self._last: _Seen | None = None

    def wait(self, seconds: float) -> bool:
        """Whether something has changed since the last wait, as soon as it has; False after the seconds.

        What changes between two waits is told by the second. This thread's connection to the database is closed.
        """
        self._feed.database.close()
        with self._woken:
            self._woken.wait_for(lambda: self._has_changed or self.is_over, seconds)
            changed, self._has_changed = self._has_changed, False
            return changed

    def turn_to(self, ids: Collection[int]) -> None:
        """Follow these from now on, and the former no longer; what has changed by then is told by the next wait."""
        turned = frozenset(ids)
        last = self._feed.read(lambda: self._feed.look(turned, self.sweeps))
        with self._woken:
            # What was shown before may be older than this look: no later one would tell that it is.
            if self._last and last and self._differs(self._last, last, self.ids & turned):
                self._has_changed = True
            self.ids, self._last = turned, last

    def compare(self, ids: frozenset[int], seen: _Seen) -> bool:
        """Wake whoever waits if that differs from what was seen before; under the lock of the feed."""
        if ids is not self.ids:
            return False  # turned to others while the look was taken
        differs = self._last is None or self._differs(self._last, seen, self.ids)
        if differs:
            self._has_changed = True
            self._woken.notify_all()
        self._last = seen
        return differs

    def _differs(self, last: _Seen, seen: _Seen, ids: frozenset[int]) -> bool:
        if any(last.swept.get(one) != seen.swept.get(one) for one in self.sweeps):
            return True
        return any(last.marks.get(one) != seen.marks.get(one) for one in ids)

    def end(self) -> None:
        """Let it wait no longer; under the lock of the feed."""
        self.is_over = True
        self._woken.notify_all()


class Feed:
    """What is new in one database, for all who follow it in this process."""

    def __init__(self, database: Database) -> None:
        self.database: Final = database
        self.lock: Final = threading.Lock()
        self._followers: set[Follower] = set()
        self._thread: threading.Thread | None = None
        self._all_left = threading.Condition(self.lock)
        self._is_ending: Callable[[], bool] = lambda: False
        self._desk: Final = threading.BoundedSemaphore(_READERS)
        self._shared: dict[Hashable, _Shared] = {}

    @contextmanager
    def follow(self, ids: Collection[int] = (), sweep: Sweep | None = None) -> Iterator[Follower]:
        """Somebody who follows these operations from now on, and what the sweep tells of.

        An operation changes with its version, with what of it runs and how far that is, and with its history.
        """
        follower = Follower(self, (), sweep)
        follower.turn_to(ids)
        try:
            with self.lock:
                self._followers.add(follower)
                # One that could not be started, or has died, looks for nobody.
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._look_on, name="feed", daemon=True)
                    self._thread.start()
            yield follower
        finally:
            with self.lock:
                self._followers.discard(follower)
                if not self._followers:
                    self._all_left.notify_all()

    def end_when(self, is_ending: Callable[[], bool]) -> None:
        """Ask this before each look: once it answers true, everybody is told that it is over."""
        self._is_ending = is_ending

    def read(self, reading: Callable[[], T]) -> T:
        """Read what a follower wants, on a connection that is closed behind it; only a few do so at the same time."""
        with self._desk:
            try:
                return reading()
            finally:
                self.database.close()

    def read_once(self, what: Hashable, reading: Callable[[], T]) -> T:
        """The same for one whom a look has just woken: what is read for the first serves all whom that look has woken.

        Nobody else may ask so: what was read for those may be older than what they have seen.
        """
        with self.lock:
            shared = self._shared.setdefault(what, _Shared())
        with shared.lock:
            if not shared.found:
                shared.found.append(self.read(reading))
            found: T = shared.found[0]
            return found

    def look(self, ids: frozenset[int], sweeps: Collection[Sweep] = ()) -> _Seen | None:
        """What is there now; None while the database cannot be reached."""
        if not ids and not sweeps:
            return _Seen({}, {})
        try:
            with self.database.glance() as tx:
                return _Seen(marks_of(tx, tuple(ids)), {sweep: sweep(tx) for sweep in sweeps})
        except Exception as fault:
            if not is_database_error(fault):
                _log.exception("a look has failed")
            return None

    def _look_on(self) -> None:
        """Look again and again until nobody follows."""
        is_reached = True
        try:
            while following := self._present():
                is_reached = self._look_for(following, was_reached=is_reached)
                with self.lock:
                    self._all_left.wait_for(lambda: not self._followers, _PERIOD if is_reached else _PERIOD_OF_OUTAGE)
        finally:
            self.database.close()

    def _present(self) -> Sequence[tuple[Follower, frozenset[int]]]:
        """Who follows what; the thread that finds nobody is to end, and the next to follow begins another."""
        is_over = self._is_ending()
        with self.lock:
            if not self._followers:
                self._thread = None
            for follower in self._followers if is_over else ():
                follower.end()
            return [(follower, follower.ids) for follower in self._followers]

    def _look_for(self, following: Sequence[tuple[Follower, frozenset[int]]], *, was_reached: bool) -> bool:
        """Wake those for whom something has changed; returns whether the database could be reached."""
        ids = frozenset[int]().union(*(ids for _, ids in following))
        seen = self.look(ids, frozenset[Sweep]().union(*(follower.sweeps for follower, _ in following)))
        if (seen is not None) is not was_reached:
            _log.warning("followers %s", "are served again" if seen else "wait: the database cannot be reached")
        if seen is not None:
            with self.lock:
                if any([follower.compare(its_ids, seen) for follower, its_ids in following]):
                    self._shared.clear()  # what is read from now on was read after this look
        return seen is not None


def follow(
    commands: Commands,
    feed: Feed,
    requester: User,
    operation_id: int,
    after: int | None = None,
    *,
    beat: float = BEAT,
) -> Generator[Event | View | None]:
    """What happens to an operation: its history behind the event `after`, by default from now on, and how it stands.

    Each event comes once and in order, then the standing if it has changed; None where nothing was told for `beat`
    seconds. It ends when the operation is there no longer, or the requester's no longer, or the process ends.
    """
    reading = _Reading(commands, feed, requester, operation_id)
    with feed.follow((operation_id,)) as follower:
        yield from _told(reading, follower, reading.newest() if after is None else after, beat)


def _told(reading: _Reading, follower: Follower, after: int, beat: float) -> Generator[Event | View | None]:
    told: View | None = None
    woken = False
    while not follower.is_over:
        try:
            view, events = reading.read(after, is_shared=woken)
        except OperationNotFound:
            return
        yield from events
        after = events[-1].id if events else after
        if len(events) == _PAGE:
            continue
        if view is not None and view != told:
            yield view
        told = view or told
        woken = follower.wait(beat if view else _PERIOD_OF_OUTAGE)
        if not woken:
            yield None


@dataclass(frozen=True, slots=True)
class _Reading:
    """How one operation is read for one who follows it."""

    commands: Commands
    feed: Feed
    requester: User
    operation_id: int

    def newest(self) -> int:
        """The last event that there is."""
        with self.feed.database.glance() as tx:
            return newest_event(tx, self.operation_id)

    def read(self, after: int, *, is_shared: bool) -> tuple[View | None, Sequence[Event]]:
        """How it stands, and then its events: none is missing that led there. Neither during an outage."""
        try:
            if is_shared:
                return self.feed.read_once((self.requester, self.operation_id, after), lambda: self._found(after))
            return self.feed.read(lambda: self._found(after))
        except Exception as fault:
            if not is_database_error(fault):
                raise
            return None, ()

    def _found(self, after: int) -> tuple[View, Sequence[Event]]:
        view = self.commands.show(self.requester, self.operation_id)
        with self.feed.database.glance() as tx:
            return view, events_of(tx, self.operation_id, after=after, limit=_PAGE)
