"""What a person may ask of an operation, wherever it stands; and two who ask at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from pausable.engine.claim import claim
from pausable.errors import DocumentUnusable, MoveRefused, OperationNotFound, VersionPassed
from pausable.model.states import Completion, StepState
from tests.deadlines import WAIT
from tests.execution.flows import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]

_C = Completion
REFUSED = "refused"

#: Where an operation stands after each command; REFUSED where it is an error. `rebuild` leaves it where it is.
AFTER: dict[Completion, dict[str, Any]] = {
    _C.SCHEDULED: {"pause": _C.PAUSED, "resume": _C.SCHEDULED, "cancel": _C.CANCELLED, "rebuild": REFUSED},
    _C.IN_PROGRESS: {
        "pause": _C.REQUESTING_PAUSE,
        "resume": _C.IN_PROGRESS,
        "cancel": _C.REQUESTING_CANCEL,
        "rebuild": REFUSED,
    },
    _C.REQUESTING_PAUSE: {
        "pause": _C.REQUESTING_PAUSE,
        "resume": _C.IN_PROGRESS,
        "cancel": _C.REQUESTING_CANCEL,
        "rebuild": REFUSED,
    },
    _C.PAUSED: {"pause": _C.PAUSED, "resume": _C.IN_PROGRESS, "cancel": _C.CANCELLED, "rebuild": _C.PAUSED},
    _C.REQUESTING_CANCEL: {
        "pause": REFUSED,
        "resume": REFUSED,
        "cancel": _C.REQUESTING_CANCEL,
        "rebuild": REFUSED,
    },
    _C.CANCELLED: {"pause": REFUSED, "resume": REFUSED, "cancel": _C.CANCELLED, "rebuild": REFUSED},
    _C.COMPLETED: dict.fromkeys(["pause", "resume", "cancel", "rebuild"], REFUSED),
    _C.FAILED: dict.fromkeys(["pause", "resume", "cancel", "rebuild"], REFUSED),
}
for _completion, _after in AFTER.items():
    _after["retry"] = _C.IN_PROGRESS if _completion is _C.FAILED else REFUSED
EVERY_COMMAND = [(completion, command) for completion in _C for command in AFTER[completion]]

AS_IT_IS = [
    (completion, command)
    for completion, command in EVERY_COMMAND
    if AFTER[completion][command] is completion and command != "rebuild"
]


def standing_at(service: Service, completion: Completion) -> int:
    """An operation that stands there, brought there by what a person and a worker do."""
    operation = service.start("failing" if completion is _C.FAILED else "adding", **numbers(completion))
    if completion in (_C.IN_PROGRESS, _C.REQUESTING_PAUSE, _C.REQUESTING_CANCEL):
        claim(service.engine, operation, 0)
    if completion in (_C.PAUSED, _C.REQUESTING_PAUSE):
        service.pause(operation)
    if completion in (_C.CANCELLED, _C.REQUESTING_CANCEL):
        service.cancel(operation)
    if completion in (_C.COMPLETED, _C.FAILED):
        service.deliver_all()
    assert service.completion(operation) is completion
    return operation


def numbers(completion: Completion) -> dict[str, Any]:
    return {} if completion is _C.FAILED else {"numbers": [1, 2, 3]}


def ask(service: Service, command: str, operation: int) -> Any:
    return getattr(service.commands, command)(service.ada, operation)


@pytest.mark.parametrize(("completion", "command"), EVERY_COMMAND)
def test_each_command_moves_an_operation_as_the_table_says_or_changes_nothing(
    by_hand: ByHand, completion: Completion, command: str
) -> None:
    service = by_hand()
    operation = standing_at(service, completion)
    before = service.show(operation), service.steps(operation), service.moves(operation)

    if AFTER[completion][command] is REFUSED:
        with pytest.raises(MoveRefused, match=f"Operation {operation} is {completion}: it cannot"):
            ask(service, command, operation)
        assert (service.show(operation), service.steps(operation), service.moves(operation)) == before
    else:
        ask(service, command, operation)
        assert service.completion(operation) is AFTER[completion][command]


@pytest.mark.parametrize(("completion", "command"), AS_IT_IS)
def test_a_command_that_asks_for_what_is_so_already_changes_nothing(
    by_hand: ByHand, completion: Completion, command: str
) -> None:
    service = by_hand()
    operation = standing_at(service, completion)
    before = service.show(operation), service.moves(operation)

    assert ask(service, command, operation)[1] is False

    assert (service.show(operation), service.moves(operation)) == before


@pytest.mark.parametrize(
    "command", ["pause", "resume", "cancel", "retry", "rebuild", "document", "steps", "events", "show"]
)
def test_an_operation_that_is_not_there_is_not_found(by_hand: ByHand, command: str) -> None:
    service = by_hand()

    with pytest.raises(OperationNotFound):
        ask(service, command, 77)


@pytest.mark.parametrize("command", ["pause", "resume", "cancel"])
def test_a_command_made_for_an_older_version_is_refused(by_hand: ByHand, command: str) -> None:
    service = by_hand()
    operation = standing_at(service, _C.REQUESTING_PAUSE)
    present = service.show(operation)

    with pytest.raises(VersionPassed):
        getattr(service.commands, command)(service.ada, operation, version=present.version - 1)

    assert service.show(operation) == present
    getattr(service.commands, command)(service.ada, operation, version=present.version)


def test_a_pause_that_is_withdrawn_lets_everything_go_on(service: Service) -> None:
    gates = [service.path(), service.path()]
    operation = service.start("gates", gates=gates)
    service.wait_for_step(operation, "wait_at-1", StepState.RUNNING)
    service.pause(operation)
    assert service.completion(operation) is _C.REQUESTING_PAUSE

    assert service.resume(operation)
    for gate in gates:
        Path(gate).touch()

    assert service.ended(operation).completion is _C.COMPLETED
    assert service.moves(operation) == ["SCHEDULED", "IN PROGRESS", "REQUESTING PAUSE", "IN PROGRESS", "COMPLETED"]


def test_a_pause_withdrawn_after_a_step_was_held_releases_it(by_hand: ByHand) -> None:
    service = by_hand(slice_steps=1)
    operation = service.start("held-beside", ledger=service.path(), gate=service.path())
    service.deliver()
    claim(service.engine, operation, 1)
    service.deliver_step(operation, 2)
    assert service.completion(operation) is _C.REQUESTING_PAUSE
    assert service.states(operation)["tell-2"] is StepState.PAUSED

    service.resume(operation)

    assert service.states(operation)["tell-2"] is StepState.QUEUED


def at_once(service: Service, *commands: str, operation: int) -> list[Any]:
    """What each command answers when all are made at once, each by a thread with a connection of its own."""
    together = Barrier(len(commands), timeout=WAIT)

    def make(command: str) -> Any:
        together.wait()
        try:
            answer = ask(service, command, operation)
            return answer[1] if isinstance(answer, tuple) else True
        except (MoveRefused, VersionPassed, DocumentUnusable) as refused:
            return refused
        finally:
            service.engine.database.close()

    with ThreadPoolExecutor(len(commands)) as people:
        return list(people.map(make, commands))


def test_two_resumes_at_once_start_the_rest_once(service: Service) -> None:
    for _ in range(5):
        ledger = service.path()
        operation = service.start("shape", shape="nested", ledger=ledger, stop="a")
        service.wait_until(operation, _C.PAUSED)

        answers = at_once(service, "resume", "resume", operation=operation)

        assert sorted(answers) == [False, True]
        assert service.ended(operation).completion is _C.COMPLETED
        assert sorted(lines_of(ledger)) == list("abcdefg")


def test_of_two_pauses_at_once_one_changes_something(by_hand: ByHand) -> None:
    service = by_hand()
    operation = standing_at(service, _C.SCHEDULED)

    answers = at_once(service, "pause", "pause", operation=operation)

    assert sorted(answers) == [False, True]
    assert service.completion(operation) is _C.PAUSED


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_a_cancel_at_once_with_another_command_wins(by_hand: ByHand, command: str) -> None:
    service = by_hand()
    operation = standing_at(service, _C.PAUSED if command == "resume" else _C.IN_PROGRESS)

    at_once(service, command, "cancel", operation=operation)

    assert service.completion(operation) in {_C.CANCELLED, _C.REQUESTING_CANCEL}


def test_a_pause_at_once_with_the_end_of_the_last_step_leaves_it_completed(service: Service) -> None:
    for _ in range(20):
        operation = service.start("adding", numbers=[1])

        try:
            service.pause(operation)
        except MoveRefused:
            assert service.completion(operation) is _C.COMPLETED
        if service.wait_until(operation, _C.PAUSED, _C.COMPLETED).completion is _C.PAUSED:
            service.resume(operation)

        assert service.ended(operation).completion is _C.COMPLETED
