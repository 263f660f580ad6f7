"""Which functions make the fingerprint of a task, and of a workflow."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery, Task

from pausable.engine.documents import code_of
from pausable.engine.policies import Policies, WorkflowPolicy

if TYPE_CHECKING:
    from collections.abc import Callable


class Counting(Task[Any, Any]):
    """A base class of a project's own."""

    abstract = True
    by = 1

    def counted(self, value: int) -> int:
        return value + self.by


def one(self: Any, value: int) -> int:
    return int(self.counted(value))


def other(self: Any, value: int) -> int:
    return int(self.counted(value) + 1)


def same(value: int) -> int:
    return value


def more(value: int) -> int:
    return value + 1


def made(function: Callable[..., Any]) -> Any:
    """A task of this function, in an app of its own; each has the same name."""
    make: Any = Celery("another", broker="memory://", set_as_current=False).task(name="called", shared=False)
    return make(function)


called = made(same)


def calls_a_task(value: int) -> Any:
    return called(value)


def builds() -> Any:
    return called.s(1)


@pytest.fixture
def celery() -> Celery[Any]:
    return Celery("fingerprints", broker="memory://", set_as_current=False)


def of_task(celery: Celery[Any], function: Callable[..., Any], **options: Any) -> str:
    make: Any = celery.task(name="a.task", shared=False, **options)
    celery.tasks.pop("a.task", None)
    make(function)
    engine: Any = SimpleNamespace(app=celery, policies=Policies(celery))
    return str(code_of(engine, "none", ["a.task"])["tasks"]["a.task"])


def of_workflow(celery: Celery[Any], function: Callable[..., Any]) -> str:
    policies = Policies(celery)
    policies.learn({"a-workflow": WorkflowPolicy(function=function)})
    engine: Any = SimpleNamespace(app=celery, policies=policies)
    return str(code_of(engine, "a-workflow", [])["workflow"])


def test_the_function_of_a_task_is_read_and_not_what_celery_puts_around_it(celery: Celery[Any]) -> None:
    first = of_task(celery, one, bind=True, base=Counting)

    assert first == of_task(celery, one, bind=True, base=Counting)
    assert first != of_task(celery, other, bind=True, base=Counting)


def test_the_project_s_own_base_class_of_a_task_is_part_of_its_code(celery: Celery[Any]) -> None:
    before = of_task(celery, one, bind=True, base=Counting)

    class ByTwo(Counting):
        by = 2

    assert of_task(celery, one, bind=True, base=ByTwo) != before


def test_the_options_of_a_task_are_no_part_of_its_code(celery: Celery[Any]) -> None:
    assert of_task(celery, calls_a_task) == of_task(celery, calls_a_task, time_limit=7, max_retries=7)


def test_a_task_that_a_step_calls_is_followed_and_of_a_workflow_its_name_alone_counts(
    celery: Celery[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    step_before, workflow_before = of_task(celery, calls_a_task), of_workflow(celery, builds)

    monkeypatch.setitem(globals(), "called", made(more))

    assert of_task(celery, calls_a_task) != step_before
    assert of_workflow(celery, builds) == workflow_before


def test_a_task_of_celery_s_own_has_no_fingerprint(celery: Celery[Any]) -> None:
    engine: Any = SimpleNamespace(app=celery, policies=Policies(celery))

    assert code_of(engine, "none", ["celery.map"])["tasks"] == {}
