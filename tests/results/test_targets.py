"""Steps with targets: those that are there do not run, and what hinders one is said."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pausable.model.states import Completion, StepState
from tests.execution.flows import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service


def root(service: Service) -> Path:
    return Path(service.settings.results)


def test_a_step_whose_target_is_there_is_cached_and_hands_on_what_lies_there(service: Service) -> None:
    ledger = service.path()
    first = service.run("keep", value={"rows": [1, "ü"]}, ledger=ledger, key="twice")
    second = service.run("keep", value="something else", ledger=ledger, key="twice")
    assert lines_of(ledger) == ["ran", "{'rows': [1, 'ü']}", "{'rows': [1, 'ü']}"]
    assert first.result == second.result
    assert second.completion is Completion.COMPLETED
    assert service.states(first.id) == {"keep": StepState.SUCCESS, "tell": StepState.SUCCESS}
    assert service.states(second.id) == {"keep": StepState.CACHED, "tell": StepState.SUCCESS}
    assert service.steps(second.id)["keep"].message == f"Its result was read from {root(service)}/twice.json."
    assert json.loads((root(service) / "twice.json").read_text()) == {"rows": [1, "ü"]}


def test_a_target_is_named_by_the_facts_of_its_step_and_by_its_arguments(service: Service) -> None:
    ledger = service.path()
    operation = service.run("facts", ledger=ledger, key="größe")
    day = datetime.fromtimestamp(operation.created_at, UTC).strftime("%Y-%m-%d")
    assert (root(service) / day / str(operation.id) / "facts-by_all_facts-by_all_facts-größe.json").exists()
    assert lines_of(ledger) == ["Pending > Running", "ran", "Running > Success"]


def test_a_default_of_the_function_is_a_field_too_and_the_handlers_are_told_of_what_was_found(
    service: Service,
) -> None:
    ledger, gate = service.path(), service.path()
    operation_id = service.start("keep-paused", ledger=ledger, gate=gate)
    service.wait_for_step(operation_id, "wait_at", StepState.RUNNING)
    kept = next((root(service)).glob(f"*/{operation_id}/keep-paused-by_all_facts-1-by_all_facts-k.json"))
    kept.rename(kept.with_name("keep-paused-by_all_facts-2-by_all_facts-k.json"))
    service.pause(operation_id)
    Path(gate).touch()
    service.wait_until(operation_id, Completion.PAUSED)
    service.change("UPDATE operations SET started_at = started_at + 172800 WHERE id = ?", operation_id)
    service.resume(operation_id)
    assert service.ended(operation_id).completion is Completion.COMPLETED
    assert service.states(operation_id)["by_all_facts-2"] is StepState.CACHED
    assert lines_of(ledger) == ["Pending > Running", "ran", "Running > Success", "Pending > Cached"]


def test_nothing_is_kept_of_a_none_and_the_step_runs_again(service: Service) -> None:
    ledger = service.path()
    for _ in range(2):
        operation = service.run("keep", value=None, ledger=ledger, key="none")
        assert service.states(operation.id)["keep"] is StepState.SUCCESS
    assert lines_of(ledger) == ["ran", "None"] * 2
    assert not (root(service) / "none.json").exists()


def test_without_checkpointing_targets_are_neither_read_nor_written(by_hand: Callable[..., Service]) -> None:
    service = by_hand(checkpointing=False)
    ledger = service.path()
    kept = service.settings.data_dir / "results" / "off.json"
    for _ in range(2):
        operation_id = service.start("keep", value=1, ledger=ledger, key="off")
        service.deliver_all()
        assert service.states(operation_id)["keep"] is StepState.SUCCESS
        assert not kept.exists()
    kept.parent.mkdir()
    kept.write_text("17")
    operation_id = service.start("keep", value=1, ledger=ledger, key="off")
    service.deliver_all()
    assert service.show(operation_id).result == "1"
    assert kept.read_text() == "17"


@pytest.mark.parametrize("content", [b'{"half": ', b"\xff\xfe", b"NaN", b""])
def test_a_target_that_holds_something_else_fails_its_step_and_says_where(service: Service, content: bytes) -> None:
    target = root(service) / "garbage.json"
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(content)
    ledger = service.path()
    error = service.error(service.start("keep-and-tell", value=1, ledger=ledger, key="garbage"))
    assert error["type"] == "ResultUnreadable"
    assert error["message"].startswith(f"The result at {target} cannot be read: ")
    assert lines_of(ledger) == [f"{error['type']}: {error['message']}"]
    assert target.read_bytes() == content


def test_a_target_that_is_a_folder_fails_its_step(service: Service) -> None:
    (root(service) / "folder.json").mkdir(parents=True)
    error = service.error(service.start("keep", value=1, ledger=service.path(), key="folder"))
    assert error["message"] == f"The result at {root(service)}/folder.json cannot be read: not a regular file."


def test_a_result_that_cannot_be_written_fails_its_step_and_its_handlers_are_told(service: Service) -> None:
    root(service).mkdir(exist_ok=True)
    (root(service) / "a-file").touch()
    ledger = service.path()
    error = service.error(service.start("keep-and-tell", value=1, ledger=ledger, key="a-file/t"))
    assert error["type"] in ("ResultUnwritable", "ResultUnreadable")
    assert lines_of(ledger) == [f"{error['type']}: {error['message']}"]


@pytest.mark.parametrize("key", ["../out", "/etc/passwd", "a/../../b", "a//b", "x" * 251, "長" * 84])
def test_a_target_that_leaves_its_store_fails_its_step_which_does_not_run(service: Service, key: str) -> None:
    ledger = service.path()
    error = service.error(service.start("keep", value=1, ledger=ledger, key=key))
    assert error["type"] == "TargetOutside"
    assert error["message"].startswith(f"The target '{key}.json' is refused: it ")
    assert lines_of(ledger) == []


@pytest.mark.parametrize("key", ["x" * 250, "a\u3000b", "a\u00a0b", "👩\u200d🔬", "e\u0301"])
def test_a_target_of_any_name_that_a_folder_takes_is_written(service: Service, key: str) -> None:
    service.run("keep", value=1, ledger=service.path(), key=key)
    assert (root(service) / f"{key}.json").exists()


def test_a_target_that_cannot_be_seen_is_refused_with_the_character(service: Service) -> None:
    error = service.error(service.start("keep", value=1, ledger=service.path(), key="a\u202eb"))
    assert "it contains the invisible or bidirectional character U+202E" in error["message"]


def test_a_field_that_cannot_be_written_so_fails_its_step(service: Service) -> None:
    error = service.error(service.start("keep-wrongly"))
    assert error["message"].startswith("The target '{key:%Y}.txt' cannot be filled in: Invalid format specifier")


def test_a_store_that_nobody_knows_fails_its_step(service: Service) -> None:
    error = service.error(service.start("keep-nowhere"))
    assert error["message"].startswith("There is no store of results for 'nowhere://at/all': give a folder, s3://")


def test_texts_and_bytes_lie_in_their_targets_as_they_are(service: Service) -> None:
    ledger = service.path()
    for _ in range(2):
        assert (
            service.run("keep-text", value="één\nline", ledger=ledger, key="as-text").result
            == '"\\u00e9\\u00e9n\\nline"'
        )
        assert service.run("keep-bytes", text="hé", ledger=ledger, key="as-bytes").result == "6"
    assert (root(service) / "as-text.txt").read_text() == "één\nline"
    assert (root(service) / "as-bytes.bin").read_bytes() == "hé".encode("utf-16")
    assert lines_of(ledger).count("ran") == 2


def test_a_value_that_its_serializer_cannot_hold_fails_its_step(service: Service) -> None:
    error = service.error(service.start("keep-text", value=[1], ledger=service.path(), key="no-text"))
    assert error["message"] == "The serializer 'text' cannot hold the result: it is of type list, but must be a str."
    assert not (root(service) / "no-text.txt").exists()


def test_a_step_s_store_goes_before_its_workflow_s(by_hand: Callable[..., Service]) -> None:
    service = by_hand()
    engine = service.engine
    operation_id = service.start("stores")
    service.deliver_all()
    assert service.completion(operation_id) is Completion.COMPLETED
    assert engine.policies.of_task("tests.results.flows.keep_here").result is not None
    for folder, name in (("of-the-step", "here.json"), ("of-the-workflow", "there.json")):
        file = Path(folder, name)
        assert file.exists()
        file.unlink()
        file.parent.rmdir()


def test_a_worker_that_has_lost_its_claim_writes_no_target(by_hand: Callable[..., Service]) -> None:
    service = by_hand()
    ledger = service.path()
    operation_id = service.start("keep-when-taken", ledger=ledger)
    service.deliver()
    assert lines_of(ledger) == ["taken"]
    assert not list((service.settings.data_dir / "results").rglob("*taken*"))
    service.deliver_all()
    assert service.completion(operation_id) is Completion.COMPLETED
    assert (service.settings.data_dir / "results" / "taken.json").read_text() == '"second"'


def test_a_value_that_json_has_no_word_for_is_named_with_its_path(service: Service) -> None:
    error = service.error(service.start("hold-a-set"))
    assert error["message"] == (
        "tests.results.flows.hold_a_set returned a value that JSON cannot hold: "
        'Object of type set is not JSON serializable, at ["rows"][3]["deep"].'
    )
