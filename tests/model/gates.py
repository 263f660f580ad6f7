"""Gates, and places to die, between the transactions of the engine; the engine itself is as it is."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pausable.engine import documents, drain, release, runner, tasks
from pausable.engine.engine import ShutdownFlag
from pausable.service import operations
from tests.model.hands import die_if_doomed, gate, hand_here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from pausable.engine.engine import Engine
    from tests.execution.service import Service


class Staying(ShutdownFlag):
    """A worker that may be told to leave and, since its processes go on in the test, to stay."""

    def stay(self) -> None:
        self._byte[0] = 0


class Mortal:
    """A publisher in whose hands a process may die before anything is sent."""

    def __init__(self, publisher: Any) -> None:
        self._publisher = publisher

    def publish(self, operation_id: int, steps: Any) -> None:
        die_if_doomed()
        self._publisher.publish(operation_id, steps)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._publisher, name)


@contextmanager
def gates_in(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put gates, and places to die, between the transactions of the engine; the engine itself is as it is."""
    write = documents.write_document

    def gated(*given: Any) -> Any:
        gate("write")
        return write(*given)

    def mortal(function: Callable[..., Any]) -> Callable[..., Any]:
        def do(*given: Any, **named: Any) -> Any:
            die_if_doomed()
            return function(*given, **named)

        return do

    def this_engine() -> Engine:
        hand = hand_here()
        return hand.engine if hand and hand.engine else service.engine

    monkeypatch.setattr(drain, "write_document", gated)
    monkeypatch.setattr(tasks, "this_engine", this_engine)
    monkeypatch.setattr(runner, "let_go", mortal(release.let_go))
    monkeypatch.setattr(operations, "drain_aside", mortal(drain.drain_aside))
    # No settle shares a transaction: the model has none that do.
    monkeypatch.setattr(service.engine.pace, "short", -1.0)
    yield
