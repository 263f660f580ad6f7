"""The processes of a bench: started here, watched through /proc, and ended by their ids however the bench ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pausable.processes import tied_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

_PATIENCE = 10.0  # seconds from SIGTERM to SIGKILL


class Program:
    """A running program; what it says goes to a file beside its folder's."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], folder: Path, name: str) -> None:
        self.name = name
        self.said = folder / f"{name}.log"
        with self.said.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=tied_to(os.getpid()),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.end()

    @property
    def pids(self) -> list[int]:
        """Its process and all that came of it and lives."""
        return list(_family(self._process.pid))

    @property
    def runs(self) -> bool:
        """Whether its first process lives."""
        return self._process.poll() is None

    def signal(self, number: signal.Signals, *, all_of_it: bool = False) -> None:
        """Send a signal to its first process, or to its whole group."""
        (os.killpg if all_of_it else os.kill)(self._process.pid, number)

    def check(self) -> None:
        """Raise RuntimeError, with what it said last, when it has ended by itself."""
        if self._process.poll() is not None:
            tail = "\n".join(self.said.read_text(errors="replace").splitlines()[-15:])
            raise RuntimeError(f"{self.name} ended with status {self._process.returncode}:\n{tail}")

    def await_that(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until `condition` holds; raises RuntimeError when the program ends first."""

        def holds() -> bool:
            self.check()
            return condition()

        until(holds, what)

    def cpu_seconds(self) -> float:
        """How long its processes have run on a core so far."""
        return sum(cpu_seconds(pid) for pid in self.pids)

    def peak_memory(self) -> int:
        """The largest resident set, in bytes, that one of its processes has had."""
        return max(_peak_memory(pid) for pid in self.pids)

    def end(self) -> None:
        """End it, and whatever of its group is left."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(_PATIENCE)


def until(condition: Callable[[], Any], what: str, *, pause: float = 0.01, seconds: float = 180.0) -> Any:
    """Wait until `condition` is true and return what it says; raises TimeoutError when it takes too long."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s in vain until {what}")
        time.sleep(pause)
    return answer


def cpu_seconds(pid: int) -> float:
    """How long the threads of a process have run on a core (proc(5): schedstat, in nanoseconds)."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError):
            total += int(thread.read_text().split()[0])
    return total / 1e9


def _peak_memory(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                yield from _family(int(child))
