"""Stopping a process in the middle of a write transaction: the moment at which it holds up all other writers."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    from chaos.processes import Process

#: Seconds for which such a moment is waited for.
_PATIENCE: Final = 1.0
_LOCKS: Final = Path("/proc/locks")


def stop_a_writer(lock: Path, processes: Collection[Process]) -> Process | None:
    """Stop one of these processes while it holds the lock that writers queue for; None when none was caught."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        for process in processes:
            if process.pid in _holders(lock):
                process.signal(signal.SIGSTOP)
                if process.pid in _holders(lock):
                    return process
                process.signal(signal.SIGCONT)
    return None


def _holders(lock: Path) -> set[int]:
    """The processes that hold a `flock` on a file (proc(5): locks; those that wait for it stand behind an arrow)."""
    inode = str(lock.stat().st_ino) if lock.exists() else ""
    lines = (line.split() for line in _LOCKS.read_text().splitlines())
    return {int(line[4]) for line in lines if line[1] == "FLOCK" and line[5].rpartition(":")[2] == inode}
