"""Which processes there are and which of them live: told by pid and start time, so that a reused pid is another one."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Process(NamedTuple):
    """A process: its pid, and its start in clock ticks since the machine's."""

    pid: int
    start: int

    def signal(self, number: int) -> None:
        """Send it a signal, unless it is gone."""
        if state_of(self.pid) == self:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def this_process() -> Process:
    """The process that asks."""
    found = state_of(os.getpid())
    assert found is not None, "this process has no entry in /proc"
    return found


def state_of(pid: int) -> Process | None:
    """The process that lives under a pid; None when there is none, or only what its parent has yet to collect."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    # Fields 3 and 22 of proc(5): stat; the name in field 2 may hold spaces, so they are counted from its bracket.
    return None if fields[0] in "ZX" else Process(pid, int(fields[19]))


class Watch:
    """Remembers when each process was last seen alive."""

    def __init__(self) -> None:
        self.last_seen: dict[Process, float] = {}
        self._living: set[Process] = set()

    def look(self, found: Iterable[Process]) -> None:
        """Look at these, and at all that lived when it looked before."""
        now = time.time()
        self._living = {process for process in self._living.union(found) if state_of(process.pid) == process}
        self.last_seen |= dict.fromkeys(self._living, now)

    def signal_all(self, number: int) -> None:
        """Send a signal to all that still live."""
        for process in self._living:
            process.signal(number)
