"""Documents that somebody has meddled with: taken in or advanced whole, or refused with a reason and nothing done."""

from __future__ import annotations

import copy
import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from pausable.documents.model import encode
from pausable.documents.signing import Keys
from pausable.engine.local import Budget
from pausable.errors import PausableError
from pausable.model.states import ENDED, Completion
from pausable.service.transfer import advance, import_operation
from tests.amounts import usually
from tests.databases import KINDS
from tests.execution.moving import exported, paused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.moving import ByHand
    from tests.execution.service import Service

SEED = random.SystemRandom().getrandbits(32)
TEXT = (
    st.sampled_from(["", "\x00", "\udce9", "add-1", "same", "x" * 2000, "Success", "Retrying", "os.system"]) | st.text()
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture
def service(by_hand: ByHand) -> Service:
    """A service whose slices end after each step."""
    return by_hand(slice_steps=1)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [path, *(place for key in keys for place in places(value[key], (*path, key)))]


def altered(document: dict[str, Any], place: tuple[Any, ...], value: Any, *, everywhere: bool) -> bytes:
    """The document with another value at a place, and wherever else the same stood, if that is wanted."""
    changed = copy.deepcopy(document)
    part: Any = changed
    for key in place[:-1]:
        part = part[key]
    before = part[place[-1]]
    part[place[-1]] = value
    content = json.dumps(changed, separators=(",", ":")).encode()  # also what the service itself never writes
    if everywhere and isinstance(before, str) and isinstance(value, str) and before:
        content = encode(document).replace(json.dumps(before).encode(), json.dumps(value).encode())
    return content


def documents(service: Service) -> list[dict[str, Any]]:
    """One of a graph, and one that a hand has written."""
    steps = [{"task": {"slug": "same"}, "state": {"type": "Success", "message": None, "result": 10}}]
    hand = {"workflow": "adding", "arguments": {"numbers": [1, 2, 3]}, "steps": steps}
    return [json.loads(exported(service, paused(service, "fan", width=2))), hand]


def fuzz(documents: list[dict[str, Any]], use: Callable[[bytes], None]) -> None:
    print(f"seed {SEED}")  # noqa: T201
    for document in documents:
        fuzz_one(document, use)


def fuzz_one(document: dict[str, Any], use: Callable[[bytes], None]) -> None:
    limits = settings(
        max_examples=usually(50, long=250), deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )

    @seed(SEED)
    @limits
    @given(st.sampled_from(places(document)[1:]), JSON | TEXT, st.booleans())
    def case(place: tuple[Any, ...], value: Any, everywhere: bool) -> None:
        use(altered(document, place, value, everywhere=everywhere))

    case()


def test_a_document_that_was_meddled_with_is_imported_whole_or_refused(service: Service) -> None:
    def use(content: bytes) -> None:
        before = service.read("SELECT count(*) FROM operations")
        try:
            view, is_new = import_operation(service.commands, service.ada, content, trust=True)
        except PausableError:
            assert service.read("SELECT count(*) FROM operations") == before
            return
        operation = view.operation
        assert operation.completion in ENDED | {Completion.PAUSED}
        assert len(service.steps(operation.id)) == operation.steps_total
        if is_new and operation.completion is Completion.PAUSED:
            assert service.document(operation.id)["slice"] == operation.slice

    fuzz(documents(service), use)


@pytest.mark.parametrize("database_kind", KINDS[:1])
def test_a_document_that_was_meddled_with_is_advanced_or_refused(service: Service) -> None:
    def use(content: bytes) -> None:
        try:
            ended = advance(content, Budget(steps=3, seconds=5.0), service.commands.workflows, Keys())
        except PausableError:
            return
        assert ended["completion"] in ENDED | {Completion.PAUSED}

    fuzz(documents(service), use)
