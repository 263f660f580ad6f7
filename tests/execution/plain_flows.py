"""Workflows whose steps do what tasks of plain Celery do, in the ways in which these are written."""

from __future__ import annotations

from typing import Any

from celery import Task, chord, group, shared_task
from celery.exceptions import Ignore, Reject
from celery.result import allow_join_result

from pausable import Canvas, step, workflow
from tests.execution.flows import add, same, write_line

#: What a step finds in its request of the options of its run.
OPTIONS = ("timelimit", "headers", "stamps")


@step(bind=True, max_retries=3)
def again_with_options(self: Task[Any, Any], _value: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Be run again with other options; what the second run finds of them."""
    if self.request.retries == 0:
        raise self.retry(countdown=0, **options)
    return {name: self.request.get(name) for name in OPTIONS}


@step(bind=True)
def adds_to_chord(self: Task[Any, Any], _value: Any) -> None:
    self.add_to_chord(same.s(7))


@step
def ignores(_value: Any) -> None:
    raise Ignore("not today")


@step(bind=True)
def requeues(self: Task[Any, Any], value: Any, file: str) -> Any:
    """Give its message back once."""
    write_line(file, f"{self.request.retries}")
    if self.request.retries == 0:
        raise Reject("not now", requeue=True)
    return value


@shared_task
def sent(value: int) -> int:
    return value


@step
def waits_for_what_it_sends(value: int, kind: str) -> Any:
    """Send other tasks, and wait for their values: nobody keeps these."""
    with allow_join_result():
        if kind == "chord":
            return chord([sent.s(value)], sent.s()).delay().get(timeout=5)
        return sent.delay(value).get(timeout=5)


@shared_task(expires=60)
def passing(value: int) -> int:
    return value


class Unwilling(Task):  # type: ignore[type-arg]
    """A base class that sends nothing."""

    def apply_async(self, *_args: Any, **_options: Any) -> Any:
        return None


@shared_task(base=Unwilling)
def unwilling() -> None: ...


class Routed(Task):  # type: ignore[type-arg]
    """A base class that changes what is sent."""

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:  # type: ignore[override]
        kwargs = {**(kwargs or {}), "more": 5}
        return super().apply_async(args, kwargs, queue="elsewhere", task_id="mine", **options)


@shared_task(base=Routed)
def routed(value: int, more: int = 0) -> int:
    return value + more


def linked_group() -> Any:
    """A chain that ends in a group, with a callback, behind another group."""
    behind: Any = same.s() | group(same.s(), same.s())
    behind.link(same.s())
    return group(same.si(1), same.si(2)) | behind


@workflow("plain-way")
def plain_way(kind: str, file: str = "", options: dict[str, Any] | None = None) -> Canvas:
    """One of the ways."""
    ways: dict[str, Any] = {
        "retry": lambda: same.s(1) | again_with_options.s(options or {}),
        "add to chord": lambda: same.s(1) | adds_to_chord.s(),
        "ignore": lambda: same.s(1) | ignores.s() | same.s(),
        "requeue": lambda: same.s(1) | requeues.s(file),
        "get": lambda: same.s(1) | waits_for_what_it_sends.s("task"),
        "chord": lambda: same.s(1) | waits_for_what_it_sends.s("chord"),
        "expires": lambda: same.s(1) | passing.s(),
        "unwilling": lambda: same.s(1) | unwilling.si(),
        "routed": lambda: same.s(1) | routed.s(),
        "linked group": linked_group,
        "frozen": lambda: frozen(add.s(1, 2) | add.s(3)),
    }
    return ways[kind]()  # type: ignore[no-any-return]


def frozen(canvas: Any) -> Any:
    canvas.freeze()
    return canvas
