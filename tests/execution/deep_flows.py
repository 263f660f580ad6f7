"""Flows whose values are nested deep, wherever an author's code can hand one to the service."""

from __future__ import annotations

from itertools import count
from typing import Any

from pausable import Flow, chain, cursor, group, step, workflow
from pausable.canvas.pause import pause_or_continue
from pausable.model.nesting import DEEPEST_VALUE, is_nested_deeper

#: What stands at the bottom of a value, and how many levels that is.
BOTTOMS: dict[str, tuple[Any, int]] = {
    "lists": ([], 1),
    "dicts": ({}, 1),
    "shaped like ours": ({"__type__": "date", "__value__": "2026-01-31"}, 3),  # it is kept as pairs
}


def nested(deep: int, kind: str) -> Any:
    """A value whose JSON is so deep."""
    value, levels = BOTTOMS[kind]
    for _ in range(deep - levels):
        value = [value] if kind == "lists" else {"in": value}
    return value


def depth_of(text: str) -> int:
    return next(deep for deep in count() if not is_nested_deeper(text, deep))


@step
def nest(deep: int, kind: str) -> Any:
    return nested(deep, kind)


@step
def same(value: Any = None, *_more: Any) -> Any:
    return value


@step(bind=True)
def again(self: Any, value: Any, deep: int, kind: str) -> Any:
    """Ask to be run again with a deep argument."""
    return value if value is not None else self.retry(args=[nested(deep, kind), deep, kind], countdown=0)


@step
def keep(_before: Any, deep: int, kind: str) -> Any:
    """Keep a deep place, and stop there if that is asked for."""
    if cursor.place is None:
        cursor.keep(nested(deep, kind))
    return cursor.place


@step(bind=True)
def become(self: Any, deep: int, kind: str) -> Any:
    return self.replace(same.si(nested(deep, kind)))


@step
def answer(_value: Any, _deep: Any) -> bool:
    return False


@step
def no_callback(_value: Any, _rest: Any, _deep: Any) -> None:
    pass


@workflow("deep-result")
def deep_result(deep: int, kind: str) -> Any:
    """A step hands a deep value on."""
    return nest.s(deep, kind) | same.s() | same.s()


@workflow("deep-in-groups")
def deep_in_groups(deep: int, kind: str) -> Any:
    """Deep values in groups of groups."""
    inner = group(nest.s(deep, kind), nest.s(deep, kind))
    for _ in range(90):
        inner = group(inner, same.si(1))
    return inner | same.si(2) | group(nest.si(deep, kind), same.si(2))


@workflow("deep-argument")
def deep_argument(deep: int, kind: str) -> Any:
    """A deep argument, by position and by name."""
    return same.si(1) | same.si(nested(deep, kind)) | same.s() | same.si(value=nested(deep, kind))


@workflow("deep-clause")
def deep_clause(deep: int, kind: str) -> Any:
    """A deep argument of an author's own pause point."""
    value = nested(deep, kind)
    return chain(same.si(1), pause_or_continue.s(answer.s(value), no_callback.s(value)), same.si(value))


@workflow("deep-binding")
def deep_binding(deep: int, kind: str) -> Any:
    """A flow that puts a deep value into a call with a deep argument."""
    flow = Flow("deep-binding")
    first = flow.add(nest.s(deep, kind))
    flow.add(same.s(first, nested(deep, kind)))
    return flow


@workflow("deep-retry")
def deep_retry(deep: int, kind: str) -> Any:
    return same.si(None) | again.s(deep, kind) | same.s()


@workflow("deep-place")
def deep_place(deep: int, kind: str) -> Any:
    return same.si(None) | keep.s(deep, kind)


@workflow("deep-replacement")
def deep_replacement(deep: int, kind: str) -> Any:
    return become.si(deep, kind) | same.s()


#: Workflows in which a value is made while they run, and the error that a step has with one that is too deep.
MADE = {
    "deep-result": "ResultRefused",
    "deep-in-groups": "ResultRefused",
    "deep-retry": "UnstorableArgument",
    "deep-place": "PlaceRefused",
    "deep-replacement": "UnstorableArgument",
}
#: Workflows that are started with one.
GIVEN = ("deep-argument", "deep-clause", "deep-binding")
BOUND = DEEPEST_VALUE
