"""What a resume finds when the code, the secrets or the stores are not those that the operation was paused with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from pausable.engine.documents import code_of
from tests.cli.terminal import Terminal
from tests.web.browsing import Visitor
from tests.web.calling import Caller, everything, json_of, problem, slug
from tests.web.checking import checked, found, kinds, paused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pausable.db.database import Database
    from tests.conftest import NewDatabase
    from tests.web.serving import Served

FIRST, SECOND = "tests.web.checked_flows.first", "tests.web.checked_flows.second"


@pytest.fixture
def served(new_database: NewDatabase, broker_url: str, tmp_path: Path) -> Iterator[Served]:
    """The service with the workflows of `checked_flows`, and this process as the worker of their usual queue."""
    with checked(tmp_path, broker_url, new_database(tmp_path)) as served:
        yield served


@pytest.fixture
def deploy(served: Served) -> Iterator[Callable[..., None]]:
    """Put another function in the place of a task's, as a deploy does; None takes the task away."""
    tasks: Any = served.celery.tasks
    before: dict[str, Any] = {}

    def put(name: str, function: Callable[..., Any] | None) -> None:
        before.setdefault(name, tasks[name])
        del tasks[name]
        if function is not None:
            served.celery.task(name=name, shared=False)(function)

    yield put
    tasks.update(before)


def another(value: int, more: int = 1) -> int:
    return value - more


def of_nothing() -> int:
    return 1


def of_one(value: int) -> int:
    return value


def of_others(value: int, other: int, more: int) -> int:
    return value + other + more


def of_more(value: int, more: int, beside: int = 0) -> int:
    return value + more + beside


def test_nothing_is_found_where_nothing_has_changed(bob: Caller) -> None:
    address = paused(bob)

    said = {"operation_id": 1, "completion": "PAUSED", "ok": True, "findings": []}
    assert json_of(bob.get(f"{address}/preflight")) == said
    assert bob.post(f"{address}/resume") == 202


def test_of_an_operation_that_has_ended_it_does_not_say_that_it_can_go_on(bob: Caller) -> None:
    address = paused(bob)
    bob.post(f"{address}/cancel")

    said = json_of(bob.get(f"{address}/preflight"))

    assert (said["completion"], said["ok"], said["findings"]) == ("CANCELLED", False, [])


def test_code_that_is_newer_on_disk_than_in_the_service_is_a_warning(bob: Caller, served: Served) -> None:
    address = paused(bob)
    served.commands.engine.policies.loaded_at = 0.0  # it was started before the files were written

    (finding,) = found(bob, address)

    assert (finding["kind"], finding["blocks"]) == ("code_outdated", False)
    assert finding["about"].endswith("checked_flows.py")
    assert "restart the service and its workers" in finding["sentence"]
    assert bob.post(f"{address}/resume") == 202


def test_a_step_whose_code_has_changed_is_refused_and_accepted_by_name(
    bob: Caller, database: Database, deploy: Callable[..., None]
) -> None:
    address = paused(bob)
    deploy(SECOND, another)
    before = everything(database)

    refused = bob.post(f"{address}/resume")

    assert (refused.status_code, slug(refused), problem(refused)["completion"]) == (409, "preflight-failed", "PAUSED")
    (finding,) = problem(refused)["findings"]
    assert (finding["kind"], finding["about"], finding["accept"]) == ("step_changed", SECOND, "code")
    assert "answer for it with accept=code" in problem(refused)["detail"]
    assert found(bob, address) == [finding]
    assert everything(database) == before
    assert bob.post(f"{address}/resume?accept=environment") == 409

    assert bob.post(f"{address}/resume?accept=code") == 202
    *_, last = json_of(bob.get(f"{address}/events"))["events"]
    assert last["who"] == "bob"
    assert last["why"] == f"accepted: {finding['sentence']}"


def test_code_that_says_the_same_in_other_lines_is_no_change(bob: Caller, deploy: Callable[..., None]) -> None:
    address = paused(bob)

    def moved(value: int, more: int = 1) -> int:
        """Add them."""
        # as before
        return value + more

    deploy(SECOND, moved)

    assert found(bob, address) == []


def test_a_changed_step_that_has_ended_is_nobody_s_concern(
    bob: Caller, served: Served, deploy: Callable[..., None]
) -> None:
    address = bob.start("plain")
    served.deliver()
    bob.post(f"{address}/pause")

    deploy(FIRST, another)

    assert found(bob, address) == []


def test_a_task_that_is_gone_is_never_accepted(bob: Caller, deploy: Callable[..., None]) -> None:
    address = paused(bob)
    deploy(SECOND, None)

    assert kinds(bob, address) == [("task_gone", SECOND)]
    assert bob.post(f"{address}/resume?accept=code&accept=environment") == 409


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (of_nothing, "too many positional arguments"),
        (of_one, "got an unexpected keyword argument 'more'"),
        (of_others, "missing a required argument: 'other'"),
    ],
)
def test_a_call_that_does_not_fit_any_more_is_never_accepted(
    bob: Caller, deploy: Callable[..., None], function: Callable[..., Any], why: str
) -> None:
    address = paused(bob)
    deploy(SECOND, function)

    finding = found(bob, address)[0]

    assert (finding["kind"], finding["about"], finding["step"]) == ("call_misfits", SECOND, "second")
    assert why in finding["sentence"]
    assert bob.post(f"{address}/resume?accept=code") == 409


def test_parameters_that_have_changed_and_still_fit_are_a_change_of_code(
    bob: Caller, deploy: Callable[..., None]
) -> None:
    address = paused(bob)
    deploy(SECOND, of_more)

    assert kinds(bob, address) == [("step_changed", SECOND)]
    assert bob.post(f"{address}/resume?accept=code") == 202


def test_a_workflow_whose_function_has_changed_is_named(bob: Caller, served: Served) -> None:
    address = paused(bob)
    policies = served.commands.engine.policies
    policies.learn({"plain": replace(policies.of_workflow("plain"), function=another)})

    assert kinds(bob, address) == [("workflow_changed", "plain")]
    assert bob.post(f"{address}/resume") == 409
    assert bob.post(f"{address}/resume?accept=code") == 202


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        ("DELETE FROM paused_code", "nothing was kept of it when it was paused"),
        (
            'UPDATE paused_code SET code = \'{"python":"cpython-311/1","workflow":"a","tasks":{}}\'',
            "its fingerprints are of the kind cpython-311/1, and those that are made here of the kind ast/2",
        ),
    ],
)
def test_code_that_cannot_be_compared_is_told_and_goes_on(bob: Caller, database: Database, harm: str, why: str) -> None:
    address = paused(bob)
    with database.write() as tx:
        tx.execute(text(harm))

    (finding,) = found(bob, address)

    assert (finding["kind"], finding["blocks"]) == ("code_unknown", False)
    assert why in finding["sentence"]
    assert bob.post(f"{address}/resume") == 202


def test_a_document_that_is_gone_is_one_of_the_findings(bob: Caller, served: Served) -> None:
    address = paused(bob)
    next(served.settings.workflow_store.rglob("workflow.json")).unlink()

    (finding,) = found(bob, address)

    assert (finding["kind"], finding["accept"]) == ("document_unusable", None)


def test_a_rebuilt_document_tells_the_code_of_the_pause_and_not_of_the_rebuild(
    bob: Caller, served: Served, deploy: Callable[..., None]
) -> None:
    address = paused(bob)
    before = json_of(bob.get(f"{address}/workflow.json"))["code"]
    deploy(SECOND, another)

    Terminal(served).run("operations", "rebuild", "1")

    assert json_of(bob.get(f"{address}/workflow.json"))["code"] == before
    assert before["tasks"].keys() == {FIRST, SECOND}
    assert before != code_of(served.commands.engine, "plain", before["tasks"])
    assert kinds(bob, address) == [("step_changed", SECOND)]


def test_what_runs_is_held_against_the_code_too_and_what_has_ended_is_not(
    bob: Caller, deploy: Callable[..., None]
) -> None:
    address = bob.start("plain")
    deploy(SECOND, None)

    assert kinds(bob, address) == [("task_gone", SECOND)]
    bob.post(f"{address}/cancel")
    assert found(bob, address) == []


def test_a_pause_that_has_not_taken_effect_is_withdrawn_without_a_look_at_the_code(
    bob: Caller, served: Served, deploy: Callable[..., None]
) -> None:
    address = bob.start("plain")
    served.claim(address)
    bob.post(f"{address}/pause")
    deploy(SECOND, another)

    assert bob.post(f"{address}/resume") == 202


def test_the_terminal_tells_the_same_and_accepts_the_same(
    bob: Caller, served: Served, deploy: Callable[..., None]
) -> None:
    paused(bob)
    deploy(SECOND, another)
    terminal = Terminal(served)

    told = terminal.run("operations", "preflight", "1", status=1)
    assert told.stdout == (
        f"- The code of {SECOND}, which step second calls, has changed since the pause. "
        "(--accept code goes on all the same)\n"
    )
    assert "Operation 1 stays PAUSED: The code of" in terminal.refuses("operations", "resume", "1")
    assert terminal.says("operations", "resume", "1", "--accept", "code").startswith("Operation 1 is IN PROGRESS")


def test_somebody_else_s_operation_is_not_looked_at(bob: Caller, eve: Caller) -> None:
    assert eve.get(f"{paused(bob)}/preflight") == 404


def test_the_console_names_what_is_different_and_lets_one_answer_for_it(
    bob: Caller, served: Served, deploy: Callable[..., None]
) -> None:
    address = paused(bob)
    deploy(SECOND, another)
    visitor = Visitor(served.app).sign_in("bob")
    visitor.see(f"/console{address}")

    visitor.post(f"/console{address}/resume")
    page = visitor.follow().text

    (finding,) = found(bob, address)
    assert finding["sentence"] in page
    assert [word in page for word in ('value="code"', 'value="environment"')] == [True, False]
    assert f"/console{address}/stream?findings=1" in page
    visitor.post(f"/console{address}/resume", accept="code", reason="the new one is right")
    *_, last = json_of(bob.get(f"{address}/events"))["events"]
    assert last["why"] == f"the new one is right; accepted: {finding['sentence']}"


def test_the_console_says_that_nobody_can_answer_for_code_that_is_gone(
    bob: Caller, served: Served, deploy: Callable[..., None]
) -> None:
    address = paused(bob)
    deploy(SECOND, None)

    page = Visitor(served.app).sign_in("bob").see(f"/console{address}?findings=1").text

    assert "No code is registered here" in page
    assert "These findings cannot be accepted" in page
    assert 'name="accept"' not in page
