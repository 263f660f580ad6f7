"""Results that are too large for the table: rows and documents refer to them, and code is handed the value."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.answers import Step
from pausable import clock
from pausable.canvas.values import decode, encode
from pausable.db.prune import Old
from pausable.engine.checkpoints import installation_of, load, load_outcome
from pausable.model.states import Completion, StepState
from pausable.results.references import LARGE, Reference, escaped, folder_of, reference_in, unescaped
from pausable.service.prune import prune
from tests.execution.flows import lines_of
from tests.results.flows import MANY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service


def referred(service: Service, operation_id: int, slug: str) -> dict[str, Any]:
    """The reference in the row of a step."""
    reference: dict[str, Any] = json.loads(service.steps(operation_id)[slug].result or "")["__result__"]
    return reference


def content(reference: dict[str, Any]) -> bytes:
    return Path(reference["store"], reference["path"]).read_bytes()


def shown(service: Service, operation_id: int, slug: str) -> dict[str, Any]:
    """A step as the API shows it."""
    [step] = [one for one in service.commands.steps(service.ada, operation_id) if one.slug == slug]
    told: dict[str, Any] = json.loads(Step.from_row(step, "/o").written())
    return told


def test_a_large_result_is_handed_on_by_a_reference_and_is_nowhere_in_the_table(service: Service) -> None:
    operation = service.run("large", count=MANY)
    reference = referred(service, operation.id, "letters")
    assert operation.result == str(MANY)
    assert reference["store"] == service.settings.results
    assert reference["serializer"] == "json"
    assert content(reference) == b'"' + b"x" * MANY + b'"'
    longest = service.read("SELECT max(length(result)) FROM steps WHERE operation_id = ?", operation.id)
    assert longest[0][0] < 500
    assert shown(service, operation.id, "letters")["result"] == {"__result__": {"href": "/o/steps/letters/result"}}


@pytest.mark.parametrize(("count", "is_large"), [(LARGE - 2, False), (LARGE - 1, True)])
def test_64_kib_of_json_are_the_most_that_the_table_takes(service: Service, count: int, is_large: bool) -> None:
    operation = service.run("large", count=count)
    result = service.steps(operation.id)["letters"].result or ""
    assert (reference_in(result) is not None) is is_large
    assert operation.result == str(count)


def test_a_group_hands_on_large_results_beside_small_ones(service: Service) -> None:
    assert service.run("large-group", count=MANY).result == f"[{MANY},2]"
    last = service.run("large-last", count=MANY)
    assert json.loads(last.result or "") == [{"__result__": referred(service, last.id, "letters-1")}, "a"]


def test_many_results_that_are_large_together_are_referred_to_as_the_operations(service: Service) -> None:
    operation = service.run("large-list", count=30_000, many=4)

    assert operation.completion is Completion.COMPLETED
    assert len(operation.result or "") < 500
    outcome = decode(operation.outcome)
    assert load_outcome(operation.result, outcome) == ["x" * MANY, *["x" * 30_000] * 3]


def test_a_large_result_with_a_target_is_referred_to_there_and_written_once(service: Service) -> None:
    first = service.run("large-target", count=MANY)
    second = service.run("large-target", count=MANY)
    reference = referred(service, first.id, "kept_letters")
    assert reference["path"] == f"large/{MANY}.json"
    assert referred(service, second.id, "kept_letters") == reference
    assert service.states(second.id)["kept_letters"] is StepState.CACHED
    assert first.result == second.result == str(MANY)
    own = folder_of(installation_of(service.engine.database), first.id)
    assert not (Path(service.settings.results) / own).exists()


def test_the_document_of_a_pause_refers_to_a_large_result_and_the_rest_is_handed_it(service: Service) -> None:
    gate = service.path()
    operation_id = service.start("large-held", count=MANY, gate=gate)
    service.wait_for_step(operation_id, "wait_at", StepState.RUNNING)
    service.pause(operation_id)
    Path(gate).touch()
    paused = service.wait_until(operation_id, Completion.PAUSED)
    reference = referred(service, operation_id, "wait_at")
    document = service.document(operation_id)
    assert document["result"] == {"__result__": reference}
    assert len(json.dumps(document)) < LARGE
    assert json.loads(paused.result or "") == {"__result__": reference}
    service.resume(operation_id)
    assert service.ended(operation_id).result == str(MANY)


@pytest.mark.parametrize("double", [False, True])
def test_handlers_are_told_of_large_results_and_may_change_them(service: Service, double: bool) -> None:
    ledger = service.path()
    told = service.run("large-told", count=MANY, ledger=ledger, double=double)
    assert lines_of(ledger) == [str([MANY]), str([MANY] * (2 if double else 1))]
    assert load(told.result) == ["z" * MANY] * (4 if double else 1)
    assert len(told.result or "") < 500
    ledger = service.path()
    group = service.run("large-group-told", count=MANY, ledger=ledger, double=False)
    assert lines_of(ledger) == [str([MANY, 3])]
    assert json.loads(group.result or "")[1] == "bbb"


def test_a_value_that_looks_as_a_reference_is_a_value(service: Service) -> None:
    secret, ledger = service.path(), service.path()
    Path(secret).write_text("another's")
    operation = service.run("pretend", path=secret, ledger=ledger)
    asked = {"__result__": {"store": str(Path(secret).parent), "path": Path(secret).name, "serializer": "text"}}
    assert lines_of(ledger) == [repr(asked)]
    assert decode(unescaped(operation.result or "")) == asked
    assert shown(service, operation.id, "pretend")["result"] == asked


@given(st.recursive(st.text(), lambda inner: st.dictionaries(st.sampled_from(["__result__", "value", "store"]), inner)))
def test_no_value_can_be_taken_for_a_reference(value: Any) -> None:
    text = escaped(encode(value))
    assert reference_in(text) is None
    assert load(text) == value
    assert unescaped(text) == encode(value)


def test_a_reference_stays_one() -> None:
    reference = Reference("s3://bucket", 'a "quoted"/path', "bytes")
    assert reference_in(reference.text) == reference
    assert unescaped(reference.text) == reference.text


def test_a_large_result_that_is_gone_fails_the_step_that_needs_it(by_hand: Callable[..., Service]) -> None:
    service = by_hand(slice_steps=1)
    operation_id = service.start("large", count=MANY)
    service.deliver()
    reference = referred(service, operation_id, "letters")
    file = Path(reference["store"], reference["path"])
    file.unlink()
    service.deliver_all()
    error = service.error(operation_id)
    assert error["step"] == "length"
    assert error["message"] == f"The result at {file} cannot be read: No such file or directory."


def test_a_store_that_takes_nothing_fails_the_step_that_has_a_large_result(by_hand: Callable[..., Service]) -> None:
    service = by_hand()
    (service.settings.data_dir / "results").touch()
    operation_id = service.start("large", count=MANY)
    service.deliver_all()
    error = service.error(operation_id)
    assert (error["step"], error["type"]) == ("letters", "ResultUnwritable")


def test_pruning_removes_what_the_service_has_kept_and_no_target(by_hand: Callable[..., Service]) -> None:
    service = by_hand()
    results = service.settings.data_dir / "results"
    gone, there = service.start("large", count=MANY), service.start("large-target", count=MANY)
    service.deliver_all()
    own = results / folder_of(installation_of(service.engine.database), gone)
    assert own.is_dir()
    old = Old(time.time() + 1, frozenset(Completion))
    with clock.frozen_at(time.time() + 10):
        prune(service.engine, old, lambda _number: None)
    assert not own.exists()
    assert (results / "large" / f"{MANY}.json").exists()
    assert there
