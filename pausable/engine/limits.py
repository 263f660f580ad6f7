"""Soft time limits that are raised in an author's code alone, and process settings that are restored after it."""

from __future__ import annotations

import csv
import logging
import os
import signal
import socket
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from celery.exceptions import SoftTimeLimitExceeded

from pausable.celery_compat import handle_soft_time_limits, running_task
from pausable.engine.publish import RUN_SLICE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
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
            task: Any = running_task()
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
    """Handle the soft time limits of this process, which is about to become one of a pool."""
    handle_soft_time_limits(soft_limit.fall_due)


#: The signals by which a worker speaks to the processes of its pool.
_SIGNALS: Final = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1"))


#: What `signal.getsignal` asks, without its search for an enum, which takes longer than all the rest here.
_handler_of: Final[Callable[[int], Any]] = import_module("_signal").getsignal


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """The settings of one process, as they were before any step ran in it; `folder` is a descriptor of its own."""

    pid: int
    folder: int | None
    umask: int
    recursion: int
    socket_timeout: float | None
    longest_field: int
    disabled_logs: int
    handlers: Mapping[int, Any]

    @classmethod
    def taken(cls, *, with_signals: bool) -> ProcessSettings:
        """Return the settings as they are now. Without signals, for a process whose handlers change by themselves."""
        umask = os.umask(0o077)
        os.umask(umask)
        return cls(
            os.getpid(),
            _this_folder(),
            umask,
            sys.getrecursionlimit(),
            socket.getdefaulttimeout(),
            csv.field_size_limit(),
            logging.root.manager.disable,
            {number: _handler_of(number) for number in _SIGNALS} if with_signals else {},
        )

    def restore(self) -> None:
        """Set back what has changed since."""
        os.umask(self.umask)
        if self.folder is not None:
            os.fchdir(self.folder)
        if sys.getrecursionlimit() != self.recursion:
            sys.setrecursionlimit(self.recursion)
        if socket.getdefaulttimeout() != self.socket_timeout:
            socket.setdefaulttimeout(self.socket_timeout)
        csv.field_size_limit(self.longest_field)
        logging.root.manager.disable = self.disabled_logs
        if self.handlers and threading.current_thread() is threading.main_thread():
            self._restore_handlers()

    def _restore_handlers(self) -> None:
        for number, handler in self.handlers.items():
            if _handler_of(number) is not handler and handler is not None:  # None: not set from Python
                signal.signal(number, handler)


class Keeper:
    """Keeps the settings of this process, once a worker has asked for that: a program that runs a flow has its own."""

    def __init__(self) -> None:
        self._is_asked = False
        self._worker: int | None = None
        self._kept: ProcessSettings | None = None

    def begin(self) -> None:
        """Keep the settings that this process and those of its pool have before the first step."""
        self._is_asked = True
        self._worker = os.getpid()

    def take(self) -> None:
        """Take the settings as they are, before the first step of this process."""
        if self._is_asked and (self._kept is None or self._kept.pid != os.getpid()):
            self._kept = ProcessSettings.taken(with_signals=os.getpid() != self._worker)

    def restore(self) -> None:
        """Set back what a step has changed."""
        if self._kept is not None:
            self._kept.restore()


def _this_folder() -> int | None:
    try:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # it is no more, or nobody may read it
        return None


process_settings: Final = Keeper()
