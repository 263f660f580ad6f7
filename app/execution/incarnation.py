"""Which process this is: what tells a worker from every other, on any machine and across restarts."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from app.store.workers import Process

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def this_process() -> Process:
    """This process: its host, the boot it belongs to, its pid, and when it started in clock ticks since that boot."""
    return Process(socket.gethostname(), _boot_id(), os.getpid(), _start_time())


def _boot_id() -> str:
    return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""


def _start_time() -> int:
    """Field 22 of /proc/PID/stat (man 5 proc); the name in field 2 may hold spaces, so count from its bracket."""
    stat = Path("/proc/self/stat")
    return int(stat.read_text().rpartition(")")[2].split()[19]) if stat.exists() else 0
