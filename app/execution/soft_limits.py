"""Soft time limits: the exception is raised in an author's code alone, never in the engine before or after it.

Billiard raises `SoftTimeLimitExceeded` wherever its process happens to be. In the engine that would lose the result of
a step that has just ended, or run it again. The handler here knows of three phases of a slice: before its code, a limit
that falls due is kept until the code begins; in the code, it is raised at once; after the code, it is ignored.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

import billiard.pool
from celery._state import get_current_task
from celery.exceptions import SoftTimeLimitExceeded

from app.execution.plain_message import RUN_SLICE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType

#: Seconds after which a signal is sent again that came while the engine was entering or leaving an author's code.
_SOON: Final = 0.01


class _Phase(Enum):
    OUTSIDE = auto()
    BEFORE = auto()
    CODE = auto()
    AFTER = auto()


class SoftLimit:
    """The soft time limit of the slice that runs in this process; a signal's handler and its main thread share it.

    Pools of threads send no such signal, so their slices may all use the same one.
    """

    def __init__(self) -> None:
        self._phase = _Phase.OUTSIDE
        self._is_due = False
        self._is_held = False

    @contextmanager
    def in_slice(self) -> Iterator[None]:
        """Raise nothing in this block but within `run`."""
        before, self._phase = self._phase, _Phase.BEFORE
        self._is_due = False
        try:
            yield
        finally:
            self._phase = before

    def run(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call an author's function; a limit that falls due meanwhile is raised in it, and nowhere else.

        Raises SoftTimeLimitExceeded at once where the limit fell due before.
        """
        before = self._phase
        if before is _Phase.OUTSIDE:
            return function(*args, **kwargs)
        self._phase = _Phase.CODE
        try:
            if self._is_due:
                raise SoftTimeLimitExceeded
            return function(*args, **kwargs)
        finally:
            # A step that calls another one's function is still in its own code.
            self._phase = _Phase.CODE if before is _Phase.CODE else _Phase.AFTER
            self._is_due = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Raise nothing in this block of the engine's that an author's code calls, but at its end."""
        was_held, self._is_held = self._is_held, True
        try:
            yield
        finally:
            self._is_held = was_held
        if self._is_due and self._phase is _Phase.CODE:
            self._is_due = False
            raise SoftTimeLimitExceeded

    def fall_due(self, number: int, frame: FrameType | None) -> None:
        """Handle the signal of the pool: raise SoftTimeLimitExceeded, keep it for the code, or ignore it."""
        if self._phase is _Phase.OUTSIDE:
            # After its slice the process has nothing that the limit could end; other people's tasks have.
            task: Any = get_current_task()
            if task is not None and task.name != RUN_SLICE:
                raise SoftTimeLimitExceeded
        elif self._phase is _Phase.BEFORE or self._is_held:
            self._is_due = True
        elif self._phase is _Phase.CODE:
            if frame is None or frame.f_code not in _OWN:
                raise SoftTimeLimitExceeded
            # The code has returned, or has not begun: an exception here would take its result along.
            threading.Timer(_SOON, signal.pthread_kill, (threading.main_thread().ident or 0, number)).start()


_OWN: Final[frozenset[CodeType]] = frozenset({SoftLimit.run.__code__})

#: Of this process.
soft_limit: Final = SoftLimit()


def take_over() -> None:
    """Handle the soft time limits of this process, which is about to become one of a pool.

    Billiard looks its own handler up by name once the process has been set up.
    """
    vars(billiard.pool)["soft_timeout_sighandler"] = soft_limit.fall_due
