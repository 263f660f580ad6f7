"""workflow.json: the portable document of a paused operation. It is composed, described and read here."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from pausable.errors import DocumentMalformed
from pausable.model.graph import Growth, Inputs, PausePoint, named, numbered, numbers_in, steps_to_rerun
from pausable.model.identity import CALLBACK_TASK, CLAUSE_TASK, MARK, PAUSE_TASK, Origin, as_told, marked
from pausable.model.states import BAD, FINAL, Completion, StepState
from pausable.model.triggers import SKIPPED_WITH, not_run_after

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The version of the format; every one that was ever released keeps resuming.
FORMAT: Final = 2

#: Where steps stand that are the next to run.
_NEXT: Final = (StepState.PAUSED, StepState.QUEUED, StepState.RETRYING)

Signature = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Head:
    """What the document tells of the operation itself; times are seconds since the epoch.

    `slice` is how often it has gone on from a rest before. `error` are the facts of its first failure, `result` its
    value once it has ended, `code` the fingerprints of what it was paused with, where these are known. A `spent` one
    rests because a budget was: nobody has paused it, and its pause points are yet to be asked.
    """

    operation_id: int
    workflow: str
    arguments: dict[str, Any]
    outcome: Inputs
    origin: Origin
    slice: int = 0
    completion: Completion = Completion.PAUSED
    created_at: float = 0.0
    started_at: float | None = None
    paused_at: float | None = None
    error: dict[str, Any] | None = None
    result: Any = None
    code: dict[str, Any] | None = None
    spent: bool = False
    #: Before this moment no step of it is started.
    start_at: float | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place that an unfinished step has kept, and how much of how much was done there."""

    place: Any
    done: int | None
    total: int | None


@dataclass(frozen=True, slots=True)
class StepFacts:
    """What the document tells of a step; `result` is its value as the table has it, `error` the facts of its failure.

    `decides` tells whether its end decides how the operation ends, `passed` whether its pause point was answered.
    """

    number: int
    slug: str
    state: StepState
    signature: Signature
    inputs: Inputs
    upstream: tuple[int, ...]
    point: PausePoint | None
    result: Any
    error: dict[str, Any] | None
    message: str | None = None
    cursor: Cursor | None = None
    decides: bool = False
    passed: bool = False
    plain: bool = True
    retries: int = 0
    runs: int = 0
    due_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    #: What it has put in its own place, if anything.
    growth: Growth | None = None


def in_order(steps: Sequence[StepFacts]) -> tuple[StepFacts, ...]:
    """The steps in topological order, and by their numbers where that leaves a choice.

    By number alone they are so, unless one has put others in its own place: these have larger numbers.
    """
    if all(up < step.number for step in steps for up in step.upstream):
        return tuple(steps)
    by_number = {step.number: step for step in steps}
    waits = {step.number: len(step.upstream) for step in steps}
    below: dict[int, list[int]] = {}
    for step in steps:
        for up in step.upstream:
            below.setdefault(up, []).append(step.number)
    ready = [number for number, many in waits.items() if not many]
    heapify(ready)
    order: list[StepFacts] = []
    while ready:
        number = heappop(ready)
        order.append(by_number[number])
        for down in below.get(number, ()):
            waits[down] -= 1
            if not waits[down]:
                heappush(ready, down)
    return tuple(order)


def remaining(operation_id: int, steps: Sequence[StepFacts]) -> list[Signature]:
    """The signatures that have yet to run, left to right, with the pause points that lie between them.

    For a rest that is one line, `chain(signature(s) for s in remaining)(retval)` is what plain Celery goes on with.
    """
    rest: list[Signature] = []
    for step in (step for step in steps if step.state not in FINAL):
        if rest and step.point is not None:
            rest.append(point_signature(operation_id, step.point))
        rest.append(step.signature)
    return rest


def point_signature(operation_id: int, point: PausePoint) -> Signature:
    """A pause point as the Celery signature that it was compiled from."""
    clause = point.clause or _whole(CLAUSE_TASK, args=[operation_id])
    callback = point.callback or _whole(CALLBACK_TASK, args=[operation_id])
    return _whole(PAUSE_TASK, kwargs={"clause": clause, "callback": callback})


def _whole(task: str, **given: Any) -> Signature:
    """A signature with every key that bare Celery looks for."""
    return {"task": task, "args": [], "kwargs": {}, "options": {}, "subtask_type": None, "immutable": False, **given}


def carried_value(steps: Sequence[StepFacts]) -> Any:
    """What the rest goes on with: what the next steps are handed, or a list of that where they are handed different."""
    return carried(handed_inputs(steps), {step.number: step.result for step in steps})


def handed_inputs(steps: Sequence[StepFacts]) -> list[Inputs]:
    """What the next steps are handed, as the inputs that say it: each once."""
    following = [step.inputs for step in steps if step.state in _NEXT and step.inputs is not None]
    return list({repr(one): one for one in following}.values())


def carried(inputs: Sequence[Inputs], results: Mapping[int, Any]) -> Any:
    """What is handed by these inputs: one value, a list of them, or None."""
    values = [_handed(one, results) for one in inputs]
    return values[0] if len(values) == 1 else values or None


def parts_of(inputs: list[Inputs] | dict[str, Any]) -> list[Inputs]:
    """The inputs that these are made of, in the order in which they are handed."""
    if isinstance(inputs, list):
        return inputs
    first = [] if inputs["first"] is None else [inputs["first"]]
    return [*first, *(part for _way, part in inputs["at"])]


def compose(head: Head, steps: Sequence[StepFacts]) -> dict[str, Any]:
    """The document of an operation whose steps, in topological order, stand as given."""
    steps = [replace(step, signature=as_told(step.signature, str(head.origin))) for step in steps]
    slugs = {step.number: step.slug for step in steps}
    needed = needed_results(head.outcome, steps)
    return {
        "format": FORMAT,
        "operation_id": head.operation_id,
        "workflow": head.workflow,
        "arguments": head.arguments,
        "result": carried_value(steps) if head.completion is Completion.PAUSED else head.result,
        "chain": remaining(head.operation_id, steps),
        "steps": [_step(step, slugs, is_needed=step.number in needed) for step in steps],
        "outcome": named(head.outcome, slugs),
        "origin": asdict(head.origin),
        "slice": head.slice,
        "completion": str(head.completion),
        "created_at": head.created_at,
        "started_at": head.started_at,
        "paused_at": head.paused_at,
        "error": head.error,
        **({"code": head.code} if head.code else {}),
        **({"spent": True} if head.spent else {}),
        **({} if head.start_at is None else {"start_at": head.start_at}),
    }


def needed_results(outcome: Inputs, steps: Sequence[StepFacts]) -> set[int]:
    """The steps whose results the rest is handed, or a retry would be, or the operation's own is made of."""
    states = {step.number: step.state for step in steps}
    edges = [(up, step.number) for step in steps for up in step.upstream]
    again = steps_to_rerun(states, edges)
    needed = set(numbers_in(outcome))
    for step in steps:
        if step.state not in FINAL or step.number in again:
            # Triggers and state handlers are shown the results of all that stands directly before their step.
            needed |= {*numbers_in(step.inputs)} if step.plain else {*numbers_in(step.inputs), *step.upstream}
    return needed


def encode(document: dict[str, Any]) -> bytes:
    """The document as it stands in the file; what UTF-8 has no bytes for is escaped, as JSON may.

    Raises ValueError for a number that is none.
    """
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode(errors="backslashreplace")


def digest_of(content: bytes) -> str:
    """The SHA-256 of a document's bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _point(point: PausePoint, *, is_passed: bool) -> dict[str, Any]:
    """The point as `asdict` would give it, which copies its values and has a depth at which it fails."""
    return {"number": point.number, "clause": point.clause, "callback": point.callback, "passed": is_passed}


def _cursor(cursor: Cursor) -> dict[str, Any]:
    return {"place": cursor.place, "done": cursor.done, "total": cursor.total}


def _step(step: StepFacts, slugs: dict[int, str], *, is_needed: bool) -> dict[str, Any]:
    message = step.message or (step.error.get("message") if step.error else None)
    value, kept = told_apart(step.result) if is_needed else (None, None)
    told = {
        "task": {"slug": step.slug, "name": step.signature["task"]},
        "state": {"type": str(step.state), "message": message, "result": value},
        "upstream": [slugs[number] for number in step.upstream],
        "signature": step.signature,
    }
    more = {
        "inputs": named(step.inputs, slugs),
        "point": _point(step.point, is_passed=step.passed) if step.point else None,
        "cursor": _cursor(step.cursor) if step.cursor else None,
        "kept": kept,
        "error": step.error,
        "growth": step.growth and step.growth.named(slugs),
        **{name: getattr(step, name) for name in _PLAIN_FACTS},
    }
    return told | {name: value for name, value in more.items() if value not in (None, False)}


#: What a step has beside the rest, each left out where there is none of it.
_PLAIN_FACTS: Final = ("decides", "retries", "runs", "due_at", "started_at", "finished_at")


def told_apart(result: Any) -> tuple[Any, dict[str, str] | None]:
    """The value of a result as the table has it, or None and where it is kept, if that is elsewhere."""
    if not isinstance(result, dict) or next(iter(result), None) != MARK:
        return result, None
    marked: dict[str, Any] = result[MARK]
    return (marked["value"], None) if "value" in marked else (None, marked)


def _handed(inputs: Inputs, results: Mapping[int, Any]) -> Any:
    if inputs is None:
        return None
    if isinstance(inputs, int):
        return results.get(inputs)
    values = [_handed(part, results) for part in parts_of(inputs)]
    return values[0] if isinstance(inputs, dict) and len(values) == 1 else values


Document = dict[str, Any]


_S = StepState


def facts_of(document: Document) -> tuple[Head, list[StepFacts]]:
    """What a checked document of the second format tells; its steps are numbered from 0 in their order there."""
    numbers = {step["task"]["slug"]: number for number, step in enumerate(document["steps"])}
    steps = [_step_facts(number, step, numbers) for number, step in enumerate(document["steps"])]
    head = Head(
        document["operation_id"],
        document["workflow"],
        document["arguments"],
        numbered(document["outcome"], numbers),
        Origin(**document["origin"]),
        slice=document["slice"],
        completion=Completion(document["completion"]),
        created_at=document["created_at"],
        started_at=document["started_at"],
        paused_at=document["paused_at"],
        error=document["error"],
        result=document["result"],
        code=document.get("code"),
        spent=document.get("spent", False),
        start_at=document.get("start_at"),
    )
    return head, steps


def _step_facts(number: int, told: Mapping[str, Any], numbers: Mapping[str, int]) -> StepFacts:
    point, state = told.get("point"), told["state"]
    return StepFacts(
        number=number,
        slug=told["task"]["slug"],
        state=_S(state["type"]),
        signature=told["signature"],
        inputs=numbered(told.get("inputs"), numbers),
        upstream=tuple(sorted(numbers[slug] for slug in told["upstream"])),
        point=PausePoint(point["number"], point["clause"], point["callback"]) if point else None,
        result={MARK: _reference(told["kept"])} if told.get("kept") else marked(state["result"]),
        error=told.get("error"),
        message=state["message"],
        cursor=Cursor(**told["cursor"]) if told.get("cursor") else None,
        decides=told.get("decides", False),
        passed=bool(point and point["passed"]),
        retries=told.get("retries", 0),
        runs=told.get("runs", 0),
        due_at=told.get("due_at"),
        started_at=told.get("started_at"),
        finished_at=told.get("finished_at"),
        growth=Growth.numbered(told["growth"], numbers) if told.get("growth") else None,
    )


def _reference(kept: Mapping[str, str]) -> dict[str, str]:
    """Where a result is kept, in the order in which the table has it: a document may have been sorted."""
    return {name: kept[name] for name in ("store", "path", "serializer")}


def at_rest(steps: Sequence[StepFacts]) -> list[StepFacts]:
    """The steps, in topological order, each of those that have not ended standing as its upstreams let it."""
    standing: dict[int, StepFacts] = {}
    for step in steps:
        standing[step.number] = _standing(step, [standing[number] for number in step.upstream])
    return list(standing.values())


def _standing(step: StepFacts, upstream: Sequence[StepFacts]) -> StepFacts:
    above = {one.state for one in upstream}
    if step.state in FINAL:
        return step
    if step.plain and above & BAD:
        bad = {one.slug: one.state for one in upstream if one.state in BAD}
        return replace(step, state=_S.TRIGGER_FAILED, message=not_run_after(bad, "all_successful"))
    if above - FINAL:
        return replace(step, state=_S.PENDING)
    if step.plain and _S.SKIPPED in above:
        return replace(step, state=_S.SKIPPED, message=SKIPPED_WITH)
    return replace(step, state=_S.RETRYING if step.state is _S.RETRYING else _S.PAUSED)


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
