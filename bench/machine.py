"""The machine that a run was made on, and how much of it other programs took meanwhile."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import celery
import redis
from sqlalchemy import text

from bench.programs import cpu_seconds
from pausable.db.database import Database

if TYPE_CHECKING:
    from bench.programs import Program


def describe(folder: Path, broker_url: str) -> dict[str, str]:
    """What tells this machine from another, for whoever compares two runs."""
    sync = sync_milliseconds(folder)
    return {
        "processor": f"{os.cpu_count()} cores, {_field('/proc/cpuinfo', 'model name')}",
        "memory": f"{int(_field('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "disk": f"{_filesystem(folder)}, fsync of 4 KiB {sync:.2f} ms",
        "Python": platform.python_version(),
        "SQLite": _sqlite(folder),
        "Valkey": _valkey(broker_url),
        "Celery": celery.__version__,
        "load": f"{os.getloadavg()[0]:.1f} before the run",
    }


def sync_milliseconds(folder: Path, times: int = 50) -> float:
    """How long this disk takes to make 4 KiB durable, in the median."""
    taken = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(times):
            file.write(b"x" * 4096)
            file.flush()
            begun = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(1000 * (time.perf_counter() - begun))
    return statistics.median(taken)


class Elsewhere:
    """How busy programs that are not of this bench keep the machine while the block runs."""

    share = 0.0

    def __init__(self, broker: Program) -> None:
        self._broker = broker

    def __enter__(self) -> Self:
        self._begun = self._all(), self._ours()
        return self

    def __exit__(self, *_: object) -> None:
        (busy, total), ours = self._all(), self._ours()
        (busy_before, total_before), ours_before = self._begun
        ticks = 1 / os.sysconf("SC_CLK_TCK")
        others = (busy - busy_before) * ticks - (ours - ours_before)
        self.share = max(0.0, others / max(ticks, (total - total_before) * ticks))

    @staticmethod
    def _all() -> tuple[int, int]:
        """Ticks that all cores were busy, and all ticks (proc(5): stat)."""
        ticks = [int(one) for one in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return sum(ticks) - ticks[3] - ticks[4], sum(ticks)

    def _ours(self) -> float:
        """Seconds of this process, of its children that have ended, and of the broker, which goes on."""
        times = os.times()
        ended = times.children_user + times.children_system
        return cpu_seconds(os.getpid()) + ended + self._broker.cpu_seconds()


def _field(file: str, name: str) -> str:
    path = Path(file)
    lines = path.read_text().splitlines() if path.exists() else []
    found = (line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return next(found, platform.processor() or "0")


def _filesystem(folder: Path) -> str:
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    under = [(len(point), kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
    return max(under)[1] if under else "unknown"


def _sqlite(folder: Path) -> str:
    database = Database(f"sqlite:///{folder / 'version.db'}")
    with database.glance() as tx:
        version = str(tx.execute(text("SELECT sqlite_version()")).scalar())
    database.close()
    return version


def _valkey(url: str) -> str:
    with redis.Redis.from_url(url) as client:
        facts: dict[str, str] = client.info("server")
        return str(facts.get("valkey_version") or facts.get("redis_version"))
