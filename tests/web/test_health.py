"""The service tells that it is alive, and of each part that it needs whether it is there."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from app.supervisor.broker import free_port
from app.web.monitoring import Readiness
from pausable import clock
from pausable.db.workers import register_worker
from pausable.processes import this_process
from tests.web.calling import Caller, json_of, problem, slug

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pausable.db.database import Database
    from tests.web.serving import Served


def not_ok(checks: dict[str, Any]) -> list[str]:
    return [name for name, check in checks.items() if not check["ok"]]


@pytest.fixture
def with_worker(database: Database) -> None:
    """A worker that was seen just now."""
    with database.write() as tx:
        register_worker(tx, this_process(), clock.now())


@pytest.fixture
def silent_broker() -> Iterator[str]:
    """The URL of something that lets one connect, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def test_alive_is_told_without_a_look_at_anything(stranger: Caller, served: Served) -> None:
    served.commands.engine.database.close()
    (served.settings.data_dir / "operations.db").unlink()

    assert json_of(stranger.get("/healthz")) == {"status": "alive"}


@pytest.mark.usefixtures("with_worker")
def test_ready_is_told_of_each_part(stranger: Caller) -> None:
    ready = stranger.get("/readyz")

    assert (ready.status_code, json_of(ready)["status"]) == (200, "ready")
    assert json_of(ready)["checks"].keys() == {"database", "migrations", "disk", "broker", "workers"}
    assert not_ok(json_of(ready)["checks"]) == []


def test_without_a_worker_it_is_not_ready(stranger: Caller) -> None:
    answer = stranger.get("/readyz")

    assert (answer.status_code, slug(answer)) == (503, "not-ready")
    assert not_ok(problem(answer)["checks"]) == ["workers"]
    assert problem(answer)["detail"] == "Not ready: workers."


@pytest.mark.usefixtures("with_worker")
def test_a_worker_that_was_not_seen_lately_is_not_counted_on(stranger: Caller) -> None:
    with clock.frozen_at(clock.now() + 31):
        assert not_ok(problem(stranger.get("/readyz"))["checks"]) == ["workers"]


@pytest.mark.parametrize(("fresh_for", "seen"), [(3600.0, ["workers"]), (0.0, [])], ids=["fresh", "stale"])
def test_one_answer_serves_all_who_ask_while_it_is_fresh(served: Served, fresh_for: float, seen: list[str]) -> None:
    readiness = Readiness(served.commands.engine, fresh_for=fresh_for)
    first = not_ok(dict(readiness.checks()))
    with served.commands.engine.database.write() as tx:
        register_worker(tx, this_process(), clock.now())

    second = not_ok(dict(readiness.checks()))

    assert (first, second) == (["workers"], seen)


@pytest.mark.usefixtures("with_worker")
def test_a_database_that_is_behind_is_told_from_one_that_does_not_answer(served: Served) -> None:
    with served.commands.engine.database.write() as tx:
        tx.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    behind = Readiness(served.commands.engine).checks()
    served.commands.engine.database.close()
    database = served.settings.data_dir / "operations.db"
    database.unlink()
    database.mkdir()

    gone = Readiness(served.commands.engine).checks()

    assert not_ok(dict(behind)) == ["migrations"]
    assert not_ok(dict(gone)) == ["database", "migrations", "workers"]


@pytest.mark.parametrize("broker", ["silent", "absent"])
def test_a_broker_that_does_not_answer_is_told_and_holds_nobody_up(
    served: Served, silent_broker: str, broker: str
) -> None:
    url = silent_broker if broker == "silent" else f"redis://127.0.0.1:{free_port()}/0"
    served.celery.conf.update(broker_write_url=url)

    checks = Readiness(served.commands.engine).checks()

    assert not_ok(dict(checks)) == ["broker", "workers"]
