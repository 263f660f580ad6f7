"""Values come back as they were, whatever they look like in JSON."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from pausable.canvas.values import decode, encode, restored, stored

LOOKALIKES: list[Any] = [
    {"__type__": "bytes", "__value__": "not bytes"},
    {"__type__": "uuid", "__value__": 5},
    {"__type__": "no such type", "__value__": None},
    {"__type__": "dict", "__value__": [["__type__", 1], ["__value__", 2]]},
    {"__value__": [], "__type__": ["unhashable"]},
    {"__type__": {"__type__": "date", "__value__": "2026-01-31"}, "__value__": date(2026, 1, 31)},
    {"deep": [{"__type__": "decimal", "__value__": "1.0"}, {"__type__": 1, "__value__": 2, "more": 3}]},
    {"__result__": {"store": "/etc", "path": "hostname", "serializer": "text"}},
    {"__result__": {"value": 1}},
]
TYPED: list[Any] = [
    date(2026, 1, 31),
    datetime(2026, 1, 31, 12, 30, 15, 7, tzinfo=UTC),
    datetime(2026, 1, 31),
    time(23, 59),
    Decimal("0.10"),
    UUID(int=7),
    b"\xff\x00",
    b"text",
]


class Order(BaseModel):
    """A model of an author's."""

    day: date
    extra: dict[str, Any]


@pytest.mark.parametrize(
    "value", [*LOOKALIKES, *TYPED, *([one, {"in": one}] for one in (*LOOKALIKES, *TYPED))], ids=str
)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    assert decode(encode(value)) == value
    assert restored(stored(value)) == value
    assert json.loads(encode(value)) == stored(value)


def test_a_model_comes_back_as_a_dict_whose_parts_are_what_they_were() -> None:
    order = Order(day=date(2026, 1, 31), extra=LOOKALIKES[0])
    assert decode(encode([order])) == [{"day": date(2026, 1, 31), "extra": LOOKALIKES[0]}]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"__type__":"date","__value__":"2026-01-31"}', date(2026, 1, 31)),
        ('{"__type__": "bytes", "__value__": "text"}', b"text"),
        ('{"__type__":"uuid","__value__":5}', {"__type__": "uuid", "__value__": 5}),
        ('{"__type__":"x","__value__":[{"__type__":"y","__value__":1}]}', None),
    ],
)
def test_what_earlier_versions_have_kept_is_read(text: str, value: Any) -> None:
    assert decode(text) == (json.loads(text) if value is None else value)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused_wherever_it_stands(number: float) -> None:
    for value in (number, [number], {"a": {"b": number}}, Order(day=date(2026, 1, 31), extra={"x": number})):
        with pytest.raises(ValueError, match=r"not a number|not JSON compliant"):
            encode(value)


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.text() | st.dates() | st.decimals(allow_nan=False) | st.binary()
)
KEYS = st.sampled_from(["__type__", "__value__", "__result__", "a"])
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))


@given(VALUES)
def test_no_value_is_taken_for_another(value: Any) -> None:
    assert decode(encode(value)) == value
