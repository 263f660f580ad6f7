"""Errands of a worker's main process: what may run an author's code or wait for a file, each in a thread of a few.

Recovery, retries and schedules have threads of their own and never wait for one of these. Of one operation, one errand
runs at a time. No thread can be stopped: one that takes too long is named, and another takes its place.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pausable import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from pausable.db.database import Database

#: Errands that run at once, and threads in all, those included that hang.
_THREADS: Final = 4
_MOST: Final = 32
#: Seconds after which an errand counts as hanging.
DEADLINE: Final = 30.0

_log: Final = logging.getLogger(__name__)
_here = threading.local()


@dataclass(eq=False)
class Errand:
    """One thing to do; `what` says what it is at, `following` is what to do of the same key once it has ended."""

    key: Hashable
    what: str
    action: Callable[[], None]
    on_late: Callable[[str], None] | None = None
    began: float | None = None
    is_named: bool = False
    following: Errand | None = None


def doing(what: str) -> None:
    """Say what the errand of this thread is at; outside an errand nobody is told."""
    errand: Errand | None = getattr(_here, "errand", None)
    if errand:
        errand.what = what


def run_aside(
    errands: Errands | None,
    key: Hashable,
    what: str,
    action: Callable[[], None],
    on_late: Callable[[str], None] | None = None,
) -> None:
    """Have something done as an errand of this worker; here and now in any other process. See `Errands.run`."""
    if errands is None or not errands.is_here:
        action()
    else:
        errands.run(key, what, action, on_late)


class Errands:
    """The errands of one worker. `deadline` is in seconds."""

    def __init__(self, database: Database, deadline: float = DEADLINE) -> None:
        self._database = database
        self._deadline = deadline
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._waiting: deque[Errand] = deque()
        self._of_key: dict[Hashable, Errand] = {}
        self._running: set[Errand] = set()
        self._threads = 0
        self._is_stopped = False

    @property
    def is_here(self) -> bool:
        """Whether this is the process that runs them; one that it forked has none of its threads."""
        return self._pid == os.getpid()

    def run(
        self, key: Hashable, what: str, action: Callable[[], None], on_late: Callable[[str], None] | None = None
    ) -> None:
        """Have something done soon, after whatever else of the same key.

        Args:
            key: Of the errands with one key, one runs at a time, and one more is remembered.
            what: What is done, in words that follow "This worker waits for".
            action: Does it; what it raises is logged.
            on_late: Is told once, in the words of `what`, when it has run for too long.
        """
        errand = Errand(key, what, action, on_late)
        with self._changed:
            if self._is_stopped:
                return
            if present := self._of_key.get(key):
                if present.began is not None:
                    present.following = errand
                return
            self._of_key[key] = errand
            self._waiting.append(errand)
            self._keep_threads()
            self._changed.notify()

    def look(self) -> None:
        """Name the errands that hang, and have others take their places."""
        with self._changed:
            late = [one for one in self._running if self._is_late(one) and not one.is_named]
            self._keep_threads()
        for one in late:
            one.is_named = True
            sentence = f"{one.what} has not returned for {self._deadline:g} s"
            _log.error("this worker waits for what may hang: %s", sentence)
            if one.on_late:
                one.on_late(sentence)

    def finish(self, seconds: float) -> None:
        """Wait until all has ended that was asked for, but not for longer."""
        with self._changed:
            self._changed.wait_for(lambda: not self._of_key, seconds)

    def stop(self) -> None:
        """Begin no more; what runs is left to end."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def _is_late(self, errand: Errand) -> bool:
        return errand.began is not None and clock.monotonic() - errand.began > self._deadline

    def _keep_threads(self) -> None:
        """Have a thread for each errand that is wanted, as far as there may be; those that hang are not counted."""
        hanging = sum(map(self._is_late, self._running))
        wanted = min(_THREADS, len(self._running) - hanging + len(self._waiting))
        while self._threads - hanging < wanted and self._threads < _MOST:
            self._threads += 1
            threading.Thread(target=self._run, name="errands", daemon=True).start()

    def _run(self) -> None:
        while errand := self._next():
            _here.errand = errand
            try:
                errand.action()
            except BaseException:  # the database is gone, or what the author wrote raised: the next sweep asks again
                _log.exception("an errand failed: %s", errand.what)
            finally:
                _here.errand = None
                self._end(errand)
        self._database.close()

    def _next(self) -> Errand | None:
        with self._changed:
            while not self._waiting and not self._is_stopped and not self._are_too_many():
                self._changed.wait()
            if self._is_stopped or not self._waiting:
                self._threads -= 1
                return None
            errand = self._waiting.popleft()
            errand.began = clock.monotonic()
            self._running.add(errand)
            return errand

    def _are_too_many(self) -> bool:
        """Whether one that hung has come back, and its place is taken."""
        return self._threads - sum(map(self._is_late, self._running)) > _THREADS

    def _end(self, errand: Errand) -> None:
        with self._changed:
            self._running.discard(errand)
            following = None if self._is_stopped else errand.following
            if following is None:
                self._of_key.pop(errand.key, None)
            else:
                self._of_key[errand.key] = following
                self._waiting.append(following)
            self._changed.notify_all()
