"""Signals turned into wake-ups: somebody wants the service to stop, or a program has ended."""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING, Self

from app import clock

if TYPE_CHECKING:
    from types import FrameType, TracebackType

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Some runners pass one Ctrl-C on as well as leaving it to the terminal: two this close together are one.
_SAME_KEYPRESS = 0.5


class Wakeups:
    """Listens, while it is entered, to the signals of this process; enter it in the main thread."""

    def __init__(self) -> None:
        self.stop_requested = False
        self.impatient = False
        self._requested_at = 0.0

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._before = {number: signal.signal(number, self._stop) for number in _STOPPING}
        # Without a handler of Python's own, SIGCHLD would not be written to the wake-up pipe.
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _at: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)

    def wait(self, seconds: float) -> None:
        """Wait until a signal arrives, at most `seconds`."""
        if select.select([self._reader], [], [], seconds)[0]:
            os.read(self._reader, 512)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if not self.stop_requested:
            self.stop_requested, self._requested_at = True, clock.monotonic()
        elif number == signal.SIGINT and clock.monotonic() - self._requested_at > _SAME_KEYPRESS:
            self.impatient = True
