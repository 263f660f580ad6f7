"""Waking a worker's sweeper from any process of its pool: something is due earlier than it knows."""

from __future__ import annotations

import os
import select
from contextlib import suppress


class Bell:
    """A pipe that a worker's processes inherit: whoever writes to it wakes who waits at its other end."""

    def __init__(self) -> None:
        self._listening, self._ringing = os.pipe()
        os.set_blocking(self._listening, False)
        os.set_blocking(self._ringing, False)

    def ring(self) -> None:
        """Wake the one who waits, or who waits next; one more on a bell that rings already changes nothing."""
        with suppress(BlockingIOError):
            os.write(self._ringing, b"!")

    def wait(self, seconds: float) -> None:
        """Wait until it rings, but not for longer."""
        select.select([self._listening], [], [], seconds)
        with suppress(BlockingIOError):
            os.read(self._listening, 65536)
