"""What a worker looks at before it begins to work."""

from __future__ import annotations

import pytest
from celery import Celery

from app.errors import HardLimitNeedsPrefork
from app.execution.worker import refuse_hard_limits


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
        refuse_hard_limits(limited, pool)


def test_a_pool_of_processes_keeps_a_hard_time_limit(limited: Celery) -> None:
    refuse_hard_limits(limited, "prefork")
