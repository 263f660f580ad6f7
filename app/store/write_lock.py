"""A queue in front of SQLite's one writer: its busy handler sleeps up to 25 ms at a time, a file lock wakes at once."""

from __future__ import annotations

import fcntl
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


class Queue(ABC):
    """Where writers wait for each other, before the database makes them."""

    @abstractmethod
    def __enter__(self) -> object:
        """Wait until it is this one's turn."""

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let the next one go on."""

    @abstractmethod
    def close(self) -> None:
        """Give back what the queue holds open."""


class WriteLock(Queue):
    """An exclusive `flock` on a file beside the database, held by one thread of one process at a time.

    The kernel frees it when its holder dies. Each thread needs a lock of its own: `flock` belongs to the open file. A
    child must close its parent's after a fork, or it would hold the parent's lock beyond the parent's death.
    """

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the lock's file."""
        os.close(self._file)


class NoQueue(Queue):
    """For a database whose writers queue well by themselves."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def close(self) -> None:
        """Nothing is held open."""
