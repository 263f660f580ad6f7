"""The pages of docs/, each done as it is printed, on one running service."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from pausable.notifications.webhook import Webhook
from pausable.secrets import Secret
from tests.manual.blocks import take
from tests.manual.service import Clone, without_numbers
from tests.programs import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgresql import PostgreSQL

TEXTS = take("docs/workflows.md", "def describe_text(", "python")
SERVE_TEXTS = take("docs/workflows.md", "WORKFLOWS=texts make run")
START_TEXTS = take("docs/workflows.md", "describe-text")
MAKE_KEY, EXPORT = take("docs/document.md", "DOCUMENT_KEY="), take("docs/document.md", "operations export 7")
IMPORT, BY_HAND = take("docs/document.md", "operations import"), take("docs/document.md", '"start_with"', "json")
ADVANCE_BY_HAND = take("docs/document.md", "advance by-hand.json")
ADVANCE_IN_CODE = take("docs/document.md", "advance(", "python")
WATCH, PAUSE = take("docs/terminal.md", "add-numbers start=3", ""), take("docs/terminal.md", "pause 1", "")
ADD_USER, LIST_WORKERS = take("docs/terminal.md", "users add grace", ""), take("docs/terminal.md", "workers list", "")
STREAM = take("docs/http.md", "curl -N", "bash")
STREAMED = take("docs/http.md", "retry: 1000", "")
ROLE = take("docs/operating.md", "CREATE ROLE", "")
WEBHOOK_KEY = take("docs/notifications.md", "whsec_")
VERIFY = take("docs/notifications.md", "def is_ours", "python")
SHOP, SHOP_WORKER = take("docs/pause.md", "# shop.py", "python"), take("docs/pause.md", "celery -A shop")
SHOP_SESSION = take("docs/pause.md", "from shop import", "pycon")
FLASK = ".venv/bin/flask "


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A clone with the module of docs/workflows.md, whose service runs as that page says."""
    clone = Clone(tmp_path_factory.mktemp("clone"))
    (clone.folder / "texts.py").write_text(TEXTS)
    clone.run(MAKE_KEY)
    with clone.running(f"env {SERVE_TEXTS}", "Ctrl-C stops everything"):
        yield clone


def show(clone: Clone, operation_id: str) -> str:
    return clone.run(f"{FLASK}operations show {operation_id}")


def paused_operation(clone: Clone) -> str:
    """An operation that was paused between two steps, by its id."""
    said = clone.run(f"{FLASK}operations start add-numbers delay=40")
    operation_id = said.split()[1]
    assert "PAUSED" in clone.run(f"{FLASK}operations pause {operation_id} --now --wait 60")
    return operation_id


def commands_in(transcript: str) -> list[str]:
    return [re.sub(r"^flask ", FLASK, line[2:]) for line in transcript.splitlines() if line.startswith("$ ")]


def test_a_workflow_is_served_and_started_as_workflows_says(clone: Clone) -> None:
    started = json.loads(clone.run(START_TEXTS).partition("}\n")[0].partition("\n  %")[0])

    operation_id = started["id"]
    clone.wait_until(lambda: "COMPLETED" in show(clone, operation_id), lambda: show(clone, operation_id))
    result = json.loads(clone.run(f"{FLASK}operations show {operation_id} --result"))
    assert result == {"title": "A text", "longest": "not", "words": 6}


def test_an_operation_is_watched_and_paused_as_the_terminal_shows(clone: Clone) -> None:
    activate, start = (line.split("#")[0].strip() for line in commands_in(WATCH))
    pause, resume = commands_in(PAUSE)
    clone.run(activate)
    # Steps of 8 seconds in the place of 3: a slow machine has time to pause, and the pause comes within its 10 seconds.
    command = ["bash", "-c", f"exec {start.replace('delay=3', 'delay=8')}"]
    environ = clone.environment(PYTHONUNBUFFERED="1")

    with running(command, cwd=clone.folder, env=environ, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout
        operation_id = watching.stdout.readline().split()[1]
        paused = clone.run(pause.replace("pause 1", f"pause {operation_id}"))
        resumed = clone.run(resume.replace("resume 1", f"resume {operation_id}"))

    lines = [line for line in PAUSE.splitlines() if not line.startswith("$ ")]
    assert without_numbers("\n".join(lines[:2])) == without_numbers(paused).strip()
    assert without_numbers(lines[2]).partition(";")[0] == without_numbers(resumed).partition(";")[0]


def test_users_are_added_and_workers_listed_as_the_terminal_shows(clone: Clone) -> None:
    [add], [look] = commands_in(ADD_USER), commands_in(LIST_WORKERS)

    added, listed = clone.run(add), clone.run(look)

    assert added.startswith("Added the admin grace.\nKeep the token, it is not shown again; by ")
    assert (clone.folder / "token").read_text().strip()
    assert listed.splitlines()[0].split() == LIST_WORKERS.splitlines()[1].split()


def test_a_stream_is_read_as_http_says(clone: Clone) -> None:
    operation_id = paused_operation(clone)
    line = STREAM.replace("operations/7", f"operations/{operation_id}")

    said = clone.run(f"TOKEN=$(cat var/token)\ntimeout 5 {line.strip()} || true")

    assert said.startswith("retry: 1000\n") or "\nretry: 1000\n" in said
    shown = {line.partition(":")[0] for line in STREAMED.splitlines() if line}
    assert shown <= {line.partition(":")[0] for line in said.splitlines()}


def idle_clone(folder: Path) -> Clone:
    """A clone of which nothing runs: what is paused there is paused at once."""
    folder.mkdir()
    clone = Clone(folder)
    clone.run(".venv/bin/python -m app.supervisor prepare")
    return clone


def test_an_operation_moves_as_document_says(tmp_path: Path) -> None:
    here, there = idle_clone(tmp_path / "here"), idle_clone(tmp_path / "there")
    here.run(MAKE_KEY)
    here.run(f"{FLASK}operations start add-numbers\n{FLASK}operations pause 1")
    shutil.copy(here.folder / ".env", there.folder)

    here.run(EXPORT.replace("export 7", "export 1"))
    shutil.copy(here.folder / "moved.json", there.folder)
    there.run(IMPORT)

    assert "add-numbers" in show(there, "1")
    there.run(f"cat > advance.py <<'END'\n{ADVANCE_IN_CODE}\nEND\n.venv/bin/python advance.py")
    assert json.loads((there.folder / "next.json").read_text())["completion"] == "COMPLETED"


def test_a_document_is_made_by_hand_as_document_says(clone: Clone) -> None:
    (clone.folder / "by-hand.json").write_text(BY_HAND)

    said = clone.run(ADVANCE_BY_HAND)

    assert "COMPLETED, 5 of 5 steps" in said
    assert '"total": 10' in said


def test_postgresql_takes_the_statements_of_operating(postgresql: PostgreSQL) -> None:
    statements = [line for line in ROLE.replace("operations", "manual").splitlines() if line]

    for statement in statements:
        postgresql.run(statement.rstrip(";"))

    postgresql.drop("manual")
    postgresql.run("DROP ROLE manual")


def test_the_signature_of_a_webhook_is_verified_as_notifications_says(
    clone: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = clone.run(WEBHOOK_KEY).strip()
    monkeypatch.setenv("WEBHOOK_KEY", key)
    module: dict[str, Any] = {}
    exec(VERIFY, module)  # noqa: S102

    headers = Webhook(["example.com"], Secret("WEBHOOK_KEY"))._signed("an-id", b"{}")

    assert module["is_ours"](headers, b"{}", key)
    assert not module["is_ours"](headers, b"[]", key)


def test_another_celery_app_is_paused_as_pause_says(tmp_path: Path, broker_url: str) -> None:
    clone, url = Clone(tmp_path), f"{broker_url.rpartition('/')[0]}/10"
    assert "redis://localhost" in SHOP
    (tmp_path / "shop.py").write_text(SHOP.replace("redis://localhost", url))
    (tmp_path / "session.txt").write_text(SHOP_SESSION)

    with clone.running(SHOP_WORKER, "ready.") as said:
        clone.run(".venv/bin/python -m doctest session.txt")
        log = said()

    assert "received" in log
    assert "succeeded" in log
    assert "Traceback" not in log
