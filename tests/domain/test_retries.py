"""When a failed step is run again, and after which wait."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pausable.errors import StepOptionInvalid
from pausable.model.retries import LONGEST, Retries, checked_retry_on, seconds

JITTERS = 500


@pytest.mark.parametrize(("done", "wanted"), [(0, True), (1, True), (2, False), (3, False)])
def test_a_failure_is_retried_so_often_and_no_more(done: int, wanted: bool) -> None:
    assert Retries(most=2).wants(ArithmeticError(), done) is wanted


@pytest.mark.parametrize(
    ("on", "fault", "wanted"),
    [
        (Exception, ArithmeticError(), True),
        (LookupError, KeyError(), True),
        (LookupError, ArithmeticError(), False),
        ((LookupError, OSError), TimeoutError(), True),
        (lambda fault: "again" in str(fault), ArithmeticError("again"), True),
        (lambda fault: "again" in str(fault), ArithmeticError("never"), False),
        (lambda _fault: 0, ArithmeticError(), False),
    ],
)
def test_a_type_or_a_predicate_says_which_failures_are_retried(on: object, fault: Exception, wanted: bool) -> None:
    assert Retries(most=1, on=checked_retry_on(on)).wants(fault, 0) is wanted


def test_a_predicate_is_not_asked_once_there_have_been_enough() -> None:
    asked: list[BaseException] = []

    def ask(fault: BaseException) -> bool:
        asked.append(fault)
        return True

    assert not Retries(most=1, on=ask).wants(ArithmeticError(), 1)

    assert asked == []


@pytest.mark.parametrize(
    ("retries", "waits"),
    [
        (Retries(9), [0, 0, 0, 0]),
        (Retries(9, delay=5), [5, 5, 5, 5]),
        (Retries(9, delay=5, backoff=2), [5, 10, 20, 40]),
        (Retries(9, delay=1, backoff=1.5), [1, 1.5, 2.25, 3.375]),
        (Retries(9, delay=5, backoff=3, longest=60), [5, 15, 45, 60]),
        (Retries(9, delay=100, longest=60), [60, 60, 60, 60]),
    ],
)
def test_each_wait_is_so_many_times_the_one_before_up_to_the_longest(retries: Retries, waits: list[float]) -> None:
    assert [retries.wait(done) for done in range(4)] == waits


def test_a_wait_after_very_many_retries_is_the_longest() -> None:
    assert Retries(10**6, delay=1, backoff=2).wait(10**5) == LONGEST


def test_jitter_shortens_a_wait_by_up_to_a_half_and_never_makes_it_longer() -> None:
    retries = Retries(9, delay=5, backoff=2, jitter=True)

    waits = [retries.wait(2) for _ in range(JITTERS)]

    assert 10 <= min(waits) < max(waits) <= 20
    assert len(set(waits)) > JITTERS / 2


@pytest.mark.parametrize(("given", "value"), [(0, 0.0), (1.5, 1.5), (timedelta(minutes=2), 120.0)])
def test_seconds_are_given_as_a_number_or_a_timedelta(given: object, value: float) -> None:
    assert seconds("retry_delay", given) == value


@pytest.mark.parametrize("given", [-1, True, "5", None, float("nan"), float("inf"), timedelta(seconds=-1)])
def test_what_are_no_seconds_is_refused_by_name(given: object) -> None:
    with pytest.raises(StepOptionInvalid, match=r"retry_delay is .*: give a number of seconds"):
        seconds("retry_delay", given)


@pytest.mark.parametrize("given", ["LookupError", 5, None, (), [], (LookupError, "x"), int, LookupError()])
def test_what_tells_no_failures_apart_is_refused(given: object) -> None:
    with pytest.raises(StepOptionInvalid, match=r"retry_on is .*: give types of exceptions, or a function"):
        checked_retry_on(given)
