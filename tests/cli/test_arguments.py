"""KEY=VALUE and JSON on a command line become the arguments that a workflow's own schema asks for."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any, Literal

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from app.cli.input import arguments_of, fitted
from pausable.workflows.registry import parameters_of


class Place(BaseModel):
    """A parameter that is an object."""

    town: str


def schema_of(**types: Any) -> dict[str, Any]:
    """The schema of a workflow whose parameters have these types."""

    def recipe() -> None:
        """Never called."""

    recipe.__signature__ = _signature(types)  # type: ignore[attr-defined]
    return parameters_of("recipe", recipe).schema()


def _signature(types: dict[str, Any]) -> Any:
    from inspect import Parameter, Signature

    return Signature([Parameter(name, Parameter.KEYWORD_ONLY, annotation=given) for name, given in types.items()])


def value_of(text: str, annotation: Any) -> Any:
    return arguments_of([f"it={text}"], None, schema_of(it=annotation))["it"]


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (int, "7", 7),
        (int, "-7", -7),
        (int, "seven", "seven"),
        (float, "7", 7),
        (float, "0.5", 0.5),
        (float, "NaN", "NaN"),
        (bool, "true", True),
        (bool, "yes", "yes"),
        (str, "people.csv", "people.csv"),
        (str, "2024", "2024"),
        (str, "a=b,c", "a=b,c"),
        (str, '"2024"', "2024"),
        (str, "", ""),
        (date, "2024-05-01", "2024-05-01"),
        (int | None, "null", None),
        (str | None, "none", "none"),
        (str | None, "null", None),
        (str | int, "7", 7),
        (str | int, "007", "007"),
        (Decimal, "12.50", 12.5),
        (list[str], "company,gender", ["company", "gender"]),
        (list[str], "company, gender", ["company", "gender"]),
        (list[str], "company", ["company"]),
        (list[str], "2024,2025", ["2024", "2025"]),
        (list[str], '["a,b"]', ["a,b"]),
        (list[str], "", []),
        (list[int], "1,2", [1, 2]),
        (list[int] | None, "1,2", [1, 2]),
        (list[int] | None, "null", None),
        (list[bool], "true,no", [True, "no"]),
        (list[str] | str, "a,b", "a,b"),
        (set[int], "1", [1]),
        (tuple[str, int], "x,7", ["x", 7]),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (Place, '{"town": "Ulm"}', {"town": "Ulm"}),
        (Literal["a", "b"], "a", "a"),
        (Literal["7", 7], "7", 7),
        (Any, "7", 7),
        (Any, "seven", "seven"),
        (Any, "1,2", "1,2"),
    ],
)
def test_a_value_is_read_as_the_workflow_s_schema_asks(annotation: Any, text: str, value: Any) -> None:
    assert value_of(text, annotation) == value
    assert type(value_of(text, annotation)) is type(value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_what_is_written_as_json_is_read_as_json_where_anything_is_taken(value: Any) -> None:
    assert fitted(json.dumps(value), {}, {}) == value


@given(st.lists(st.text()))
def test_a_list_that_is_written_as_json_is_never_parted_at_commas(value: list[str]) -> None:
    assert fitted(json.dumps(value), schema_of(it=list[str])["properties"]["it"], {}) == value


def test_pairs_add_to_the_json_object() -> None:
    arguments = arguments_of(["chunks=20"], '{"path": "people.csv"}', schema_of(path=str, chunks=int))

    assert arguments == {"path": "people.csv", "chunks": 20}


def test_a_parameter_that_the_workflow_does_not_have_is_left_to_its_judgement() -> None:
    assert arguments_of(["speed=7"], None, schema_of(path=str)) == {"speed": 7}


@pytest.mark.parametrize(
    ("pairs", "text", "fault"),
    [
        (["chunks"], None, "'chunks' is not written as KEY=VALUE."),
        (["=20"], None, "'=20' is not written as KEY=VALUE."),
        (["chunks=1", "chunks=2"], None, "'chunks' is given twice."),
        (["chunks=1"], '{"chunks": 2}', "'chunks' is given twice."),
        ([], "[1]", '--arguments is not a JSON object, such as {"start": 1}: [1]'),
        ([], "{", '--arguments is not a JSON object, such as {"start": 1}: {'),
        ([], "[" * 100_000, f'--arguments is not a JSON object, such as {{"start": 1}}: {"[" * 80}'),
    ],
)
def test_arguments_that_are_not_written_right_are_a_misuse(pairs: list[str], text: str | None, fault: str) -> None:
    with pytest.raises(click.UsageError) as misuse:
        arguments_of(pairs, text, schema_of(chunks=int))

    assert misuse.value.message == fault
