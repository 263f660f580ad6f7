"""workflow.json: the portable document of a paused operation, and what of it a plain Celery chain goes on with."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, Final

from app.domain.family import as_told
from app.domain.graph import Inputs, PausePoint, named, numbers_in
from app.domain.rerun import steps_to_rerun
from app.domain.states import FINAL, Completion, StepState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.domain.growth import Growth

#: The version of the format; every one that was ever released keeps resuming.
FORMAT: Final = 2
#: Parts of the name of the Celery tasks that a pause point is made of.
PAUSE_TASK: Final = "operations.pause_or_continue"
CLAUSE_TASK: Final = "operations.should_pause"
CALLBACK_TASK: Final = "operations.save_state"
#: The Celery tasks that call another one, which their argument `task` names, once for each of their parts.
MAPS: Final = frozenset({"celery.map", "celery.starmap"})
#: Marks, in the table's JSON, a reference to a result that lies in a store, or a value that could be taken for one.
MARK: Final = "__result__"

#: Where steps stand that are the next to run.
_NEXT: Final = (StepState.PAUSED, StepState.QUEUED, StepState.RETRYING)

Signature = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an operation was started: in which installation of the service, and its id there."""

    installation: str
    operation_id: int

    def __str__(self) -> str:
        return f"{self.installation}/{self.operation_id}"


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
