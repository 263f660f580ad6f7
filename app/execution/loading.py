"""Results that are too large for the table: put into a store before they are recorded, and loaded for who needs them.

What is put there has a name of its own, so that one that was put in vain, by a worker that had lost its claim, is
nobody's.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from weakref import WeakKeyDictionary

from app.errors import ResultFault, ResultUnreadable, ResultUnwritable
from app.execution.endings import Ending, failed
from app.execution.values import compact, decode
from app.results.references import Reference, folder_of, reference_in, unescaped
from app.results.serializers import SERIALIZERS
from app.results.stores import store_at
from app.store.lineage import installation_name

if TYPE_CHECKING:
    from app.domain.graph import Inputs
    from app.execution.engine import Engine
    from app.store.database import Database


def kept_small(engine: Engine, operation_id: int, slug: str, ending: Ending) -> Ending:
    """The ending, a large result of it put into the store; as failed where that does not take it."""
    try:
        return replace(ending, result=small(engine, operation_id, slug, ending.result)) if ending.result else ending
    except ResultFault as why:
        return failed(why)


def small(engine: Engine, operation_id: int, name: str, text: str) -> str:
    """A result as the table has it, or the reference to it if it is too large for that.

    Raises ResultUnwritable, StoreUnknown, StorePackageMissing.
    """
    if len(text) <= engine.large:
        return text
    store = engine.results
    folder = folder_of(installation_of(engine.database), operation_id)
    reference = Reference(store.location, f"{folder}/{_fit(name)}-{uuid4().hex}.json", "json")
    try:
        store.write(reference.path, unescaped(text).encode())
    except Exception as why:
        raise told(ResultUnwritable, store.place(reference.path), why) from why
    return reference.text


def installation_of(database: Database) -> str:
    """The name of the installation that a database is of; read once by each process."""
    name = _names.get(database)
    if name is None:
        with database.glance() as tx:
            name = _names[database] = installation_name(tx)
    return name


_names: WeakKeyDictionary[Database, str] = WeakKeyDictionary()


def load(text: str | None) -> Any:
    """The value of a result as the table has it, wherever it lies. Raises a kind of ResultFault."""
    return decode(_content(text))


def load_stored(text: str | None) -> Any:
    """The value of a result as `load` reads it, as the dicts and lists of its JSON. Raises a kind of ResultFault."""
    content = _content(text)
    return None if content is None else json.loads(content)


def _content(text: str | None) -> str | None:
    """The JSON of a result, wherever it lies."""
    reference = text and reference_in(text)
    if not reference:
        return text and unescaped(text)
    store = store_at(reference.store)
    try:
        content: str = SERIALIZERS[reference.serializer].load(store.read(reference.path))
    except Exception as why:  # a store may raise anything
        raise told(ResultUnreadable, store.place(reference.path), why) from why
    return content


def load_outcome(text: str | None, outcome: Inputs) -> Any:
    """The value of an operation's result, each part of it from where it lies. Raises a kind of ResultFault."""
    if not isinstance(outcome, list):
        return load(text)
    parts = json.loads(_content(text) or "null") or []
    return [load_outcome(compact(part), one) for part, one in zip(parts, outcome, strict=True)]


def told(kind: type[ResultUnreadable | ResultUnwritable], place: str, why: Exception) -> Exception:
    """The error as people are told of it; those of the service say themselves what is wrong."""
    if isinstance(why, ResultFault):
        return why
    strerror = why.strerror if isinstance(why, OSError) else None
    return kind(place, strerror or str(why) or type(why).__name__)


def _fit(name: str) -> str:
    """The name of a step, which may hold anything, as a part of a path."""
    return "".join(one if one.isascii() and (one.isalnum() or one in "-_") else "_" for one in name)[:80]
