"""What a resume finds when secrets, stores, results or workers are missing that the rest of an operation needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from tests.web.checking import checked, found, paused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import NewDatabase
    from tests.web.calling import Caller
    from tests.web.serving import Served


@pytest.fixture
def served(new_database: NewDatabase, broker_url: str, tmp_path: Path) -> Iterator[Served]:
    """The service with the workflows of `checked_flows`, and this process as the worker of their usual queue."""
    with checked(tmp_path, broker_url, new_database(tmp_path)) as served:
        yield served


def test_a_secret_that_a_step_asks_for_is_missed(bob: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    address = paused(bob, "asks")

    (finding,) = found(bob, address)

    assert (finding["kind"], finding["about"], finding["accept"]) == ("secret_missing", "CHECKED_KEY", "environment")
    assert bob.post(f"{address}/resume?accept=code") == 409
    monkeypatch.setenv("CHECKED_KEY", "a key that nobody guesses")
    assert found(bob, address) == []
    assert bob.post(f"{address}/resume") == 202


def test_what_the_workers_have_and_this_process_has_not_is_accepted_by_name(bob: Caller) -> None:
    address = paused(bob, "asks")

    assert bob.post(f"{address}/resume?accept=environment") == 202


def test_a_store_of_targets_that_is_nowhere_is_named(bob: Caller) -> None:
    address = paused(bob, "keeps")

    (finding,) = found(bob, address)

    assert (finding["kind"], finding["about"], finding["blocks"]) == ("store_missing", "nowhere://here", True)
    assert bob.post(f"{address}/resume") == 409


def test_a_result_that_the_rest_needs_and_that_is_gone_is_named(bob: Caller, served: Served, tmp_path: Path) -> None:
    address = bob.start("plain")
    served.deliver()
    bob.post(f"{address}/pause")
    reference = f'{{"__result__":{{"store":"{tmp_path}","path":"gone.json","serializer":"json"}}}}'
    with served.commands.engine.database.write() as tx:
        tx.execute(text("UPDATE steps SET result = :result WHERE number = 0"), {"result": reference})

    (finding,) = found(bob, address)

    assert (finding["kind"], finding["step"]) == ("result_missing", "first")
    assert finding["sentence"].endswith("gone.json: there is no such file.")


def test_a_queue_without_a_worker_is_told_and_keeps_nothing_from_going_on(bob: Caller) -> None:
    address = paused(bob, "apart")

    (finding,) = found(bob, address)

    assert (finding["kind"], finding["about"], finding["blocks"]) == ("no_worker", "apart", False)
    assert bob.post(f"{address}/resume") == 202
