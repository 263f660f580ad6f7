"""Flows whose tasks have names, and whose steps have results, that documents and addresses find hard."""

from __future__ import annotations

import csv
import gc
import logging
import os
import signal
import socket
import sys
from typing import Any

from celery import chain, group

from pausable import step, workflow
from tests.execution.graph_flows import give

#: Names of tasks that Celery takes as they are.
NAMES = (
    "reports/monthly",
    "ends.in.a.dot.",
    "what?",
    "50% off",
    "a#b",
    "back\\slash",
    "größe",
    "tab\there",
    "x" * 1100,
    "..",
    "🧑‍🔬",
)


def _named(name: str) -> Any:
    @step(name=name)
    def strange(value: Any = None) -> Any:
        print("ran")  # noqa: T201
        return value

    return strange


TASKS = [_named(name) for name in NAMES]


@step
def nest(deep: int) -> Any:
    """A list in a list, so many deep."""
    value: list[Any] = []
    for _ in range(deep):
        value = [value]
    return value


@step
def measure(value: list[Any]) -> int:
    return len(value)


@workflow("strange-names")
def strange_names(which: int) -> Any:
    """A step with a strange name between others."""
    return chain(give.s(1), TASKS[which].s(), TASKS[which].s(), give.s())


@workflow("deep")
def deep(deep: int) -> Any:
    """A step that hands on a value nested deep."""
    return nest.s(deep) | measure.s()


@step
def spoil(folder: str) -> int:
    """Change what the process of a worker was set up with."""
    os.umask(0o777)
    os.chdir(folder)
    sys.setrecursionlimit(150)
    socket.setdefaulttimeout(0.001)
    csv.field_size_limit(10)
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return os.getpid()


@step
def settings(_before: Any = None) -> dict[str, Any]:
    """What the process of a worker is set up with."""
    umask = os.umask(0)
    os.umask(umask)
    return {
        "process": os.getpid(),
        "umask": umask,
        "folder": os.getcwd(),
        "recursion": sys.getrecursionlimit(),
        "sockets": socket.getdefaulttimeout(),
        "fields": csv.field_size_limit(),
        "logs": logging.root.manager.disable,
        "handlers": [str(signal.getsignal(one)) for one in (signal.SIGUSR1, signal.SIGTERM)],
    }


@step
def long_text(_before: Any = None) -> str:
    return "x" * 100_000


@step
def frozen() -> int:
    return gc.get_freeze_count()


@workflow("frozen")
def count_frozen() -> Any:
    """Count the objects that garbage collections of its process leave out."""
    return frozen.s()


@workflow("spoils")
def spoils(folder: str) -> Any:
    """A step that changes the settings of its process, between two that tell them."""
    return group(chain(settings.s(), spoil.si(folder), settings.si()), settings.si())


@workflow("spoils-results")
def spoils_results(folder: str) -> Any:
    """A step that changes the settings of its process before another has a large result."""
    return chain(spoil.s(folder), long_text.si())


@step
def fail(_before: Any) -> None:
    raise ValueError("for good")


@workflow("deep-and-fails")
def deep_and_fails(deep: int) -> Any:
    """A step that hands a value nested deep to one that fails."""
    return nest.s(deep) | fail.s()
