"""The order of things: each program starts once the ones before it are ready, and they stop the other way round."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from app import clock
from app.config import masked
from app.errors import ProgramKeepsDying
from app.supervisor.processes import Supervised
from app.supervisor.wakeups import Wakeups
from app.texts import LINE, cut

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from app.supervisor.processes import Program, Say

_WHILE_STARTING, _WHILE_SETTLED = 0.05, 5.0
#: Characters of a line that is JSON: what it says is cut by the program that wrote it.
_OBJECT = 8 * LINE
_printing = threading.Lock()


def say(name: str, line: str) -> None:
    """Print a line under the name of whose it is, with the passwords in it masked."""
    _print(f"{name:<8}| {cut(masked(line), LINE)}")


def say_as_json(name: str, line: str) -> None:
    """Print a line that is JSON as it is, and any other as the event of an object that names whose it is."""
    if line.startswith("{") and len(line) <= _OBJECT:
        _print(masked(line))
    elif line.strip():
        moment = datetime.fromtimestamp(clock.now(), UTC).isoformat()
        _print(json.dumps({"timestamp": moment, "level": "info", "program": name, "event": cut(masked(line), LINE)}))


def _print(line: str) -> None:
    with _printing, contextlib.suppress(OSError):  # whoever read along may have gone
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def supervise(programs: Sequence[Program], announce: Callable[[], None], say: Say = say) -> int:
    """Run the programs until a signal asks to stop, calling `announce` once all are ready; returns the exit status.

    The status is 0 after a stop that was asked for and 1 when a program kept dying.
    """
    with Wakeups() as wakeups:
        return Supervision(programs, announce, wakeups, say).run()


class Supervision:
    """The programs of one run, in the order in which they start."""

    def __init__(
        self, programs: Sequence[Program], announce: Callable[[], None], wakeups: Wakeups, say: Say = say
    ) -> None:
        self._say = say
        self._members = [Supervised(program, say) for program in programs]
        self._announce = announce
        self._announced = False
        self._wakeups = wakeups

    def run(self) -> int:
        """Keep the programs alive until a stop is asked for or one of them keeps dying, then stop them all."""
        try:
            while not self._wakeups.stop_requested:
                self._tend()
                self._wakeups.wait(self._until_something_is_due())
        except ProgramKeepsDying as fact:
            self._say("run", str(fact))
            return 1
        finally:
            self._stop()
        return 0

    def _tend(self) -> None:
        for member in self._members:
            member.tend()
            if not member.is_ready():
                return
        if not self._announced:
            self._announced = True
            self._announce()

    def _until_something_is_due(self) -> float:
        return _WHILE_SETTLED if all(member.settled for member in self._members) else _WHILE_STARTING

    def _stop(self) -> None:
        self._say("run", "stopping; Ctrl-C again stops at once")
        for member in reversed(self._members):
            member.terminate()
            self._await_end(member)
            member.kill()
        self._say("run", "stopped")

    def _await_end(self, member: Supervised) -> None:
        deadline = clock.monotonic() + member.program.patience
        while member.runs and clock.monotonic() < deadline and not self._wakeups.impatient:
            self._wakeups.wait(_WHILE_STARTING)
        if member.runs:
            self._say("run", f"{member.program.name} has not ended by itself: killing it")
