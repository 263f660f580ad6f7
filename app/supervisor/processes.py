"""One supervised program and its processes: started, watched, started again when it dies, stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Protocol

from app import clock
from app.errors import ProgramKeepsDying
from app.processes import tied_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_DEATHS_ALLOWED, _WITHIN_SECONDS = 5, 60.0
_READY_WITHIN = 60.0
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 5.0
#: Characters of a line of a program that are read.
_LONGEST_LINE = 1024 * 1024


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Program:
    """What to run and how.

    `is_ready` is asked until it is true; `patience` is the seconds from SIGTERM to SIGKILL; lines with `unsaid` in them
    are not passed on.
    """

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    is_ready: Callable[[], bool] = _always
    patience: float = 5.0
    unsaid: str | None = None


class Say(Protocol):
    """Prints one line that belongs to the program `name`."""

    def __call__(self, name: str, line: str) -> None:
        """Print it, from any thread; never fails."""


def lines_of(output: IO[str]) -> Iterator[str]:
    """Yield the lines that a program prints; of one that is longer than anybody would read, the beginning."""
    while line := output.readline(_LONGEST_LINE):
        yield line
        while line and not line.endswith("\n"):
            line = output.readline(_LONGEST_LINE)


class Supervised:
    """A program's life: at most one running process group at a time, and when the next one is due."""

    def __init__(self, program: Program, say: Say) -> None:
        self.program = program
        self._say = say
        self._process: subprocess.Popen[str] | None = None
        self._deaths: deque[float] = deque(maxlen=_DEATHS_ALLOWED)
        self._due = 0.0
        self._was_ready = False

    @property
    def runs(self) -> bool:
        """Whether its process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def settled(self) -> bool:
        """Whether it runs and has been ready once, so that nothing is due."""
        return self.runs and self._was_ready

    def tend(self) -> None:
        """Start it if it is due; note its death if it died.

        Raises:
            ProgramKeepsDying: It died too often to be started again.
        """
        if self._process is None:
            if clock.monotonic() >= self._due:
                self._start()
        elif self._process.poll() is not None:
            self._mourn(_ending(self._process.returncode))
        elif not self._was_ready and clock.monotonic() - self._started > _READY_WITHIN:
            self._mourn(f"by our hand, not ready after {_READY_WITHIN:g} s")

    def is_ready(self) -> bool:
        """Whether it has been ready, now or earlier: what comes after it need not wait for it any more."""
        self._was_ready = self._was_ready or (self.runs and self.program.is_ready())
        return self._was_ready

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """End it and all it has started, at once, and pass on what they said last."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._reader.join(timeout=1)

    def _start(self) -> None:
        # A session of its own: a terminal's Ctrl-C reaches the supervisor alone, which keeps the order of stopping.
        self._process = subprocess.Popen(
            self.program.command,
            env={**os.environ, **self.program.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=tied_to(os.getpid()),  # from the main thread only: the kernel ties it to the thread
        )
        self._started = clock.monotonic()
        self._reader = threading.Thread(target=self._pass_on, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def _pass_on(self, output: IO[str]) -> None:
        with output:
            for line in lines_of(output):
                if self.program.unsaid is None or self.program.unsaid not in line:
                    self._say(self.program.name, line.rstrip("\n"))

    def _mourn(self, ending: str) -> None:
        self.kill()  # what it started may have outlived it
        self._process = None
        self._deaths.append(clock.monotonic())
        recent = [moment for moment in self._deaths if clock.monotonic() - moment < _WITHIN_SECONDS]
        if len(recent) >= _DEATHS_ALLOWED:
            raise ProgramKeepsDying(self.program.name, len(recent), ending)
        wait = min(_FIRST_WAIT * 2 ** (len(recent) - 1), _LONGEST_WAIT)
        self._due = clock.monotonic() + wait
        self._say(self.program.name, f"ended {ending}: starting again in {wait:g} s")


def _ending(status: int) -> str:
    return f"with status {status}" if status >= 0 else f"by {signal.Signals(-status).name}"
