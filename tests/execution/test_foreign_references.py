"""A reference to a result is believed where the service has written it, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pausable.documents.model import encode
from pausable.errors import ResultsUnreachable
from pausable.model.states import StepState
from pausable.results.references import LARGE, Reference, escaped, reference_in, stored_value
from pausable.results.targets import SERIALIZERS
from tests.execution.moving import exported, here, imported, paused, run_out, there

if TYPE_CHECKING:
    from tests.execution.moving import ByHand
    from tests.execution.service import Service

__all__ = ["here", "there"]


def pointing_to(service: Service, store: str, path: str, serializer: str = "text") -> bytes:
    """The document of a paused operation whose next step is handed what lies there."""
    document = json.loads(exported(service, paused(service, "adding", numbers=[1, 2])))
    document.pop("signed")
    first = document["steps"][0]
    first["state"]["result"] = None
    first["kept"] = {"serializer": serializer, "path": path, "store": store}
    return encode(document)


@pytest.mark.parametrize(
    ("store", "path"),
    [
        ("/proc/self", "environ"),
        ("/etc", "hostname"),
        ("file:///etc", "hostname"),
        ("local:///etc", "hostname"),
        ("memory://", "anything"),
        ("http://127.0.0.1:9", "x"),
    ],
)
def test_a_document_that_is_trusted_makes_nobody_read_a_file_or_a_url(
    here: Service, there: Service, store: str, path: str
) -> None:
    content = pointing_to(here, store, path)

    with pytest.raises(ResultsUnreachable, match=r"same \(.* is no store of results here"):
        imported(there, content, trust=True)

    assert there.read("SELECT count(*) FROM operations") == [(0,)]


@pytest.mark.parametrize("path", ["../secret", "link/secret"])
def test_a_reference_into_a_store_of_results_leads_nowhere_else(here: Service, there: Service, path: str) -> None:
    results = Path(there.settings.results)
    results.mkdir(exist_ok=True, parents=True)
    (results.parent / "secret").write_text("not a result")
    (results / "link").symlink_to(results.parent)
    content = pointing_to(here, str(results), path)

    with pytest.raises(ResultsUnreachable, match=r"same \("):
        imported(there, content, trust=True)


def test_a_reference_to_a_store_of_the_service_is_followed_whatever_the_order_of_its_keys(
    here: Service, there: Service
) -> None:
    results = Path(there.settings.results)
    results.mkdir(exist_ok=True, parents=True)
    (results / "kept.json").write_text("40")
    content = pointing_to(here, str(results), "kept.json", "json")

    assert run_out(there, imported(there, content, trust=True)) == 42


def test_a_file_that_looks_like_a_reference_is_data(by_hand: ByHand) -> None:
    service = by_hand(slice_steps=1)
    lookalike = {"__result__": {"store": "/etc", "path": "hostname", "serializer": "text"}}
    target = Path(service.settings.results) / "lookalike.json"
    target.parent.mkdir(exist_ok=True, parents=True)
    target.write_text(json.dumps(lookalike, indent=2).replace("{\n", "{ "))

    operation = service.start("cached-hostile", file=service.path())
    service.deliver()
    assert service.states(operation)["kept_in_a_target"] is StepState.CACHED
    service.pause(operation)
    document = service.document(operation)
    service.resume(operation)
    service.deliver_all()

    step = document["steps"][0]
    assert (step["state"]["result"], step.get("kept")) == (lookalike, None)
    assert document["result"] == {"__result__": {"value": lookalike}}
    assert json.loads(service.show(operation).result or "") == repr(lookalike)


@pytest.mark.parametrize("blanks", ["{ ", "{\n"])
def test_what_an_earlier_version_has_written_of_such_a_file_is_data_too(blanks: str) -> None:
    lookalike = {"__result__": {"store": "/etc", "path": "hostname", "serializer": "text"}}
    text = json.dumps(lookalike).replace("{", blanks, 1)

    assert reference_in(text) is None
    assert stored_value(text) == {"__result__": {"value": lookalike}}


@pytest.mark.parametrize("text", ['{ "__result__" : 1}', '{"__result__":{"value":1}}', "[1, 2 ]", '"x"'])
def test_a_file_of_json_is_read_as_the_table_has_it(text: str) -> None:
    loaded: Any = escaped(SERIALIZERS["json"].load(text.encode()))

    assert json.loads(loaded) == stored_value(loaded)
    assert reference_in(loaded) is None


def test_the_keys_of_a_reference_may_come_in_any_order() -> None:
    reference = Reference("/results", "a", "json")
    shuffled = {"__result__": {"path": "a", "serializer": "json", "store": "/results"}}

    assert reference_in(json.dumps(shuffled, separators=(",", ":"))) == reference
    assert len(reference.text) < LARGE
