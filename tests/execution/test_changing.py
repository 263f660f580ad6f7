"""The form of a transaction that changes an operation: nothing is done before its commit, and nothing without it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pausable.db.database import DriverError
from pausable.db.operations import find_operation
from pausable.engine.change import changing, until_committed
from pausable.errors import MoveRefused, OperationNotFound, VersionPassed
from pausable.model.states import Completion
from tests.databases import on_both

if TYPE_CHECKING:
    from tests.execution.conftest import ByHand

_C = Completion


@on_both
def test_what_is_to_follow_is_done_in_its_order_once_others_can_see_the_change(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("adding", numbers=[1, 2])
    seen: list[object] = []

    with changing(service.engine, operation) as op:
        op.then(lambda: seen.append(service.completion(operation)))
        op.then(lambda: seen.append("second"))
        written = op.move(replace(op.operation, completion=_C.REQUESTING_PAUSE), who="ada", why="a test")
        before = list(seen)

    assert (before, seen) == ([], [_C.REQUESTING_PAUSE, "second"])
    assert written == service.show(operation)
    last = service.commands.events(service.ada, operation)[-1]
    assert (last.who, last.old, last.new, last.why) == ("ada", "SCHEDULED", "REQUESTING PAUSE", "a test")


def test_a_change_that_raises_is_undone_and_nothing_follows(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("adding", numbers=[1, 2])
    before, seen = service.show(operation), list[object]()

    with suppress(LookupError), changing(service.engine, operation) as op:
        op.then(lambda: seen.append("done"))
        op.move(replace(op.operation, completion=_C.REQUESTING_PAUSE), who="ada")
        raise LookupError

    assert (service.show(operation), seen) == (before, [])


def test_an_operation_that_is_not_there_or_may_not_move_so_is_refused(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("adding", numbers=[1, 2])

    with pytest.raises(OperationNotFound), changing(service.engine, operation + 1):
        pass
    with pytest.raises(MoveRefused), changing(service.engine, operation) as op:
        op.move(replace(op.operation, completion=_C.PAUSED), who="ada")


@on_both
def test_a_change_for_a_quiet_operation_is_refused_while_a_step_runs(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("adding", numbers=[1, 2])
    service.engine.register()
    service.change("UPDATE steps SET state = 'Running', worker_id = (SELECT max(id) FROM workers) WHERE number = 0")

    with pytest.raises(VersionPassed), changing(service.engine, operation) as op:
        op.save(op.operation, is_quiet=True)


def test_a_commit_that_gave_no_answer_is_looked_for_before_the_change_is_attempted_again(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("adding", numbers=[1, 2])
    attempts: list[int] = []

    def attempt() -> str:
        with changing(service.engine, operation) as op:
            attempts.append(op.operation.version)
            op.move(replace(op.operation, completion=_C.REQUESTING_PAUSE), who="ada")
        raise DriverError("database is locked")

    def made() -> str | None:
        with service.engine.database.glance() as tx:
            found = find_operation(tx, operation)
        return "made" if found and found.completion is _C.REQUESTING_PAUSE else None

    assert until_committed(attempt, made) == "made"
    assert attempts == [1]
