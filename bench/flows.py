"""The workflows that are measured: steps that do nothing, and steps that take a while and keep a journal."""

from __future__ import annotations

import os
import time
from typing import Any, Final

from pausable import Canvas, Flow, Notification, Secret, chain, cursor, group, step, workflow

#: Seconds of work between two places of a long step.
PIECE: Final = 0.01


@step
def noop(value: Any = None) -> Any:
    """Nothing."""
    return value


@step(state_handlers=[lambda _obj, _old, new: new])
def handled(value: Any = None) -> Any:
    """Nothing, and all are asked."""
    return value


@step
def add(value: int, other: int) -> int:
    """Next to nothing."""
    return value + other


@step(notify=[Notification("successful", Secret("BENCH_HOOK"))])
def tell(value: int) -> int:
    """Nothing, and let people know of it."""
    return value


@step
def nap(value: int, seconds: float) -> int:
    """Sleep, and tell the journal when that began and ended, on the clock that all processes share."""
    _note("start")
    time.sleep(seconds)
    _note("end")
    return value


@step
def long(value: int, seconds: float) -> int:
    """Work for so long in pieces of a hundredth of a second, and tell the journal where it begins and what is done."""
    begun, pieces = cursor.place or 0, round(seconds / PIECE)
    _note(f"from-{begun}")
    for piece in range(begun, pieces):
        time.sleep(PIECE)
        _note(f"piece-{piece}")
        cursor.keep(piece + 1, done=piece + 1, total=pieces)
    return value


@workflow("bench-long")
def long_step(seconds: float = 3600.0) -> Canvas:
    """One step of an hour, in the middle."""
    return chain(noop.s(1), long.s(seconds), noop.s())


@workflow("bench-chain")
def noops(length: int = 5) -> Canvas:
    """A chain of steps that do nothing."""
    return chain(noop.s(1), *(noop.s() for _ in range(length - 1)))


@workflow("bench-handled")
def handled_noops(length: int = 5) -> Canvas:
    """A chain of steps that do nothing, and whose handlers keep every state."""
    return chain(handled.s(1), *(handled.s() for _ in range(length - 1)))


@workflow("bench-unpausable", pause_every=0)
def unpausable(length: int = 5) -> Canvas:
    """The same without pause points."""
    return chain(noop.s(1), *(noop.s() for _ in range(length - 1)))


@workflow("bench-fan")
def fan(width: int = 10) -> Canvas:
    """One step, a group, one step."""
    return noop.s(1) | group(add.s(number) for number in range(width)) | noop.s()


@workflow("bench-diamond")
def diamond(width: int = 1000) -> Flow:
    """Two steps, many that wait for both, and one that waits for all."""
    flow = Flow()
    first, second = flow.add(noop.s(1)), flow.add(noop.s(2))
    middle = [flow.add(add.s(first, second)) for _ in range(width)]
    flow.add(noop.s(middle))
    return flow


@workflow("bench-branches")
def branches(length: int = 10, seconds: float = 0.1, others: int = 20) -> Flow:
    """One slow line, and quick ones of the same length beside it."""
    flow = Flow()
    ends = [_line(flow, length, nap, seconds), *(_line(flow, length, nap, seconds / 50) for _ in range(others))]
    flow.add(noop.s(ends))
    return flow


def _line(flow: Flow, length: int, task: Any, seconds: float) -> Any:
    last: Any = 1
    for _ in range(length):
        last = flow.add(task.s(last, seconds))
    return last


@workflow("bench-naps")
def naps(length: int = 100, seconds: float = 0.05) -> Canvas:
    """A chain of steps that take their time."""
    return chain(nap.s(1, seconds), *(nap.s(seconds) for _ in range(length - 1)))


@step(target="{number}.txt", serializer="text")
def letters(size: int, number: int) -> str:  # noqa: ARG001 - its target is named by it
    """A text so long."""
    return "x" * size


@step
def length(text: str) -> int:
    """How long the text is."""
    return len(text)


@workflow("bench-large")
def large(size: int, number: int) -> Canvas:
    """A large result in a target, and a step that is handed it."""
    return chain(letters.s(size, number), length.s())


@workflow("bench-told")
def told(length: int = 10) -> Canvas:
    """A chain of steps that each tell of their success."""
    return chain(tell.s(1), *(tell.s() for _ in range(length - 1)))


def _note(what: str) -> None:
    journal = os.open(os.environ["BENCH_JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(journal, f"{what} {time.monotonic():.6f}\n".encode())
    os.close(journal)
