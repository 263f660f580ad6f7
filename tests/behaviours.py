"""Tasks and canvases that tell by lines in a file what Celery, or an operation, does with them.

The table `BEHAVIOURS` is run on plain Celery and as operations; what differs stands in docs/workflows.md by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celery import Task, chain, chord, group, shared_task
from celery.exceptions import Ignore, Reject
from celery.utils import uuid

if TYPE_CHECKING:
    from collections.abc import Callable


def write(file: str, line: str) -> None:
    with Path(file).open("a") as lines:
        lines.write(f"{line}\n")


@shared_task(name="behaviours.give")
def give(value: Any, *_before: Any) -> Any:
    return value


@shared_task(name="behaviours.add")
def add(value: int, more: int) -> int:
    return value + more


@shared_task(name="behaviours.total")
def total(values: list[int]) -> int:
    return sum(values)


@shared_task(name="behaviours.note")
def note(value: Any, file: str, name: str = "note") -> Any:
    write(file, f"{name} {value}")
    return value


@shared_task(name="behaviours.fail")
def fail(*_before: Any) -> None:
    raise ArithmeticError("no such number")


@shared_task(name="behaviours.told")
def told(request: Any, error: Exception, traceback: str | None, file: str) -> None:
    """An error callback: which task it is told of, what failed, and whether it is told where."""
    write(file, f"told {request.task.rpartition('.')[2]} {type(error).__name__} {bool(traceback)}")


@shared_task(name="behaviours.told_id", bind=True)
def told_id(self: Task[Any, Any], task_id: str, file: str) -> None:
    """An error callback of the older kind, which is sent: whether its parent is the task that it is told of."""
    write(file, f"told of its parent: {self.request.parent_id == task_id}")


@shared_task(name="behaviours.broken_callback")
def broken_callback(_value: Any, file: str) -> None:
    write(file, "callback")
    raise LookupError("the callback is broken")


@shared_task(name="behaviours.broken_errback")
def broken_errback(_request: Any, _error: Exception, _traceback: str, file: str) -> None:
    write(file, "errback")
    raise LookupError("the errback is broken")


@shared_task(name="behaviours.replaced", bind=True)
def replaced(self: Task[Any, Any], value: Any, kind: str, file: str) -> Any:
    """Be replaced by another canvas."""
    return self.replace(REPLACEMENTS[kind](value, file))


@shared_task(name="behaviours.ignored", bind=True)
def ignored(_self: Task[Any, Any], _value: Any, file: str) -> None:
    write(file, "ignored")
    raise Ignore


@shared_task(name="behaviours.rejected")
def rejected(_value: Any, file: str) -> None:
    write(file, "rejected")
    raise Reject("not here", requeue=False)


@shared_task(name="behaviours.twice", bind=True, max_retries=3)
def twice(self: Task[Any, Any], value: int, file: str) -> int:
    """Be retried once with another argument and headers."""
    headers = self.request.headers or {}
    write(file, f"run {self.request.retries} {value} {headers.get('tenant')}")
    if self.request.retries == 0:
        raise self.retry(args=(value + 1, file), countdown=0, headers={"tenant": "blue"})
    return value


@shared_task(name="behaviours.exhausted", bind=True, max_retries=1)
def exhausted(self: Task[Any, Any], _value: Any, file: str) -> None:
    write(file, f"run {self.request.retries}")
    raise self.retry(countdown=0, exc=ArithmeticError("no such number"))


@shared_task(name="behaviours.asked_softly", bind=True, max_retries=1)
def asked_softly(self: Task[Any, Any], value: int, file: str) -> int:
    """Ask for a retry, and go on."""
    write(file, f"run {self.request.retries}")
    if self.request.retries == 0:
        self.retry(countdown=0, throw=False)
    return value + self.request.retries


@shared_task(name="behaviours.cuts_its_chain", bind=True)
def cuts_its_chain(self: Task[Any, Any], value: int, file: str) -> int:
    """Stop a chain as some do in plain Celery."""
    write(file, "cut")
    self.request.chain = None
    return value


def found_in(request: Any) -> dict[str, Any]:
    """Who a task is, and what is handed on to it."""
    return {
        "id": request.id,
        "parent": request.parent_id,
        "root": request.root_id,
        "group": request.group,
        "index": request.group_index,
        "correlation": request.correlation_id,
        "tenant": request.get("tenant"),
        "stamps": request.stamps,
        "stamped": request.stamped_headers,
        "limits": request.timelimit,
    }


@shared_task(name="behaviours.lineage", bind=True)
def lineage(self: Task[Any, Any], before: Any, name: str) -> dict[str, Any]:
    """What this task finds in its request, behind what those before it have found."""
    earlier = before if isinstance(before, list) else [before]
    return {name: found_in(self.request)} | {key: value for one in earlier for key, value in (one or {}).items()}


@shared_task(name="behaviours.gives_way", bind=True)
def gives_way(self: Task[Any, Any], before: Any, name: str) -> Any:
    """Be replaced by two calls; what it has found itself is handed to the first."""
    mine = {name: found_in(self.request)} | (before or {})
    return self.replace(lineage.s(mine, "first") | lineage.s("second"))


class OwnTask(Task):  # type: ignore[type-arg]
    """A base class that notes what it is asked for, and adds to it."""

    def retry(self, *args: Any, **options: Any) -> Any:
        write((self.request.args or ())[1], "own retry")
        return super().retry(*args, **options)

    def replace(self, sig: Any) -> Any:
        write((self.request.args or ())[1], "own replace")
        return super().replace(sig)


class Stamping(Task):  # type: ignore[type-arg]
    """A base class that stamps what its tasks are replaced by."""

    def on_replace(self, sig: Any) -> Any:
        sig.stamp(tenant="blue")
        return super().on_replace(sig)


class Tenanted(Task):  # type: ignore[type-arg]
    """A base class that puts a header into every message of its tasks."""

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:  # type: ignore[override]
        options["headers"] = {**(options.get("headers") or {}), "tenant": "blue"}
        return super().apply_async(args, kwargs, **options)


@shared_task(name="behaviours.own_twice", bind=True, base=OwnTask, max_retries=3)
def own_twice(self: Task[Any, Any], value: int, file: str) -> Any:
    if self.request.retries == 0:
        raise self.retry(countdown=0)
    return self.replace(note.s(value, file))


@shared_task(name="behaviours.note_stamps", bind=True)
def note_stamps(self: Task[Any, Any], value: Any, file: str) -> Any:
    request: Any = self.request
    write(file, f"stamps {request.stamps}")
    return value


@shared_task(name="behaviours.stamps_replacement", bind=True, base=Stamping)
def stamps_replacement(self: Task[Any, Any], value: Any, file: str) -> Any:
    return self.replace(note_stamps.s(value, file))


@shared_task(name="behaviours.own_lineage", bind=True, base=Tenanted)
def own_lineage(self: Task[Any, Any], value: int, file: str) -> int:
    request: Any = self.request
    write(file, f"tenant {request.get('tenant')}")
    return value


REPLACEMENTS: dict[str, Callable[[Any, str], Any]] = {
    "task": lambda value, _: add.s(value, 10),
    "chain": lambda value, _: add.s(value, 10) | add.s(100),
    "group": lambda value, _: group(add.s(value, 10), add.s(value, 20)),
    "chord": lambda value, _: chord([add.s(value, 10), add.s(value, 20)], total.s()),
    "failing task": lambda _value, _: fail.s(),
    "failing chain": lambda value, _: add.s(value, 10) | fail.s() | add.s(1),
    "failing group": lambda value, _: group(add.s(value, 10), fail.s(), fail.s()),
    "failing chord": lambda value, _: chord([add.s(value, 10), fail.s()], total.s()),
    "failing twice": lambda value, file: replaced.s(value, "failing task", file),
    "empty chain": lambda _value, _: chain(),
    "own error callback": lambda _value, file: fail.s().on_error(told.s(file=file)),
}


@dataclass(frozen=True)
class Behaviour:
    """A canvas, made of the path of a file; what comes of it, and which lines stand in the file then.

    `result` is that of plain Celery: a value, or the name of an error; `NEVER` where it waits for ever. What is not the
    same in an operation is in `here` (and `lines_here`), by the name under which docs/workflows.md tells of it.
    """

    canvas: Callable[[str], Any]
    result: Any
    lines: tuple[str, ...] = ()
    differs: str | None = None
    here: Any = None
    lines_here: tuple[str, ...] | None = None


NEVER = "never"
_FAILED = "ArithmeticError"
_TOLD = "told fail ArithmeticError True"


def _replaced(kind: str) -> Callable[[str], Any]:
    return lambda file: give.s(1) | replaced.s(kind, file).on_error(told.s(file=file)) | note.s(file)


def _replaced_last(kind: str) -> Callable[[str], Any]:
    return lambda file: give.s(1) | replaced.s(kind, file).on_error(told.s(file=file))


#: Names of what differs.
_OF_CHORD = "the error of a group that fails"
_LOST = "error callbacks of a step replaced by a group or chord, where more follows"

BEHAVIOURS: dict[str, Behaviour] = {
    # Error callbacks
    "of a task": Behaviour(lambda f: fail.s().on_error(told.s(file=f)), _FAILED, (_TOLD,)),
    "of a task within a chain": Behaviour(
        lambda f: give.s(1) | fail.s().on_error(told.s(file=f)) | note.s(f), _FAILED, (_TOLD,)
    ),
    "of a task that never runs": Behaviour(lambda f: fail.s() | note.s(f).on_error(told.s(file=f)), _FAILED),
    "of a chain": Behaviour(lambda f: chain(give.s(1), fail.s(), add.s(1)).on_error(told.s(file=f)), _FAILED, (_TOLD,)),
    "of the older kind": Behaviour(
        lambda f: fail.s().on_error(told_id.s(file=f)), _FAILED, ("told of its parent: True",)
    ),
    "that raises": Behaviour(lambda f: fail.s().on_error(broken_errback.s(file=f)), _FAILED, ("errback",)),
    "of two kinds": Behaviour(
        lambda f: fail.s().on_error(told.s(file=f)).on_error(told_id.s(file=f)),
        _FAILED,
        (_TOLD, "told of its parent: True"),
    ),
    "of a member of a group": Behaviour(
        lambda f: group(give.s(1), fail.s().on_error(told.s(file=f))) | note.s(f),
        "ChordError",
        (_TOLD,),
        _OF_CHORD,
        _FAILED,
    ),
    "of a chord's body": Behaviour(
        lambda f: chord([give.s(1), fail.s(), fail.s()], total.s().on_error(told.s(file=f))),
        "ChordError",
        ("told total ChordError False",),
        _OF_CHORD,
        _FAILED,
    ),
    "of a chain with a group in it": Behaviour(
        lambda f: chain(group(fail.s(), fail.s()), total.s(), app=fail.app).on_error(told.s(file=f)),
        "ChordError",
        ("told total ChordError False",),
        _OF_CHORD,
        _FAILED,
    ),
    "of a chain that fails before a group in it": Behaviour(
        lambda f: chain(give.s(1), fail.s(), group(add.s(1), add.s(2)), total.s()).on_error(told.s(file=f)),
        _FAILED,
        (_TOLD,),
    ),
    "of a chain that fails two groups before its end": Behaviour(
        lambda f: chain(
            group(fail.s(), give.s(1)), total.s(), group(add.s(1), add.s(2)), total.s(), app=fail.app
        ).on_error(told.s(file=f)),
        "ChordError",
        ("told total ChordError False",),
        _OF_CHORD,
        _FAILED,
    ),
    "of a chain of two in a chord": Behaviour(
        lambda f: chord([give.s(1) | fail.s() | add.s(1), give.s(2)], total.s().on_error(told.s(file=f))),
        "ChordError",
        ("told total ChordError False",),
        _OF_CHORD,
        _FAILED,
    ),
    "of a body that fails": Behaviour(
        lambda f: chord([give.s(1)], fail.s().on_error(told.s(file=f))), _FAILED, (_TOLD,)
    ),
    "of a chord in a chord": Behaviour(
        lambda f: chord([give.s(1), chord([fail.s()], total.s())], total.s().on_error(told.s(file=f))),
        NEVER,
        (),
        "a chord in a chord's header whose own header fails",
        _FAILED,
        ("told total ChordError False",),
    ),
    "of a chord with a chord in it": Behaviour(
        lambda f: told_of(chord([give.s(1), chord([fail.s()], total.s())], note.s(f)), f),
        NEVER,
        ("told total ChordError False",),
        "a chord in a chord's header whose own header fails",
        _FAILED,
        ("told total ChordError False", "told note ChordError False"),
    ),
    "of a chain in a chord": Behaviour(
        lambda f: chord([fail.s() | give.s(), give.s(2)], total.s().on_error(told.s(file=f))),
        "ChordError",
        ("told total ChordError False",),
        _OF_CHORD,
        _FAILED,
    ),
    "after retries": Behaviour(
        lambda f: give.s(1) | exhausted.s(f).on_error(told.s(file=f)),
        _FAILED,
        ("run 0", "run 1", "told exhausted ArithmeticError True"),
    ),
    # Replacements, by a step that has an error callback
    "replaced by a task": Behaviour(_replaced("task"), 11, ("note 11",)),
    "replaced by a chain": Behaviour(_replaced("chain"), 111, ("note 111",)),
    "replaced by a group": Behaviour(_replaced("group"), [11, 21], ("note [11, 21]",)),
    "replaced by a chord": Behaviour(_replaced("chord"), 32, ("note 32",)),
    "replaced by a task that fails": Behaviour(_replaced("failing task"), _FAILED, (_TOLD,)),
    "replaced by a chain that fails": Behaviour(_replaced("failing chain"), _FAILED, (_TOLD,)),
    "replaced by a group that fails": Behaviour(
        _replaced_last("failing group"), "ChordError", ("told accumulate ChordError False",), _OF_CHORD, _FAILED
    ),
    "replaced by a chord that fails": Behaviour(
        _replaced_last("failing chord"), "ChordError", ("told total ChordError False",), _OF_CHORD, _FAILED
    ),
    "replaced by a group that fails, with more to come": Behaviour(
        _replaced("failing group"), "ChordError", (), _LOST, _FAILED, ("told accumulate ChordError False",)
    ),
    "replaced by a chord that fails, with more to come": Behaviour(
        _replaced("failing chord"), "ChordError", (), _LOST, _FAILED, ("told total ChordError False",)
    ),
    "replaced by an empty chain": Behaviour(
        _replaced("empty chain"), "ImproperlyConfigured", ("told replaced ImproperlyConfigured True",)
    ),
    "replaced twice and failing": Behaviour(_replaced("failing twice"), _FAILED, (_TOLD,)),
    "replaced by what has one of its own": Behaviour(_replaced("own error callback"), _FAILED, (_TOLD, _TOLD)),
    "replaced in a header": Behaviour(
        lambda f: chord([replaced.s(1, "chain", f), replaced.s(1, "task", f)], total.s()), 122
    ),
    # Callbacks
    "a callback": Behaviour(lambda f: linked(give.s(1), note.s(f)), 1, ("note 1",)),
    "a callback that fails": Behaviour(lambda f: linked(give.s(1), broken_callback.s(f)), 1, ("callback",)),
    "a callback of a chain that fails": Behaviour(
        lambda f: linked(give.s(1) | add.s(1), broken_callback.s(f)), 2, ("callback",)
    ),
    "a callback within a chain that fails": Behaviour(
        lambda f: linked(give.s(1), broken_callback.s(f)) | add.s(1), 2, ("callback",)
    ),
    "a callback of what fails": Behaviour(lambda f: linked(fail.s(), note.s(f)), _FAILED),
    "a callback of a chord": Behaviour(
        lambda f: linked(chord([give.s(1), give.s(2)], total.s()), note.s(f)), 3, ("note 3",)
    ),
    "a callback that fails and is told of": Behaviour(
        lambda f: linked(give.s(1), fail.s().on_error(told.s(file=f))), 1, (_TOLD,)
    ),
    "a callback that is a chain": Behaviour(lambda f: linked(give.s(1), chain(add.s(1), note.s(f))), 1, ("note 2",)),
    # Ends that are neither success nor failure
    "Ignore": Behaviour(
        lambda f: give.s(1) | ignored.s(f) | note.s(f), NEVER, ("ignored",), "`Ignore`", None, ("ignored",)
    ),
    "Reject": Behaviour(
        lambda f: give.s(1) | rejected.s(f) | note.s(f), NEVER, ("rejected",), "`Reject`", "Reject", ("rejected",)
    ),
    "a chain that is cut": Behaviour(
        lambda f: give.s(1) | cuts_its_chain.s(f) | note.s(f),
        NEVER,
        ("cut",),
        "`self.request.chain = None`",
        "RequestChanged",
        ("cut",),
    ),
    # Retries
    "a retry with other arguments and headers": Behaviour(
        lambda f: give.s(1) | twice.s(f) | note.s(f), 2, ("run 0 1 None", "run 1 2 blue", "note 2")
    ),
    "a retry that is asked for and not raised": Behaviour(
        lambda f: give.s(1) | asked_softly.s(f) | note.s(f),
        1,
        ("run 0", "run 1", "note 1", "note 2"),
        "`self.retry(throw=False)`",
        2,
        ("run 0", "run 1", "note 2"),
    ),
    "a base class's own retry and replace": Behaviour(
        lambda f: own_twice.s(1, f), 1, ("own retry", "own replace", "note 1")
    ),
    "a base class's own on_replace": Behaviour(
        lambda f: give.s(1) | stamps_replacement.s(f), 1, ("stamps {'tenant': 'blue'}",)
    ),
    "a base class's own apply_async": Behaviour(lambda f: give.s(1) | own_lineage.s(f), 1, ("tenant blue",)),
}


def _stamped() -> Any:
    canvas: Any = lineage.s(None, "a") | group(lineage.s("b"), lineage.s("c") | lineage.s("d")) | lineage.s("e")
    canvas.stamp(tenant="blue")
    return canvas


#: Canvases whose last task gives back what all have found in their requests.
LINEAGES: dict[str, Callable[[], Any]] = {
    "a chain": lambda: lineage.s(None, "a") | lineage.s("b") | lineage.s("c"),
    "a chord behind a task": lambda: (
        lineage.s(None, "a") | group(lineage.s("b"), lineage.s("c") | lineage.s("d")) | lineage.s("e") | lineage.s("f")
    ),
    "a chord": lambda: chord([lineage.s(None, "a"), lineage.s(None, "b")], lineage.s("c")),
    "stamps": _stamped,
    "headers": lambda: lineage.s(None, "a").set(headers={"tenant": "blue"}) | lineage.s("b"),
    "an id": lambda: lineage.s(None, "a").set(task_id=f"id {uuid()}") | lineage.s("b"),
    "limits": lambda: lineage.signature((None, "a"), options={"time_limit": 60, "soft_time_limit": 40}),
    "a replacement": lambda: lineage.s(None, "a") | gives_way.s("b") | lineage.s("c"),
}


def told_of(canvas: Any, file: str) -> Any:
    """The canvas with an error callback, which Celery gives to the chords in it as well."""
    canvas.link_error(told.s(file=file))
    return canvas


def linked(canvas: Any, callback: Any) -> Any:
    """The canvas with a callback."""
    canvas.link(callback)
    return canvas
