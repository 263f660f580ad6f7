"""The workflows that chaos runs: their steps note each execution in the ledger; `shapes` foretells their results."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from celery import Task

from chaos.ledger import PLACE, executing
from chaos.shapes import HOSTILE, TEXTS, folded, mixed
from pausable import Canvas, Flow, chain, cursor, group, signals, step, workflow

AnyTask = Task[Any, Any]
#: The queue of the step that has one of its own.
APART = "chaos-apart"
_RETRY_AFTER = 0.1
#: Seconds after which a step is killed that has a time limit.
TOO_LONG = 1


@step(bind=True)
def mix(self: AnyTask, value: int, number: int) -> int:
    """A short step."""
    with executing(self.request):
        return mixed(value, number)


@step(bind=True)
def fold(self: AnyTask, values: list[int]) -> int:
    """A step behind a group."""
    with executing(self.request):
        return folded(values)


@step(bind=True)
def doze(self: AnyTask, value: int, seconds: float) -> int:
    """A step that takes its time."""
    with executing(self.request):
        time.sleep(seconds)
        return value + 1


@step(bind=True, time_limit=TOO_LONG)
def oversleep(self: AnyTask, value: int) -> int:
    """A step that is killed for its time limit."""
    with executing(self.request):
        time.sleep(10 * TOO_LONG)
        return value


@step(bind=True, max_retries=None)
def insist(self: AnyTask, value: int, times: int) -> int:
    """A step that asks so many times to be run again."""
    with executing(self.request):
        if self.request.retries < times:
            raise self.retry(countdown=_RETRY_AFTER)
        return value + times


@step(bind=True, queue=APART)
def mix_apart(self: AnyTask, value: int, number: int) -> int:
    """A step with a queue of its own."""
    with executing(self.request):
        return mixed(value, number)


@step(bind=True)
def give_up(self: AnyTask, value: int) -> int:
    """A step that fails."""
    with executing(self.request):
        raise ArithmeticError(f"{value} is not to be")


@step(bind=True)
def crawl(self: AnyTask, value: int, numbers: list[int], seconds: float) -> int:
    """A step that keeps its place after each number."""
    done, value = cursor.place or (0, value)
    with executing(self.request, done):
        for at, number in enumerate(numbers[done:], done + 1):
            time.sleep(seconds)
            value = mixed(value, number)
            cursor.keep([at, value], done=at, total=len(numbers))
    return value


@step(bind=True)
def crawl_stubbornly(self: AnyTask, value: int, numbers: list[int], seconds: float) -> int:
    """A step that keeps its place within `except Exception`, as importers do that skip bad rows."""
    done, value = cursor.place or (0, value)
    with executing(self.request, done):
        for at, number in enumerate(numbers[done:], done + 1):
            try:
                time.sleep(seconds)
                value = mixed(value, number)
                cursor.keep([at, value], done=at, total=len(numbers))
            except Exception:  # noqa: S112 - a stop that this caught would be one that never takes effect
                continue
    return value


@step(bind=True)
def give_hostile(self: AnyTask, value: int, which: int) -> list[Any]:
    """A step whose result is shaped so as to hurt."""
    with executing(self.request):
        return [value, HOSTILE[which]]


@step(bind=True)
def take_hostile(self: AnyTask, given: list[Any], which: int) -> int:
    """A step that was handed such a value, whole."""
    with executing(self.request):
        value, hostile = given
        if hostile != HOSTILE[which]:
            raise AssertionError(f"value {which} came as {ascii(hostile)[:200]}")
        return mixed(value, which)


class HostileError(Exception):
    """An error whose text is shaped so as to hurt."""


@step(bind=True)
def fail_hostile(self: AnyTask, _value: int, which: int) -> int:
    """A step that fails with such a text."""
    with executing(self.request):
        raise HostileError(TEXTS[which])


@step(bind=True, max_retries=None)
def insist_hostile(self: AnyTask, value: int, which: int) -> int:
    """A step that is run again for such a reason."""
    with executing(self.request):
        if not self.request.retries:
            raise self.retry(exc=HostileError(TEXTS[which]), countdown=_RETRY_AFTER)
        return mixed(value, which)


@step(bind=True)
def pause_hostile(self: AnyTask, value: int, which: int) -> int:
    """A step that pauses its operation once, for such a reason."""
    request: Any = self.request
    mark = Path(f"{os.environ[PLACE]}-{request.operation_id}")
    has_paused = mark.exists()
    with executing(self.request, int(has_paused)):
        if not has_paused:
            mark.touch()
            raise signals.PAUSE(TEXTS[which])
        return mixed(value, which)


@step(bind=True)
def fail_first(self: AnyTask, value: int) -> int:
    """A step that fails until it has failed once."""
    request: Any = self.request
    mark = Path(f"{os.environ[PLACE]}-{request.operation_id}")
    has_failed = mark.exists()
    with executing(self.request, int(has_failed)):
        if not has_failed:
            mark.touch()
            raise ConnectionError("not yet")
        return value


@step(bind=True)
def unfold(self: AnyTask, value: int, numbers: list[int]) -> int:
    """A step that puts a group in its own place."""
    with executing(self.request):
        replaced: int = self.replace(group(mix.s(value, number) for number in numbers) | fold.s())
    return replaced


@workflow("chaos-chain")
def a_chain(start: int, numbers: list[int]) -> Canvas:
    """Short steps, one after the other."""
    first, *rest = numbers
    return chain(mix.s(start, first), *(mix.s(number) for number in rest))


@workflow("chaos-join")
def a_join(start: int, numbers: list[int]) -> Canvas:
    """One step, a group, and what joins it."""
    return mix.s(start, 1) | group(mix.s(number) for number in numbers) | fold.s()


@workflow("chaos-nested")
def nested(start: int, numbers: list[int]) -> Canvas:
    """A group in a group."""
    a, b, c, d, e = numbers
    inner = chain(mix.s(b), group(mix.s(c), mix.s(d)), fold.s())
    return mix.s(start, a) | group(inner, mix.s(e)) | fold.s()


@workflow("chaos-retry")
def retrying(start: int, times: int) -> Canvas:
    """A step that has to be run more than once."""
    return mix.s(start, 1) | insist.s(times) | mix.s(2)


@workflow("chaos-naps")
def naps(start: int, naps: list[float]) -> Canvas:
    """Steps that are too long to share a transaction."""
    first, *rest = naps
    return chain(doze.s(start, first), *(doze.s(seconds) for seconds in rest))


@workflow("chaos-slow")
def slow(start: int, seconds: float) -> Canvas:
    """A slow step between short ones."""
    return mix.s(start, 1) | doze.s(seconds) | mix.s(2)


@workflow("chaos-apart")
def apart(start: int, number: int) -> Canvas:
    """A step with a queue of its own between others."""
    return mix.s(start, 1) | mix_apart.s(number) | mix.s(2)


@workflow("chaos-too-slow")
def too_slow(start: int) -> Canvas:
    """A step that is killed for its time limit, between others."""
    return mix.s(start, 1) | oversleep.s() | mix.s(2)


@workflow("chaos-failing")
def failing(start: int) -> Canvas:
    """A step that fails between others."""
    return mix.s(start, 1) | give_up.s() | mix.s(2)


@workflow("chaos-failing-beside")
def failing_beside(start: int, seconds: float) -> Canvas:
    """A step that fails beside one that takes its time."""
    return mix.s(start, 1) | group(give_up.s(), doze.s(seconds), mix.s(2)) | fold.s()


@workflow("chaos-wide")
def wide(start: int, numbers: list[int]) -> Flow:
    """Many short steps beside each other, each of which waits for the same two."""
    flow = Flow()
    first, second = flow.add(mix.s(start, 1)), flow.add(mix.s(start, 2))
    middle = [flow.add(mix.s(first, number), upstream=[second]) for number in numbers]
    flow.add(fold.s(middle))
    return flow


@workflow("chaos-cursor")
def crawling(start: int, numbers: list[int], seconds: float) -> Canvas:
    """A step that stops inside, between others."""
    return mix.s(start, 1) | crawl.s(numbers, seconds) | mix.s(2)


@workflow("chaos-replace")
def replacing(start: int, numbers: list[int]) -> Canvas:
    """A step that puts others in its place, between others."""
    return mix.s(start, 1) | unfold.s(numbers) | mix.s(2)


@workflow("chaos-stubborn")
def stubborn(start: int, numbers: list[int], seconds: float) -> Canvas:
    """A step that stops inside whatever it catches, between others."""
    return mix.s(start, 1) | crawl_stubbornly.s(numbers, seconds) | mix.s(2)


@workflow("chaos-hostile")
def hostile(start: int, which: int) -> Canvas:
    """A value that is handed on whole, between others."""
    return mix.s(start, 1) | give_hostile.s(which) | take_hostile.s(which) | mix.s(2)


@workflow("chaos-hostile-error")
def hostile_error(start: int, which: int) -> Canvas:
    """A step that fails, between others."""
    return mix.s(start, 1) | fail_hostile.s(which) | mix.s(2)


@workflow("chaos-hostile-reason")
def hostile_reason(start: int, which: int) -> Canvas:
    """A step that is run twice, between others."""
    return mix.s(start, 1) | insist_hostile.s(which) | mix.s(2)


@workflow("chaos-hostile-pause")
def hostile_pause(start: int, which: int) -> Canvas:
    """A step that pauses its operation, between others."""
    return mix.s(start, 1) | pause_hostile.s(which) | mix.s(2)


@workflow("chaos-grown")
def grown(start: int, numbers: list[int]) -> Canvas:
    """A step that puts others in its place, and one behind it that fails once: people retry it."""
    return mix.s(start, 1) | unfold.s(numbers) | fail_first.s() | mix.s(2)
