"""How steps end by signals, and which steps their triggers let run then."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from pausable.canvas.values import decode
from pausable.errors import ReferenceUnknown
from pausable.model.states import Completion, StepState
from tests.databases import both_when_long
from tests.execution.flows import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]

database_kind = both_when_long()

_C, _S = Completion, StepState
RAN, NOT, SKIPPED = _S.SUCCESS, _S.TRIGGER_FAILED, _S.SKIPPED


@pytest.fixture
def service(by_hand: ByHand) -> Service:
    return by_hand()


def run(service: Service, workflow: str, **arguments: object) -> int:
    operation = service.start(workflow, **arguments)
    service.deliver_all()
    return operation


@pytest.mark.parametrize(
    ("word", "state", "result", "message"),
    [
        ("FAIL", _S.FAILED, None, "broken"),
        ("FAIL with data", _S.FAILED, {"flag": True, "value": 7}, "broken"),
        ("FAIL with a result", _S.FAILED, [1], "broken"),
        ("SUCCESS", _S.SUCCESS, 3, "found it"),
        ("SUCCESS by name", _S.SUCCESS, {"count": 3}, "found it"),
        ("SKIP", _S.SKIPPED, None, "not today"),
        ("ENDRUN", _S.CACHED, 4, "seen"),
        ("ENDRUN failed", _S.FAILED, None, "stop"),
        ("RETRY", _S.RETRYING, None, "soon"),
    ],
)
def test_a_step_ends_as_its_signal_says(
    service: Service, word: str, state: StepState, result: object, message: str
) -> None:
    operation = run(service, "speaking", word=word)

    [(kept, error, said)] = service.read(
        "SELECT result, error, message FROM steps WHERE operation_id = ? AND number = 0", operation
    )
    assert service.states(operation)["speak"] is state
    assert decode(kept) == result
    assert (said or decode(error)["message"]) == message


@pytest.mark.parametrize(
    ("word", "behind", "completion", "result"),
    [
        ("SUCCESS", _S.SUCCESS, _C.COMPLETED, "3"),
        ("ENDRUN", _S.SUCCESS, _C.COMPLETED, "4"),
        ("SKIP", _S.SKIPPED, _C.COMPLETED, "null"),
        ("FAIL", _S.TRIGGER_FAILED, _C.FAILED, None),
        ("ENDRUN failed", _S.TRIGGER_FAILED, _C.FAILED, None),
    ],
)
def test_what_is_behind_a_signal_follows_it(
    service: Service, word: str, behind: StepState, completion: Completion, result: str | None
) -> None:
    operation = run(service, "speaking", word=word)

    shown = service.show(operation)
    assert service.states(operation)["same"] is behind
    assert (shown.completion, shown.result) == (completion, result)


@pytest.mark.parametrize(
    ("word", "words"),
    [("ENDRUN running", "ended Running without a result"), ("FAIL with no json", "broken")],
)
def test_a_signal_that_no_end_can_be_fails_with_a_sentence(service: Service, word: str, words: str) -> None:
    operation = run(service, "speaking", word=word)

    assert service.completion(operation) is _C.FAILED
    if word == "FAIL with no json":
        assert "JSON cannot hold" in service.error(operation)["message"]
    else:
        assert words in service.error(operation)["message"]


def test_a_signalled_failure_tells_where_it_was_raised(service: Service) -> None:
    operation = run(service, "speaking", word="FAIL")

    assert "in _speak" in service.error(operation)["traceback"]


def test_a_step_that_asks_for_a_pause_pauses_its_operation_and_runs_again_on_resume(service: Service) -> None:
    file = service.path()
    operation = run(service, "speaking", word="PAUSE", file=file)
    paused = service.show(operation)

    service.resume(operation)
    service.deliver_all()

    assert (paused.completion, paused.reason) == (_C.PAUSED, "have a look")
    assert lines_of(file) == ["PAUSE", "PAUSE"]
    assert service.show(operation).result == '"PAUSE"'


def test_a_skip_spreads_to_all_that_do_not_say_otherwise(service: Service) -> None:
    operation = run(service, "speaking-regardless", word="SKIP")

    assert list(service.states(operation).values()) == [_S.SKIPPED, _S.SKIPPED, _S.SUCCESS]
    assert service.show(operation).result == '"got None"'


GOOD, BAD, SKIP = "Success", "Failed", "Skipped"


@pytest.mark.parametrize(
    ("trigger", "ends", "state"),
    [
        ("all_successful", [GOOD, GOOD], RAN),
        ("all_successful", [GOOD, BAD], NOT),
        ("all_successful", [GOOD, SKIP], SKIPPED),
        ("all_successful!", [GOOD, SKIP], RAN),
        ("all_successful", [BAD, SKIP], NOT),
        ("all_successful!", [BAD, SKIP], NOT),
        ("all_failed", [BAD, BAD], RAN),
        ("all_failed", [GOOD, BAD], NOT),
        ("any_successful", [GOOD, BAD], RAN),
        ("any_successful", [BAD, BAD], NOT),
        ("any_failed", [GOOD, BAD], RAN),
        ("any_failed", [GOOD, GOOD], NOT),
        ("any_failed", [SKIP, BAD], SKIPPED),
        ("any_failed!", [SKIP, BAD], RAN),
        ("all_finished", [BAD, GOOD], RAN),
        ("all_finished", [BAD, BAD], RAN),
        ("all_finished", [GOOD, GOOD], RAN),
        ("all_finished!", [SKIP, BAD], RAN),
        ("at_least_2", [GOOD, BAD, GOOD], RAN),
        ("at_least_2", [GOOD, BAD, BAD], NOT),
        ("half", [GOOD, BAD], RAN),
        ("half", [GOOD, BAD, BAD], NOT),
        ("first_alone", [GOOD, BAD], RAN),
        ("first_alone", [BAD, GOOD], NOT),
        ("raising", [GOOD], NOT),
        ("skipping", [GOOD], SKIPPED),
    ],
)
def test_a_trigger_decides_by_how_the_steps_before_ended(
    service: Service, trigger: str, ends: list[str], state: StepState
) -> None:
    operation = run(service, "judged", trigger=trigger, ends=ends)

    *_, judge, behind = service.states(operation).values()
    assert (judge, behind) == (state, state)  # the one behind has the default trigger, and follows


@pytest.mark.parametrize(
    ("trigger", "ends", "words"),
    [
        ("all_failed", [GOOD, BAD], 'Trigger was "all_failed" but end-1 is Success.'),
        ("any_failed", [GOOD, GOOD], 'Trigger was "any_failed" but all of the upstream tasks succeeded.'),
        ("half", [GOOD, BAD, BAD], 'Trigger was "some_successful(at_least=0.5)" but end-2 is Failed, end-3 is Failed.'),
        ("raising", [GOOD], "Its trigger _raise raised LookupError: no such rule"),
    ],
)
def test_a_trigger_that_does_not_let_its_step_run_says_why(
    service: Service, trigger: str, ends: list[str], words: str
) -> None:
    operation = run(service, "judged-last", trigger=trigger, ends=ends)

    slug = re.sub(r"[!]", "", trigger)
    told = [event.why for event in service.commands.events(service.ada, operation) if event.step == slug]
    assert told == [words]


@pytest.mark.parametrize(
    ("workflow", "ends", "completion"),
    [
        ("judged-last", [BAD], _C.COMPLETED),
        ("judged-last", [GOOD], _C.COMPLETED),
        ("referenced", [BAD, GOOD], _C.FAILED),
        ("referenced", [GOOD, GOOD], _C.COMPLETED),
    ],
)
def test_the_reference_steps_decide_how_an_operation_ends(
    service: Service, workflow: str, ends: list[str], completion: Completion
) -> None:
    operation = run(service, workflow, trigger="all_finished", ends=ends)

    assert service.states(operation)["all_finished"] is RAN
    assert service.completion(operation) is completion


def test_reference_steps_that_are_not_there_are_named_when_the_operation_starts(service: Service) -> None:
    with pytest.raises(ReferenceUnknown, match=r"reference= names nowhere, but the steps are end, same"):
        service.start("misreferenced")
