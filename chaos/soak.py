"""`python -m chaos.soak`: the service at a steady load for long, without faults, and what each of its processes takes.

Every minute a line for each process tells its resident memory, descriptors and threads, and one the size of the
database. Shared pages count: those that a process of a pool no longer shares with its parent are no growth. The status
is 1 when a process grows faster than it may, once it is warm.
"""

from __future__ import annotations

import http.client
import resource
import statistics
import sys
import tempfile
import threading
import time
from argparse import ArgumentParser
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from bench.http import answers
from bench.programs import until
from chaos.audit import Audit
from chaos.client import TOKEN, Client
from chaos.run import LEASE, environ_of, settings_of
from chaos.shapes import SHAPES
from chaos.stack import Stack
from pausable.model.states import Completion

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chaos.processes import Process

#: Shapes that fail, or are asked for something, leave more behind than a steady load does.
_STEADY: Final = (
    "chain of 5",
    "chain of 50",
    "join",
    "nested",
    "retry",
    "naps",
    "wide",
    "cursor",
    "replace",
    "add-numbers",
)
#: Streams that are open all the time, as in the browsers of people who watch.
_STREAMS: Final = 2
_MEGABYTE: Final = 1024 * 1024
_PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Taken:
    """What a process takes at a moment: seconds since the start, resident bytes, descriptors, threads."""

    at: float
    memory: int
    descriptors: int
    threads: int


def taken_by(process: Process, at: float) -> Taken | None:
    """Return what a process takes; None when it is gone."""
    folder = Path(f"/proc/{process.pid}")
    try:
        pages = int((folder / "statm").read_text().split()[1])
        memory = pages * resource.getpagesize()
        return Taken(at, memory, len(list((folder / "fd").iterdir())), len(list((folder / "task").iterdir())))
    except OSError:
        return None


def growth(samples: Sequence[Taken]) -> float:
    """Return by how many bytes an hour memory grows, by the line through the later half of the samples."""
    later = samples[len(samples) // 2 :]
    if len(later) < 2:
        return 0.0
    slope: float = statistics.linear_regression([one.at for one in later], [one.memory for one in later]).slope
    return slope * 3600


class Soak:
    """One run, in a folder of its own."""

    def __init__(self, folder: Path, seconds: float, per_minute: float, seed: int) -> None:
        self._folder = folder
        self._seconds = seconds
        self._pause = 60 / per_minute
        self._rng = Random(seed)
        self._is_over = threading.Event()
        self.samples: dict[tuple[str, Process], list[Taken]] = defaultdict(list)

    def go(self) -> None:
        """Run it, and print what each process takes, every minute."""
        data = self._folder / "data"
        data.mkdir()
        self._settings, embedded = settings_of(data, self._folder)
        with (
            Audit(self._settings) as audit,
            Stack(self._settings, embedded, self._folder, environ_of(self._settings)) as stack,
        ):
            stack.tend()
            until(lambda: stack.has_broker and answers(self._settings.port), "it answers", seconds=_PATIENCE)
            loads = [threading.Thread(target=self._load, daemon=True), *self._streams()]
            for one in loads:
                one.start()
            self._look_until_over(stack, data)
            self._is_over.set()
            left = [id_ for id_, completion in audit.left().items() if completion != Completion.PAUSED]
            print(f"operations that have not ended: {len(left)}", flush=True)

    def _load(self) -> None:
        client = Client(self._settings.port)
        while not self._is_over.wait(self._pause):
            shape = SHAPES[self._rng.choice(_STEADY)]
            body = {"workflow": shape.workflow, "arguments": shape.arguments(self._rng)}
            _, answer = client.ask("POST", "/operations", body)
            if self._rng.random() < 0.1:
                client.ask("POST", f"/operations/{answer['id']}/pause")
                self._is_over.wait(self._rng.uniform(0, LEASE))
                client.ask("POST", f"/operations/{answer['id']}/resume")

    def _streams(self) -> Iterator[threading.Thread]:
        yield from (threading.Thread(target=self._watch, daemon=True) for _ in range(_STREAMS))

    def _watch(self) -> None:
        """Keep a stream open: it ends by itself now and then, and is opened again."""
        while not self._is_over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._settings.port, timeout=_PATIENCE)
            headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/event-stream"}
            with suppress(OSError, http.client.HTTPException):
                connection.request("GET", "/operations/1/events", headers=headers)
                answer = connection.getresponse()
                while answer.read1(4096) and not self._is_over.is_set():
                    pass
            connection.close()
            self._is_over.wait(1)

    def _look_until_over(self, stack: Stack, data: Path) -> None:
        begun, minute = time.monotonic(), 0
        while (now := time.monotonic() - begun) < self._seconds:
            stack.tend()
            if now >= 60 * minute:
                minute += 1
                self._look(stack, now)
                size = sum(file.stat().st_size for file in data.glob("operations.db*"))
                print(f"{now / 60:5.1f} min  database {size / _MEGABYTE:8.1f} MB", flush=True)
            time.sleep(0.2)

    def _look(self, stack: Stack, now: float) -> None:
        for name, member in stack.members.items():
            for number, process in enumerate(member.family):
                kind = "pool" if number else "main"
                if taken := taken_by(process, now):
                    self.samples[f"{name} {kind}", process].append(taken)
                    memory, rest = taken.memory / _MEGABYTE, f"{taken.descriptors:4} files {taken.threads:3} threads"
                    told = f"{name:<10}{kind:<5}{process.pid:>8} {memory:8.2f} MB {rest}"
                    print(f"{now / 60:5.1f} min  {told}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the figures, and judge the growth of each process."""
    parser = ArgumentParser(prog="python -m chaos.soak", description="Run the service at a steady load for long.")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long it takes")
    parser.add_argument("--per-minute", type=float, default=100.0, help="how many operations are started a minute")
    parser.add_argument("--seed", type=int, default=1, help="chooses the operations")
    parser.add_argument("--most", type=float, default=1.0, help="by how many MB an hour a process may grow once warm")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        soak = Soak(Path(folder), asked.minutes * 60, asked.per_minute, asked.seed)
        soak.go()
    grown = {f"{name} ({process.pid})": growth(samples) for (name, process), samples in soak.samples.items()}
    for name, most in grown.items():
        print(f"{name:<24}{most / _MEGABYTE:+8.2f} MB an hour in the later half")
    return int(any(one > asked.most * _MEGABYTE for one in grown.values()))


if __name__ == "__main__":
    sys.exit(main())
