"""Checkpoints and large results: put into a store before they are recorded, and read again where a step needs them."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from weakref import WeakKeyDictionary

from pausable.canvas.values import compact, decode
from pausable.db.database import retry_outages
from pausable.db.operations import find_operation, installation_name
from pausable.db.steps import find_step, results_of
from pausable.engine.outcome import Ending, failed
from pausable.errors import (
    ClaimLost,
    ResultFault,
    ResultUnreadable,
    ResultUnwritable,
    SecretInResult,
    TargetMalformed,
    TargetOutside,
)
from pausable.model.graph import name_in_slugs
from pausable.model.states import StepState
from pausable.model.times import utc
from pausable.results.local import LocalResult
from pausable.results.references import Reference, escaped, folder_of, reference_in, unescaped
from pausable.results.remote import RemoteResult, store_at
from pausable.results.targets import SERIALIZERS
from pausable.secrets import found_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pausable.db.database import Database
    from pausable.db.operations import Operation
    from pausable.db.transitions import StepTask
    from pausable.engine.engine import Engine
    from pausable.model.graph import Inputs
    from pausable.results.base import Result


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


if TYPE_CHECKING:
    Arguments = tuple[list[Any], dict[str, Any]]

_NOTHING = (None, "null")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The place in a store where one step keeps its result."""

    store: Result
    path: str
    serializer: str
    #: Characters of a result in the table at the most.
    large: int

    def found(self) -> Ending | None:
        """How the step ends because its result lies there; failed where that cannot be read, None without any."""
        try:
            text = self._read()
        except Exception as why:  # a store may raise anything
            return failed(told(ResultUnreadable, self.place, why))
        if text is None:
            return None
        return Ending(StepState.CACHED, escaped(text), message=f"Its result was read from {self.place}.")

    def keep(self, engine: Engine, operation_id: int, step: StepTask, ending: Ending) -> Ending:
        """Put the result of a success there, unless that is None; returns how the step ends: as failed if it cannot be.

        Raises ClaimLost when the step is not in this worker's hands any more: then nothing was put there.
        """
        if ending.state is not StepState.SUCCESS or ending.result in _NOTHING:
            return ending
        guard = partial(retry_outages, partial(_see_held, engine, operation_id, step))
        try:
            self.store.write(self.path, SERIALIZERS[self.serializer].dump(unescaped(ending.result or "")), guard=guard)
        except ClaimLost:
            raise
        except Exception as why:  # a store may raise anything
            return failed(told(ResultUnwritable, self.place, why))
        return self.by_reference(ending)

    def by_reference(self, ending: Ending) -> Ending:
        """The ending of a step whose result lies here; a large one is read from here by all who need it."""
        is_found_again = isinstance(self.store, LocalResult | RemoteResult)
        if ending.result is None or len(ending.result) <= self.large or not is_found_again:
            return ending
        return replace(ending, result=Reference(self.store.location, self.path, self.serializer).text)

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return self.store.place(self.path)

    def _read(self) -> str | None:
        if not self.store.exists(self.path):
            return None
        try:
            content = self.store.read(self.path)
        except FileNotFoundError:  # somebody has just removed it
            return None
        return SERIALIZERS[self.serializer].load(content)


def look(engine: Engine, operation_id: int, step: StepTask, call: Arguments) -> tuple[Checkpoint | None, Ending | None]:
    """Where a step keeps its result, and how it ends if that says so already; both None for one without a target."""
    try:
        point = checkpoint_of(engine, operation_id, step, call)
    except (TargetMalformed, TargetOutside, SecretInResult) as why:
        return None, failed(why)
    return point, point.found() if point else None


def checkpoint_of(engine: Engine, operation_id: int, step: StepTask, call: Arguments) -> Checkpoint | None:
    """Where a step keeps its result; None when it has no target.

    Raises TargetMalformed, TargetOutside, SecretInResult.
    """
    policy = engine.policies.of_task(step.task)
    if policy.target is None or not engine.checkpointing:
        return None
    operation = retry_outages(partial(_operation, engine, operation_id))
    facts = {
        "date": utc(operation.created_at),
        "workflow": operation.workflow,
        "operation_id": operation_id,
        "step": step.slug,
        "task_name": step.task.rpartition(".")[2] or name_in_slugs(step.task),
    }
    path = policy.target.path(arguments_of(engine, step.task, call) | facts)
    if secret := found_in(path):
        raise SecretInResult(step.task, "target", secret)
    store = policy.result or engine.policies.of_operation(operation).result or engine.results
    return Checkpoint(store, path, policy.serializer, engine.large)


def arguments_of(engine: Engine, task: str, call: Arguments) -> dict[str, Any]:
    """The arguments by the names of the parameters that take them, with the defaults of the others."""
    args, kwargs = call
    try:
        bound = inspect.signature(engine.app.tasks[task].run).bind_partial(*args, **kwargs)
    except (KeyError, TypeError, ValueError):
        return dict(kwargs)
    bound.apply_defaults()
    return {**bound.arguments, **kwargs}


def _operation(engine: Engine, operation_id: int) -> Operation:
    with engine.database.glance() as tx:
        operation = find_operation(tx, operation_id)
    if operation is None:
        raise ClaimLost(operation_id)
    return operation


def _see_held(engine: Engine, operation_id: int, step: StepTask) -> None:
    """Raise ClaimLost when a step is no longer in this worker's hands: what it found is for nobody to see."""
    with engine.database.glance() as tx:
        present = find_step(tx, operation_id, step.number)
    if present is None or (present[0].claim, present[1]) != (step.claim, StepState.RUNNING):
        raise ClaimLost(operation_id)
