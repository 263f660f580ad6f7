"""A FAILED operation that is retried: its failed steps and what lies behind them run again, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pausable import clock
from pausable.db.prune import Old, Weighed, oldest, thin_out
from pausable.errors import MoveRefused, NothingToRetry, OperationThinned, VersionPassed
from pausable.model.states import ENDED, Completion, StepState
from pausable.worker.sweeper import sweep
from tests.execution.flows import lines_of
from tests.execution.test_steering import at_once
from tests.execution.witness import illegal_moves, place_witness

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]

_C, _S = Completion, StepState

#: The steps of a shape: what leaves a mark until it has failed, what does when it is retried, and the result then.
SHAPES: dict[str, tuple[str, str, str]] = {
    "chain": ("ab", "bc", "1"),
    "first": ("a", "a", "1"),
    "two beside": ("abcd", "bc", "3"),
}


def failed(service: Service, shape: str, ledger: str, mend: str) -> int:
    operation = service.start("mendable", shape=shape, ledger=ledger, mend=mend)
    service.deliver_all()
    return operation


@pytest.mark.parametrize("shape", SHAPES)
def test_what_failed_and_what_lies_behind_it_runs_again_and_nothing_else(service: Service, shape: str) -> None:
    ledger, mend = service.path(), service.path()
    first, second, result = SHAPES[shape]
    operation = service.start("mendable", shape=shape, ledger=ledger, mend=mend)
    service.wait_until(operation, _C.FAILED)
    ran = lines_of(ledger)

    Path(mend).touch()
    service.retry(operation)

    ended = service.ended(operation)
    assert (ended.completion, ended.result, ended.error) == (_C.COMPLETED, result, None)
    assert sorted(ran) == list(first)
    assert sorted(lines_of(ledger)[len(ran) :]) == list(second)


def test_a_step_that_ended_well_behind_a_failed_one_runs_again(by_hand: ByHand) -> None:
    service = by_hand()
    ledger, mend = service.path(), service.path()
    operation = service.start("cleaned-and-failed", ledger=ledger, mend=mend)
    service.deliver_all()
    assert service.completion(operation) is _C.FAILED
    assert service.states(operation)["cleaned"] is _S.SUCCESS

    Path(mend).touch()
    service.retry(operation)
    service.deliver_all()

    assert service.completion(operation) is _C.COMPLETED
    assert lines_of(ledger) == ["a", "clean", "a", "clean", "b"]


def test_a_skipped_step_stays_skipped_and_so_does_what_waits_for_it(by_hand: ByHand) -> None:
    service = by_hand()
    ledger, mend = service.path(), service.path()
    operation = failed(service, "skipped beside", ledger, mend)
    assert service.completion(operation) is _C.FAILED

    Path(mend).touch()
    service.retry(operation)
    service.deliver_all()

    assert service.completion(operation) is _C.COMPLETED
    states = service.states(operation)
    assert (states["skipped"], states["mendable"], states["total"]) == (_S.SKIPPED, _S.SUCCESS, _S.SKIPPED)


def test_a_retried_operation_stands_as_one_that_has_come_so_far(by_hand: ByHand) -> None:
    service = by_hand()
    place_witness(service)
    ledger, mend = service.path(), service.path()
    operation = failed(service, "chain", ledger, mend)
    before = service.show(operation)

    service.retry(operation, reason="it is mended")

    after = service.show(operation)
    assert (after.completion, after.steps_left, after.steps_done) == (_C.IN_PROGRESS, 2, 2)
    assert (after.error, after.result, after.reason, after.finished_at) == (None, None, None, None)
    assert after.started_at == before.started_at
    assert service.states(operation) == {
        "same": _S.SUCCESS,
        "told-1": _S.SUCCESS,
        "mendable": _S.QUEUED,
        "told-2": _S.PENDING,
    }
    *_, last = service.commands.events(service.ada, operation)
    assert (last.who, last.old, last.new, last.why) == ("ada", _C.FAILED, _C.IN_PROGRESS, "it is mended")
    assert service.messages() == 1
    assert illegal_moves(service, operation) == []


def test_an_operation_may_fail_and_be_retried_again_and_again(by_hand: ByHand) -> None:
    service = by_hand()
    ledger, mend = service.path(), service.path()
    operation = failed(service, "chain", ledger, mend)

    for _ in range(3):
        service.retry(operation)
        service.deliver_all()
        assert service.error(operation)["message"] == "b is broken"
    Path(mend).touch()
    service.retry(operation)
    service.deliver_all()

    assert service.show(operation).result == "1"
    assert service.steps(operation)["mendable"].runs == 5
    assert service.steps(operation)["told-1"].runs == 1


def test_a_step_begins_anew_with_no_retry_counted(by_hand: ByHand) -> None:
    service = by_hand()
    ledger = service.path()
    operation = service.start("own-retries", kind="too often", ledger=ledger)
    sweep_all(service)
    assert len(lines_of(ledger)) == 3

    service.retry(operation)
    sweep_all(service)

    assert service.completion(operation) is _C.FAILED
    assert len(lines_of(ledger)) == 6


def test_a_step_begins_anew_with_no_loss_counted(by_hand: ByHand) -> None:
    service = by_hand()
    operation = failed(service, "chain", service.path(), service.path())
    service.change("UPDATE steps SET losses = 2 WHERE slug = 'mendable'")

    service.retry(operation)

    assert service.steps(operation)["mendable"].losses == 0


def test_a_worker_that_was_fenced_before_the_retry_is_fenced_after_it(by_hand: ByHand) -> None:
    service = by_hand()
    operation = failed(service, "chain", service.path(), service.path())
    claims = "SELECT claim FROM steps WHERE slug = 'mendable'"
    before = service.read(claims)

    service.retry(operation)

    assert service.read(claims) == before
    service.deliver_all()
    assert service.read(claims) > before


def test_a_retried_operation_can_be_paused_and_resumed(by_hand: ByHand) -> None:
    service = by_hand()
    ledger, mend = service.path(), service.path()
    operation = failed(service, "chain", ledger, mend)
    Path(mend).touch()

    service.retry(operation)
    service.pause(operation)
    assert service.completion(operation) is _C.PAUSED
    assert service.document(operation)["result"] == 1
    service.resume(operation)
    service.deliver_all()

    assert service.show(operation).result == "1"
    assert lines_of(ledger) == ["a", "b", "b", "c"]


def test_the_state_handlers_of_a_retried_operation_are_not_told_that_it_begins_again(by_hand: ByHand) -> None:
    service = by_hand()
    ledger, mend = service.path(), service.path()
    operation = service.start("mendable-with-handlers", ledger=ledger, mend=mend)
    service.deliver_all()
    begun = ["Scheduled to Running", "a", "Running to Failed"]
    assert lines_of(ledger) == begun

    Path(mend).touch()
    service.retry(operation)
    service.deliver_all()

    assert lines_of(ledger) == [*begun, "a", "Running to Success"]


@pytest.mark.parametrize("stand", ["completed", "started"])
def test_only_a_failed_operation_is_retried(by_hand: ByHand, stand: str) -> None:
    service = by_hand()
    operation = service.start("adding", numbers=[1, 2])
    if stand == "completed":
        service.deliver_all()
    before = service.show(operation)

    with pytest.raises(MoveRefused, match="it cannot become retried: only a FAILED one has failed steps"):
        service.retry(operation)

    assert service.show(operation) == before


def test_an_operation_that_no_step_has_failed_is_not_retried(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("failed-by-a-handler")
    service.deliver_all()
    before = service.show(operation)
    assert before.completion is _C.FAILED

    with pytest.raises(NothingToRetry, match="no step of it has failed"):
        service.retry(operation)

    assert service.show(operation) == before


def test_an_operation_that_prune_has_begun_to_take_away_is_not_retried(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("long-mendable", length=400, at=3, ledger=service.path(), mend=service.path())
    service.deliver_all()
    old = Old(clock.now() + 1, frozenset(ENDED))
    with service.engine.database.read() as tx:
        (weighed,) = oldest(tx, old, 1)
    left = []

    while thinned(service, old, weighed):
        with pytest.raises(OperationThinned, match="parts of it were taken away"):
            service.retry(operation)
        left.append(service.read("SELECT (SELECT count(*) FROM edges), (SELECT count(*) FROM steps)")[0])

    assert service.completion(operation) is _C.FAILED
    assert left[0] == (399, 400)
    assert left[-1] == (0, 0)


def thinned(service: Service, old: Old, weighed: Weighed) -> bool:
    with service.engine.database.write() as tx:
        return thin_out(tx, old, weighed)


def test_a_retry_made_for_an_older_version_is_refused(by_hand: ByHand) -> None:
    service = by_hand()
    operation = failed(service, "chain", service.path(), service.path())
    present = service.show(operation)

    with pytest.raises(VersionPassed):
        service.retry(operation, version=present.version - 1)

    assert service.show(operation) == present
    service.retry(operation, version=present.version)


def test_of_two_retries_at_once_one_is_refused(service: Service) -> None:
    for _ in range(5):
        ledger, mend = service.path(), service.path()
        operation = service.start("mendable", shape="two beside", ledger=ledger, mend=mend)
        service.wait_until(operation, _C.FAILED)
        Path(mend).touch()

        answers = at_once(service, "retry", "retry", operation=operation)

        assert sum(isinstance(answer, MoveRefused) for answer in answers) == 1
        assert service.ended(operation).completion is _C.COMPLETED
        assert sorted(lines_of(ledger)) == sorted("abcdbc")


def test_a_chain_of_thousands_is_retried_in_one_short_transaction(by_hand: ByHand) -> None:
    service = by_hand()
    ledger, mend = service.path(), service.path()
    operation = service.start("long-mendable", length=3000, at=4, ledger=ledger, mend=mend)
    service.deliver_all()
    assert service.completion(operation) is _C.FAILED

    Path(mend).touch()
    service.retry(operation)

    assert (service.show(operation).steps_left, service.messages()) == (2996, 1)
    service.deliver_all()
    assert service.show(operation).result == "1"
    assert lines_of(ledger) == ["broken", "broken"]


def sweep_all(service: Service) -> None:
    """Deliver and sweep until nothing is to be done."""
    while service.deliver_all():
        sweep(service.engine)
