"""Errands: one at a time of a key; one that hangs is named, and others go on."""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from pausable.engine.drain import drain_aside
from pausable.engine.errands import Errands, doing
from pausable.service.explain import explanation_of
from tests.databases import on_sqlite_alone
from tests.execution.service import DEADLINE, Service, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

if TYPE_CHECKING:
    ByHand = Callable[..., Service]


@pytest.fixture
def service(by_hand: ByHand) -> Service:
    return by_hand()


@pytest.fixture
def errands(service: Service) -> Iterator[Errands]:
    errands = service.engine.incarnation.errands = Errands(service.engine.database, deadline=0.2)
    yield errands
    errands.stop()
    service.engine.incarnation.errands = None


@on_sqlite_alone
def test_of_one_key_one_errand_runs_and_one_more_is_remembered(errands: Errands) -> None:
    gate, ran = threading.Event(), list[str]()

    def wait() -> None:
        ran.append("first")
        assert gate.wait(DEADLINE)

    errands.run(5, "waiting", wait)
    wait_for(lambda: ran == ["first"])
    for name in ("second", "third"):
        errands.run(5, name, partial(ran.append, name))
    errands.run(6, "another", lambda: ran.append("another"))

    wait_for(lambda: ran == ["first", "another"])
    gate.set()
    wait_for(lambda: ran == ["first", "another", "third"])


@on_sqlite_alone
def test_many_that_hang_are_replaced_and_each_is_named_once(errands: Errands, caplog: pytest.LogCaptureFixture) -> None:
    gate, told, ran = threading.Event(), list[str](), threading.Event()

    def hang(number: int) -> None:
        doing(f"callback {number}")
        assert gate.wait(DEADLINE)

    for number in range(6):
        errands.run(number, "an errand", partial(hang, number), told.append)
    errands.run("after", "the last", ran.set)

    def has_run() -> bool:
        errands.look()
        return ran.is_set() and len(told) == 6

    with caplog.at_level(logging.ERROR):
        wait_for(has_run)
        errands.look()

    gate.set()
    assert sorted(told) == [f"callback {number} has not returned for 0.2 s" for number in range(6)]
    assert sum("callback 3" in record.getMessage() for record in caplog.records) == 1


@on_sqlite_alone
def test_a_callback_that_hangs_is_named_in_the_reason_and_in_the_explanation(
    service: Service, errands: Errands, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, gate, calls = "tests.execution.clause_flows.kept", threading.Event(), list[int]()

    def hang_later(*_given: object) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise LookupError("not yet")
        assert gate.wait(DEADLINE)

    monkeypatch.setattr(service.celery.tasks[name], "run", hang_later)
    operation = service.start("clause", ledger=service.path(), answers=[True])
    service.deliver_all()

    def is_named() -> bool:
        drain_aside(service.engine, operation)
        errands.look()
        return name in (service.show(operation).reason or "")

    wait_for(is_named)
    summary = " ".join(cause.sentence for cause in explanation_of(service.engine, operation).causes)
    gate.set()

    assert f"the callback {name} at a pause point of operation {operation} has not returned for 0.2 s" in summary
