"""What an import believes, and what of large results it can read."""

from __future__ import annotations

import json
import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pausable.db.users import add_user
from pausable.documents.check import read_document
from pausable.documents.model import encode
from pausable.documents.signing import Keys
from pausable.engine.checkpoints import load_outcome
from pausable.errors import (
    DocumentMalformed,
    DocumentUntrusted,
    OperationMoved,
    ResultsUnreachable,
    TasksUnregistered,
    TrustNeedsAdmin,
)
from pausable.model.states import Completion, StepState
from pausable.results.references import LARGE
from pausable.service import transfer
from pausable.service.transfer import import_operation
from tests.execution.moving import exported, here, imported, paused, run_out, there

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from pausable.db.operations import Operation
    from pausable.db.users import User
    from pausable.documents.model import Head
    from tests.execution.moving import ByHand
    from tests.execution.service import Service

__all__ = ["here", "there"]


@pytest.mark.parametrize("inline", [0, 10 * LARGE])
def test_a_large_result_goes_with_the_document_or_by_reference(here: Service, there: Service, inline: int) -> None:
    operation = paused(here, "letters", count=2 * LARGE)

    content = exported(here, operation, inline=inline)
    moved = imported(there, content)

    first = read_document(content)["steps"][0]
    assert ("kept" in first, first["state"]["result"] is None) == (not inline, not inline)
    assert len(content) > LARGE if inline else len(content) < LARGE
    assert len(there.steps(moved)["letters"].result or "") < 500
    store = there.settings.results if inline else here.settings.results
    assert json.loads(there.steps(moved)["letters"].result or "")["__result__"]["store"] == store
    assert run_out(there, moved) == 2 * LARGE


@pytest.mark.parametrize("workflow", ["letters-at-the-end", "letters-alone"])
def test_a_large_result_of_what_has_ended_goes_with_the_document(here: Service, there: Service, workflow: str) -> None:
    with here.at_work():
        operation = here.start(workflow, count=2 * LARGE)
        here.deliver_all()
    content = exported(here, operation, inline=3 * LARGE)
    shutil.rmtree(here.settings.results)

    moved = there.show(imported(there, content))

    letters = "x" * (2 * LARGE)
    whole = [letters, "xxx"] if workflow == "letters-alone" else letters
    assert load_outcome(moved.result, json.loads(moved.outcome)) == whole
    assert len(moved.result or "") < 500


def test_results_that_cannot_be_read_there_are_named(here: Service, there: Service) -> None:
    operation = paused(here, "letters", count=2 * LARGE)
    content = exported(here, operation, inline=0)
    (kept,) = Path(here.settings.results).rglob("*.json")
    kept.unlink()

    with pytest.raises(ResultsUnreachable, match=rf"letters \(nothing lies at .*{kept.name}\)"):
        imported(there, content)


def test_what_is_not_signed_with_the_key_of_the_service_is_refused_unless_an_admin_trusts_it(
    here: Service, there: Service
) -> None:
    document = json.loads(exported(here, paused(here, "adding", numbers=[1, 2])))
    unsigned = encode({key: value for key, value in document.items() if key != "signed"})
    altered = encode(document | {"created_at": 1.0})
    foreign = Keys(["x" * 40]).sealed(document)

    for content, why in ((unsigned, "is not signed"), (altered, "was altered"), (foreign, "another DOCUMENT_KEY")):
        with pytest.raises(DocumentUntrusted, match=why):
            imported(there, content)
    with there.engine.database.write() as tx:
        bob = add_user(tx, "bob", "user", 0.0)
    with pytest.raises(TrustNeedsAdmin):
        import_operation(there.commands, bob, unsigned, trust=True)
    assert there.read("SELECT count(*) FROM operations") == [(0,)]

    assert run_out(there, imported(there, unsigned, trust=True)) == 3


def test_without_a_key_nothing_is_signed_and_nothing_is_believed(by_hand: ByHand) -> None:
    service = by_hand(slice_steps=1)
    content = exported(service, paused(service, "adding", numbers=[1, 2]))

    assert b'"signed"' not in content
    with pytest.raises(DocumentUntrusted, match=r"no DOCUMENT_KEY is set here.*Set it to the key"):
        imported(service, content)


def test_what_is_large_and_not_as_it_was_signed_is_not_even_read(here: Service, there: Service) -> None:
    content = exported(here, paused(here, "adding", numbers=[1, 2]))
    blanks = b" " * 9 * 1024 * 1024

    with pytest.raises(DocumentUntrusted, match="too large to be read all the same"):
        imported(there, content[:-1] + blanks + b"}")
    with pytest.raises(DocumentUntrusted, match="is not signed"):
        imported(there, b"[" + b"[]," * 4_000_000 + b"[]]")

    assert run_out(there, imported(there, content[:-1] + b" " * 1000 + b"}")) == 3


def test_a_document_that_names_tasks_that_are_not_there_is_refused(here: Service, there: Service) -> None:
    document = json.loads(exported(here, paused(here, "adding", numbers=[1, 2])))
    armed = json.loads(json.dumps(document).replace("tests.execution.flows.add", "os.system"))

    with pytest.raises(TasksUnregistered, match=r"os\.system"):
        imported(there, there.engine.keys.sealed(armed))

    assert there.read("SELECT count(*) FROM operations") == [(0,)]


def test_a_signed_copy_of_the_first_format_is_taken_in(here: Service, there: Service) -> None:
    first = json.loads((Path(__file__).parents[1] / "documents/1/workflow.json").read_bytes())

    moved = imported(there, here.engine.keys.sealed(first))

    assert run_out(there, moved) == 1


def test_a_document_that_maps_a_task_that_is_not_there_is_refused(here: Service, there: Service) -> None:
    document = json.loads(exported(here, paused(here, "mapped")))
    armed = json.loads(json.dumps(document).replace('{"task": "tests.execution.flows.same"}', '{"task": "os.system"}'))

    with pytest.raises(TasksUnregistered, match=r"os\.system"):
        imported(there, there.engine.keys.sealed(armed))


def test_of_several_imports_at_once_one_makes_the_operation(here: Service) -> None:
    for number in range(5):
        content = encode({"workflow": "adding", "arguments": {"numbers": [number, 2]}})
        with ThreadPoolExecutor(3) as pool:
            made = list(pool.map(lambda _, content=content: imported(here, content, trust=True), range(3)))

        assert len({*made}) == 1
    assert here.read("SELECT count(*) FROM operations") == [(5,)]


def test_a_document_made_by_hand_is_imported(here: Service) -> None:
    steps = [{"task": {"slug": "same"}, "state": {"type": "Success", "message": None, "result": 10}}]
    document = {"workflow": "adding", "arguments": {"numbers": [1, 2, 3]}, "steps": steps}

    moved = imported(here, encode(document), trust=True)

    assert here.states(moved) == {"same": StepState.SUCCESS, "add-1": StepState.PAUSED, "add-2": StepState.PENDING}
    assert run_out(here, moved) == 15
    assert imported(here, encode(document), trust=True) == moved


def test_a_document_made_by_hand_is_imported_once_for_each_id(here: Service) -> None:
    document = {"workflow": "adding", "arguments": {"numbers": [1, 2]}}

    moved = [imported(here, encode(document | {"id": name}), trust=True) for name in ("one", "two", "one")]

    assert moved[0] == moved[2] != moved[1]


def test_a_document_without_steps_is_refused(here: Service) -> None:
    operation = paused(here, "adding", numbers=[1, 2])
    document = json.loads(here.commands.document(here.ada, operation))
    emptied: dict[str, Any] = {"steps": [], "chain": [], "completion": "COMPLETED", "outcome": None, "operation_id": 77}
    elsewhere = {"origin": {"installation": "elsewhere", "operation_id": 77}}

    with pytest.raises(DocumentMalformed, match="malformed at steps"):
        imported(here, encode(document | emptied | elsewhere), trust=True)


def test_an_operation_that_is_to_start_later_is_moved_with_that_moment(here: Service, there: Service) -> None:
    later = time.time() + 3600
    with here.at_work():
        view, _ = here.commands.start(here.ada, "adding", {"numbers": [1, 2]}, start_at=later)
        operation = view.operation.id
        here.pause(operation)

    moved = imported(there, exported(here, operation))
    with there.at_work():
        there.resume(moved)

    stood = there.show(moved)
    assert (stood.completion, stood.start_at, stood.due_at) == (Completion.SCHEDULED, later, later)
    assert there.messages() == 0


def test_only_its_owner_or_an_admin_puts_a_newer_document_in_the_place_of_an_operation(here: Service) -> None:
    with here.engine.database.write() as tx:
        bob, eve = (add_user(tx, name, "user", 0.0) for name in ("bob", "eve"))
    of_admin, of_bob = (paused(here, "adding", steps=0, numbers=[1, 2]) for _ in range(2))
    here.change("UPDATE operations SET requester_id = ? WHERE id = ?", bob.id, of_bob)
    newest = [json.loads(here.commands.document(here.ada, one)) | {"slice": 5} for one in (of_admin, of_bob)]
    newest_of_admin, newest_of_bob = map(here.engine.keys.sealed, newest)

    for user, newer in ((bob, newest_of_admin), (eve, newest_of_admin), (eve, newest_of_bob)):
        with pytest.raises(TrustNeedsAdmin, match="in the place of somebody else's operation"):
            import_operation(here.commands, user, newer)

    assert here.read("SELECT id, moved_at FROM operations ORDER BY id") == [(of_admin, None), (of_bob, None)]
    assert import_operation(here.commands, bob, newest_of_bob)[1]
    assert imported(here, newest_of_admin)
    assert here.read("SELECT id FROM operations WHERE moved_at IS NOT NULL ORDER BY id") == [(of_admin,), (of_bob,)]


def test_whoever_has_the_document_of_what_was_moved_may_take_it_in(here: Service) -> None:
    with here.engine.database.write() as tx:
        bob = add_user(tx, "bob", "user", 0.0)
    operation = paused(here, "adding", numbers=[1, 2])
    newer = here.engine.keys.sealed(json.loads(exported(here, operation)) | {"slice": 5})

    view, is_new = import_operation(here.commands, bob, newer)

    assert (is_new, view.operation.requester_id) == (True, bob.id)


def test_what_is_resumed_while_a_newer_slice_comes_in_goes_on_once(
    here: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = paused(here, "adding", numbers=[1, 2, 3])
    newer = json.loads(here.commands.document(here.ada, operation)) | {"slice": 5}
    looks, known = count(1), transfer._known

    def known_and_then_resumed(tx: Connection, head: Head, kin: list[Operation], requester: User) -> Operation | None:
        found = known(tx, head, kin, requester)
        if next(looks) == 2:  # that of the transaction that makes the operation
            resumed.append(pool.submit(here.commands.resume, here.ada, operation))
            wait(resumed, 1.0)
        return found

    monkeypatch.setattr(transfer, "_known", known_and_then_resumed)
    resumed: list[Future[Any]] = []
    with ThreadPoolExecutor(1) as pool:
        new = imported(here, here.engine.keys.sealed(newer))

    assert isinstance(resumed[0].exception(), OperationMoved)
    assert (here.completion(operation), here.completion(new)) == (Completion.PAUSED, Completion.PAUSED)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[" * 1000, "is not signed"),
        (b'{"signed":{"key":"00000000","hmac":"' + b"[" * 1000, "signed with another DOCUMENT_KEY"),
    ],
)
def test_what_no_key_of_this_service_has_signed_is_refused_before_it_is_parsed(
    here: Service, content: bytes, why: str
) -> None:
    with pytest.raises(DocumentUntrusted, match=why):
        imported(here, content)


def test_of_what_may_have_been_signed_only_so_much_is_parsed_as_takes_little_memory(here: Service) -> None:
    named = exported(here, paused(here, "adding", numbers=[1, 2]))[-200:]

    with pytest.raises(DocumentUntrusted, match="too large to be read all the same"):
        imported(here, b" " * 2**20 + b"[" + named + b" ")
