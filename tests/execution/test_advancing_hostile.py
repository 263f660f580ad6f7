"""Each document that `advance` returns is one that it reads, whatever values the steps have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pausable.documents.model import encode
from pausable.documents.signing import Keys
from pausable.engine.local import Budget
from pausable.errors import DocumentUnwritable
from pausable.model.states import Completion
from pausable.service.transfer import advance
from tests.databases import on_sqlite_alone
from tests.execution.deep_flows import BOUND, GIVEN, MADE
from tests.execution.test_hostile_texts import TEXTS

if TYPE_CHECKING:
    from tests.execution.moving import ByHand
    from tests.execution.service import Service

pytestmark = on_sqlite_alone
FLOWS = tuple(f"tests.execution.{name}_flows" for name in ("deep", "hostile", "strange"))


@pytest.fixture
def service(by_hand: ByHand) -> Service:
    return by_hand(flows=FLOWS, slice_steps=1)


def advanced_to_the_end(service: Service, workflow: str, **arguments: Any) -> list[dict[str, Any]]:
    """The documents of an operation that runs step by step, each read from what was written of the one before."""
    document: dict[str, Any] = {"workflow": workflow, "arguments": arguments, "steps": []}
    found = [document]
    while document.get("completion", Completion.PAUSED) == Completion.PAUSED and len(found) < 400:
        document = advance(encode(document), Budget(steps=1), service.commands.workflows, Keys(), lenient=True)
        found.append(document)
    return found


@pytest.mark.parametrize(
    ("workflow", "deep"), [*((name, BOUND) for name in (*MADE, *GIVEN)), *((name, 940) for name in MADE)]
)
def test_values_of_any_depth(service: Service, workflow: str, deep: int) -> None:
    documents = advanced_to_the_end(service, workflow, deep=deep, kind="shaped like ours")

    assert documents[-1]["completion"] == ("COMPLETED" if deep == BOUND else "FAILED")


@pytest.mark.parametrize("which", [0, 1, 5, 8])
def test_tasks_of_any_name(service: Service, which: int) -> None:
    assert advanced_to_the_end(service, "strange-names", which=which)[-1]["completion"] == "COMPLETED"


@pytest.mark.parametrize("door", ["error", "signal", "text", "place"])
@pytest.mark.parametrize("text", [TEXTS["nul"], TEXTS["json"]], ids=repr)
def test_texts_at_any_door(service: Service, door: str, text: str) -> None:
    documents = advanced_to_the_end(service, "speaking-hostile", door=door, text=text, file=service.path())

    assert documents[-1]["completion"] == ("FAILED" if door in ("error", "signal") else "COMPLETED")


def test_a_document_that_its_reader_would_refuse_is_not_returned(service: Service) -> None:
    document = advanced_to_the_end(service, "deep-result", deep=BOUND, kind="lists")[1]
    for _ in range(250):  # a canvas nests 100 groups at the most
        document["outcome"] = [document["outcome"]]

    with pytest.raises(DocumentUnwritable, match="nested more than 500 deep"):
        advance(encode(document), Budget(), service.commands.workflows, Keys())
