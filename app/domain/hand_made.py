"""Documents that no pause has written: a workflow, its arguments, and where some of its steps stand.

Their steps are in the form that Prefect 1 wrote: `{"task": {"slug"}, "state": {"type", "message", "result"}}`.
Documents of the first format are read so too.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from app.domain.document import Head, Origin, StepFacts
from app.domain.document_check import checked, parsed
from app.domain.document_reading import marked
from app.domain.document_shape import demand_text
from app.domain.graph import full_signature
from app.domain.moments import seconds_of
from app.domain.states import FINAL, Retrying, State, StepState
from app.errors import DocumentMalformed, SlugsUnfit, StateMalformed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from app.domain.graph import Graph, Node

    Document = dict[str, Any]

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


def read_any(content: bytes) -> Document:
    """The document that these bytes hold, of any format, or made by hand. Raises DocumentMalformed."""
    return checked_any(parsed(content))


def checked_any(document: Any) -> Document:
    """The document, if it is one of any format, or made by hand. Raises DocumentMalformed."""
    if not isinstance(document, dict) or "format" in document:
        document = checked(document)
    if is_hand_made(document):
        demand_hand_made(document)
    return document  # type: ignore[no-any-return]


def demand_hand_made(document: Document) -> None:
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
    document: Document, graph: Graph, references: Collection[int], *, lenient: bool = False
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


def _with_state(facts: StepFacts, place: int, step: Mapping[str, Any], document: Document) -> StepFacts:
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


def name_by_hand(document: Document) -> str:
    """Return what a hand-made document is known by: a digest of its `id`, or without one of all that it says."""
    told = [_ID, document[_ID]] if _ID in document else document
    given = json.dumps(told, sort_keys=True).encode(errors="backslashreplace")
    return hashlib.sha256(given).hexdigest()[:32]


def number_by_hand(document: Document) -> int:
    """Return the operation's id that a hand-made document has: the one that it says, or one made of its name.

    What is made of a name is larger than any id that a database counts up to, so that targets with `{operation_id}`
    differ where the operations do.
    """
    told = document.get("operation_id")
    if type(told) is int and told > 0:
        return told
    return _FIRST_NUMBER + int(name_by_hand(document)[:_DIGITS], 16)


def _head(document: Document, graph: Graph) -> Head:
    number = number_by_hand(document)
    origin = Origin(name_by_hand(document), number)
    return Head(number, document["workflow"], document.get("arguments", {}), graph.result, origin)
