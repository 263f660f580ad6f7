"""Workflows whose steps hand the engine values and texts that are hard to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.workflows import Canvas, cursor, signals, step, workflow
from tests.execution.flows import lines_of, write_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Task


@step
def counted(file: str, value: Any = None) -> Any:
    """Note that it runs, and hand its argument on."""
    write_line(file, "counted")
    return value


@step
def shown(value: Any, file: str) -> str:
    """Note that it runs; returns how the value that it is handed looks in Python."""
    write_line(file, "shown")
    return repr(value)


def raised(task: Task[Any, Any], text: str, file: str) -> dict[str, Callable[[], BaseException]]:
    """What a step raises at each door that is an exception."""
    kind = type(text.replace("\0", "") or "Empty", (Exception,), {})
    return {
        "error": lambda: ValueError(text),
        "type of error": lambda: kind("no message"),
        "signal": lambda: signals.FAIL(text, why=text),
        "success": lambda: signals.SUCCESS(text, result=text),
        "skip": lambda: signals.SKIP(text),
        "retry": lambda: task.retry(exc=ValueError(text), countdown=0, throw=False),
        "retry with": lambda: task.retry(args=("retried", text, file), countdown=0, throw=False),
        "asked to run again": lambda: signals.RETRY(text),
        "pause": lambda: signals.PAUSE(text),
    }


#: Doors that a step leaves by once: it returns when it is run again.
ONCE = ("retry", "retry with", "asked to run again", "pause")


@step(bind=True, max_retries=2)
def speaks(self: Task[Any, Any], door: str, text: str, file: str) -> Any:
    """Hand a text to the engine through one of the doors that it has."""
    is_first = not lines_of(file)
    write_line(file, "speaks")
    raising = raised(self, text, file).get(door)
    if raising and (is_first or door not in ONCE):
        raise raising()
    if door == "place":
        cursor.keep({"text": text})
        return cursor.place["text"]
    return {text: text} if door == "result" else text


@workflow("counting-hostile")
def counting_hostile(file: str) -> Canvas:
    """A step that hands a value to another."""
    return counted.s(file, 1) | shown.s(file)


@workflow("speaking-hostile")
def speaking(door: str, text: str, file: str) -> Canvas:
    """One step that hands a text to the engine."""
    return speaks.s(door, text, file)
