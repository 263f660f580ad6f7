"""Threads that do what workers and web processes do, and stand still at gates until the test lets them go on.

A hand that is killed never comes out of its gate: what is thrown there is what a worker's process dies of, and no code
of the engine's or of an author's catches it.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from celery.exceptions import WorkerTerminate

if TYPE_CHECKING:
    from collections.abc import Callable

    from pausable.engine.engine import Engine

#: Seconds after which a hand that comes to no gate counts as hung.
_PATIENCE = 30.0


class Killed(WorkerTerminate):
    """The process ends here."""


class Hand:
    """One thread; it does one job at a time, from gate to gate."""

    def __init__(self, close: Callable[[], None]) -> None:
        self._jobs: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._go = threading.Semaphore(0)
        self._halted = threading.Semaphore(0)
        self._close = close
        self._fault: BaseException | None = None
        self._is_killed = False
        #: The gate it stands at, with what that tells; None when its job is done.
        self.at: tuple[str, Any] | None = None
        self.engine: Engine | None = None
        #: Whether it dies the next time it comes by a place where one may.
        self.is_doomed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def begin(self, engine: Engine, job: Callable[[], object]) -> None:
        """Do the job up to its first gate."""
        self.engine, self._is_killed = engine, False
        self._jobs.put(job)
        self._wait()

    def go_on(self) -> None:
        """Leave the gate, and come to the next or to the end."""
        self._go.release()
        self._wait()

    def kill(self) -> None:
        """End in this gate."""
        self._is_killed = True
        self.go_on()

    def end_job(self) -> None:
        """End the job, wherever it stands."""
        while self.at:
            self.kill()

    def end(self) -> None:
        """End the thread."""
        self.end_job()
        self._jobs.put(None)
        self._thread.join()

    def halt(self, name: str, told: Any) -> None:
        """Stand still here until the test says go on."""
        self.at = name, told
        self._halted.release()
        self._go.acquire()
        self.at = None
        if self._is_killed:
            raise Killed

    def _wait(self) -> None:
        assert self._halted.acquire(timeout=_PATIENCE), "it comes to no gate"
        if self._fault:
            raise self._fault

    def _run(self) -> None:
        _mine.hand = self
        while job := self._jobs.get():
            try:
                job()
            except Killed:
                pass
            except BaseException as fault:
                self._fault = fault
            self.is_doomed = False
            self._halted.release()
        self._close()


_mine = threading.local()


def hand_here() -> Hand | None:
    """The hand whose thread this is."""
    hand: Hand | None = getattr(_mine, "hand", None)
    return hand


def gate(name: str, told: Any = None) -> None:
    """Stand still, if a hand does this."""
    if hand := hand_here():
        hand.halt(name, told)


def die_if_doomed() -> None:
    """A place where a doomed process dies: its last transaction is committed, and nothing is told to anybody."""
    hand = hand_here()
    if hand and hand.is_doomed:
        raise Killed
