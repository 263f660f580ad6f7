"""Workflows for the tests of what moves: a step that goes on from its cursor for long, and one that makes a lot."""

from __future__ import annotations

import time

from celery import group

from pausable import Canvas, cursor, step, workflow
from tests.execution.flows import same, write_line


@step
def count_slowly(ledger: str, upto: int) -> int:
    """Write down each number; the first time, as slowly as a long step is."""
    pause = 0.01 if cursor.place is None else 0.0
    for number in cursor.over(list(range(upto))):
        write_line(ledger, str(number))
        time.sleep(pause)
    return upto


@step
def letters(count: int) -> str:
    return "x" * count


@step
def length(text: str) -> int:
    return len(text)


@workflow("counting-slowly")
def counting_slowly(ledger: str, upto: int) -> Canvas:
    """Count, and hand on how far."""
    return count_slowly.s(ledger, upto) | same.s()


@workflow("same-twice")
def same_twice() -> Canvas:
    """Hand a value on twice."""
    return same.s(1) | same.s()


@workflow("letters")
def many_letters(count: int) -> Canvas:
    """Make letters, hand them on, and count them."""
    return letters.s(count) | same.s() | length.s()


@workflow("mapped")
def mapped() -> Canvas:
    """Hand on each of three values."""
    return same.s(0) | same.map([1, 2, 3])


@workflow("letters-alone")
def letters_alone(count: int) -> Canvas:
    """Make letters twice, beside each other, and hand on both."""
    return same.s(1) | group(letters.si(count), letters.si(3))


@workflow("letters-at-the-end")
def letters_at_the_end(count: int) -> Canvas:
    """Make letters, and hand on no more."""
    return same.s(1) | letters.si(count)
