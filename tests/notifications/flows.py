"""What the tests' code asks to be told of, and a workflow that has nothing to do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import chain, signals

from app.notifications.base import Notification
from app.secrets import Secret
from app.workflows import Canvas, step, workflow

if TYPE_CHECKING:
    from collections.abc import Sequence


class Asked:
    """A code that asks for the same notifications everywhere."""

    def __init__(self, *asked: Notification) -> None:
        self.notify: Sequence[Notification] = asked
        self.everywhere: Sequence[Notification] = asked

    def of_task(self, _name: str) -> Asked:
        return self

    def of_workflow(self, _name: str) -> Asked:
        return self


@signals.worker_init.connect
def ask(sender: Any, **_: Any) -> None:
    """Let every worker that loads this module find these."""
    sender.app.engine.notices.policies = Asked(Notification("failed", Secret("HOOK")))


@step
def rest(value: int) -> int:
    return value + 1


@workflow("rests")
def rests() -> Canvas:
    """Three steps."""
    return chain(rest.s(1), rest.s(), rest.s())
