"""Results as they are given away: whole, wherever they lie, a part at a time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from app.errors import ResultUnreadable
from app.execution.loading import told
from app.execution.values import compact
from app.results.references import Reference, reference_in, unescaped
from app.results.serializers import SERIALIZERS
from app.results.stores import store_at
from app.store.step_queries import results_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.domain.graph import Inputs
    from app.execution.engine import Engine
    from app.store.operations import Operation


def parts_of_step(text: str) -> Iterator[bytes]:
    """Yield the JSON of the result of a step, which stands so in the table. Raises ResultUnreadable."""
    reference = reference_in(text)
    if reference is None:
        yield unescaped(text).encode()
    else:
        yield from _parts_at(reference)


def parts_of_operation(engine: Engine, operation: Operation) -> Iterator[bytes]:
    """Yield the JSON of the result of an operation that is COMPLETED. Raises ResultUnreadable.

    Of a list of what steps have returned each part may lie elsewhere. That is so where the step's row says the same:
    a handler may have put another list in its place.
    """
    text, outcome = operation.result or "null", json.loads(operation.outcome)
    if not isinstance(outcome, list):
        yield from parts_of_step(text)
        return
    whole = json.loads(b"".join(parts_of_step(text)))
    yield from _parts(engine, operation.id, whole, outcome)


def _parts(engine: Engine, operation_id: int, value: object, outcome: Inputs) -> Iterator[bytes]:
    if isinstance(outcome, int) and isinstance(value, dict):
        yield from _part(engine, operation_id, compact(value), outcome)
    elif isinstance(outcome, list) and isinstance(value, list) and len(value) == len(outcome):
        yield b"["
        for place, (part, one) in enumerate(zip(value, outcome, strict=True)):
            yield b"," if place else b""
            yield from _parts(engine, operation_id, part, one)
        yield b"]"
    else:
        yield compact(value).encode()


def _part(engine: Engine, operation_id: int, text: str, number: int) -> Iterator[bytes]:
    with engine.database.glance() as tx:
        known = results_of(tx, operation_id, {number}).get(number)
    yield from parts_of_step(text) if text == known else iter([text.encode()])


def _parts_at(reference: Reference) -> Iterator[bytes]:
    store = store_at(reference.store)
    try:
        if reference.serializer == "json":
            yield from store.parts(reference.path)
        else:
            yield SERIALIZERS[reference.serializer].load(store.read(reference.path)).encode()
    except Exception as why:  # a store may raise anything
        raise told(ResultUnreadable, store.place(reference.path), why) from why
