"""A workflow.json from outside: one that is anything but a whole and proper one is refused with the reason."""

from __future__ import annotations

import copy
import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from pausable.documents.check import check_document, read_document
from pausable.documents.model import Head, StepFacts, compose, encode
from pausable.errors import DocumentMalformed, TasksUnregistered
from pausable.model.graph import PausePoint, full_signature
from pausable.model.identity import Origin
from pausable.model.nesting import DEEPEST
from pausable.model.states import StepState
from tests.amounts import usually

if TYPE_CHECKING:
    from collections.abc import Callable

TASKS = {"t.add", "t.say", "operations.pause_or_continue", "operations.should_pause", "operations.save_state"}


HEAD = Head(7, "adding", {"numbers": [1]}, 2, Origin("here", 7), created_at=1.0)


def facts(number: int, slug: str, state: StepState, **given: Any) -> StepFacts:
    signature = full_signature({"task": "t.add", "args": [number]})
    point = PausePoint(number) if number else None
    upstream = (number - 1,) if number else ()
    known = {"inputs": number - 1 if number else None, "result": 1, "error": None, "point": point, "upstream": upstream}
    return StepFacts(number=number, slug=slug, state=state, **{"signature": signature, **known, **given})


def whole() -> dict[str, Any]:
    """A document of three steps, the first of which has ended."""
    states = (StepState.SUCCESS, StepState.PAUSED, StepState.PENDING)
    steps = [facts(number, f"add-{number + 1}", state) for number, state in enumerate(states)]
    return json.loads(encode(compose(HEAD, steps)))  # type: ignore[no-any-return]


def believed(content: bytes) -> None:
    check_document(read_document(content), 7, "adding", TASKS.__contains__)


def refused(document: Any) -> str:
    with pytest.raises(DocumentMalformed) as why:
        believed(json.dumps(document).encode())
    return why.value.why


def with_(*path: Any, value: Any) -> dict[str, Any]:
    """The document with another value at a place."""
    document = whole()
    part = document
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return document


KEPT = {"store": "results", "path": "one.json", "serializer": "json"}


def binding(*way: Any) -> dict[str, Any]:
    """Inputs that put the value of the step before at a way into the call."""
    return {"first": None, "at": [[list(way), "add-2"]]}


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_a_whole_document_is_believed() -> None:
    believed(encode(whole()))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is truncated or no JSON"),
        (b"{", "is truncated or no JSON"),
        (b"\xff\xfe{}", "is truncated or no JSON"),
        (encode(whole())[:-1], "is truncated or no JSON"),
        (encode(whole()) + b"{}", "is truncated or no JSON"),
        (b"null", "is malformed at the whole"),
        (b"[]", "is malformed at the whole"),
        (b"[" * 100_000, "is nested more than 500 deep"),
        (b'{"format": 1, "format": 1}', "is truncated or no JSON (a key stands twice in one object)"),
        (b'{"result": NaN}', "is truncated or no JSON (NaN is no number)"),
        (b'{"result": 1e999}', "is truncated or no JSON (a number is too large)"),
        (b'{"result": ' + b"9" * 5000 + b"}", "is truncated or no JSON"),
    ],
)
def test_bytes_that_are_no_document_are_refused(content: bytes, why: str) -> None:
    with pytest.raises(DocumentMalformed) as fault:
        believed(content)

    assert fault.value.why.startswith(why)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (with_("format", value=3), "is of format '3', and this service reads 1 and 2"),
        (with_("format", value="2"), "is of format '2', and this service reads 1 and 2"),
        (with_("format", value=[2]), "is of format '[2]', and this service reads 1 and 2"),
        (with_("format", value=True), "is of format 'True', and this service reads 1 and 2"),
        (with_("operation_id", value=8), "is that of operation 8"),
        (with_("operation_id", value="7"), "is malformed at operation_id"),
        (with_("workflow", value="other"), "is that of the workflow 'other'"),
        (with_("arguments", value=[]), "is malformed at arguments"),
        (with_("result", value=deep(DEEPEST)), "is nested more than 500 deep"),
        (with_("extra", value=1), "is malformed at extra"),
        (with_("chain", value={}), "is malformed at chain"),
        (with_("chain", value=[]), "holds a chain that is not the rest of its steps"),
        (with_("chain", 0, "args", value=[9]), "holds a chain that is not the rest of its steps"),
        (with_("chain", 0, "task", value=7), "is malformed at chain.0.task"),
        (with_("chain", 0, "kwargs", value=None), "is malformed at chain.0.kwargs"),
        (with_("steps", value=[]), "is malformed at steps"),
        (with_("steps", 0, value=7), "is malformed at steps.0"),
        (with_("steps", 0, "state", "type", value="Done"), "is malformed at steps.0.state.type"),
        (with_("steps", 1, "state", "type", value="Success"), "holds a chain that is not the rest of its steps"),
        (with_("steps", 0, "task", "name", value="t.say"), "calls another task than it names"),
        (with_("steps", 0, "task", "slug", value="add-2"), "names two steps alike"),
        (with_("steps", 0, "upstream", value=["nobody"]), "lets a step wait for 'nobody', which is none"),
        (with_("steps", 0, "upstream", value=["add-3"]), "lets steps wait for each other in a circle"),
        (with_("steps", 0, "upstream", value=["add-1"]), "lets steps wait for each other in a circle"),
        (with_("steps", 0, "task", "slug", value="a\x00b"), "is malformed at steps.0.task.slug"),
        (with_("steps", 0, "task", "slug", value="caf\udce9"), "is malformed at steps.0.task.slug"),
        (with_("steps", 0, "state", "message", value="caf\udce9"), "is malformed at steps.0.state.message"),
        (with_("steps", 1, "state", "type", value="Running"), "is malformed at steps.1.state.type"),
        (with_("steps", 2, "inputs", value="add-1"), "gives 'add-3' the result of a step that it does not wait for"),
        (with_("steps", 2, "inputs", value=7), "is malformed at the inputs of 'add-3'"),
        (with_("steps", 2, "inputs", value={"first": "add-2"}), "is malformed at the inputs of 'add-3'"),
        (with_("steps", 2, "inputs", value=binding("args", 1)), "puts a result where the call of 'add-3' has no place"),
        (with_("steps", 2, "inputs", value=binding("kwargs", "x")), "puts a result where the call of 'add-3' has no"),
        (with_("steps", 2, "inputs", value=binding("options", "x")), "is malformed at the inputs of 'add-3'"),
        (with_("steps", 1, "kept", value=KEPT | {"serializer": "pickle"}), "is malformed at steps.1.kept.serializer"),
        (with_("steps", 0, "kept", value=KEPT), "keeps the result of 'add-1' in two places"),
        (with_("outcome", value=["add-4"]), "makes its outcome of steps that are none"),
        (with_("outcome", value=True), "is malformed at outcome"),
        (with_("origin", "installation", value="../elsewhere"), "is malformed at origin.installation"),
        (with_("slice", value=-1), "is malformed at slice"),
        (with_("created_at", value=1e300), "is malformed at created_at"),
        (with_("completion", value="IN PROGRESS"), "is malformed at completion"),
        (with_("completion", value="COMPLETED"), "says COMPLETED, and its steps say otherwise"),
    ],
)
def test_what_is_no_proper_document_is_refused_with_the_reason(document: dict[str, Any], why: str) -> None:
    assert refused(document).startswith(why)


@pytest.mark.parametrize("key", whole())
def test_nothing_may_be_missing(key: str) -> None:
    document = whole()
    del document[key]

    assert refused(document).startswith("is malformed at ")


def test_bindings_that_lead_into_the_call_are_believed() -> None:
    believed(encode(with_("steps", 2, "inputs", value=binding("args", 0))))


def test_a_document_of_the_first_format_is_believed() -> None:
    document = whole()
    first = {key: document[key] for key in ("operation_id", "workflow", "arguments", "result", "chain", "steps")}
    keys = ("task", "state", "upstream", "signature")
    first["steps"] = [{key: step[key] for key in keys} for step in first["steps"]]

    believed(encode({"format": 1, **first}))


def test_a_value_may_be_nested_as_deep_as_the_limit_lets_it() -> None:
    believed(encode(with_("result", value=deep(DEEPEST - 1))))


def evil(document: dict[str, Any], where: str) -> None:
    """Have another task run."""
    call = full_signature({"task": "os.system", "args": ["id"]})
    if where == "step":
        document["steps"][2]["task"]["name"] = "os.system"
        document["steps"][2]["signature"] = document["chain"][2] = call
    elif where == "link_error":
        document["steps"][2]["signature"]["options"]["link_error"] = [call]
        document["chain"][2]["options"]["link_error"] = [call]
    elif where == "point":
        document["steps"][2]["point"]["callback"] = call
    else:
        document["chain"][1]["kwargs"][where] = call


@pytest.mark.parametrize("where", ["step", "link_error", "clause", "callback", "point"])
def test_no_task_may_run_that_is_not_registered(where: str) -> None:
    document = whole()
    evil(document, where)

    with pytest.raises(TasksUnregistered) as why:
        believed(encode(document))

    assert why.value.tasks == ["os.system"]


def test_what_has_ended_need_not_be_registered_any_more() -> None:
    document = whole()
    document["steps"][0]["task"]["name"] = document["steps"][0]["signature"]["task"] = "gone.task"

    believed(encode(document))


SEED = random.SystemRandom().getrandbits(32)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def fuzz(case: Callable[..., None]) -> None:
    print(f"seed {SEED}")  # noqa: T201
    limits = settings(
        max_examples=usually(80, long=400), deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    seed(SEED)(limits(case))()


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [path, *(place for key in keys for place in places(value[key], (*path, key)))]


def believed_or_refused(content: bytes) -> None:
    """The one thing that is always asked: nothing but these two errors, and nothing foreign is believed."""
    try:
        believed(content)
    except (DocumentMalformed, TasksUnregistered) as why:
        told = str(why)
    else:
        told = ""
        document = json.loads(content)
        assert (document["operation_id"], document["workflow"]) == (7, "adding")
        assert {signature["task"] for signature in document["chain"]} <= TASKS
    assert len(told) < 1000


def test_mutated_bytes_are_believed_or_refused_and_nothing_else() -> None:
    content = encode(whole())

    @given(st.integers(0, len(content)), st.integers(0, 40), st.binary(max_size=40))
    def case(at: int, length: int, instead: bytes) -> None:
        believed_or_refused(content[:at] + instead + content[at + length :])

    fuzz(case)


def test_mutated_structures_are_believed_or_refused_and_nothing_else() -> None:
    @given(st.sampled_from(places(whole())), JSON, st.booleans())
    def case(place: tuple[Any, ...], value: Any, add: bool) -> None:
        document = copy.deepcopy(whole()) if place else {"document": value}
        part: Any = document
        for key in place[:-1]:
            part = part[key]
        if place and add and isinstance(part, dict):
            part[str(value)[:20]] = value
        elif place:
            part[place[-1]] = value
        believed_or_refused(json.dumps(document).encode())

    fuzz(case)


def test_bytes_from_nowhere_are_refused() -> None:
    @given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
    def case(content: bytes) -> None:
        believed_or_refused(content)

    fuzz(case)
