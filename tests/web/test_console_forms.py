"""A form made of a JSON Schema says every value that fits it, and what is typed is read as JSON values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.web.console.forms import Kind, fields_of, filled_in, read, typed_as
from tests.amounts import usually

FINITE = st.floats(allow_nan=False, allow_infinity=False)
WHOLE = st.integers(-(10**30), 10**30)
TEXTS = st.text() | st.sampled_from(["", " ", "\n", "a\r\nb", "null", "1", "\x00", "\x85"])
DATES = st.dates().map(lambda day: day.isoformat())
MOMENTS = st.datetimes().map(lambda at: f"{at.isoformat()}Z")
SCALARS = st.none() | st.booleans() | WHOLE | TEXTS
ANYTHING = st.recursive(
    SCALARS | FINITE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
#: Schemas of one value, each with what fits it.
SIMPLE: list[tuple[dict[str, Any], st.SearchStrategy[Any]]] = [
    ({"type": "integer", "minimum": 1}, WHOLE),
    ({"type": "number", "maximum": 5}, FINITE | WHOLE),
    ({"type": "string", "minLength": 0}, TEXTS),
    ({"type": "string", "contentMediaType": "text/plain"}, TEXTS),
    ({"type": "string", "format": "date"}, DATES),
    ({"type": "string", "format": "date-time"}, MOMENTS),
    ({"type": "boolean"}, st.booleans()),
    ({"const": "only"}, st.just("only")),
    ({"$ref": "#/$defs/Colour"}, st.sampled_from(["red", "blue"])),
]
COMPOUND: list[tuple[dict[str, Any], st.SearchStrategy[Any]]] = [
    ({}, ANYTHING),
    ({"type": "object"}, st.dictionaries(TEXTS, ANYTHING, max_size=3)),
    ({"type": "array", "prefixItems": [{}, {}]}, st.lists(ANYTHING, min_size=2, max_size=2)),
    ({"type": "array", "items": {"type": "object"}}, st.lists(st.dictionaries(TEXTS, WHOLE, max_size=2), max_size=3)),
]
DEFINITIONS = {"Colour": {"enum": ["red", "blue"], "type": "string"}}


@st.composite
def asked(draw: st.DrawFn) -> tuple[dict[str, Any], Any]:
    """A schema of one property, and a value that fits it."""
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return draw(chosen())
    schema, values = draw(st.sampled_from(COMPOUND if kind == 1 else SIMPLE))
    if kind == 2:
        schema, values = {"type": "array", "items": schema}, st.lists(values, max_size=4)
    value = draw(values)
    if draw(st.booleans()):
        return {"anyOf": [schema, {"type": "null"}]}, draw(st.sampled_from([value, None]))
    if draw(st.booleans()):
        return {**schema, "default": draw(values)}, value
    return schema, value


@st.composite
def chosen(draw: st.DrawFn) -> tuple[dict[str, Any], Any]:
    values = draw(st.lists(SCALARS, min_size=1, max_size=4, unique_by=json.dumps))
    return {"enum": values}, draw(st.sampled_from(values))


def as_sent(text: str) -> str:
    """What a browser sends of a text that stands in a page."""
    text.encode()  # no page could hold what this refuses
    return text.replace("\n", "\r\n")


@settings(max_examples=usually(50, long=200), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(asked(), max_size=3), st.booleans())
def test_whatever_fits_a_schema_is_said_by_its_form(pairs: list[tuple[dict[str, Any], Any]], is_required: bool) -> None:
    names = [f"field_{number}" for number in range(len(pairs))]
    schema: dict[str, Any] = {
        "$defs": DEFINITIONS,
        "properties": dict(zip(names, (one for one, _ in pairs), strict=True)),
        "required": names if is_required else [],
    }
    values = dict(zip(names, (value for _, value in pairs), strict=True))

    fields, texts = filled_in(schema, values)
    in_json = [one.name for one in fields if one.kind is Kind.JSON]
    found, faults = read(fields_of(schema, in_json), {name: as_sent(text) for name, text in texts.items()})

    assert faults == {}
    defaults = {name: one["default"] for name, one in schema["properties"].items() if "default" in one}
    assert json.dumps({**defaults, **found}, sort_keys=True) == json.dumps(values, sort_keys=True)


def kind_of(schema: dict[str, Any]) -> Kind:
    return fields_of({"properties": {"x": schema}, "$defs": DEFINITIONS})[0].kind


def test_each_schema_has_its_kind_of_field() -> None:
    assert kind_of({"type": "integer"}) is Kind.WHOLE
    assert kind_of({"anyOf": [{"type": "number"}, {"type": "null"}]}) is Kind.NUMBER
    assert kind_of({"type": "string", "format": "uuid"}) is Kind.TEXT
    assert kind_of({"type": "string", "contentMediaType": "text/markdown"}) is Kind.PASSAGE
    assert kind_of({"type": "boolean"}) is Kind.SWITCH
    assert kind_of({"anyOf": [{"type": "boolean"}, {"type": "null"}]}) is Kind.CHOICE
    assert kind_of({"allOf": [{"$ref": "#/$defs/Colour"}], "default": "red"}) is Kind.CHOICE
    assert kind_of({"type": "array", "items": {"$ref": "#/$defs/Colour"}}) is Kind.LINES
    assert kind_of({"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}) is Kind.JSON
    assert kind_of({"anyOf": [{"type": "integer"}, {"type": "string"}]}) is Kind.JSON
    assert kind_of({"$ref": "#/$defs/NoSuch"}) is Kind.JSON
    assert kind_of({"enum": [[1], [2]]}) is Kind.JSON


@pytest.mark.parametrize("value", [None, True, "3", {"a": 1}, ["x"], [[1]], 2.5])
def test_a_value_that_fitted_once_and_fits_no_more_is_shown_as_json(value: Any) -> None:
    schema = {"properties": {"x": {"type": "array", "items": {"type": "integer"}}, "y": {"const": "only"}}}

    fields, texts = filled_in(schema, {"x": value, "y": value})

    assert [one.kind for one in fields] == [Kind.JSON, Kind.JSON]
    assert [json.loads(text) for text in texts.values()] == [value, value]


def test_a_reference_that_leads_to_itself_ends() -> None:
    circle = {"$defs": {"A": {"$ref": "#/$defs/A"}}, "properties": {"x": {"$ref": "#/$defs/A"}}}

    assert fields_of(circle)[0].kind is Kind.JSON


@pytest.mark.parametrize(
    ("schema", "text", "told"),
    [
        ({"type": "integer"}, "1e3", "This is no whole number, such as 12"),
        ({"type": "integer"}, "9" * 500, "This is no whole number, such as 12"),
        ({"type": "integer"}, "١٢", "This is no whole number, such as 12"),
        ({"type": "number"}, "1,5", "This is no number, such as 12 or 0.5"),
        ({"type": "number"}, "nan", "This is no number, such as 12 or 0.5"),
        ({"type": "number"}, "1e999", "This number is too large"),
        ({"type": "string", "format": "date"}, "31.1.2030", "This is no date, such as 2030-01-31"),
        ({"type": "string", "format": "date-time"}, "soon", "This is no date and time, such as 2030-01-31T08:00"),
        ({"enum": ["a", "b"]}, "c", "This is none of a, b"),
        ({"type": "array", "items": {"type": "integer"}}, "1\r\n\r\nx", "Line 3: This is no whole number, such as 12"),
        ({"type": "object"}, "[1e999]", "This is no JSON: Out of range float values are not JSON compliant"),
        ({"type": "object"}, "[" * 10_000, "This is no JSON: recursion limit exceeded at line 1"),
    ],
)
def test_a_text_that_is_no_value_is_told_so(schema: dict[str, Any], text: str, told: str) -> None:
    values, faults = read(fields_of({"properties": {"x": schema}}), {"x": text})

    assert values == {}
    assert faults["x"].startswith(told)


def test_what_is_left_empty_is_null_where_that_may_be_and_else_left_out() -> None:
    schema = {
        "properties": {
            "nullable": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": 3},
            "usual": {"type": "integer", "default": 3},
            "word": {"type": "string", "default": "EUR"},
            "needed": {"type": "string"},
            "list": {"type": "array", "items": {"type": "string"}, "default": ["a"]},
            "switch": {"type": "boolean", "default": True},
        },
        "required": ["needed"],
    }

    values, faults = read(fields_of(schema), {})

    assert values == {"nullable": None, "word": "", "list": [], "switch": False}
    assert faults == {}


def test_defaults_are_filled_in() -> None:
    schema = {
        "properties": {"a": {"type": "integer", "default": 3}, "b": {"type": "array", "items": {}, "default": [1]}}
    }

    assert typed_as(fields_of(schema), {}) == {"a": "3", "b": "[\n  1\n]"}


@pytest.mark.parametrize("pattern", [r"^\d+$", r"^[a-z-]+$", "a", "^a|b$", r"^(?i)a$", r"^\p{L}$"])
def test_a_pattern_that_browsers_may_read_otherwise_is_told_and_left_to_the_service(pattern: str) -> None:
    field = fields_of({"properties": {"x": {"type": "string", "pattern": pattern}}})[0]

    assert "pattern" not in field.attributes
    assert field.hint == f"Must match {pattern}."
