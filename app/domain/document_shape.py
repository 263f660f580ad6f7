"""The shape of each format of workflow.json that was ever released: which keys there are, and of which types."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from app.domain.states import FINAL, StepState
from app.errors import DocumentMalformed

#: Where a step may stand in a document of the second format: at rest, nothing is under way.
_AT_REST: Final = tuple(str(state) for state in (StepState.PENDING, StepState.PAUSED, StepState.RETRYING, *FINAL))
_ANYWHERE: Final = tuple(str(state) for state in StepState)
#: The largest number of a row, and the latest moment that is kept.
_LARGEST: Final = 2**63 - 1
_LATEST: Final = 253402300799.0
#: Characters of the name of a task or a workflow.
_LONGEST_NAME: Final = 10_000


#: Text as both kinds of database keep it: no NUL in it, and nothing that UTF-8 has no bytes for.
Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]

_STRICT: Final = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)
_OPEN: Final = ConfigDict(strict=True, extra="allow", hide_input_in_errors=True)


class _Given(TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]

    id: Annotated[Text, Field(min_length=1, max_length=1000)]


_Reference = Annotated[Text, Field(min_length=1, max_length=1000)] | _Given


class _Family(TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]

    parent: NotRequired[_Reference]
    root: NotRequired[_Reference]
    group: NotRequired[_Reference]
    index: NotRequired[Annotated[int, Field(ge=0, le=2**31 - 1)]]
    chord: NotRequired[bool]
    id: NotRequired[_Reference]


class _Signature(TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]

    task: Annotated[str, Field(min_length=1)]
    args: list[Any]
    kwargs: dict[str, Any]
    options: dict[str, Any]
    subtask_type: str | None
    immutable: bool
    complete: NotRequired[bool]
    family: NotRequired[_Family]


class _Task(TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]

    slug: Annotated[Text, Field(min_length=1, max_length=1000)]
    name: Annotated[Text, Field(min_length=1, max_length=_LONGEST_NAME)]


class _State(TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal[_ANYWHERE]  # type: ignore[valid-type]
    message: Text | None
    result: Any


class _StateAtRest(_State):
    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal[_AT_REST]  # type: ignore[valid-type]


class _Cursor(TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]

    place: Any
    done: Annotated[int | None, Field(ge=0, le=_LARGEST)]
    total: Annotated[int | None, Field(ge=0, le=_LARGEST)]


class _Step(TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]

    task: _Task
    state: _State
    upstream: list[str]
    signature: _Signature
    cursor: NotRequired[_Cursor | None]


class _Point(TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]

    number: Annotated[int, Field(ge=0, le=2**31 - 1)]
    clause: dict[str, Any] | None
    callback: dict[str, Any] | None
    passed: bool


class _Kept(TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]

    store: Annotated[str, Field(min_length=1)]
    path: Annotated[str, Field(min_length=1)]
    serializer: Literal["json", "text", "bytes"]


class _Error(TypedDict):
    __pydantic_config__ = _OPEN  # type: ignore[misc]

    type: str
    message: str
    traceback: NotRequired[str | None]


class _Failure(_Error):
    __pydantic_config__ = _OPEN  # type: ignore[misc]

    step: str


class _Growth(TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]

    value: Any
    below: list[str]
    places: list[Annotated[list[str | list[str | int] | None], Field(min_length=2, max_length=2)]]
    decides: bool


class _StepAtRest(_Step):
    __pydantic_config__ = _STRICT  # type: ignore[misc]

    state: _StateAtRest
    inputs: NotRequired[Any]
    point: NotRequired[_Point | None]
    kept: NotRequired[_Kept | None]
    error: NotRequired[_Error | None]
    growth: NotRequired[_Growth | None]
    decides: NotRequired[bool]
    retries: NotRequired[Annotated[int, Field(ge=0, le=2**31 - 1)]]
    runs: NotRequired[Annotated[int, Field(ge=0, le=2**31 - 1)]]
    due_at: NotRequired[Annotated[float | None, Field(ge=0, le=_LATEST)]]
    started_at: NotRequired[Annotated[float | None, Field(ge=0, le=_LATEST)]]
    finished_at: NotRequired[Annotated[float | None, Field(ge=0, le=_LATEST)]]


class _Signed(TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]

    key: Annotated[str, Field(max_length=64)]
    hmac: Annotated[str, Field(max_length=64)]


class _First(TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]

    format: Literal[1]
    operation_id: Annotated[int, Field(ge=1, le=_LARGEST)]
    workflow: str
    arguments: dict[str, Any]
    result: Any
    chain: list[_Signature]
    steps: list[_Step]
    signed: NotRequired[_Signed | None]


class _Origin(TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]

    installation: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    operation_id: Annotated[int, Field(ge=1, le=_LARGEST)]


class _Code(TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]

    python: Annotated[str, Field(max_length=64)]
    workflow: Annotated[str | None, Field(max_length=64)]
    tasks: dict[str, str]


class _Second(TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]

    format: Literal[2]
    operation_id: Annotated[int, Field(ge=1, le=_LARGEST)]
    workflow: Annotated[Text, Field(min_length=1, max_length=_LONGEST_NAME)]
    arguments: dict[str, Any]
    result: Any
    chain: list[_Signature]
    steps: Annotated[list[_StepAtRest], Field(min_length=1)]
    outcome: Any
    origin: _Origin
    slice: Annotated[int, Field(ge=0, le=2**31 - 1)]
    completion: Literal["PAUSED", "COMPLETED", "FAILED", "CANCELLED"]
    created_at: Annotated[float, Field(ge=0, le=_LATEST)]
    started_at: Annotated[float | None, Field(ge=0, le=_LATEST)]
    paused_at: Annotated[float | None, Field(ge=0, le=_LATEST)]
    error: _Failure | None
    signed: NotRequired[_Signed | None]
    code: NotRequired[_Code | None]
    spent: NotRequired[bool]
    start_at: NotRequired[Annotated[float | None, Field(ge=0, le=_LATEST)]]


_FORMATS: Final[dict[int, TypeAdapter[Any]]] = {1: TypeAdapter(_First), 2: TypeAdapter(_Second)}
_NEWEST: Final = max(_FORMATS)


def demand_shape(document: Any) -> None:
    """Demand that a document has the shape that its format says. Raises DocumentMalformed."""
    number = document.get("format", _NEWEST) if isinstance(document, dict) else _NEWEST
    if type(number) is not int or number not in _FORMATS:
        known = " and ".join(map(str, _FORMATS))
        raise DocumentMalformed(f"is of format {str(number)[:20]!r}, and this service reads {known}")
    try:
        _FORMATS[number].validate_python(document)
    except ValidationError as invalid:
        raise DocumentMalformed(_first(invalid)) from None


def demand_text(text: str | None, place: str) -> None:
    """Demand that both kinds of database can keep a text. Raises DocumentMalformed."""
    try:
        _TEXT.validate_python(text)
    except ValidationError as invalid:
        raise DocumentMalformed(f"is malformed at {place}: {invalid.errors()[0]['msg'].lower()}") from None


_TEXT: Final[TypeAdapter[Any]] = TypeAdapter(Text | None)


def _first(invalid: ValidationError) -> str:
    """The first fault: where it stands and what is wrong there, without the value."""
    fault = invalid.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(map(str, fault["loc"])) or "the whole"
    return f"is malformed at {place[:100]}: {fault['msg'][0].lower()}{fault['msg'][1:]}"
