"""Workflows whose steps fail, ask to be run again, or end in ways that an operation cannot go on from."""

from __future__ import annotations

import asyncio
import json
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from celery import Task, chain, group, signals
from celery.exceptions import Ignore, Reject, Retry

from pausable import Canvas, step, workflow
from tests.execution.flows import add, fail, same, total, wait_at, write_line

if TYPE_CHECKING:
    from collections.abc import Callable


@workflow("failing")
def failing(message: str = "no such number") -> Canvas:
    """A step that fails between two others."""
    return same.s(1) | fail.s(message) | same.s() | same.s()


@workflow("failing-beside")
def failing_beside(gate: str) -> Canvas:
    """A step that fails beside one that waits at a gate and goes on from there."""
    return same.s(1) | group(chain(fail.s(), same.s()), chain(wait_at.s(gate), add.s(1))) | total.s()


@step
def note_by_id(task_id: str, file: str) -> None:
    """An error callback of the older kind: it is sent the id of the step, behind its own arguments."""
    write_line(file, json.dumps([task_id]))


@step
def note(request: Any, error: Exception, traceback: str, file: str) -> None:
    """An error callback: it is called where the step failed."""
    told = [request.id, request.task, request.args, type(error).__name__, str(error), "in fail" in traceback]
    write_line(file, json.dumps(told))


@step(bind=True, max_retries=2)
def note_at_second_try(self: Task[Any, Any], _task_id: str, file: str) -> None:
    """An error callback that is sent, and asks for a retry."""
    write_line(file, str(self.request.retries))
    if self.request.retries == 0:
        raise self.retry(countdown=0)


@workflow("errback")
def with_errback(file: str, kind: str) -> Canvas:
    """A chain with an error callback, whose second step fails."""
    errback: Any = {"new": note, "old": note_by_id, "retried": note_at_second_try}[kind]
    canvas: Canvas = chain(same.s(1), fail.s(), same.s()).on_error(errback.s(file=file))
    return canvas


@workflow("errback-behind")
def with_errback_behind(file: str) -> Canvas:
    """A step that fails before one that has an error callback."""
    return fail.s() | same.s().on_error(note.s(file=file))


@workflow("broken-errback")
def with_broken_errback() -> Canvas:
    """A step that fails, and an error callback that does too."""
    canvas: Canvas = chain(same.s(1), fail.s()).on_error(note.s())
    return canvas


@step(bind=True, max_retries=3)
def again(self: Task[Any, Any], value: int, file: str, times: int) -> int:
    """Ask for a retry that many times."""
    write_line(file, str(self.request.retries))
    if self.request.retries < times:
        raise self.retry(countdown=0)
    return value + self.request.retries


@step(bind=True, default_retry_delay=0, max_retries=2)
def again_with(self: Task[Any, Any], value: int, other: int = 0) -> list[int]:
    """Ask once to be called with other arguments."""
    if self.request.retries == 0:
        raise self.retry(args=(value + 1,), kwargs={"other": 7})
    return [value, other]


@step(bind=True, autoretry_for=(LookupError,), retry_kwargs={"countdown": 0}, max_retries=2)
def looked_up(self: Task[Any, Any], _value: Any, times: int) -> int:
    """Be retried by Celery that many times."""
    if self.request.retries < times:
        raise LookupError("not there yet")
    return int(self.request.retries)


class OwnTask(Task):  # type: ignore[type-arg]
    """A base class of the author's own."""


@step(bind=True, base=OwnTask, max_retries=1)
def own_again(self: Task[Any, Any], value: int) -> int:
    if self.request.retries == 0:
        raise self.retry(countdown=0)
    return value


@step(bind=True)
def again_later(self: Task[Any, Any], value: int) -> int:
    if self.request.retries == 0:
        raise self.retry(countdown=60)
    return value


@step(bind=True)
def again_at(self: Task[Any, Any], value: int) -> int:
    """Ask for a retry in a minute by a time without a zone, which Celery takes for the app's: UTC."""
    if self.request.retries == 0:
        raise self.retry(eta=(datetime.now(UTC) + timedelta(seconds=60)).replace(tzinfo=None))
    return value


#: Chains in which a step is retried; those that come to an end give 3 or [4, 7].
RETRIES: dict[str, Callable[[str], Any]] = {
    "none": lambda file: again.s(file, 0),
    "twice": lambda file: again.s(file, 2),
    "too often": lambda file: again.s(file, 9),
    "other arguments": lambda _file: again_with.s(),
    "automatic": lambda _file: looked_up.s(2),
    "automatic, too often": lambda _file: looked_up.s(9),
    "own base class": lambda _file: own_again.s(),
    "later": lambda _file: again_later.s(),
    "at a time": lambda _file: again_at.s(),
}


@workflow("retrying")
def retrying(kind: str, file: str = "") -> Canvas:
    """A step, one that is retried, and one more."""
    canvas: Canvas = same.s(3) | RETRIES[kind](file) | same.s()
    return canvas


@step
def ignored(_value: Any) -> None:
    raise Ignore("not today")


@step
def rejected(_value: Any) -> None:
    raise Reject("not here", requeue=False)


@step
def not_for_json(_value: Any, kind: str) -> Any:
    loop: list[Any] = []
    loop.append(loop)
    return {"object": object(), "not a number": [math.nan], "loop": loop, "keys": {(1, 2): 3}, "set": {1}}[kind]


@step(bind=True)
def retried_with_what_json_cannot_hold(self: Task[Any, Any], value: Any) -> None:
    raise self.retry(args=(object(),), countdown=0)


@step
def retried_by_hand(_value: Any) -> None:
    raise Retry("later")


class WordlessError(Exception):
    """An error that cannot even say what it is."""

    def __str__(self) -> str:
        raise LookupError("no words")


@step
def wordless(_value: Any) -> None:
    raise WordlessError


@step
def leave(_value: Any, how: str) -> None:
    """End the way that only a whole process should."""
    raise {"exit": SystemExit(3), "abandon": asyncio.CancelledError("given up")}[how]


class RejectingTask(Task):  # type: ignore[type-arg]
    """A base class whose hook rejects what has succeeded."""

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        raise Reject("not here", requeue=False)


@step(base=RejectingTask)
def rejected_late(_value: Any) -> None:
    return None


#: Steps that end in ways that an operation cannot go on from.
DEAD_ENDS: dict[str, Any] = {
    "ignored": lambda: ignored.s(),
    "rejected": lambda: rejected.s(),
    "object": lambda: not_for_json.s("object"),
    "not a number": lambda: not_for_json.s("not a number"),
    "loop": lambda: not_for_json.s("loop"),
    "keys": lambda: not_for_json.s("keys"),
    "retried with an object": lambda: retried_with_what_json_cannot_hold.s(),
    "retried by hand": lambda: retried_by_hand.s(),
    "exit": lambda: leave.s("exit"),
    "abandon": lambda: leave.s("abandon"),
    "rejected late": lambda: rejected_late.s(),
    "wordless": lambda: wordless.s(),
}


@workflow("dead-end")
def dead_end(kind: str) -> Canvas:
    """A step that an operation cannot go on from."""
    canvas: Canvas = same.s(1) | DEAD_ENDS[kind]() | same.s()
    return canvas


class Hooked(Task):  # type: ignore[type-arg]
    """A base class with all the hooks that Celery calls, each leaving a line."""

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        write_line(kwargs["file"], f"before_start {self.request.retries}")

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        write_line(kwargs["file"], f"on_success {retval}")

    def on_failure(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        write_line(kwargs["file"], f"on_failure {exc}")

    def on_retry(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        write_line(kwargs["file"], "on_retry")

    def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        write_line(kwargs["file"], f"after_return {status}")


@step(bind=True, base=Hooked, max_retries=3)
def hooked(self: Task[Any, Any], value: int, file: str, ending: str = "success") -> int:
    if ending == "failure":
        raise ArithmeticError("no such number")
    if ending == "retry" and self.request.retries == 0:
        raise self.retry(countdown=0)
    return value + 1


def signalled(name: str) -> Callable[..., None]:
    """A receiver that leaves a line for each of the steps `hooked`."""

    def receive(sender: Any, **told: Any) -> None:
        if getattr(sender, "name", "") == hooked.name:
            request = told.get("request") or sender.request
            write_line(request.kwargs["file"], f"{name} {request.id}")

    return receive


RECEIVERS = {
    name: signalled(name) for name in ("task_prerun", "task_postrun", "task_success", "task_failure", "task_retry")
}
for _name, _receiver in RECEIVERS.items():
    getattr(signals, _name).connect(_receiver, weak=False)


@workflow("hooked")
def with_hooks(file: str, endings: list[str]) -> Canvas:
    """Steps that end so, one after the other."""
    first, *rest = endings
    return chain(hooked.s(0, file=file, ending=first), *(hooked.s(file=file, ending=ending) for ending in rest))
