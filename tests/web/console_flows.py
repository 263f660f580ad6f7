"""Workflows that ask for values of every kind that a form has."""

from __future__ import annotations

import datetime as dt
import enum
from typing import Annotated, Any, Literal

from celery import chain
from pydantic import BaseModel, Field

from pausable import Canvas, step, workflow


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(BaseModel):
    width: int
    height: int = 1


@step
def give(value: Any = None) -> Any:
    return value


@workflow("asks-everything")
def asks_everything(  # noqa: PLR0913, PLR0917 - a field of each kind
    many: Annotated[int, Field(ge=1, le=9, description="How <many>.")],
    share: Annotated[float, Field(gt=0)],
    name: Annotated[str, Field(min_length=2, max_length=20, pattern="^[a-z]+$")],
    day: dt.date,
    at: dt.datetime,
    colour: Colour,
    words: Annotated[list[str], Field(min_length=1)],
    size: Size,
    mode: Literal["quick", "slow"] = "quick",
    is_loud: bool = True,
    top: int | None = None,
    note: Annotated[str | None, Field(json_schema_extra={"contentMediaType": "text/plain"})] = None,
    either: bool | None = None,
    numbers: list[int] = [3, 4],  # noqa: B006
    limits: dict[str, int] = {"a": 1},  # noqa: B006
) -> Canvas:
    """Ask for everything."""
    return chain(give.s(many))


@workflow("says-words")
def says_words(words: str = "none") -> Canvas:
    """Say <b>words</b>."""
    return chain(give.s(words))


@workflow("cannot")
def cannot(path: str = "x") -> Canvas:
    """Be a recipe that cannot be followed."""
    raise FileNotFoundError(f"no file {path}")


@workflow("asks-nothing")
def asks_nothing() -> Canvas:
    """Ask for nothing."""
    return chain(give.s())
