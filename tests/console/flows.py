"""Workflows for the tests of the console: one that stops where a test wants it to, one that fails, one that echoes."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from celery import chain

from app.workflows import Canvas, step, workflow


@step
def wait_at(value: Any, gate: str) -> Any:
    """Wait until the gate, a file, is there."""
    until = time.monotonic() + 60
    while not Path(gate).exists():
        assert time.monotonic() < until, f"nobody opened {gate}"
        time.sleep(0.005)
    return value


@step
def give(value: Any = None) -> Any:
    return value


@step
def say(words: str) -> str:
    logging.getLogger("sayings").warning(words)
    return words


@step
def fail(words: str) -> None:
    raise ArithmeticError(words)


@workflow("gates")
def gates(gates: list[str]) -> Canvas:
    """Wait at one gate after the other."""
    return chain(*(wait_at.s(1, gate) if number == 0 else wait_at.s(gate) for number, gate in enumerate(gates)))


@workflow("echo")
def echo(words: str) -> Canvas:
    """Say some words, and hand them on as the result."""
    return chain(say.s(words), give.s())


@workflow("fails")
def fails(words: str) -> Canvas:
    """Say some words, and fail with them."""
    return chain(say.s(words), fail.s(), give.s())
