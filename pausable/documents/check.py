"""Check a workflow.json that comes from outside, within bounds, before anything in it is used."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, Final, cast

from pydantic_core import from_json

from pausable.documents.model import Head, StepFacts, demand_shape, demand_text
from pausable.errors import DocumentMalformed, SlugsUnfit, StateMalformed, TasksUnregistered
from pausable.model.graph import full_signature, leads_into
from pausable.model.identity import MAPS, PAUSE_TASK, Origin, marked
from pausable.model.nesting import DEEPEST
from pausable.model.options import faults_in
from pausable.model.states import FINAL, Completion, Retrying, State, StepState
from pausable.model.times import seconds_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from pausable.documents.model import Document
    from pausable.model.graph import Graph, Node

#: Bytes that a document may have: ten times what the largest canvas takes.
LARGEST: Final = 1024**3
#: How deep the inputs of its steps may be nested: no canvas nests them as deep.
_DEEPEST_INPUTS: Final = 300


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


if TYPE_CHECKING:
    HandMade = dict[str, Any]

_S = StepState
_ENDED: Final = {str(state) for state in FINAL}
#: The key under which a hand-made document says what it is known by, and characters of that at the most.
_ID: Final = "id"
_LONGEST_ID: Final = 200
#: The numbers that are made of names: from here on, and small enough for what reads numbers of JSON as floats.
_FIRST_NUMBER: Final = 2**50
_DIGITS: Final = 12


def is_hand_made(document: Any) -> bool:
    """Whether a document has to be laid over its workflow's graph, for it does not hold one."""
    return isinstance(document, dict) and document.get("format", 1) == 1


def read_any(content: bytes) -> HandMade:
    """The document that these bytes hold, of any format, or made by hand. Raises DocumentMalformed."""
    return checked_any(parsed(content))


def checked_any(document: Any) -> HandMade:
    """The document, if it is one of any format, or made by hand. Raises DocumentMalformed."""
    if not isinstance(document, dict) or "format" in document:
        document = checked(document)
    if is_hand_made(document):
        demand_hand_made(document)
    return document  # type: ignore[no-any-return]


def demand_hand_made(document: HandMade) -> None:
    """Demand a workflow, its arguments and steps with slugs and states. Raises DocumentMalformed."""
    if not isinstance(document.get("workflow"), str):
        raise DocumentMalformed("is malformed at workflow: the name of a workflow is needed")
    if not isinstance(document.get("arguments", {}), dict):
        raise DocumentMalformed("is malformed at arguments: an object is needed")
    if not isinstance(steps := document.get("steps", []), list):
        raise DocumentMalformed("is malformed at steps: a list is needed")
    known_by = document.get(_ID, "-")
    if not isinstance(known_by, str) or not 0 < len(known_by) <= _LONGEST_ID:
        raise DocumentMalformed(f"is malformed at id: a text of 1 to {_LONGEST_ID} characters is needed")
    for place, step in enumerate(steps):
        task = step.get("task") if isinstance(step, dict) else None
        if not isinstance(task, dict) or not isinstance(task.get("slug"), str):
            raise DocumentMalformed(f"is malformed at steps.{place}.task.slug: the name of a step is needed")
        demand_text(state_in(step, place).message, f"steps.{place}.state.message")


def state_in(step: Mapping[str, Any], place: int) -> State:
    """The state that a step is said to be in. Raises DocumentMalformed."""
    told: Any = step.get("state")
    if isinstance(told, dict) and told.get("type") == StepState.QUEUED:  # as a document of the first format may say
        told = told | {"type": str(StepState.PENDING)}
    try:
        return State.deserialize(told)
    except StateMalformed as why:
        raise DocumentMalformed(f"is malformed at steps.{place}.state: {str(why)[:200]}") from None


def laid_over(
    document: HandMade, graph: Graph, references: Collection[int], *, lenient: bool = False
) -> tuple[Head, list[StepFacts]]:
    """What a hand-made document tells, its states laid by their slugs over the graph of its workflow.

    Raises SlugsUnfit for slugs that the graph does not have, or that could be several steps; `lenient` skips these.
    """
    told = document.get("steps", [])
    unknown, ambiguous = _unfit([step["task"]["slug"] for step in told], graph.nodes)
    if (unknown or ambiguous) and not lenient:
        raise SlugsUnfit(document["workflow"], unknown, ambiguous)
    skipped = {*unknown, *ambiguous}
    by_slug = {step["task"]["slug"]: (place, step) for place, step in enumerate(told)}
    steps = []
    for node in graph.nodes:
        facts = _blank(node, decides=node.number in references)
        is_told = node.slug in by_slug and node.slug not in skipped
        steps.append(_with_state(facts, *by_slug[node.slug], document) if is_told else facts)
    return _head(document, graph), steps


def _unfit(slugs: list[str], nodes: tuple[Node, ...]) -> tuple[list[str], list[str]]:
    known = {node.slug for node in nodes}
    tasks = Counter(name for node in nodes for name in {*node.names[1:]})
    twice = [slug for slug, many in Counter(slugs).items() if many > 1]
    unknown = [slug for slug in dict.fromkeys(slugs) if slug not in known]
    several = [slug for slug in unknown if tasks[slug] > 1]
    return [slug for slug in unknown if slug not in several], [*several, *(one for one in twice if one in known)]


def _blank(node: Node, *, decides: bool) -> StepFacts:
    return StepFacts(
        number=node.number,
        slug=node.slug,
        state=_S.PENDING,
        signature=full_signature(node.signature),
        inputs=node.inputs,
        upstream=tuple(node.upstream),
        point=node.pause,
        result=None,
        error=None,
        decides=decides,
    )


def _with_state(facts: StepFacts, place: int, step: Mapping[str, Any], document: HandMade) -> StepFacts:
    state = state_in(step, place)
    if state.name in _ENDED:
        value = step["state"].get("result")
        result = value if "format" in document else marked(value)  # the first format has it as the table does
        message = state.message or ""
        error = {"type": state.name, "message": message, "traceback": ""} if state.is_failed() else None
        return replace(facts, state=_S(state.name), message=state.message, result=result, error=error)
    if isinstance(state, Retrying):
        due_at = seconds_of(state.start_time) if state.start_time else 0.0
        return replace(facts, state=_S.RETRYING, message=state.message, retries=state.run_count or 1, due_at=due_at)
    return facts


def name_by_hand(document: HandMade) -> str:
    """Return what a hand-made document is known by: a digest of its `id`, or without one of all that it says."""
    told = [_ID, document[_ID]] if _ID in document else document
    given = json.dumps(told, sort_keys=True).encode(errors="backslashreplace")
    return hashlib.sha256(given).hexdigest()[:32]


def number_by_hand(document: HandMade) -> int:
    """Return the operation's id that a hand-made document has: the one that it says, or one made of its name.

    What is made of a name is larger than any id that a database counts up to, so that targets with `{operation_id}`
    differ where the operations do.
    """
    told = document.get("operation_id")
    if type(told) is int and told > 0:
        return told
    return _FIRST_NUMBER + int(name_by_hand(document)[:_DIGITS], 16)


def _head(document: HandMade, graph: Graph) -> Head:
    number = number_by_hand(document)
    origin = Origin(name_by_hand(document), number)
    return Head(number, document["workflow"], document.get("arguments", {}), graph.result, origin)
