"""What plain Celery does with a canvas, an operation does too, also when it is paused between any two of its steps."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from celery.app import app_or_default
from celery.app.trace import trace_task

from pausable.canvas.values import decode
from pausable.engine.dispatch import publish_due
from pausable.model.states import ENDED, Completion
from tests.behaviours import BEHAVIOURS, LINEAGES, NEVER
from tests.databases import on_sqlite_alone
from tests.execution.pausing import in_database, working
from tests.execution.service import DEADLINE, QUEUE, ROOT, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery import Celery

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]

pytestmark = pytest.mark.filterwarnings("ignore::celery.exceptions.CPendingDeprecationWarning")

#: Rows that between them need every statement of error callbacks, replacements, callbacks and retries.
CHOSEN = (
    "of a chord in a chord",
    "of a chain that fails before a group in it",
    "of a chain of two in a chord",
    "replaced by a group",
    "replaced by a chord that fails, with more to come",
    "replaced in a header",
    "a callback that is a chain",
    "a retry with other arguments and headers",
)
on_both_where_chosen = pytest.mark.parametrize(
    ("database_kind", "name"),
    [*(("sqlite", name) for name in BEHAVIOURS), *(("postgresql", name) for name in CHOSEN)],
)


@pytest.fixture(scope="module")
def plain(broker_url: str) -> Iterator[Celery]:
    """Plain Celery with results, a worker, and Celery's own settings."""
    settings: dict[str, Any] = {"include": ["tests.behaviours"], "task_allow_error_cb_on_chord_header": False}
    with working(in_database(broker_url, 8), **settings) as celery:
        yield celery


@pytest.fixture
def at_plain(plain: Celery) -> Iterator[Celery]:
    before = app_or_default()
    plain.set_current()
    yield plain
    before.set_current()


def lines_of(file: str) -> list[str]:
    return sorted(Path(file).read_text().splitlines()) if Path(file).exists() else []


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_plain_celery_does_what_the_table_says(at_plain: Celery, name: str, tmp_path: Path) -> None:
    behaviour, file = BEHAVIOURS[name], str(tmp_path / "lines")

    result = behaviour.canvas(file).apply_async()
    if behaviour.result != NEVER:
        value = result.get(timeout=DEADLINE / 3, propagate=False, interval=0.01)
        assert (type(value).__name__ if isinstance(value, Exception) else value) == behaviour.result

    wait_for(lambda: len(lines_of(file)) >= len(behaviour.lines), lambda: str(lines_of(file)))
    assert lines_of(file) == sorted(behaviour.lines)


def ended(service: Service, operation: int) -> Any:
    """The value of an operation, or the name of its error."""
    shown = service.show(operation)
    if shown.completion is Completion.FAILED:
        return decode(shown.error)["type"]
    assert shown.completion is Completion.COMPLETED, service.states(operation)
    return json.loads(shown.result or "null")


def expected(name: str) -> tuple[Any, list[str]]:
    behaviour = BEHAVIOURS[name]
    is_other = behaviour.differs or behaviour.here is not None
    lines = behaviour.lines if behaviour.lines_here is None else behaviour.lines_here
    return (behaviour.here if is_other else behaviour.result), sorted(lines)


@on_sqlite_alone
@pytest.mark.parametrize("name", BEHAVIOURS)
def test_an_operation_does_the_same(service: Service, name: str) -> None:
    result, lines = expected(name)
    file = service.path()

    operation = service.start("behaviour", name=name, file=file)
    service.ended(operation)

    assert ended(service, operation) == result
    wait_for(lambda: len(lines_of(file)) >= len(lines), lambda: str(lines_of(file)))
    assert lines_of(file) == lines


def deliver(service: Service) -> None:
    """Deliver the oldest message, be it of a step or of an error callback."""
    message: Any = json.loads(service.queue.rpop(QUEUE))  # type: ignore[arg-type]
    args, kwargs, _ = json.loads(base64.b64decode(message["body"]))
    request = message["headers"] | {"delivery_info": {}}
    trace_task(service.celery.tasks[request["task"]], request["id"], args, kwargs, request, app=service.celery)


@on_both_where_chosen
def test_an_operation_that_is_paused_between_any_two_deliveries_does_the_same(by_hand: ByHand, name: str) -> None:
    result, lines = expected(name)
    service = by_hand(slice_steps=1)
    file = service.path()
    operation = service.start("behaviour", name=name, file=file)

    while service.completion(operation) not in ENDED:
        if not service.messages():
            publish_due(service.engine)  # a retry
        deliver(service)
        if service.completion(operation) is Completion.IN_PROGRESS:
            service.pause(operation)
            assert service.completion(operation) is Completion.PAUSED
            service.resume(operation)
    while service.messages():
        deliver(service)

    assert (ended(service, operation), lines_of(file)) == (result, lines)


def by_name(found: dict[str, Any]) -> dict[str, Any]:
    """What tasks have found, with names in the place of ids, by which two runs can be compared."""
    names = {one["id"]: name for name, one in found.items()}
    groups = list(dict.fromkeys(one["group"] for _, one in sorted(found.items())))
    told = {
        name: one
        | {key: names.get(one[key]) for key in ("id", "parent", "root", "correlation")}
        | {"group": one["group"] and groups.index(one["group"])}
        for name, one in sorted(found.items())
    }
    assert all((one["parent"] is None) == (found[name]["parent"] is None) for name, one in told.items())
    return told


@on_sqlite_alone
@pytest.mark.parametrize("name", LINEAGES)
def test_a_step_finds_in_its_request_what_a_task_of_plain_celery_does(
    plain: Celery, service: Service, name: str
) -> None:
    plain.set_current()
    told = LINEAGES[name]().apply_async().get(timeout=DEADLINE / 3, interval=0.01)
    service.celery.set_current()

    operation = service.run("lineage", name=name)

    assert by_name(json.loads(operation.result or "null")) == by_name(told)


def test_what_differs_stands_in_the_documentation_by_name() -> None:
    page = (ROOT / "docs" / "workflows.md").read_text()

    missing = [one.differs for one in BEHAVIOURS.values() if one.differs and f"| {one.differs} " not in page]
    assert missing == []
