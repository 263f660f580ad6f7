"""A workflow that nothing is told of while it goes well; of all operations that fail, the tests' endpoint is told."""

from __future__ import annotations

from pausable import Canvas, Notification, NotifyAll, Secret, chain, step, workflow

FOR_ALL = NotifyAll(Notification("failed", Secret("HOOK")))


@step
def rest(value: int) -> int:
    return value + 1


@workflow("rests")
def rests() -> Canvas:
    """Three steps."""
    return chain(rest.s(1), rest.s(), rest.s())
