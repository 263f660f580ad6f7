"""Which exceptions an author's code has raised by itself, and which ones end the process that it runs in."""

from __future__ import annotations

import signal
import threading

from billiard.common import terminate_handler_fired  # type: ignore[attr-defined] # its stubs are older
from celery.exceptions import WorkerShutdown, WorkerTerminate


def is_of_the_code(leaving: BaseException) -> bool:
    """Return whether an author's code raised this, rather than a worker or a person who ends this process.

    A process of the pool that is told to leave says so by billiard's own handler, whatever exit code a step chooses.
    """
    if is_told_to_leave() or isinstance(leaving, WorkerShutdown | WorkerTerminate):
        return False
    return not (isinstance(leaving, KeyboardInterrupt) and _may_be_interrupted())


def is_told_to_leave() -> bool:
    """Return whether a signal has told this process of a pool to end: what its code raises now is no end of a step."""
    return bool(terminate_handler_fired())


def _may_be_interrupted() -> bool:
    """Return whether Ctrl-C raises KeyboardInterrupt here: in the main thread of a program that left it to Python.

    Processes of a pool ignore the signal, and workers have handlers of their own.
    """
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
