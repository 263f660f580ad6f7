"""README.md, done from its first block to its last in a fresh clone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.manual.blocks import take
from tests.manual.service import Clone, without_numbers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgresql import PostgreSQL

PAGE = "README.md"
RUN = take(PAGE, "make run\n")
BANNER = take(PAGE, "The service is ready", "")
START = take(PAGE, "ask() {")
PAUSED = take(PAGE, '"completion": "PAUSED"', "")
RESUME = take(PAGE, "/resume")
COMPLETED = take(PAGE, '"completion": "COMPLETED"', "")
REPORTS = take(PAGE, "# reports.py", "python")
PREPARE, WORKER, WEB = take(PAGE, "supervisor prepare"), take(PAGE, "celery -A"), take(PAGE, "bin/gunicorn")


def line_to_paste(banner: str) -> str:
    return next(line for line in banner.splitlines() if line.startswith("curl "))


def keys_of(shown: str) -> list[str]:
    """The words in quotes of an answer that a page shows."""
    return [part for part in shown.split('"')[1::2] if part.isidentifier()]


def test_the_service_starts_pauses_and_resumes_as_the_page_says(tmp_path: Path) -> None:
    clone = Clone(tmp_path)

    with clone.running(RUN, "Ctrl-C stops everything") as said:
        assert without_numbers(BANNER).strip() in without_numbers(said())
        clone.run(line_to_paste(said()))
        paused = clone.run(START)
    with clone.running(RUN, "Ctrl-C stops everything"):
        ask = START[START.index("ask() {") :].splitlines()[0]
        clone.run(f"{ask}\nid=2\n{RESUME}")
        clone.wait_until(lambda: "COMPLETED" in clone.run(f"{ask}\nid=2\n{RESUME.splitlines()[-1]}"), lambda: paused)
        completed = clone.run(f"{ask}\nid=2\n{RESUME.splitlines()[-1]}")

    assert '"completion": "PAUSED"' in paused
    assert all(f'"{key}"' in paused for key in keys_of(PAUSED))
    assert '"rows": 1000000' in completed
    assert all(f'"{key}"' in completed for key in keys_of(COMPLETED))


def test_a_workflow_of_ones_own_is_served(tmp_path: Path) -> None:
    clone = Clone(tmp_path, environ={"PYTHONPATH": ".", "WORKFLOWS": "reports"})
    (tmp_path / "reports.py").write_text(REPORTS)

    with clone.running(RUN, "Ctrl-C stops everything"):
        said = clone.run(".venv/bin/flask operations start word-report source='to be or not' --watch")

    assert "COMPLETED" in said


def test_it_grows_past_one_machine_as_the_page_says(tmp_path: Path, postgresql: PostgreSQL, broker_url: str) -> None:
    database, broker = postgresql.create("grown"), f"{broker_url.rpartition('/')[0]}/9"
    settings = {"DATABASE_URL": database, "BROKER_URL": broker, "WORKFLOW_STORE": f"{tmp_path}/shared"}
    printed = "postgresql://operations:secret@db/operations", "redis://redis:6379/0", "/mnt/shared/operations"
    clone, prepare = Clone(tmp_path), PREPARE
    for there, here in zip(printed, settings.values(), strict=True):
        assert there in PREPARE
        prepare = prepare.replace(there, f"'{here}'")
    web = f"{WEB.strip()} --bind 127.0.0.1:{clone.port}"
    start = line_to_paste(BANNER)

    clone.run(prepare)
    with clone.running(WORKER, ".> operations", **settings), clone.running(web, "Booting worker", **settings) as said:
        clone.wait_until(lambda: answers(clone), said)
        identity = json.loads(clone.run(start).partition("}\n")[0])["id"]
        look = f"{start.partition(' -d ')[0].replace('-X POST', '')} http://127.0.0.1:8000/operations/{identity}"
        clone.wait_until(lambda: '"COMPLETED"' in clone.run(look), said)


def answers(clone: Clone) -> bool:
    status = clone.run("curl -s -o answer -w '%{http_code}' http://127.0.0.1:8000/readyz || true")
    return status == "200"
