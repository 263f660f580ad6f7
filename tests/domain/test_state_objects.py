"""State objects: what they say of themselves, how they read, and how they are written down and read again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pausable.errors import StateMalformed
from pausable.model import signals
from pausable.model.states import KINDS, Failed, Paused, Retrying, Running, Scheduled, State, StepState, Success

if TYPE_CHECKING:
    from collections.abc import Callable

PREDICATES = {
    "Pending": {"is_pending"},
    "Scheduled": {"is_pending", "is_scheduled"},
    "Running": {"is_running"},
    "Retrying": {"is_pending", "is_scheduled", "is_retrying"},
    "Paused": {"is_pending", "is_scheduled", "is_paused"},
    "Success": {"is_finished", "is_successful"},
    "Cached": {"is_finished", "is_successful", "is_cached"},
    "Skipped": {"is_finished", "is_successful", "is_skipped"},
    "Failed": {"is_finished", "is_failed"},
    "TriggerFailed": {"is_finished", "is_failed"},
    "Cancelled": {"is_finished", "is_cancelled"},
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(), part, max_size=3),
    max_leaves=8,
)
TIMES = st.datetimes() | st.datetimes(timezones=st.just(UTC))


@st.composite
def states(draw: st.DrawFn) -> State:
    kind = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    more: dict[str, Any] = {}
    if issubclass(kind, Scheduled):
        more["start_time"] = draw(st.none() | TIMES)
    if issubclass(kind, Retrying):
        more["run_count"] = draw(st.none() | st.integers(0, 1000))
    return kind(draw(st.none() | st.text()), draw(JSON), **more)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_state_says_of_itself_what_it_does_in_prefect_1(kind: str) -> None:
    names = [name for name in dir(State) if name.startswith("is_")]

    assert {name for name in names if getattr(KINDS[kind](), name)()} == PREDICATES[kind]


def test_every_state_that_a_step_may_stand_in_but_queued_is_a_kind_of_state() -> None:
    assert set(StepState) - {StepState.QUEUED} == set(KINDS) - {"Scheduled"}


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (Success("Task run succeeded."), 'Success("Task run succeeded.")'),
        (Scheduled(), "Scheduled()"),
        (Failed(""), "Failed()"),
        (Retrying("again", run_count=2), 'Retrying("again")'),
    ],
)
def test_a_state_reads_as_its_name_and_message(state: State, text: str) -> None:
    assert (repr(state), str(state)) == (text, text)


@given(states())
def test_a_state_that_was_written_down_as_json_is_read_as_it_was(state: State) -> None:
    read = State.deserialize(json.loads(json.dumps(state.serialize())))

    assert (type(read), read, repr(read)) == (type(state), state, repr(state))


def test_a_time_without_a_zone_is_taken_for_utc() -> None:
    assert Retrying(start_time=datetime(2030, 1, 2)).start_time == datetime(2030, 1, 2, tzinfo=UTC)


def test_a_time_keeps_its_zone() -> None:
    there = datetime(2030, 1, 2, tzinfo=UTC).astimezone()

    assert Paused(start_time=there).start_time == there


def test_what_a_state_carries_under_names_can_be_read_as_attributes() -> None:
    read = State.deserialize({"type": "Failed", "result": {"flag": True, "items": [1]}})

    assert (read.result.flag, read.result["items"]) == (True, [1])
    assert not hasattr(read.result, "value")


def test_states_are_equal_whose_kind_and_result_are_equal_as_in_prefect_1() -> None:
    assert Success("a", [1]) == Success("b", [1])
    assert Success("a", [1]) != Success("a", [2])
    assert Scheduled(start_time=datetime(2026, 1, 1)) != Scheduled(start_time=datetime(2026, 1, 2))
    assert Success("a") != Failed("a")
    assert Running() != "Running()"


def test_a_state_can_be_a_key_and_is_its_own_alone() -> None:
    one, other = Success("a", [1]), Success("a", [1])

    assert {one: 1}.get(one) == 1
    assert {one: 1}.get(other) is None


HOSTILE: list[Any] = [
    None,
    7,
    "Success",
    [],
    [["type", "Success"]],
    {},
    {"type": None},
    {"type": "Queued"},
    {"type": "State"},
    {"type": "_Finished"},
    {"type": ["Success"]},
    {"type": {"Success": 1}},
    {"type": "__class__"},
    {"type": "Success", "message": 7},
    {"type": "Success", "message": ["a"]},
    {"type": "Retrying", "start_time": "tomorrow"},
    {"type": "Retrying", "start_time": 10**400},
    {"type": "Retrying", "start_time": {}},
    {"type": "Retrying", "run_count": "3"},
    {"type": "Retrying", "run_count": -1},
    {"type": "Retrying", "run_count": True},
    {"type": "Paused", "start_time": []},
]


@pytest.mark.parametrize("facts", HOSTILE, ids=repr)
def test_what_is_no_state_is_refused_with_a_sentence(facts: Any) -> None:
    with pytest.raises(StateMalformed, match=r"This is no state: its `.*\."):
        State.deserialize(facts)


@given(
    st.dictionaries(
        st.sampled_from(["type", "message", "result", "start_time", "run_count"]), JSON | st.sampled_from(sorted(KINDS))
    )
)
def test_whatever_json_comes_is_a_state_or_refused(facts: dict[str, Any]) -> None:
    try:
        state = State.deserialize(facts)
    except StateMalformed:
        return
    assert State.deserialize(state.serialize()) == state


def test_a_moment_far_away_is_kept() -> None:
    far = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)

    assert State.deserialize(Retrying(start_time=far).serialize()) == Retrying(start_time=far)


@pytest.mark.parametrize("make", [signals.RETRY, signals.PAUSE, Paused, Retrying])
def test_a_start_time_that_is_no_time_is_refused_in_a_sentence(make: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match=r"^start_time is 'soon': give a datetime"):
        make("later", start_time="soon")
