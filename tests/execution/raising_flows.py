"""A workflow whose function raises when its file is there, and tasks whose own functions raise what is no Exception."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pausable import Flow, Notification, signals, step, workflow

if TYPE_CHECKING:
    from collections.abc import Callable

RAISED: dict[str, Callable[[], BaseException]] = {
    "a signal": lambda: signals.FAIL("now"),
    "an exit": lambda: SystemExit(3),
    "an error": lambda: OSError("x"),
}


def raise_as_told(what: str) -> Any:
    raise RAISED[what]()


class Encoded:
    """A value whose own code raises when JSON is made of it."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __json__(self) -> Any:
        return raise_as_told(self.what)


@step
def give(value: Any = None) -> Any:
    return value


@step
def give_encoded(what: str) -> Any:
    return Encoded(what)


def trigger(states: dict[str, Any]) -> bool:
    (one,) = states.values()
    return bool(raise_as_told(one.result))


@step(trigger=trigger)
def triggered(value: Any) -> Any:
    return value


@workflow("raises-later")
def raises_later(file: str) -> Any:
    """A flow that cannot be built again once the file says what is raised."""
    if Path(file).exists():
        raise_as_told(Path(file).read_text())
    flow = Flow("raises-later", notify=[Notification("failed", "https://example.org/")])
    second = flow.add(give.s(1), upstream=[flow.add(give.s(1))])
    flow.add(give.s(2), upstream=[second])
    return flow


@workflow("raises-in-json")
def raises_in_json(what: str) -> Any:
    return give_encoded.s(what)


@workflow("raises-in-trigger")
def raises_in_trigger(what: str) -> Any:
    return give.s(what) | triggered.s()
