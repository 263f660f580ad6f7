"""The deadline of every test: one that stands still fails, says where each thread stands, and the run goes on.

`tests/conftest.py` imports the hooks. An alarm interrupts whatever the main thread waits for: a lock, a process, a
pipe. Code that Python cannot interrupt is left to `faulthandler_timeout` in pyproject.toml, which ends the process.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

#: Seconds for a test, and for making and for ending what it needs; a wait inside a test has a smaller one.
SECONDS = float(os.environ.get("TEST_DEADLINE", "300"))
#: Seconds for one condition that a test waits for.
WAIT = 60.0


@contextmanager
def deadline(phase: str) -> Iterator[None]:
    """Fail the test if the block has not ended within `SECONDS`."""

    def ring(*_: object) -> None:
        faulthandler.dump_traceback(sys.stderr, all_threads=True)
        pytest.fail(f"The {phase} stood still for {SECONDS:g} s; standard error says where.")

    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, Any, Any]:
    with deadline("setup"):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, Any, Any]:
    with deadline("test"):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, Any, Any]:
    with deadline("teardown"):
        return (yield)
