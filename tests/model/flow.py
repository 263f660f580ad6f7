"""The workflow that the model tells of: a chain with a branch, whose steps stop in the middle of their code."""

from __future__ import annotations

from typing import Any

from celery import group

from app.workflows import Canvas, step, workflow
from tests.model.hands import gate


@step
def told(value: Any, name: str) -> str:
    """Tell what was handed over, once whoever watches lets this step's code go on."""
    gate("code", "abcd".index(name))
    return f"{name}({','.join(value) if isinstance(value, list) else value})"


@workflow("branch")
def branch() -> Canvas:
    """One step, two beside each other, and one that waits for both."""
    return told.s("-", name="a") | group(told.s(name="b"), told.s(name="c")) | told.s(name="d")


#: What it comes to when nobody disturbs it.
RESULT = '"d(b(a(-)),c(a(-)))"'
