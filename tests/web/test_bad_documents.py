"""A workflow.json that is not what was written is refused, over HTTP and at the terminal, with the reason."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.terminal import Terminal
from tests.web.calling import Caller, everything, json_of, problem, slug

if TYPE_CHECKING:
    from collections.abc import Callable

    from pausable.db.database import Database
    from tests.web.serving import Served


def file_of(served: Served, address: str) -> Path:
    """Where the document of an operation lies."""
    id_ = int(address.rpartition("/")[2])
    with served.commands.engine.database.glance() as tx:
        store = tx.exec_driver_sql("SELECT workflow_store FROM operations WHERE id = ?", (id_,)).scalar_one()
    return Path(store)


def corrupt(file: Path, _other: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b'"steps"', b'"steps":'))


def truncate(file: Path, _other: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


def alter(file: Path, _other: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b'"value":7', b'"value":8'))


def exchange(file: Path, other: Path) -> None:
    file.write_bytes(other.read_bytes())


def arm(file: Path, _other: Path) -> None:
    document = json.loads(file.read_bytes())
    for call in (document["chain"][0], document["steps"][1]["signature"]):
        call["task"] = "os.system"
    document["steps"][1]["task"]["name"] = "os.system"
    file.write_text(json.dumps(document))


def empty(file: Path, _other: Path) -> None:
    file.write_bytes(b"")


def remove(file: Path, _other: Path) -> None:
    file.unlink()


def block(file: Path, _other: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def dig(file: Path, _other: Path) -> None:
    file.write_bytes(b"[" * 1_000_000)


BAD: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "corrupt": (corrupt, "its workflow.json is truncated or no JSON"),
    "truncated": (truncate, "its workflow.json is truncated or no JSON"),
    "empty": (empty, "its workflow.json is truncated or no JSON"),
    "altered": (alter, "its workflow.json was altered, or is an older one"),
    "another operation's": (exchange, "its workflow.json is that of operation 2"),
    "one that runs something else": (arm, "its workflow.json was altered, or is an older one"),
    "missing": (remove, "its workflow.json cannot be read (No such file or directory)"),
    "a pipe": (block, "its workflow.json cannot be read (Not a file)"),
    "nested deep": (dig, "its workflow.json is nested more than 500 deep"),
}


@pytest.fixture
def paused(served: Served, bob: Caller) -> str:
    """An operation that is paused after the first of its steps."""
    address = bob.start("three", value=7)
    served.deliver()
    assert bob.post(f"{address}/pause").status_code == 200
    return address


@pytest.fixture
def other(served: Served, bob: Caller, paused: str) -> Path:
    """The document of another operation."""
    address = bob.start("three", value=7)
    bob.post(f"{address}/pause")
    return file_of(served, address)


@pytest.mark.parametrize("how", BAD)
def test_a_bad_document_is_refused_and_a_rebuild_lets_the_operation_go_on(
    served: Served, bob: Caller, database: Database, paused: str, other: Path, how: str
) -> None:
    spoil, reason = BAD[how]
    spoil(file_of(served, paused), other)
    before = everything(database)

    resumed, looked = bob.post(f"{paused}/resume"), bob.get(f"{paused}/workflow.json")

    assert (resumed.status_code, slug(resumed), looked.status_code) == (409, "document-unusable", 409)
    assert problem(resumed)["completion"] == "PAUSED"
    assert problem(resumed)["detail"].startswith(f"Operation 1 stays PAUSED: {reason}")
    assert "`flask operations rebuild 1` writes it anew" in problem(resumed)["detail"]
    assert everything(database) == before

    Terminal(served).run("operations", "rebuild", "1")
    assert bob.post(f"{paused}/resume").status_code == 202
    while bob.completion(paused) != "COMPLETED":
        served.deliver()
    assert json_of(bob.get(paused))["result"] == 7
    assert [step["runs"] for step in json_of(bob.get(f"{paused}/steps"))["steps"]] == [1, 1, 1]


@pytest.mark.parametrize("how", BAD)
def test_at_the_terminal_it_is_refused_with_the_same_reason(served: Served, paused: str, other: Path, how: str) -> None:
    spoil, reason = BAD[how]
    spoil(file_of(served, paused), other)
    terminal = Terminal(served)

    told = terminal.refuses("operations", "resume", "1")

    assert reason in " ".join(told.split())
    assert terminal.completion("1") == "PAUSED"
    terminal.run("operations", "rebuild", "1")
    terminal.run("operations", "resume", "1")
    assert terminal.completion("1") == "IN PROGRESS"


def test_the_document_of_an_earlier_pause_is_refused(served: Served, bob: Caller, paused: str) -> None:
    earlier = file_of(served, paused).read_bytes()
    bob.post(f"{paused}/resume")
    served.deliver()
    bob.post(f"{paused}/pause")
    file_of(served, paused).write_bytes(earlier)

    refused = bob.post(f"{paused}/resume")

    assert refused.status_code == 409
    assert "was altered, or is an older one" in problem(refused)["detail"]


def test_a_task_that_is_gone_is_named_and_waited_for(served: Served, bob: Caller, paused: str) -> None:
    name = "tests.web.flows.give"
    task = served.celery.tasks.pop(name)

    refused = bob.post(f"{paused}/resume")
    served.celery.tasks[name] = task

    assert refused.status_code == 409
    assert problem(refused)["detail"] == (
        f"Operation 1 stays PAUSED: No code is registered here for {name}, which 2 steps (give-2 first) call. "
        "Bring back the code that it needs, and resume it then."
    )
    assert bob.post(f"{paused}/resume").status_code == 202
