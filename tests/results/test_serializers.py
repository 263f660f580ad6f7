"""Serializers: whatever a step may return comes back as it was, and what a serializer cannot hold is named."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pausable.canvas.values import decode, encode, fault_in
from pausable.errors import ResultUnfit
from pausable.results.targets import SERIALIZERS

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
told = st.dates() | st.binary() | st.decimals(allow_nan=False) | st.uuids() | st.datetimes()
values = st.recursive(
    scalars | told, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)


def through(name: str, value: Any) -> Any:
    serializer = SERIALIZERS[name]
    return decode(serializer.load(serializer.dump(encode(value))))


@given(values)
def test_json_keeps_every_value_that_a_step_may_hand_on(value: Any) -> None:
    assert through("json", value) == value


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_keeps_every_text(value: str) -> None:
    assert through("text", value) == value
    assert SERIALIZERS["text"].dump(encode(value)) == value.encode()


@given(st.binary())
def test_bytes_are_kept_as_they_are(value: bytes) -> None:
    assert through("bytes", value) == value
    assert SERIALIZERS["bytes"].dump(encode(value)) == value


@given(st.binary())
def test_what_is_read_as_json_is_json(content: bytes) -> None:
    try:
        text = SERIALIZERS["json"].load(content)
    except ValueError:
        return
    assert encode(decode(text))


def test_json_is_what_other_programs_read() -> None:
    assert SERIALIZERS["json"].dump(encode({"rows": [1, 2.5, None]})) == b'{"rows":[1,2.5,null]}'


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("text", 1, "int"),
        ("text", b"\xff", "base64"),
        ("text", datetime(2026, 11, 21, tzinfo=UTC), "datetime"),
        ("bytes", "text", "str"),
        ("bytes", {"__type__": "bytes"}, "dict"),
        ("bytes", date(2026, 11, 21), "date"),
    ],
)
def test_a_value_of_another_kind_is_refused_by_name(name: str, value: Any, kind: str) -> None:
    with pytest.raises(ResultUnfit, match=f"it is of type {kind}, but must be"):
        SERIALIZERS[name].dump(encode(value))


def test_half_a_character_is_no_text() -> None:
    with pytest.raises(ResultUnfit, match="a lone surrogate at position 2"):
        SERIALIZERS["text"].dump(encode("ab\ud800"))


@pytest.mark.parametrize("content", [b"", b"{", b"NaN", b"-Infinity", b"\xff", b"1 2"])
def test_what_is_no_json_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        SERIALIZERS["json"].load(content)


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ({"rows": [1, 2, 3, {4}]}, '["rows"][3]'),
        ([[], [Decimal(1), object()]], "[1][1]"),
        ({"é": {"ü": float("nan")}}, '["\\u00e9"]["\\u00fc"]'),
        ({7: (1, {2})}, "[7][1]"),
        ({1}, ""),
        ({(1, 2): 3}, ""),
    ],
)
def test_the_part_that_json_cannot_hold_is_found(value: Any, at: str) -> None:
    with pytest.raises((TypeError, ValueError)):
        encode(value)
    assert fault_in(value) == at


def test_a_value_that_holds_itself_is_found_where_it_is_met_again() -> None:
    rows: list[Any] = [1]
    rows.append({"again": rows})
    assert fault_in({"rows": rows}) == '["rows"][1]["again"]'
