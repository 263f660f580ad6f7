"""The fingerprints of a workflow and of the tasks of its steps, as the code of this process has them."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

from celery import Task

from app.domain.fingerprint import TAG, Reading, read_code

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery import Celery

    from app.execution.engine import Engine

_read: dict[tuple[FunctionType, tuple[type, ...] | None], Reading | None] = {}


def code_of(engine: Engine, workflow: str, tasks: Iterable[str]) -> dict[str, Any]:
    """The fingerprints of a workflow's function, None where that is not known here, and of these tasks."""
    of_workflow = reading_of_workflow(engine, workflow)
    found = {name: reading_of(engine.app, name) for name in sorted(set(tasks))}
    return {
        "python": TAG,
        "workflow": of_workflow and of_workflow.fingerprint,
        "tasks": {name: reading.fingerprint for name, reading in found.items() if reading},
    }


def reading_of(app: Celery, task: str) -> Reading | None:
    """What the code of a task is; None where there is no such task, or no function that it runs."""
    registered = app.tasks.get(task)
    function = _function_of(registered)
    return function and _kept(function, _kinds_of(registered))


def reading_of_workflow(engine: Engine, name: str) -> Reading | None:
    """What the code of a workflow is; None where it is not known here.

    Of its steps it names the tasks alone: each has a fingerprint of its own, and those that have ended do not matter.
    """
    function = engine.policies.of_workflow(name).function
    return _kept(function, None) if isinstance(function, FunctionType) else None


def outdated_files(engine: Engine, workflow: str, tasks: Iterable[str]) -> list[str]:
    """Return the files of a workflow and of tasks that were written after this process had loaded its code."""
    loaded_at = engine.policies.loaded_at
    if loaded_at is None:
        return []
    registered = [engine.app.tasks[name] for name in tasks if name in engine.app.tasks]
    functions = [engine.policies.of_workflow(workflow).function, *map(_function_of, registered)]
    files = {function.__code__.co_filename for function in functions if isinstance(function, FunctionType)}
    return sorted(file for file in files if _written_at(file) > loaded_at)


def _written_at(file: str) -> float:
    try:
        return Path(file).stat().st_mtime
    except OSError:  # it is gone, or code that was never a file
        return 0.0


def _kept(function: FunctionType, kinds: tuple[type, ...] | None) -> Reading | None:
    """The reading of a function, done once: a process does not change its code, unless a name is given another.

    `kinds` are the classes of a task; None says that it is a workflow's function.
    """
    key = function, kinds
    known = _read.get(key)
    if key not in _read or (known is not None and not known.is_current()):
        unwrap = _name_or_self if kinds is None else _function_or_self
        known = _read[key] = read_code(function, unwrap, kinds or ())
    return known


def _function_or_self(value: Any) -> Any:
    return _function_of(value) if isinstance(value, Task) else value


def _name_or_self(value: Any) -> Any:
    return str(value.name) if isinstance(value, Task) else value


def _function_of(task: Any) -> FunctionType | None:
    """What a task runs, as its author wrote it: Celery, and the engine, put functions of their own around that."""
    for name in ("__wrapped__", "run"):
        found = inspect.getattr_static(task.__class__, name, None)  # `type` would tell what stands in for the task
        function = found.__func__ if isinstance(found, staticmethod) else found
        if isinstance(function, FunctionType):
            return function
    return None


def _kinds_of(task: Any) -> tuple[type, ...]:
    """The classes of a task; the one that Celery makes of a decorated function holds its options alone."""
    kinds = type(task).__mro__
    return kinds[1:] if "__wrapped__" in vars(kinds[0]) else kinds
