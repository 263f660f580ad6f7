"""Workflows whose steps log, print and warn."""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings
from pathlib import Path
from typing import Any

from celery import Task, chain
from celery.exceptions import SoftTimeLimitExceeded
from celery.utils.log import get_task_logger

from pausable import Canvas, step, workflow

_log = logging.getLogger("telling")
_task_log = get_task_logger(__name__)


@step
def tell(*lines: str) -> None:
    for line in lines:
        _log.warning(line)


@step
def keep_silent() -> None:
    pass


@step
def tell_in_many_ways() -> None:
    _log.warning("by logging, %s", "formatted")
    _task_log.warning("by the task's logger")
    print("by printing")  # noqa: T201
    warnings.warn("by warning", RuntimeWarning, stacklevel=1)
    try:
        raise ArithmeticError("no such number")
    except ArithmeticError:
        _log.exception("with a traceback")


@step
def tell_and_wait(gate: str) -> None:
    """Tell something before the gate, a file, is there, and something after it."""
    _log.warning("before")
    until = time.monotonic() + 20
    while not Path(gate).exists():
        assert time.monotonic() < until, f"nobody opened {gate}"
        time.sleep(0.001)
    _log.warning("after")


@step(bind=True, max_retries=2, default_retry_delay=0)
def tell_at_each_try(self: Task[Any, Any]) -> None:
    _log.warning("try %d", self.request.retries)
    if self.request.retries < 2:
        raise self.retry()


@step
def tell_from_elsewhere() -> None:
    """Log from a thread and from a process of its own, neither of which is the step's."""
    thread = threading.Thread(target=_log.warning, args=("from a thread",))
    thread.start()
    thread.join()
    child = os.fork()
    if child == 0:
        _log.warning("from a child")
        os._exit(0)
    os.waitpid(child, 0)
    _log.warning("from the step")


class _RaisesWhenTold:
    def __str__(self) -> str:
        raise SoftTimeLimitExceeded


@step
def tell_when_the_time_is_over() -> str:
    try:
        _log.warning(_RaisesWhenTold())
    except SoftTimeLimitExceeded:
        return "noticed"
    return "not noticed"


@workflow("tells")
def tells(*, lines: list[str]) -> Canvas:
    """Tell these lines, then keep silent."""
    return chain(tell.si(*lines), keep_silent.si())


@workflow("tells-so")
def tells_so(task: str, gate: str = "") -> Canvas:
    """Tell something in the way of one of these tasks."""
    tasks = (tell_in_many_ways, tell_and_wait, tell_at_each_try, tell_from_elsewhere, tell_when_the_time_is_over)
    found: Any = next(one for one in tasks if one.name.endswith(f".{task}"))
    return chain(found.si(gate) if gate else found.si())
