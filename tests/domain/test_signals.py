"""Signals: the state that each stands for, and what it carries."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta

import pytest

from pausable.clock import frozen_at
from pausable.model.signals import ENDRUN, FAIL, PAUSE, RETRY, SKIP, SUCCESS, Signal
from pausable.model.states import Cached, Failed, Paused, Skipped, State, Success


@pytest.mark.parametrize(
    ("signal", "state"),
    [
        (FAIL("no"), Failed("no")),
        (SUCCESS("yes", result=3), Success("yes", 3)),
        (SKIP("not today"), Skipped("not today")),
        (PAUSE("have a look"), Paused("have a look")),
        (ENDRUN(Cached("seen", 4)), Cached("seen", 4)),
        (FAIL(), Failed()),
    ],
)
def test_a_signal_stands_for_a_state(signal: Signal, state: State) -> None:
    assert signal.state == state


def test_what_a_signal_is_given_by_name_or_afterwards_is_the_result_of_its_state() -> None:
    signal = FAIL("a equaled b!", flag=True)
    signal.value = 1

    assert (signal.state.result.flag, signal.state.result.value) == (True, 1)
    assert (signal.flag, signal.value) == (True, 1)


@pytest.mark.parametrize("result", [0, None, {"a": 1}])
def test_a_result_that_is_said_wins_over_what_is_given_by_name(result: object) -> None:
    signal = FAIL("no", result=result, flag=True)
    signal.value = 1

    assert signal.state.result == result


def test_a_signal_has_no_attribute_that_it_was_not_given() -> None:
    assert not hasattr(FAIL("no"), "flag")
    assert not hasattr(FAIL("no"), "_flag")


def test_a_signal_reads_as_its_message() -> None:
    assert (str(FAIL("no")), str(SKIP())) == ("no", "")


def test_a_signal_that_was_raised_and_copied_is_as_it_was() -> None:
    signal = FAIL("no", flag=True)
    with pytest.raises(FAIL) as caught:
        raise signal from LookupError("why")

    assert caught.value.state == copy.copy(signal).state == Failed("no", {"flag": True})
    assert isinstance(caught.value.__cause__, LookupError)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (None, 0.0),
        (timedelta(minutes=1), 60.0),
        (datetime.fromtimestamp(1060, UTC), 60.0),
        (datetime.fromtimestamp(1060, UTC).replace(tzinfo=None), 60.0),
    ],
)
def test_a_retry_is_at_once_after_a_while_or_at_a_time_in_utc(
    given: datetime | timedelta | None, seconds: float
) -> None:
    with frozen_at(1000.0):
        signal = RETRY("later", start_time=given)

    assert signal.start_time == datetime.fromtimestamp(1000 + seconds, UTC)
    assert signal.state.serialize()["start_time"] == signal.start_time.isoformat()
