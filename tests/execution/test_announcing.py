"""What people and handlers are told of real operations on a real worker."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pausable.model.states import Completion
from pausable.worker.worker import missing_secrets
from tests.execution.pausing import in_database
from tests.execution.service import Service, make_service, wait_for
from tests.notifications.endpoint import Endpoint, listening

if TYPE_CHECKING:
    from collections.abc import Iterator

FLOWS = ("tests.execution.announcing_flows",)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    with listening() as endpoint:
        monkeypatch.setenv("HOOK", endpoint.url())
        monkeypatch.setenv("WEBHOOK_KEY", "whsec_" + base64.b64encode(b"k" * 32).decode())
        yield endpoint


@pytest.fixture
def service(broker_url: str, tmp_path: Path, endpoint: Endpoint) -> Iterator[Service]:
    service = make_service(tmp_path, in_database(broker_url, 9), lease=1.5, flows=FLOWS, webhook_hosts=(endpoint.host,))
    service.queue.flushdb()
    with service.at_work(), service.working():
        yield service
    service.close()


def told_by(file: str) -> list[tuple[str, str, str]]:
    """What the handlers were told: of what, from where, to where."""
    return [tuple(json.loads(line)) for line in Path(file).read_text().splitlines()] if Path(file).exists() else []


def texts(endpoint: Endpoint) -> list[str]:
    return sorted(one.said["data"]["text"] for one in endpoint.delivered())


def test_people_are_told_of_steps_and_of_their_operation_once_each(service: Service, endpoint: Endpoint) -> None:
    file = service.path()

    operation = service.start("announced", file=file)
    assert service.ended(operation).completion is Completion.FAILED

    wait_for(lambda: len(endpoint.delivered()) >= 5, lambda: str(texts(endpoint)))
    assert texts(endpoint) == [
        "after is TriggerFailed",
        "announced: Failed",
        "announced: Running",
        "fail: Pending to Running Starting task run. 1",
        f"fail: Running to Failed ValueError: no {Path(file).name} 1",
    ]


def test_a_step_that_is_not_run_is_claimed_for_its_handlers(service: Service) -> None:
    file = service.path()

    operation = service.start("announced", file=file)
    service.ended(operation)

    assert told_by(file) == [
        ("<Operation: announced>", "Scheduled()", 'Running("Running flow.")'),
        ("<Step: after>", "Pending()", 'TriggerFailed("Trigger was "all_successful" but fail is Failed.")'),
        (
            "<Operation: announced>",
            'Running("Running flow.")',
            f'Failed("Some reference tasks failed. fail: ValueError: no {Path(file).name}")',
        ),
    ]


def test_a_pause_by_a_signal_takes_effect_and_all_are_told(service: Service, endpoint: Endpoint) -> None:
    file, gate = service.path(), service.path()

    operation = service.start("gated", file=file, gate=gate)
    wait_for(lambda: service.completion(operation) is Completion.PAUSED)
    assert service.show(operation).reason == "the gate is shut"
    wait_for(lambda: len(told_by(file)) == 4 and len(endpoint.delivered()) == 1, lambda: str(told_by(file)))
    Path(gate).touch()
    service.resume(operation)

    assert service.ended(operation).result == '"through"'
    assert texts(endpoint) == ["gated: the gate is shut"]
    assert [(of, new) for of, _, new in told_by(file)] == [
        ("<Operation: gated>", 'Running("Running flow.")'),
        ("<Step: pause_first>", 'Running("Starting task run.")'),
        ("<Step: pause_first>", 'Paused("the gate is shut")'),
        ("<Operation: gated>", 'Paused("the gate is shut")'),
        ("<Step: pause_first>", 'Running("Starting task run.")'),
        ("<Step: pause_first>", 'Success("Task run succeeded.")'),
        ("<Operation: gated>", 'Success("All reference tasks succeeded.")'),
    ]


def test_a_cancel_is_told_to_handlers_and_to_those_who_are_told_of_all(service: Service, endpoint: Endpoint) -> None:
    file, gate = service.path(), service.path()
    operation = service.start("awaited", file=file, gate=gate)
    wait_for(lambda: service.completion(operation) is Completion.IN_PROGRESS)

    service.cancel(operation)
    Path(gate).touch()

    assert service.ended(operation).completion is Completion.CANCELLED
    wait_for(lambda: len(endpoint.delivered()) == 1 and len(told_by(file)) == 2, lambda: str(told_by(file)))
    assert texts(endpoint) == ["all: awaited Cancelled"]
    assert [new for _, _, new in told_by(file)] == ['Running("Running flow.")', 'Cancelled("Flow run is cancelled.")']


def test_a_worker_says_as_it_starts_which_secrets_of_notifications_it_lacks(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = missing_secrets(service.engine)  # other tests of this process may have tasks of their own

    monkeypatch.delenv("HOOK")

    [sentence] = set(missing_secrets(service.engine)) - set(before)
    assert "HOOK" in sentence
