"""The shape of each format of workflow.json that was ever released: which keys there are, and of which types."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.domain.states import FINAL, StepState
from app.errors import DocumentMalformed

#: Where a step may stand in a document of the second format: at rest, nothing is under way.
_AT_REST: Final = tuple(str(state) for state in (StepState.PENDING, StepState.PAUSED, StepState.RETRYING, *FINAL))
_ANYWHERE: Final = tuple(str(state) for state in StepState)
#: The largest number of a row, and the latest moment that is kept.
_LARGEST: Final = 2**63 - 1
_LATEST: Final = 253402300799.0


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


class _Signature(_Strict):
    task: str = Field(min_length=1)
    args: list[Any]
    kwargs: dict[str, Any]
    options: dict[str, Any]
    subtask_type: str | None
    immutable: bool
    complete: bool = False


class _Task(_Strict):
    slug: str = Field(min_length=1, max_length=1000)
    name: str = Field(min_length=1, max_length=1000)


class _State(_Strict):
    type: Literal[_ANYWHERE]  # type: ignore[valid-type]
    message: str | None
    result: Any


class _StateAtRest(_State):
    type: Literal[_AT_REST]  # type: ignore[valid-type]


class _Cursor(_Strict):
    place: Any
    done: int | None = Field(ge=0, le=_LARGEST)
    total: int | None = Field(ge=0, le=_LARGEST)


class _Step(_Strict):
    task: _Task
    state: _State
    upstream: list[str]
    signature: _Signature
    cursor: _Cursor | None = None


class _Point(_Strict):
    number: int = Field(ge=0, le=2**31 - 1)
    clause: dict[str, Any] | None
    callback: dict[str, Any] | None
    passed: bool


class _Kept(_Strict):
    store: str = Field(min_length=1)
    path: str = Field(min_length=1)
    serializer: Literal["json", "text", "bytes"]


class _Error(_Strict):
    model_config = ConfigDict(extra="allow")

    type: str
    message: str
    traceback: str | None = None


class _Failure(_Error):
    step: str


class _StepAtRest(_Step):
    state: _StateAtRest
    inputs: Any = None
    point: _Point | None = None
    kept: _Kept | None = None
    error: _Error | None = None
    decides: bool = False
    retries: int = Field(0, ge=0, le=2**31 - 1)
    runs: int = Field(0, ge=0, le=2**31 - 1)
    due_at: float | None = Field(None, ge=0, le=_LATEST)
    started_at: float | None = Field(None, ge=0, le=_LATEST)
    finished_at: float | None = Field(None, ge=0, le=_LATEST)


class _First(_Strict):
    format: Literal[1]
    operation_id: int = Field(ge=1, le=_LARGEST)
    workflow: str
    arguments: dict[str, Any]
    result: Any
    chain: list[_Signature]
    steps: list[_Step]


class _Origin(_Strict):
    installation: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    operation_id: int = Field(ge=1, le=_LARGEST)


class _Signed(_Strict):
    key: str = Field(max_length=64)
    hmac: str = Field(max_length=64)


class _Second(_Strict):
    format: Literal[2]
    operation_id: int = Field(ge=1, le=_LARGEST)
    workflow: str = Field(min_length=1, max_length=1000)
    arguments: dict[str, Any]
    result: Any
    chain: list[_Signature]
    steps: list[_StepAtRest]
    outcome: Any
    origin: _Origin
    slice: int = Field(ge=0, le=2**31 - 1)
    completion: Literal["PAUSED", "COMPLETED", "FAILED", "CANCELLED"]
    created_at: float = Field(ge=0, le=_LATEST)
    started_at: float | None = Field(ge=0, le=_LATEST)
    paused_at: float | None = Field(ge=0, le=_LATEST)
    error: _Failure | None
    signed: _Signed | None = None


_FORMATS: Final[dict[int, type[_Strict]]] = {1: _First, 2: _Second}
_NEWEST: Final = max(_FORMATS)


def demand_shape(document: Any) -> None:
    """Demand that a document has the shape that its format says. Raises DocumentMalformed."""
    number = document.get("format", _NEWEST) if isinstance(document, dict) else _NEWEST
    if type(number) is not int or number not in _FORMATS:
        known = " and ".join(map(str, _FORMATS))
        raise DocumentMalformed(f"is of format {str(number)[:20]!r}, and this service reads {known}")
    try:
        _FORMATS[number].model_validate(document)
    except ValidationError as invalid:
        raise DocumentMalformed(_first(invalid)) from None


def _first(invalid: ValidationError) -> str:
    """The first fault: where it stands and what is wrong there, without the value."""
    fault = invalid.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(map(str, fault["loc"])) or "the whole"
    return f"is malformed at {place[:100]}: {fault['msg'][0].lower()}{fault['msg'][1:]}"
