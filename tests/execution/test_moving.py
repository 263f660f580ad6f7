"""Operations that leave an installation of the service as documents, and go on in another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pausable.db.users import add_user
from pausable.documents.model import encode
from pausable.documents.signing import Keys
from pausable.engine.local import Budget
from pausable.errors import DocumentNotWritten, DocumentOlder, OperationAtWork, OperationMoved, TrustNeedsAdmin
from pausable.model.states import Completion
from pausable.service.transfer import advance, import_operation
from tests.execution.flows import lines_of
from tests.execution.moving import advanced, exported, here, imported, paused, run_out, there

if TYPE_CHECKING:
    from tests.execution.service import Service

__all__ = ["here", "there"]


@pytest.mark.parametrize("shape", ["chain", "group", "nested", "groups"])
def test_an_operation_is_paused_here_and_goes_on_there(here: Service, there: Service, shape: str) -> None:
    ledger = here.path()
    plain = run_out(here, paused(here, "shape", shape=shape, ledger=here.path()))

    operation = paused(here, "shape", shape=shape, ledger=ledger)
    moved = imported(there, exported(here, operation))

    assert there.completion(moved) is Completion.PAUSED
    assert run_out(there, moved) == plain
    assert sorted(lines_of(ledger)) == sorted({*lines_of(ledger)})


def test_the_steps_of_an_operation_keep_their_ids_wherever_it_goes(here: Service, there: Service) -> None:
    operation = paused(here, "requests", kind="line")
    ids = [here.task_id(operation, f"told-{number}") for number in (1, 2, 3)]

    moved = imported(there, exported(here, operation))
    signatures = [step["signature"] for step in there.document(moved)["steps"]]
    found = run_out(there, moved)

    assert [found[name]["id"] for name in "abc"] == ids
    assert signatures[0].keys().isdisjoint({"family"})


def test_the_imported_operation_stands_as_the_first_did(here: Service, there: Service) -> None:
    operation = paused(here, "adding", numbers=[1, 2, 3])

    moved = imported(there, exported(here, operation))

    first, second = here.show(operation), there.show(moved)
    for fact in ("workflow", "arguments", "outcome", "created_at", "started_at", "steps_left", "steps_done", "slice"):
        assert getattr(second, fact) == getattr(first, fact)
    assert there.states(moved) == here.states(operation)
    document, again = here.document(operation), there.document(moved)
    assert again["steps"] == document["steps"]
    assert again["origin"] == document["origin"]
    assert again["result"] == document["result"] == 1


def test_its_history_tells_where_it_came_from_and_that_of_the_first_where_it_went(
    here: Service, there: Service
) -> None:
    operation = paused(here, "adding", numbers=[1, 2])
    moved = imported(there, exported(here, operation, to="the other side"))

    ((installation,),) = here.read("SELECT name FROM installation")
    (event,) = there.commands.events(there.ada, moved)
    assert (event.who, event.new) == ("ada", "PAUSED")
    assert event.why == f"imported: slice 0 of operation {operation} of {installation}"
    assert here.commands.events(here.ada, operation)[-1].why == "moved to the other side"


def test_what_was_moved_is_not_resumed_unless_an_admin_takes_it_back(here: Service) -> None:
    operation = paused(here, "adding", numbers=[1, 2])
    exported(here, operation, to="the other side")

    with pytest.raises(OperationMoved, match=r"moved to the other side at \d{4}-.*accept=moved.*--accept-moved"):
        here.resume(operation)
    here.deliver_all()
    assert here.completion(operation) is Completion.PAUSED
    with here.engine.database.write() as tx:
        bob = add_user(tx, "bob", "user", 0.0)
    with pytest.raises(TrustNeedsAdmin):
        here.commands.resume(bob, operation, take_back=True)

    here.commands.resume(here.ada, operation, take_back=True)
    here.deliver_all()

    assert here.show(operation).result == "3"
    assert "taken back: it was moved to the other side" in str(
        [event.why for event in here.commands.events(here.ada, operation)]
    )


def test_what_was_moved_gives_its_document_again(here: Service) -> None:
    operation = paused(here, "adding", numbers=[1, 2])

    assert exported(here, operation) == exported(here, operation)
    assert [event.why for event in here.commands.events(here.ada, operation)].count("moved elsewhere") == 1


def test_what_goes_on_is_not_exported(here: Service) -> None:
    operation = here.start("adding", numbers=[1, 2])

    with pytest.raises(DocumentNotWritten):
        exported(here, operation)


def test_the_same_document_twice_is_the_same_operation(here: Service, there: Service) -> None:
    content = exported(here, paused(here, "adding", numbers=[1, 2]))

    first = import_operation(there.commands, there.ada, content)
    run_out(there, first[0].operation.id)
    second = import_operation(there.commands, there.ada, content)

    assert (first[1], second[1]) == (True, False)
    assert first[0].operation.id == second[0].operation.id
    assert second[0].operation.completion is Completion.COMPLETED


def test_an_operation_goes_elsewhere_is_advanced_and_comes_back(here: Service) -> None:
    operation = paused(here, "adding", numbers=[1, 2, 3, 4])
    content = exported(here, operation)

    content = advanced(here, advanced(here, content, Budget(steps=1)), Budget(steps=1))
    back = imported(here, content)

    assert back != operation
    assert here.show(back).slice == 2
    assert run_out(here, back) == 10
    with pytest.raises(OperationMoved):
        here.resume(operation)


def test_an_older_slice_is_refused(here: Service, there: Service) -> None:
    first = exported(here, paused(here, "adding", numbers=[1, 2, 3, 4]))
    second = advanced(here, first, Budget(steps=1))
    moved = imported(there, second)

    with pytest.raises(DocumentOlder, match=rf"slice 0, and operation {moved}, which is PAUSED, has come to slice 1"):
        imported(there, first)

    assert there.read("SELECT count(*) FROM operations") == [(1,)]


def test_a_newer_slice_takes_the_place_of_an_older_one_that_rests_here(here: Service, there: Service) -> None:
    first = exported(here, paused(here, "adding", numbers=[1, 2, 3, 4]))
    older = imported(there, first)

    newer = imported(there, advanced(here, first, Budget(steps=1)))

    with pytest.raises(OperationMoved, match=rf"moved to operation {newer} here"):
        there.resume(older)
    assert run_out(there, newer) == 10


def test_a_document_is_not_taken_in_while_its_operation_goes_on_here(here: Service) -> None:
    operation = paused(here, "adding", numbers=[1, 2, 3])
    newer = advanced(here, here.commands.document(here.ada, operation), Budget(steps=1))
    here.resume(operation)

    with pytest.raises(OperationAtWork, match=rf"Operation {operation}.*is IN PROGRESS here"):
        imported(here, newer)


def test_an_operation_that_has_ended_elsewhere_comes_back_ended(here: Service) -> None:
    content = advanced(here, exported(here, paused(here, "adding", numbers=[1, 2])), Budget())

    back = imported(here, content)

    assert (here.completion(back), here.show(back).result) == (Completion.COMPLETED, "3")


def test_one_that_has_failed_elsewhere_is_retried_here(here: Service) -> None:
    content = advanced(here, exported(here, paused(here, "failing")), Budget())

    back = imported(here, content)
    assert here.completion(back) is Completion.FAILED
    here.retry(back)
    here.deliver_all()

    assert here.completion(back) is Completion.FAILED
    assert here.steps(back)["fail"].runs == 2


def test_a_step_goes_on_from_its_cursor_where_it_was_moved_to(here: Service, there: Service) -> None:
    ledger = here.path()
    document = {"workflow": "counting-slowly", "arguments": {"ledger": ledger, "upto": 200}}
    keys = here.engine.keys
    stopped = keys.sealed(advance(encode(document), Budget(seconds=0.3), here.commands.workflows, Keys()))

    moved = imported(there, stopped)

    assert (there.steps(moved)["count_slowly"].cursor or "0") != "0"
    assert run_out(there, moved) == 200
    assert lines_of(ledger) == [str(number) for number in range(200)]


def test_a_wait_for_a_retry_stands_still_while_the_operation_moves(here: Service, there: Service) -> None:
    operation = paused(here, "adding", numbers=[1, 2])
    document = json.loads(exported(here, operation))
    document["steps"][1] |= {"due_at": document["paused_at"] + 1000, "retries": 1}
    document["steps"][1]["state"]["type"] = "Retrying"

    moved = imported(there, there.engine.keys.sealed(document))

    imported_at = there.commands.events(there.ada, moved)[0].at
    left = (there.steps(moved)["add"].due_at or 0.0) - imported_at
    assert 999 < left <= 1000


def failed(service: Service) -> int:
    with service.at_work():
        operation = service.start("failing")
        service.deliver_all()
    assert service.completion(operation) is Completion.FAILED
    return operation


def test_what_has_failed_and_was_moved_is_retried_there_alone(here: Service, there: Service) -> None:
    operation = failed(here)
    moved = imported(there, exported(here, operation, to="there"))

    there.commands.retry(there.ada, moved)
    with pytest.raises(OperationMoved, match=r"moved to there .*flask operations retry 1 --accept-moved"):
        here.commands.retry(here.ada, operation)

    here.commands.retry(here.ada, operation, reason="it burned down", take_back=True)
    assert here.show(operation).moved_at is None
    (why,) = here.read("SELECT why FROM events WHERE old = 'FAILED' AND new = 'IN PROGRESS'")[0]
    assert why.startswith("it burned down; taken back: it was moved to there at ")


def test_what_was_retried_since_is_a_newer_slice(here: Service, there: Service) -> None:
    operation = failed(here)
    first = imported(there, exported(here, operation))
    with here.at_work():
        here.commands.retry(here.ada, operation, take_back=True)
        here.pause(operation)

    second = imported(there, exported(here, operation))

    assert there.completion(second) is Completion.PAUSED
    with pytest.raises(OperationMoved, match=f"moved to operation {second} here"):
        there.commands.retry(there.ada, first)
