"""Workflows for the tests of the web: one that fails, one that takes anything, and some that cannot be started."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from celery import chain, group

from pausable import Canvas, State, Subject, states, step, workflow


@step
def give(value: Any = None) -> Any:
    return value


@step
def wait_at(value: Any, gate: str) -> Any:
    """Wait until the gate, a file, is there."""
    until = time.monotonic() + 20
    while not Path(gate).exists():
        assert time.monotonic() < until, f"nobody opened {gate}"
        time.sleep(0.001)
    return value


@step
def fail(_value: Any = None) -> None:
    raise ArithmeticError("no such number")


@step
def talk(word: str) -> str:
    """Log and print a word."""
    logging.getLogger("somebody.s.code").warning("logged %s", word)
    print(f"printed {word}")  # noqa: T201
    return word


@workflow("talks")
def talks(word: str) -> Canvas:
    """Say a word."""
    return chain(talk.s(word))


@workflow("three")
def three(value: Any = None) -> Canvas:
    """Hand a value on, three times."""
    return chain(give.s(value), give.s(), give.s())


@workflow("gate")
def gate(gate: str, after: int = 2) -> Canvas:
    """Wait at a gate, and then take so many steps more."""
    return chain(wait_at.s(1, gate), *(give.s() for _ in range(after)))


@workflow("fails")
def fails() -> Canvas:
    """Fail at the second step."""
    return give.s(1) | fail.s() | give.s()


def refuse_the_end(_obj: Subject, _old: State, new: State) -> State | None:
    """Fail an operation that has come to its end."""
    return states.Failed("not good enough") if new.is_successful() else None


@workflow("judged", state_handlers=[refuse_the_end])
def judged() -> Canvas:
    """A step whose operation is failed by its own handler."""
    return chain(give.s(1))


@step
def say(words: str) -> None:
    logging.getLogger("sayings").warning(words)


@workflow("says")
def says(words: str) -> Canvas:
    """Log some words."""
    return chain(say.s(words))


@workflow("without-steps")
def without_steps() -> Canvas:
    """A canvas that no operation can be made of."""
    return chain()


@workflow("raises")
def raises(path: str) -> Canvas:
    """A recipe that cannot be followed."""
    raise FileNotFoundError(f"no file {path}")


@step
def repeat(letter: str, many: int) -> str:
    """Return a letter many times."""
    return letter * many


@workflow("repeats")
def repeats(many: int) -> Canvas:
    """One step with a large result."""
    return chain(repeat.s("x", many))


@workflow("list-of-all")
def repeats_beside(many: int) -> Canvas:
    """A list of a large result, a small one, and what looks like a reference."""
    lookalike = {"__result__": {"store": "/etc", "path": "hostname", "serializer": "text"}}
    return group(repeat.s("y", many), give.s("small"), give.s(lookalike))
