"""What a worker looks at before it begins to work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from celery import Celery

from pausable.errors import DatabaseBehind, HardLimitNeedsPrefork
from pausable.worker.worker import require_enforceable_limits
from tests.databases import on_both
from tests.deadlines import WAIT

if TYPE_CHECKING:
    from tests.postgresql import PostgreSQL

ROOT = Path(__file__).parents[2]


@pytest.fixture
def limited() -> Celery:
    """An app with a task that is to be killed when it takes too long."""
    app = Celery("limited", broker="memory://", set_as_current=False)

    @app.task(name="slow", time_limit=3, shared=False)
    def slow() -> None:
        """Take too long."""

    return app


@pytest.mark.parametrize("pool", ["solo", "thread"])
def test_a_pool_that_kills_nothing_refuses_a_hard_time_limit_by_the_tasks_name(limited: Celery, pool: str) -> None:
    with pytest.raises(HardLimitNeedsPrefork, match=f"The pool '{pool}' cannot keep the time_limit of .*slow.*: start"):
        require_enforceable_limits(limited, pool)


def test_a_pool_of_processes_keeps_a_hard_time_limit(limited: Celery) -> None:
    require_enforceable_limits(limited, "prefork")


@on_both
def test_a_worker_ends_with_one_sentence_where_the_database_was_never_laid(
    database_kind: str, broker_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    database = f"sqlite:///{tmp_path}/operations.db"
    if database_kind == "postgresql":
        server: PostgreSQL = request.getfixturevalue("postgresql")
        database = server.create("never_laid")
    given = {"DATABASE_URL": database, "BROKER_URL": broker_url, "DATA_DIR": str(tmp_path), "C_FORCE_ROOT": "1"}
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "worker:celery", "worker", "--concurrency", "1"]

    ended = subprocess.run(command, cwd=ROOT, env=os.environ | given, capture_output=True, text=True, timeout=WAIT)

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1:] == [str(DatabaseBehind())]
    assert "Traceback" not in ended.stdout + ended.stderr
