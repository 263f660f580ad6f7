"""A queue in front of SQLite's single writer: SQLite polls every 25 ms, a file lock wakes at once."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
import weakref
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pausable import processes

if TYPE_CHECKING:
    from types import TracebackType

#: Seconds that a writer waits before the lock's holder is checked, and between checks.
_PATIENCE: Final = 1.0
#: Seconds without a waiting writer after which the watching thread ends.
_IDLE: Final = 30.0

_log: Final = logging.getLogger(__name__)


class Queue(ABC):
    """A queue in which writers wait for each other."""

    @abstractmethod
    def __enter__(self) -> object:
        """Wait for the turn."""

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let the next writer continue."""

    @abstractmethod
    def close(self) -> None:
        """Close what the queue holds open."""


class WriteLock(Queue):
    """An exclusive `flock` on a file beside the database, held by one thread of one process at a time.

    The kernel releases it when its holder dies. A holder stopped by a signal would block all others, so it is killed
    after one second. Each thread needs a lock object of its own, because `flock` belongs to the open file, and a child
    closes its parent's after a fork, or it would keep the lock beyond the parent's death.
    """

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.waits_since: float | None = None

    def __enter__(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file once: its descriptor may be reused."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def _wait(self) -> None:
        self.waits_since = time.monotonic()
        _watch.over(self)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
        finally:
            self.waits_since = None

    def holders(self) -> list[int]:
        """Return the pids of the holders of a lock on this file, from /proc/locks (man 5 proc)."""
        locks = Path("/proc/locks")
        found = os.fstat(self._file)
        place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
        lines = locks.read_text().splitlines() if locks.exists() else []
        held = [line.split() for line in lines if "->" not in line]
        return [int(words[4]) for words in held if words[1] == "FLOCK" and words[5] == place]


class NoQueue(Queue):
    """The queue for a database that queues its writers itself."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def close(self) -> None:
        """Do nothing."""


class _Watch:
    """A thread of a process with waiting writers, which checks the holder of the lock."""

    def __init__(self) -> None:
        self._locks: weakref.WeakSet[WriteLock] = weakref.WeakSet()
        self._mutex = threading.Lock()
        self._is_watching = False

    def over(self, lock: WriteLock) -> None:
        """Watch a lock that is waited for."""
        with self._mutex:
            self._locks.add(lock)
            if not self._is_watching:
                self._is_watching = True
                threading.Thread(target=self._run, name="write-lock-watch", daemon=True).start()

    def _run(self) -> None:
        waited_at = time.monotonic()
        while self._is_watching:
            time.sleep(_PATIENCE)
            now = time.monotonic()
            with self._mutex:
                waits = {lock: lock.waits_since for lock in self._locks if lock.waits_since is not None}
                waited_at = now if waits else waited_at
                self._is_watching = now - waited_at < _IDLE
            for lock, since in waits.items():
                if now - since >= _PATIENCE:
                    _free(lock)


def _free(lock: WriteLock) -> None:
    """Kill the lock's holder if it is stopped; a running one is only slow."""
    try:
        holders = lock.holders()
    except OSError:  # its thread has acquired and closed it
        return
    for pid in holders:
        start = processes.start_of(pid)
        if start is not None and processes.is_stopped(pid):
            _log.error("process %s was stopped while it held the database's write lock: it is killed", pid)
            processes.kill(pid, start)


_watch = _Watch()


def _watch_anew() -> None:
    """Start with no watching thread: a forked child has none of its parent's threads."""
    global _watch
    _watch = _Watch()


os.register_at_fork(after_in_child=_watch_anew)
