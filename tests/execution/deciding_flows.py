"""Workflows whose steps end by signals, and whose triggers decide by such ends."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pausable import Canvas, State, chain, group, signals, states, step, triggers, workflow
from tests.execution.flows import same, write_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

if TYPE_CHECKING:
    Upstream = Mapping[str, State]


def _speak(signal: Any, **afterwards: Any) -> None:
    for name, value in afterwards.items():
        setattr(signal, name, value)
    raise signal


#: What a step's code may say.
WORDS: dict[str, Callable[[], Any]] = {
    "FAIL": lambda: _speak(signals.FAIL("broken")),
    "FAIL with data": lambda: _speak(signals.FAIL("broken", flag=True), value=7),
    "FAIL with a result": lambda: _speak(signals.FAIL("broken", result=[1], flag=True), value=7),
    "FAIL with no json": lambda: _speak(signals.FAIL("broken", what=object())),
    "SUCCESS": lambda: _speak(signals.SUCCESS("found it", result=3)),
    "SUCCESS by name": lambda: _speak(signals.SUCCESS("found it", count=3)),
    "SKIP": lambda: _speak(signals.SKIP("not today")),
    "ENDRUN": lambda: _speak(signals.ENDRUN(states.Cached("seen", 4))),
    "ENDRUN failed": lambda: _speak(signals.ENDRUN(states.Failed("stop"))),
    "ENDRUN running": lambda: _speak(signals.ENDRUN(states.Running("still"))),
    "RETRY": lambda: _speak(signals.RETRY("soon", start_time=timedelta(hours=1))),
}


@step
def speak(word: str, file: str = "") -> str:
    """End by that word, or well where it is none."""
    if file:
        write_line(file, word)
    if word == "PAUSE" and len(Path(file).read_text().splitlines()) == 1:
        raise signals.PAUSE("have a look")
    if word in WORDS:
        WORDS[word]()
    return word


@step(skip_on_upstream_skip=False)
def regardless(value: Any = None) -> str:
    """Run although what is before it was skipped."""
    return f"got {value}"


@workflow("speaking")
def speaking(word: str, file: str = "") -> Canvas:
    """A step that ends by a word, and one behind it."""
    return chain(speak.si(word, file), same.s())


@workflow("speaking-regardless")
def speaking_regardless(word: str) -> Canvas:
    """A step that ends by a word, one behind it, and one that minds no skips."""
    return chain(speak.si(word), same.s(), regardless.s())


@step
def end(how: str) -> str:
    """End so: well, badly, or skipped."""
    if how == "Failed":
        raise ArithmeticError("no such number")
    if how == "Skipped":
        raise signals.SKIP("not needed")
    return how


def _raise(_upstream: Upstream) -> bool:
    raise LookupError("no such rule")


def _skip(_upstream: Upstream) -> bool:
    raise signals.SKIP("the trigger said so")


def first_alone(upstream: Mapping[str, State]) -> bool:
    """The author's own rule: the first one has succeeded, with this result and under this name."""
    first = upstream.get("end-1") or upstream["end"]
    return first.is_successful() and bool(first.result == "Success")


TRIGGERS: dict[str, Any] = {
    **triggers.BY_NAME,
    "at_least_2": triggers.some_successful(at_least=2),
    "half": triggers.some_successful(at_least=0.5),
    "first_alone": first_alone,
    "raising": _raise,
    "skipping": _skip,
}


def _judge(how: str = "Success") -> Any:
    return end.run(how)


#: For each trigger a step that has it; those named with an exclamation mark mind no skips.
JUDGES: dict[str, Any] = {
    f"{name}{mark}": step(
        name=f"{__name__}.{name}{'_regardless' if mark else ''}", trigger=trigger, skip_on_upstream_skip=not mark
    )(_judge)
    for name, trigger in TRIGGERS.items()
    for mark in ("", "!")
}


@workflow("judged")
def judged(trigger: str, ends: list[str]) -> Canvas:
    """Steps that end so beside each other, one with this trigger, and one more behind it."""
    return chain(group(end.si(one) for one in ends), JUDGES[trigger].si(), same.s())


@workflow("judged-last")
def judged_last(trigger: str, ends: list[str]) -> Canvas:
    """As `judged`, and the one with the trigger decides how the operation ends."""
    return chain(group(end.si(one) for one in ends), JUDGES[trigger].si())


@workflow("referenced", reference=["end"])
def referenced(trigger: str, ends: list[str]) -> Canvas:
    """As `judged-last`, but those before the one with the trigger decide."""
    canvas: Canvas = judged_last(trigger, ends)
    return canvas


@workflow("misreferenced", reference=["end", "nowhere"])
def misreferenced() -> Canvas:
    """Names a step that it does not have."""
    return chain(end.si("Success"), same.s())


def canvas_of(shape: Any) -> Any:
    """The canvas of a shape: ["chain", …], ["group", …], or how a step ends and which trigger it has."""
    if shape[0] in ("chain", "group"):
        parts = [canvas_of(part) for part in shape[1:]]
        return chain(*parts) if shape[0] == "chain" else group(parts)
    return JUDGES[shape[1]].si(shape[0])


@workflow("decided")
def decided(shape: list[Any]) -> Canvas:
    """Any shape of steps with triggers."""
    canvas: Canvas = canvas_of(shape)
    return canvas
