"""workflow.json as something that came from outside: read within bounds, and checked before any of it is believed."""

from __future__ import annotations

import json
import math
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.domain.document import FORMAT, PAUSE_TASK
from app.domain.states import FINAL, StepState
from app.errors import DocumentMalformed, TasksUnregistered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: Bytes that a document may have: ten times what the largest canvas takes.
LARGEST: Final = 1024**3
#: How deep its values may be nested.
DEEPEST: Final = 500

Document = dict[str, Any]


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
    slug: str = Field(min_length=1)
    name: str = Field(min_length=1)


class _State(_Strict):
    type: Literal[tuple(str(state) for state in StepState)]  # type: ignore[valid-type]
    message: str | None
    result: Any


class _Cursor(_Strict):
    place: Any
    done: int | None = Field(ge=0)
    total: int | None = Field(ge=0)


class _Step(_Strict):
    task: _Task
    state: _State
    upstream: list[str]
    signature: _Signature
    cursor: _Cursor | None = None


class _Document(_Strict):
    format: int
    operation_id: int = Field(ge=1)
    workflow: str
    arguments: dict[str, Any]
    result: Any
    chain: list[_Signature]
    steps: list[_Step]


def read_document(content: bytes) -> Document:
    """The document that these bytes hold; whose it is, and what it may run, is for `check_document` to say.

    Raises:
        DocumentMalformed: They are too many, no JSON, or not of the shape or the format that this service reads.
    """
    document = _parsed(content)
    if isinstance(document, dict) and document.get("format", FORMAT) != FORMAT:
        raise DocumentMalformed(f"is of format {str(document['format'])[:20]!r}, and this service reads {FORMAT}")
    _demand_depth(document)
    try:
        _Document.model_validate(document)
    except ValidationError as invalid:
        raise DocumentMalformed(_first(invalid)) from None
    _demand_graph(document["steps"])
    _demand_rest(document)
    return cast("Document", document)


def check_document(
    document: Document, operation_id: int, workflow: str, is_registered: Callable[[str], bool] | None = None
) -> None:
    """Demand that a document is this operation's, and that all that it may still run is registered here.

    Raises:
        DocumentMalformed: It is of another operation or workflow.
        TasksUnregistered: It names tasks that this service does not have.
    """
    if document["operation_id"] != operation_id:
        raise DocumentMalformed(f"is that of operation {document['operation_id']}")
    if document["workflow"] != workflow:
        raise DocumentMalformed(f"is that of the workflow {document['workflow'][:80]!r}")
    if is_registered is not None:
        unknown = {name for signature in document["chain"] for name in _tasks_of(signature) if not is_registered(name)}
        if unknown:
            raise TasksUnregistered(sorted(unknown))


def _parsed(content: bytes) -> Any:
    if len(content) > LARGEST:
        raise DocumentMalformed(f"has more than {LARGEST:,} bytes")
    try:
        return json.loads(content.decode(), object_pairs_hook=_object, parse_float=_number, parse_constant=_no_number)
    except RecursionError:
        raise DocumentMalformed(f"is nested more than {DEEPEST} deep") from None
    except ValueError as why:
        raise DocumentMalformed(f"is truncated or no JSON ({str(why)[:200]})") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return made


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _demand_depth(document: Any) -> None:
    level = [document]
    for _ in range(DEEPEST):
        level = (
            [
                part
                for value in level
                for part in (value.values() if isinstance(value, dict) else value)
                if isinstance(part, dict | list)
            ]
            if isinstance(document, dict | list)
            else []
        )
        if not level:
            return
    raise DocumentMalformed(f"is nested more than {DEEPEST} deep")


def _first(invalid: ValidationError) -> str:
    """The first fault: where it stands and what is wrong there, without the value."""
    fault = invalid.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(map(str, fault["loc"])) or "the whole"
    return f"is malformed at {place[:100]}: {fault['msg'][0].lower()}{fault['msg'][1:]}"


def _demand_graph(steps: list[dict[str, Any]]) -> None:
    slugs = [step["task"]["slug"] for step in steps]
    if len({*slugs}) != len(slugs):
        raise DocumentMalformed("names two steps alike")
    upstreams = {step["task"]["slug"]: step["upstream"] for step in steps}
    unknown = {slug for upstream in upstreams.values() for slug in upstream} - upstreams.keys()
    if unknown:
        raise DocumentMalformed(f"lets a step wait for {min(unknown)[:80]!r}, which is none")
    try:
        TopologicalSorter(upstreams).prepare()
    except CycleError:
        raise DocumentMalformed("lets steps wait for each other in a circle") from None


def _demand_rest(document: Document) -> None:
    """Demand that a step is called what its signature calls, and that the chain calls what has not ended."""
    if any(step["task"]["name"] != step["signature"]["task"] for step in document["steps"]):
        raise DocumentMalformed("calls another task than it names")
    rest = [step["signature"] for step in document["steps"] if step["state"]["type"] not in FINAL]
    if [signature for signature in document["chain"] if signature["task"] != PAUSE_TASK] != rest:
        raise DocumentMalformed("holds a chain that is not the rest of its steps")


def _tasks_of(signature: Mapping[str, Any]) -> Iterator[str]:
    """The tasks that a signature may run: its own, those behind it, and those of a pause point."""
    yield signature["task"] if isinstance(signature.get("task"), str) else repr(signature)[:80]
    options = signature.get("options")
    within = [options.get(name) for name in ("link", "link_error")] if isinstance(options, dict) else []
    if signature.get("task") == PAUSE_TASK:
        within += [signature["kwargs"].get(name) for name in ("clause", "callback")]
    for one in within:
        for part in one if isinstance(one, list) else [one]:
            if isinstance(part, dict):
                yield from _tasks_of(part)
