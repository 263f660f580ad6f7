"""A worker on its way out: what has not started is handed back at once, what runs has the grace to end."""

from __future__ import annotations

import mmap
import threading
from typing import Any


class Leaving:
    """Whether this worker is leaving: one byte that all processes of its pool share, because it is older than they."""

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)
        #: The deliveries that the worker's consumer was about to forget; they are its main process's alone.
        self.forgotten: set[Any] = set()
        #: Set once that consumer takes no more.
        self.is_deaf = threading.Event()

    @property
    def is_set(self) -> bool:
        """Whether nothing more is to be started."""
        return self._byte[0] != 0

    def set(self) -> None:
        """Start nothing more, in any process of this worker."""
        self._byte[0] = 1
