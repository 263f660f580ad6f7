"""The programs under chaos: a broker, two workers and a web server, each started again soon after it has ended."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Self

from app.supervisor.supervision import web_command, worker_command
from bench.programs import Program
from bench.service import clean_environ
from chaos.client import TOKEN
from chaos.flows import APART
from chaos.ledger import PLACE
from chaos.processes import Process, Watch, state_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from app.supervisor.broker import EmbeddedBroker
    from pausable.config import Settings

#: Seconds after which a program that has ended by itself is started again.
_MOURNING = 0.5
#: Seconds that a killed process has to be gone.
_GONE = 30.0
WORKERS = ("worker-1", "worker-2")


class _Victim(Program):
    """A program that may be hit."""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def end_group(self) -> None:
        """End it and all that came of it, at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(_GONE)


class Member:
    """One program of the stack through all its lives; `tend` must always be called from the same thread."""

    def __init__(self, name: str, command: tuple[str, ...], environ: Mapping[str, str], folder: Path) -> None:
        self.deaths = 0
        # What is left of a web server holds its port; what is left of a worker goes on, as on a machine without a
        # supervisor: that is the harder case.
        self._is_whole = name not in WORKERS
        self._make = partial(_Victim, command, environ, folder, name)
        self._now: _Victim | None = None
        self._due = 0.0

    @property
    def main(self) -> Process | None:
        """Its main process, if it lives."""
        return state_of(self._now.pid) if self._now and self._now.is_alive else None

    @property
    def pool(self) -> list[Process]:
        """What its main process has started, and what came of that, as far as it lives."""
        found = [] if self._now is None else [state_of(pid) for pid in self._now.pids if pid != self._now.pid]
        return [process for process in found if process]

    @property
    def family(self) -> list[Process]:
        """Both, the main process first."""
        return [process for process in (self.main, *self.pool) if process]

    def tend(self) -> None:
        """Start it when that is due; note its end when it has ended."""
        if self._now and not self._now.is_alive:
            if self._is_whole:
                self._now.end_group()
            self._now = None
            self.deaths += 1
            self._due = max(self._due, time.monotonic() + _MOURNING)
        if self._now is None and time.monotonic() >= self._due:
            self._now = self._make()

    def stay_down(self, seconds: float) -> None:
        """Start it no sooner than after so many seconds."""
        self._due = time.monotonic() + seconds

    def end_group(self) -> None:
        """End its main process and all that came of it, at once."""
        if self._now and self._now.is_alive:
            self._now.end_group()

    def end(self) -> None:
        """End it in good order, if it runs."""
        if self._now and self._now.is_alive:
            self._now.end()


class Stack:
    """All programs; they end when the block is left."""

    def __init__(
        self, settings: Settings, embedded: EmbeddedBroker | None, folder: Path, environ: Mapping[str, str]
    ) -> None:
        self.watch = Watch()
        self._embedded = embedded
        ours = {**clean_environ(), **environ, "OPERATIONS_TOKEN": TOKEN, PLACE: str(folder / "ledger")}
        commands = {"broker": embedded.command} if embedded else {}
        commands |= {name: _worker(settings, name) for name in WORKERS}
        commands |= {"web": web_command(settings)}
        self.members = {name: Member(name, command, ours, folder) for name, command in commands.items()}

    @property
    def embedded(self) -> EmbeddedBroker:
        """The broker that the run has started itself."""
        assert self._embedded is not None, "this fault is for a broker of the run's own"
        return self._embedded

    @property
    def has_broker(self) -> bool:
        """Whether the broker answers; one that the run has not started is taken to."""
        return self._embedded is None or self._embedded.answers()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.watch.signal_all(signal.SIGCONT)
        for member in reversed(self.members.values()):
            member.end()
        self.watch.signal_all(signal.SIGKILL)  # what outlived a main process that was killed

    def tend(self) -> None:
        """Start what is due, and see who lives."""
        for member in self.members.values():
            member.tend()
        self.watch.look(process for member in self.members.values() for process in member.family)


def _worker(settings: Settings, name: str) -> tuple[str, ...]:
    return (*worker_command(settings), "--queues", f"operations,{APART}", "--hostname", f"{name}@%h")
