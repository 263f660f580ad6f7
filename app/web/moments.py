"""A moment as a request names it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from app import clock
from app.domain.moments import moment_of
from app.errors import MomentMalformed


def _moment(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise MomentMalformed
    return moment_of(value, clock.now())


Moment = Annotated[
    float | None,
    BeforeValidator(_moment),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}),
]
