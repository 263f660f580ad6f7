"""Workflows whose steps hand the engine values and texts that are hard to keep."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic import BaseModel

from pausable import Canvas, Flow, cursor, group, signals, step, workflow
from tests.execution.flows import lines_of, write_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Task


class Month(BaseModel):
    """A model of an author's."""

    first: date
    label: str = "month"


#: Values that JSON has no word for, and data that looks like what the engine writes.
VALUES: dict[str, Any] = {
    "date": date(2026, 1, 31),
    "datetime": datetime(2026, 1, 31, 12, tzinfo=UTC),
    "time": time(23, 59),
    "decimal": Decimal("0.10"),
    "uuid": UUID(int=7),
    "bytes": b"\xff\x00",
    "bytes of text": b"text",
    "like bytes": {"__type__": "bytes", "__value__": "no bytes"},
    "like nothing": {"__type__": "x", "__value__": 1},
    "like a broken one": {"__value__": 5, "__type__": "uuid"},
    "like a reference": {"__result__": {"store": "/etc", "path": "hostname", "serializer": "text"}},
    "like a marked value": {"__result__": {"value": 1}},
    "all of them": [{"in": [date(2026, 1, 31), {"__type__": "date", "__value__": "x"}]}, b"y"],
}


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
    name = text.replace("\0", "").encode(errors="ignore").decode() or "Empty"
    kind = type(name, (Exception,), {})
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


@step(bind=True)
def retried_with(self: Task[Any, Any], name: str, value: Any = None) -> str:
    """Ask to be run again with a value; returns how it looks then."""
    if self.request.retries == 0:
        raise self.retry(args=(name,), kwargs={"value": VALUES[name]}, countdown=0)
    return repr(value)


@step
def placed_at(name: str) -> str:
    """Keep a value as the place; what a later run finds there is returned."""
    if cursor.place is None:
        cursor.keep(VALUES[name])
        raise signals.RETRY
    return repr(cursor.place)


@step(target="lookalike.json")
def kept_in_a_target() -> str:
    """Is not run: its target is there."""
    return "run"


@workflow("cached-hostile")
def cached_hostile(file: str) -> Canvas:
    """A step whose target is there, and one that is handed it."""
    return kept_in_a_target.s() | shown.s(file)


@workflow("passing-hostile")
def passing_hostile(name: str, file: str) -> Canvas:
    """A step that is given a value and hands it to another."""
    return counted.s(file, VALUES[name]) | shown.s(file)


@workflow("naming-hostile")
def naming_hostile(name: str, file: str) -> Flow:
    """A step that is given a value by name, and beside what another hands it."""
    flow = Flow("naming")
    one = flow.add(counted.s(file, VALUES[name]))
    flow.add(shown.s(value=[one, VALUES[name]], file=file))
    return flow


@workflow("retrying-hostile")
def retrying_hostile(name: str) -> Canvas:
    """A step that is run again with a value."""
    return retried_with.s(name)


@workflow("placing-hostile")
def placing_hostile(name: str) -> Canvas:
    """A step that keeps a value as its place."""
    return placed_at.s(name)


@workflow("monthly-hostile")
def monthly_hostile(month: date, model: Month, file: str) -> Canvas:
    """Steps that are given what the workflow was: a date, and a model."""
    return group(shown.s(month, file), shown.s(model, file))


@workflow("speaking-hostile")
def speaking(door: str, text: str, file: str) -> Canvas:
    """One step that hands a text to the engine."""
    return speaks.s(door, text, file)
