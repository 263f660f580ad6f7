"""A commit that ends in an error: whether it was written is read from the table."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import OperationalError

from app.domain.states import Completion
from app.execution import settling_surely
from app.execution.settling import settle
from app.store.step_queries import list_steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

LOST = OperationalError("COMMIT", {}, sqlite3.OperationalError("no answer"))


def test_a_step_whose_commit_gave_no_answer_but_was_written_is_not_run_again(
    by_hand: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = by_hand()

    def settled_without_an_answer(*given: Any, **options: Any) -> None:
        settle(*given, **options)
        raise LOST

    monkeypatch.setattr(settling_surely, "settle", settled_without_an_answer)
    operation = service.start("adding", numbers=[1, 2])
    service.deliver_all()

    assert service.wait_until(operation, Completion.COMPLETED).steps_done == 2
    with service.engine.database.glance() as tx:
        assert {step.runs for step in list_steps(tx, operation)} == {1}


def test_a_commit_that_was_rolled_back_is_an_error(
    by_hand: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = by_hand()

    def rolled_back(*_given: Any, **_options: Any) -> None:
        raise LOST

    monkeypatch.setattr(settling_surely, "settle", rolled_back)
    operation = service.start("adding", numbers=[1, 2])

    with pytest.raises(OperationalError):
        service.deliver_step(operation, 0)
