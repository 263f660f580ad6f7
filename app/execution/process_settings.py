"""Settings of a worker's process that the engine relies on, and that any step's code may change for all that run after.

They are set back after each step. What the engine does not rely on is not looked at: the environment, which it reads
once at its start, the locale, and the context of `decimal`. Limits of resources cannot be raised again.
"""

from __future__ import annotations

import csv
import logging
import os
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
