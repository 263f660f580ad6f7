"""Bare Celery goes on with a workflow.json whose rest is one line, on a real worker that has the tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import chain, signature

from pausable.model.states import Completion
from tests.execution.flows import lines_of
from tests.execution.service import wait_for

if TYPE_CHECKING:
    from tests.execution.service import Service


def go_on(document: dict[str, Any]) -> None:
    rest: Any = (signature(link) for link in document["chain"])
    chain(rest)(document["result"])


@pytest.mark.parametrize("stop", ["a", "b", "c"])
def test_bare_celery_goes_on_with_the_chain_and_the_result_of_the_document(service: Service, stop: str) -> None:
    ledger = service.path()
    operation = service.start("shape", shape="chain", ledger=ledger, stop=stop)
    service.wait_until(operation, Completion.PAUSED)
    document = service.document(operation)

    go_on(document)

    wait_for(lambda: len(lines_of(ledger)) == 4)
    assert lines_of(ledger) == ["a", "b", "c", "d"]
    assert service.completion(operation) is Completion.PAUSED


def test_bare_celery_hands_on_the_result_of_the_document(service: Service) -> None:
    ledger = service.path()
    operation = service.start("telling", ledger=ledger)
    service.wait_until(operation, Completion.PAUSED)
    document = service.document(operation)
    service.resume(operation)
    service.ended(operation)

    go_on(document)

    wait_for(lambda: len(lines_of(f"{ledger}.told")) == 2)
    first, second = lines_of(f"{ledger}.told")
    assert first == second == '"b(a(-))"'
