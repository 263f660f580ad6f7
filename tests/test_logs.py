"""With LOG_FORMAT=json real programs log one object a line, with the ids of the step that runs and without secrets."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

from app.supervisor.broker import free_port
from app.supervisor.supervision import say_as_json
from pausable.db.users import user_named
from pausable.logs import in_step, json_formatter
from tests.execution.pausing import in_database
from tests.web.serving import serving, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.web.serving import Served

QUIET = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--concurrency", "1"]


@pytest.fixture
def served(migrated_file: Path, broker_url: str, tmp_path: Path) -> Iterator[Served]:
    shutil.copy(migrated_file, tmp_path)
    with serving(tmp_path, in_database(broker_url, 13), log_format="json") as served:
        yield served


def line_of(message: str, *args: object, **extra: Any) -> dict[str, Any]:
    """What a record becomes."""
    record = logging.LogRecord("app.some", logging.WARNING, "some.py", 1, message, args, extra.get("exc_info"))
    said: dict[str, Any] = json.loads(json_formatter().format(record))
    return said


def logged(served: Served) -> list[dict[str, Any]]:
    """Every line that the programs have logged; one that is no JSON fails the test."""
    return [json.loads(line) for line in served.told().splitlines()]


def test_a_record_becomes_one_object() -> None:
    said = line_of("%s went\nwrong", "it")

    assert said.pop("timestamp").endswith("Z")
    assert said == {"event": "it went\nwrong", "level": "warning", "logger": "app.some"}


def test_what_is_logged_while_a_step_runs_has_its_ids_and_nothing_else_has() -> None:
    with in_step(7, "add-1"):
        within = line_of("within")

    assert (within["operation_id"], within["step"]) == (7, "add-1")
    assert {"operation_id", "step"} & line_of("behind").keys() == set()


@pytest.mark.parametrize(
    "told",
    [
        "redis://:hunter2@host:6379/0 is gone",
        "postgresql://me:hunter2@host/db",
        "Authorization: Bearer hunter2hunter2hunter2",
        "the token is pa_hunter2hunter2hunter2hunter2",
        "connection failed: host=h password=hunter2 user=me",
    ],
)
def test_no_secret_is_in_a_line_nor_in_its_traceback(told: str) -> None:
    try:
        raise ConnectionError(told)
    except ConnectionError:
        said = line_of("it failed: %s", told, exc_info=sys.exc_info())

    assert "ConnectionError" in said["exception"]
    assert "hunter2" not in json.dumps(said)


def test_each_line_of_a_worker_is_json_and_those_of_a_step_have_its_ids(served: Served) -> None:
    address = served.commands.start(served_user(served), "talks", {"word": "hello"})[0].operation.id

    with served.running("celery", "--quiet", "-A", "worker:celery", "worker", *QUIET, "--loglevel", "INFO"):
        wait_for(lambda: served.commands.completion(address) in ("COMPLETED", "FAILED"), served.told)

    lines = logged(served)
    of_the_step = [line for line in lines if line.get("operation_id") == address]
    assert {line["event"]: (line["step"], line["level"]) for line in of_the_step if "hello" in line["event"]} == {
        "logged hello": ("talk", "warning"),
        "printed hello": ("talk", "warning"),
    }
    assert all({"timestamp", "level", "logger", "event"} <= line.keys() for line in lines)
    assert any("operation_id" not in line for line in lines)


def test_each_line_of_the_web_server_is_json_from_its_first(served: Served) -> None:
    port = free_port()
    where = ["wsgi:app", "--bind", f"127.0.0.1:{port}", "--no-control-socket"]

    with served.running("gunicorn", *where, "--logger-class", "app.web.server.JsonLogger"):
        wait_for(lambda: "Booting worker" in served.told(), served.told)

    assert any("Listening at" in line["event"] for line in logged(served))


def test_lines_of_other_programs_become_the_events_of_objects(capfd: pytest.CaptureFixture[str]) -> None:
    say_as_json("broker", "Ready to accept connections")
    say_as_json("worker", '{"event": "it is JSON already"}')
    say_as_json("run", "")

    first, second = map(json.loads, capfd.readouterr().out.splitlines())
    assert (first["program"], first["event"]) == ("broker", "Ready to accept connections")
    assert second == {"event": "it is JSON already"}


def served_user(served: Served) -> Any:
    with served.commands.engine.database.glance() as tx:
        return user_named(tx, "bob")
