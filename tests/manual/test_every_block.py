"""Every block of README.md, CONTRIBUTING.md and docs/ is run, or says here why it is not."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.deadlines import WAIT
from tests.manual import test_pages, test_readme
from tests.manual.blocks import BLOCKS, PAGES, ROOT, TAKEN, Block

if TYPE_CHECKING:
    from pathlib import Path

#: Blocks that no test runs, by page and first line, each with the reason.
NOT_RUN = {
    "docs/design.md: POST /operations                     worker                                 worker": "a drawing",
    "docs/design.md: wsgi.py  worker.py        entry points: the web application and its Celery app": "a drawing",
    "docs/design.md: local      an operation in this process: no broker, no worker": "a drawing",
    "docs/serverless.md: Pub/Sub or SQS ──message: the document of slice 3──▶ function ──▶ runs the next steps":
        "a drawing",
    "docs/serverless.md: # main.py": "tests/serverless imports it with a stand-in for Google's topic",
    "docs/notifications.md: SLACK_URL=slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ":
        "a line of .env; it sends to Slack",
    "docs/operating.md: location / {": "a configuration of nginx, which tests do not install",
    'docs/terminal.md: $ flask operations resume --workflow imports --per-minute 30 --reason "the disk is back"':
        "it needs hundreds of operations of a workflow `imports`; tests/cli/test_bulks.py runs the commands",
    "docs/terminal.md: $ flask notifications list --state failed":
        "it needs a notification that was given up after 20 tries; tests/cli/test_notifications.py runs the commands",
}  # fmt: skip
#: Names that a page's text introduces before its fragments use them.
PRELUDE = {
    "docs/pause.md": """
from celery import Celery, group
celery = Celery("fragments", broker="memory://", backend="cache+memory://", set_as_current=True)
@celery.task
def one(*given): return given
extract = clean = audit = merge = publish = is_closed = keep = one
value, remaining = 3, [one.s()]
""",
}
#: Whole programs that are run in the place that their page tells.
ALONE = {block for block in TAKEN if block.page in {"docs/pause.md", "docs/document.md"}}


def python_of(page: str) -> list[Block]:
    return [
        block
        for block in BLOCKS
        if (block.page, block.language) == (page, "python") and block not in ALONE and block.name not in NOT_RUN
    ]


@pytest.mark.parametrize("page", [page for page in PAGES if python_of(page)])
def test_the_python_of_a_page_runs_from_its_first_block_to_its_last(page: str, tmp_path: Path) -> None:
    earlier = [
        block.text for block in TAKEN if block.page == page and block.language == "python" and "/workflows" in page
    ]
    program = "\n".join([PRELUDE.get(page, ""), *earlier, *(block.text for block in python_of(page))])
    (tmp_path / "page.py").write_text(program)
    given = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}

    command = [sys.executable, "page.py"]
    ran = subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, text=True, timeout=WAIT)

    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language in {"json", "yaml"}], ids=lambda block: block.name
)
def test_what_a_page_shows_as_json_or_yaml_can_be_read(block: Block) -> None:
    assert json.loads(block.text) if block.language == "json" else yaml.safe_load(block.text)


def test_every_other_block_is_taken_by_a_test_or_says_why_not() -> None:
    assert {test_pages, test_readme}  # they have taken theirs when they were imported

    left = [block for block in BLOCKS if block.language not in {"python", "json", "yaml"} and block not in TAKEN]
    assert [block.name for block in left if block.name not in NOT_RUN] == []


def test_every_reason_belongs_to_a_block_that_is_there() -> None:
    assert NOT_RUN.keys() <= {block.name for block in BLOCKS}
