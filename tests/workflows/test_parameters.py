from __future__ import annotations

from datetime import date
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import jsonschema
import pytest
from celery import signature
from pydantic import AfterValidator, BaseModel, Field

from pausable import Canvas, workflow
from pausable.errors import ArgumentsInvalid, WorkflowMalformed

if TYPE_CHECKING:
    from decimal import Decimal


class Currency(Enum):
    EURO = "EUR"
    DOLLAR = "USD"


class Address(BaseModel):
    street: str
    floors: list[int] = []


def even(number: int) -> int:
    if number % 2:
        raise ValueError("Give an even number")
    return number


@workflow("everything")
def everything(  # noqa: PLR0913, PLR0917 - a parameter of every kind
    operation_id: int,
    source: str,
    day: date,
    to: Address,
    pair: Annotated[int, AfterValidator(even)] = 2,
    share: Annotated[float, Field(gt=0, le=1, description="A part of the whole.")] = 0.5,
    currency: Currency = Currency.EURO,
    *,
    schema: list[str] | None = None,
) -> Canvas:
    """Take a parameter of every kind. The rest is silence."""
    return signature("noop", args=(operation_id, source, day, to, pair, share, currency, schema))


GIVEN = {"source": "a.csv", "day": "2024-05-01", "to": {"street": "Elm"}}


def faults_of(arguments: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ArgumentsInvalid) as refused:
        everything.validate(arguments)
    return {fault["field"]: fault["message"] for fault in refused.value.faults}


def test_validation_fills_in_the_defaults_and_gives_what_json_can_hold() -> None:
    assert everything.validate(GIVEN) == GIVEN | {
        "to": {"street": "Elm", "floors": []},
        "pair": 2,
        "share": 0.5,
        "currency": "EUR",
        "schema": None,
    }


def test_what_was_validated_is_valid_and_stays_as_it_is() -> None:
    once = everything.validate(GIVEN)

    assert everything.validate(once) == once


def test_the_function_is_given_the_types_it_declares_and_the_operation_id() -> None:
    built = everything.build(17, everything.validate(GIVEN | {"currency": "USD", "schema": ["a"]}))

    assert built["args"] == (17, "a.csv", date(2024, 5, 1), Address(street="Elm"), 2, 0.5, Currency.DOLLAR, ["a"])


def test_every_bad_field_is_named_at_once() -> None:
    bad = {
        "day": "May",
        "to": {"floors": [1, "two"]},
        "share": 7,
        "currency": "PLN",
        "schema": "x",
        "pair": 3,
        "other": 1,
    }

    assert faults_of(bad) == {
        "source": "Field required",
        "day": "Input should be a valid date in the format YYYY-MM-DD, input is too short",
        "to.street": "Field required",
        "to.floors.1": "Input should be a valid integer, unable to parse string as an integer",
        "pair": "Give an even number",
        "share": "Input should be less than or equal to 1",
        "currency": "Input should be 'EUR' or 'USD'",
        "schema": "Input should be a valid array",
        "other": "There is no such parameter",
    }


@pytest.mark.parametrize("number", ["2", True, 2.0, None, [2]])
def test_nothing_but_a_number_passes_for_a_number(number: object) -> None:
    assert list(faults_of(GIVEN | {"pair": number})) == ["pair"]


@pytest.mark.parametrize("share", [float("nan"), float("inf")])
def test_a_number_that_json_does_not_know_is_refused(share: float) -> None:
    assert list(faults_of(GIVEN | {"share": share})) == ["share"]


def test_half_a_character_is_refused_beside_all_other_faults() -> None:
    faults = faults_of({"source": "\ud83d", "day": "2024-05-01", "to": {}, "\ud83d": 1})

    assert faults == {
        "source": "JSON cannot hold this value",
        "\\ud83d": "JSON cannot hold this value",
        "to.street": "Field required",
    }


def test_the_operation_id_is_filled_in_and_not_asked_for() -> None:
    assert "operation_id" not in everything.schema()["properties"]
    assert faults_of(GIVEN | {"operation_id": 3}) == {"operation_id": "There is no such parameter"}


def test_the_schema_is_json_schema_that_says_what_validation_does() -> None:
    schema = everything.schema()

    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(GIVEN, schema)
    assert schema["required"] == ["source", "day", "to"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["share"]["description"] == "A part of the whole."
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(GIVEN | {"other": 1}, schema)


def test_positional_arguments_take_the_names_of_the_parameters_from_left_to_right() -> None:
    assert everything.parameters.named(["a.csv", "2024-05-01"]) == {"source": "a.csv", "day": "2024-05-01"}


def test_more_positional_arguments_than_parameters_are_refused() -> None:
    with pytest.raises(ArgumentsInvalid, match="takes 7 arguments, but 8 were given"):
        everything.parameters.named(range(8))


def variadic(*sources: str) -> Canvas:
    return {}


def keywords(**sources: str) -> Canvas:
    return {}


def positional(source: str, /) -> Canvas:
    return {}


def untyped(source) -> Canvas:  # type: ignore[no-untyped-def] # noqa: ANN001
    return {}


def unknown_type(price: Decimal) -> Canvas:
    return {}


def unimported_type(source: Nothing) -> Canvas:  # type: ignore[name-defined] # noqa: F821
    return {}


def field_as_default(share: float = Field(0.5, gt=0)) -> Canvas:
    return {}


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (variadic, "its parameter *sources: 'str' cannot be given by name"),
        (keywords, "its parameter **sources: 'str' cannot be given by name"),
        (positional, "its parameter source: 'str' cannot be given by name"),
        (untyped, "its parameter 'source' has no type: write, for example, source: int"),
        (unknown_type, "name 'Decimal' is not defined): import it outside TYPE_CHECKING"),
        (unimported_type, "name 'Nothing' is not defined"),
        (field_as_default, "its parameter 'share' has a Field as default: write Annotated"),
    ],
)
def test_a_function_whose_parameters_cannot_be_asked_for_is_refused_when_it_is_decorated(
    function: Any, why: str
) -> None:
    with pytest.raises(WorkflowMalformed) as refused:
        workflow("odd")(function)

    assert str(refused.value).startswith("The workflow 'odd' cannot be used: ")
    assert why in str(refused.value)


def test_a_type_that_pydantic_does_not_know_is_refused_when_it_is_decorated() -> None:
    def takes_an_opaque(source: Any) -> Canvas:
        return {}

    takes_an_opaque.__annotations__["source"] = type("Opaque", (), {})

    with pytest.raises(WorkflowMalformed, match="a parameter's type cannot be used: Unable to generate pydantic"):
        workflow("odd")(takes_an_opaque)
