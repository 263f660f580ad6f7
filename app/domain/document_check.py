"""workflow.json as something that came from outside: read within bounds, and checked before any of it is believed."""

from __future__ import annotations

import json
import math
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, Final, cast

from pydantic_core import from_json

from app.domain.call_options import faults_in
from app.domain.document import MAPS, PAUSE_TASK
from app.domain.document_shape import demand_shape
from app.domain.growth import leads_into
from app.domain.nesting import DEEPEST
from app.domain.states import FINAL, Completion
from app.errors import DocumentMalformed, TasksUnregistered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: Bytes that a document may have: ten times what the largest canvas takes.
LARGEST: Final = 1024**3
#: How deep the inputs of its steps may be nested: no canvas nests them as deep.
_DEEPEST_INPUTS: Final = 300

Document = dict[str, Any]


def read_document(content: bytes) -> Document:
    """The document that these bytes hold; whose it is, and what it may run, is for `check_document` to say.

    Raises:
        DocumentMalformed: They are too many, no JSON, or not of the shape or the format that this service reads.
    """
    return checked(parsed(content))


def checked(document: Any) -> Document:
    """The document, if it is one. Raises DocumentMalformed."""
    demand_shape(document)
    _demand_graph(document["steps"])
    _demand_options(document["steps"])
    _demand_rest(document)
    if document["format"] > 1:
        _demand_order(document["steps"])
        _demand_inputs(document)
        _demand_growths(document)
        _demand_completion(document)
    return cast("Document", document)


def demand_readable(document: Document) -> None:
    """Demand that `read_document` takes a document that is about to be written. Raises DocumentMalformed."""
    _demand_depth(document)
    checked(document)


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
        check_tasks(document, is_registered)


def check_tasks(document: Document, is_registered: Callable[[str], bool]) -> None:
    """Demand that all that a document may still run is registered here. Raises TasksUnregistered."""
    points = [step.get("point") or {} for step in document["steps"] if step["state"]["type"] not in FINAL]
    called = [called for point in points for called in (point.get("clause"), point.get("callback")) if called]
    names = {name for signature in (*document["chain"], *called) for name in tasks_of(signature)}
    if unknown := sorted(name for name in names if not is_registered(name)):
        raise TasksUnregistered(unknown)


def parsed(content: bytes, *, is_ours: bool = False) -> Any:
    """The JSON that these bytes hold, within bounds. Raises DocumentMalformed.

    Those that are known to be ours are read in the quick way, in which a key may stand twice.
    """
    if is_ours:
        try:
            return from_json(content, allow_inf_nan=False)  # refuses what is nested more than 200 deep
        except ValueError:
            pass  # deeper, or with text that UTF-8 has no bytes for
    document = _decoded(content)
    _demand_depth(document)
    return document


def _decoded(content: bytes) -> Any:
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


def _demand_order(steps: list[dict[str, Any]]) -> None:
    """Demand that each step stands behind those that it waits for, and waits for each once."""
    before: set[str] = set()
    for step in steps:
        slug, upstream = step["task"]["slug"], step["upstream"]
        if len({*upstream}) != len(upstream):
            raise DocumentMalformed(f"lets {slug[:80]!r} wait for a step twice")
        if not before.issuperset(upstream):
            raise DocumentMalformed(f"has {slug[:80]!r} before a step that it waits for")
        before.add(slug)


def _demand_options(steps: list[dict[str, Any]]) -> None:
    """Demand that the options of each call hold what they can hold."""
    for step in steps:
        if fault := next(faults_in(step["signature"]["options"]), None):
            raise DocumentMalformed(f"calls {step['task']['slug'][:80]!r} with the option {fault[0]}, which {fault[1]}")


def _demand_rest(document: Document) -> None:
    """Demand that a step is called what its signature calls, and that the chain calls what has not ended."""
    if any(step["task"]["name"] != step["signature"]["task"] for step in document["steps"]):
        raise DocumentMalformed("calls another task than it names")
    rest = [step["signature"] for step in document["steps"] if step["state"]["type"] not in FINAL]
    if [signature for signature in document["chain"] if signature["task"] != PAUSE_TASK] != rest:
        raise DocumentMalformed("holds a chain that is not the rest of its steps")


def _demand_inputs(document: Document) -> None:
    """Demand that each step is given results of steps that it waits for, and that results are in one place each."""
    for step in document["steps"]:
        slug = step["task"]["slug"][:80]
        if not {*_names_in(step.get("inputs"), f"the inputs of {slug!r}")} <= {*step["upstream"]}:
            raise DocumentMalformed(f"gives {slug!r} the result of a step that it does not wait for")
        if step.get("kept") and step["state"]["result"] is not None:
            raise DocumentMalformed(f"keeps the result of {slug!r} in two places")
        if not all(_leads_somewhere(way, step["signature"]) for way in _ways_in(step.get("inputs"))):
            raise DocumentMalformed(f"puts a result where the call of {slug!r} has no place for it")
    slugs = {step["task"]["slug"] for step in document["steps"]}
    if not {*_names_in(document["outcome"], "outcome")} <= slugs:
        raise DocumentMalformed("makes its outcome of steps that are none")


def _demand_growths(document: Document) -> None:
    """Demand that what a step has put in its own place, and what that stands for, are steps and places of this."""
    given: dict[str | None, Any] = {step["task"]["slug"]: step.get("inputs") for step in document["steps"]}
    given[None] = document["outcome"]
    before: set[str] = set()
    for step in document["steps"]:
        before.add(step["task"]["slug"])
        growth, slug = step.get("growth"), step["task"]["slug"][:80]
        if not growth:
            continue
        value = {*_names_in(growth["value"], f"the growth of {slug!r}")}
        if not value.isdisjoint(before):
            raise DocumentMalformed(f"lets {slug!r} stand for steps before it, or for itself")
        named = {*value, *growth["below"]}
        if not all(isinstance(way, list) and not isinstance(place, list) for place, way in growth["places"]):
            raise DocumentMalformed(f"is malformed at the growth of {slug!r}")
        named.update(place for place, _way in growth["places"])
        if not named <= given.keys():
            raise DocumentMalformed(f"lets {slug!r} grow into steps that are none")
        if not all(leads_into(given[place], way) for place, way in growth["places"]):
            raise DocumentMalformed(f"lets {slug!r} stand where no result is given")


def _names_in(inputs: Any, place: str, depth: int = 0) -> Iterator[str]:
    """The steps named in inputs, in which names stand where the table has numbers."""
    if depth > _DEEPEST_INPUTS:
        raise DocumentMalformed(f"is nested more than {_DEEPEST_INPUTS} deep at {place}")
    if isinstance(inputs, str):
        yield inputs
    elif isinstance(inputs, list):
        for part in inputs:
            yield from _names_in(part, place, depth + 1)
    elif isinstance(inputs, dict):
        for part in _bound_parts(inputs, place):
            yield from _names_in(part, place, depth + 1)
    elif inputs is not None:
        raise DocumentMalformed(f"is malformed at {place}")


def _bound_parts(inputs: dict[str, Any], place: str) -> list[Any]:
    """The parts of bindings: what comes first, and what is put at a way into the call."""
    pairs = inputs.get("at")
    if inputs.keys() != {"first", "at"} or not isinstance(pairs, list) or not all(map(_is_binding, pairs)):
        raise DocumentMalformed(f"is malformed at {place}")
    return [inputs["first"], *(part for _way, part in pairs)]


def _is_binding(pair: Any) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and isinstance(pair[0], list)
        and len(pair[0]) > 1
        and pair[0][0] in ("args", "kwargs")
        and all(type(part) in (str, int) for part in pair[0])
    )


def _ways_in(inputs: Any) -> list[list[str | int]]:
    """The ways into the call that bindings put results at."""
    return [way for way, _part in inputs["at"]] if isinstance(inputs, dict) else []


def _leads_somewhere(way: list[str | int], signature: dict[str, Any]) -> bool:
    place: Any = signature
    for key in way:
        is_there = isinstance(place, dict if isinstance(key, str) else list) and (
            key in place if isinstance(key, str) else 0 <= key < len(place)
        )
        if not is_there:
            return False
        place = place[key]
    return True


def _demand_completion(document: Document) -> None:
    """Demand that something remains where it is PAUSED, and nothing where it has ended."""
    is_over = all(step["state"]["type"] in FINAL for step in document["steps"])
    if is_over == (document["completion"] == Completion.PAUSED):
        raise DocumentMalformed(f"says {document['completion']}, and its steps say otherwise")


def mapped_task(signature: Mapping[str, Any]) -> str | None:
    """The task that a call of one of MAPS names; None where it names none."""
    arguments = signature.get("kwargs")
    called = arguments.get("task") if isinstance(arguments, dict) else None
    name = called.get("task") if isinstance(called, dict) else None
    return name if isinstance(name, str) else None


def tasks_of(signature: Mapping[str, Any]) -> Iterator[str]:
    """The tasks that a signature may run: its own, the one it maps, those behind it, and those of a pause point."""
    yield signature["task"] if isinstance(signature.get("task"), str) else repr(signature)[:80]
    options = signature.get("options")
    within = [options.get(name) for name in ("link", "link_error")] if isinstance(options, dict) else []
    arguments = signature.get("kwargs")
    if signature.get("task") == PAUSE_TASK and isinstance(arguments, dict):
        within += [arguments.get(name) for name in ("clause", "callback")]
    if str(signature.get("task")) in MAPS:
        yield mapped_task(signature) or repr(arguments)[:80]
    for one in within:
        for part in one if isinstance(one, list) else [one]:
            if isinstance(part, dict):
                yield from tasks_of(part)
