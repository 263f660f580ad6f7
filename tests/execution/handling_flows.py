"""Workflows whose state handlers write down what they are told, and answer by a script that the operation is given.

A script maps "handler new-state" to one of ANSWERS, as `{"2 Success": "fail"}`: the second handler, told of a success,
fails it.
"""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pausable import Canvas, State, Subject, chain, group, signals, states, step, workflow
from tests.execution.flows import same, total, write_line

if TYPE_CHECKING:
    from collections.abc import Callable


class HandlerError(Exception):
    """A handler's own."""


def _raise(error: BaseException) -> Any:
    raise error


def _hang(new: State) -> State:
    gate = Path(new.message or "")
    until = time.monotonic() + 20
    while not gate.exists():
        assert time.monotonic() < until, f"nobody opened {gate}"
        time.sleep(0.001)
    return new


def _change(new: State) -> State:
    new.message, new.result = "changed in place", 70
    return new


#: What handlers answer: each is given the state that was proposed to it.
ANSWERS: dict[str, Callable[[Any], Any]] = {
    "none": lambda _new: None,
    "fail": lambda _new: states.Failed("not good enough"),
    "succeed": lambda _new: states.Success("good enough", 50),
    "cache": lambda _new: states.Cached("seen before", 60),
    "skip": lambda _new: states.Skipped("not needed"),
    "cancel": lambda _new: states.Cancelled("not wanted"),
    "pause": lambda _new: states.Paused("have a look"),
    "retry": lambda _new: states.Retrying("once more"),
    "retry later": lambda _new: states.Retrying("in an hour", start_time=datetime.now(UTC) + timedelta(hours=1)),
    "run": lambda _new: states.Running("going on"),
    "wait": lambda _new: states.Pending(),
    "change": _change,
    "raise": lambda _new: _raise(HandlerError("a handler broke")),
    "exit": lambda _new: _raise(SystemExit(3)),
    "ENDRUN": lambda _new: _raise(signals.ENDRUN(states.Success("that will do", 80))),
    "ENDRUN failed": lambda _new: _raise(signals.ENDRUN(states.Failed("stop here"))),
    "FAIL": lambda _new: _raise(signals.FAIL("a signal", cause="rust")),
    "SUCCESS": lambda _new: _raise(signals.SUCCESS("a signal", result=90)),
    "SKIP": lambda _new: _raise(signals.SKIP("a signal")),
    "a word": lambda _new: "Success",
    "a class": lambda _new: states.Success,
    "no json": lambda _new: states.Success(result=object()),
    "hang": _hang,
    "die": lambda _new: os.kill(os.getpid(), signal.SIGKILL),
}


def _handler(name: str) -> Callable[[Subject, State, State], State | None]:
    def handler(obj: Subject, old: State, new: State) -> State | None:
        arguments = obj.arguments
        write_line(arguments["file"], f"{name} {obj}: {old} to {new}")
        how = arguments["script"].get(f"{name} {new.name}")
        if how == "die" and len(Path(arguments["file"]).read_text().splitlines()) > arguments["deaths"]:
            return None
        if how == "hang":
            new = states.State(arguments["gate"])
            return ANSWERS[how](new) and None
        answer: State | None = ANSWERS[how](new) if how else None
        return answer

    handler.__name__ = f"handler_{name}"
    return handler


HANDLERS = [_handler("1"), _handler("2"), _handler("3")]
Script = dict[str, str]


@step(state_handlers=HANDLERS)
def act(value: int, how: str, **_options: Any) -> int:
    """Return one more, or end otherwise."""
    if how == "fail":
        raise ArithmeticError("no such number")
    if how == "FAIL":
        raise signals.FAIL("no such number", flag=True, value=value)
    return value + 1


@step(state_handlers=HANDLERS, trigger="all_failed")
def rescue(_value: Any = None, **_options: Any) -> str:
    """Run when all has failed."""
    return "rescued"


@workflow("handled")
def handled(file: str, script: Script, how: str = "return", gate: str = "", deaths: int = 0) -> Canvas:
    """A step with handlers between two others."""
    return chain(same.s(1), act.s(how=how, file=file, script=script, gate=gate, deaths=deaths), same.s())


@workflow("handled-rescue")
def handled_rescue(file: str, script: Script) -> Canvas:
    """A step with handlers, which runs only after failures, and is the last one."""
    return chain(same.s(1), rescue.s(file=file, script=script))


@workflow("watched", state_handlers=HANDLERS)
def watched(file: str, script: Script, numbers: list[int] = [1], gate: str = "", deaths: int = 0) -> Canvas:  # noqa: B006
    """An operation with handlers, of steps without; it begins with a group where there are several numbers."""
    if len(numbers) > 1:
        return group(same.s(number) for number in numbers) | total.s()
    return chain(same.s(numbers[0]), same.s())


@workflow("watched-failing", state_handlers=HANDLERS)
def watched_failing(file: str, script: Script) -> Canvas:
    """An operation with handlers whose only step fails."""
    return chain(act.s(1, how="fail", file=f"{file}.step", script={}))


@workflow("handled-later")
def handled_later(file: str, script: Script) -> Canvas:
    """A step with handlers behind one that waits a minute."""
    return chain(same.s(1).set(countdown=60), act.s(how="return", file=file, script=script))
