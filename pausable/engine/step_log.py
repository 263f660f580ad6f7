"""Keeping what a step's code logs: lines are gathered in memory, and written at most once a second and at its end.

One logging handler sees every record of the process; a context variable tells it which step's code is running there.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from celery.exceptions import SoftTimeLimitExceeded

from pausable import clock
from pausable.db.history import append_lines
from pausable.secrets import redacted
from pausable.texts import storable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pausable.db.database import Database
    from pausable.db.transitions import StepTask

#: Bytes of UTF-8 that one run of a step's code may log; of the rest only the size is kept.
LARGEST: Final = 64 * 1024
#: Seconds between two writes while a step runs.
PERIOD: Final = 1.0
#: Looks without anything to write after which the thread sleeps until it is woken.
_PATIENCE: Final = 3
#: Celery's loggers that tell of tasks by themselves, results included: the table has all that, and who may see it.
_NOT_THE_CODES: Final = ("celery.app.trace", "celery.worker")

_log = logging.getLogger(__name__)


class StepLog:
    """What one run of a step's code has logged and is not written yet; shared by its thread and the writer's."""

    def __init__(self, database: Database, operation_id: int, number: int, run: int) -> None:
        self._database = database
        self._step = operation_id, number, run
        self._pid = os.getpid()
        self._mutex = threading.Lock()
        self._writing = threading.Lock()
        self._lines: list[str] = []
        self._room = LARGEST
        self._left_out = 0
        self.is_empty = True

    def add(self, text: str) -> None:
        """Add a line, or several; what exceeds the room that is left is only measured."""
        if os.getpid() != self._pid:
            return  # a child that the step's code has forked: nobody would write its lines, and they would come twice
        text = redacted(text)
        with self._mutex:
            is_first, self.is_empty = self.is_empty, False
            if is_first:
                self._lines.append(f"--- run {self._step[2]}, {_moment(clock.now())}\n")
            if self._room:
                self._lines.append(self._fitted(f"{storable(text)}\n"))
            else:
                self._left_out += len(text.encode(errors="backslashreplace")) + 1
        if is_first:
            _writer.watch(self)

    def write(self) -> None:
        """Write what has been gathered; what the database does not take stays for the next time."""
        with self._writing:
            with self._mutex:
                lines, self._lines = self._lines, []
            if not lines:
                return
            try:
                with self._database.write(survives_power_cut=False) as tx:
                    append_lines(tx, *self._step, "".join(lines))
            except BaseException:
                with self._mutex:
                    self._lines[:0] = lines
                raise

    def end(self) -> None:
        """Write the rest, and how much was left out. Never raises: no step fails for its log."""
        if self.is_empty:
            return
        try:
            _writer.forget(self)
            if self._left_out:
                self._lines.append(f"--- {self._left_out:,} bytes more were logged and left out\n")
            self.write()
        except Exception:  # the database is gone, or a signal raised a time limit here: the code has ended in time
            _log.warning("the last lines of a step's log could not be written", exc_info=True)

    def _fitted(self, line: str) -> str:
        """As much of a line as there is room for."""
        size = len(line) if line.isascii() else len(line.encode())
        if size > self._room:
            self._left_out, line = size - self._room, line.encode()[: self._room].decode(errors="ignore") + "\n"
        self._room = max(self._room - size, 0)
        return line


class _Handler(logging.Handler):
    """Hands each record to the log of the step whose code made it; other records pass."""

    def emit(self, record: logging.LogRecord) -> None:
        """Add the record to the log of the step that runs here, if any."""
        log = _current.get()
        if log is None or record.name.startswith(_NOT_THE_CODES):
            return
        try:
            log.add(self.format(record))
        except SoftTimeLimitExceeded:  # a signal raises it wherever the code is: it is the code's to know
            raise
        except Exception:
            self.handleError(record)


class _Writer:
    """A thread of each process that writes the logs of long steps; it begins with the first line of all."""

    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._logs: set[StepLog] = set()
        self._is_asleep = False
        self._pid = 0

    def watch(self, log: StepLog) -> None:
        """Write this log once a second from now on."""
        with self._wake:
            if self._pid != os.getpid():
                self._pid, self._logs = os.getpid(), set()
                threading.Thread(target=self._run, name="step-log-writer", daemon=True).start()
            self._logs.add(log)
            if self._is_asleep:
                self._wake.notify()

    def forget(self, log: StepLog) -> None:
        """Leave this log alone from now on: its step has ended."""
        with self._wake:
            self._logs.discard(log)

    def _run(self) -> None:
        looks = 0
        while True:
            with self._wake:
                looks = 0 if self._logs else looks + 1
                self._is_asleep = looks > _PATIENCE
                self._wake.wait(None if self._is_asleep else PERIOD)
                self._is_asleep = False
                logs = list(self._logs)
            for log in logs:
                _write_early(log)


def _write_early(log: StepLog) -> None:
    try:
        log.write()
    except Exception:  # the next second, or the end of the step, tries again
        _log.warning("a step's log could not be written early", exc_info=True)


_current: ContextVar[StepLog | None] = ContextVar("step_log", default=None)
_writer = _Writer()
_handler = _Handler()
_formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
_formatter.converter = time.gmtime
_handler.setFormatter(_formatter)
#: Celery's workers keep what its task loggers say from the root logger.
_LISTENED_TO: Final = (logging.getLogger(), logging.getLogger("celery.task"))


@contextmanager
def step_log(database: Database, operation_id: int, step: StepTask, *, is_claimed: bool) -> Iterator[None]:
    """Keep what is logged inside the block as the log of this step; a step that logs nothing costs nothing."""
    _listen()
    run = step.runs if is_claimed else step.runs + 1
    log = StepLog(database, operation_id, step.number, run)
    token = _current.set(log)
    try:
        yield
    finally:
        _current.reset(token)
        log.end()


def add_to_log(text: str) -> None:
    """Add a text to the log of the step whose code runs here, if any, as far as there is room."""
    log = _current.get()
    if log is not None:
        log.add(text)


def _listen() -> None:
    """Hear what is logged; asked before each step, for user code may have set all handlers anew."""
    for logger in _LISTENED_TO:
        if _handler not in logger.handlers and not (logger is not _LISTENED_TO[0] and logger.propagate):
            logger.addHandler(_handler)


def _moment(seconds: float) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{int(seconds % 1 * 1000):03d}Z"
