"""What stands in the outbox is delivered, again and again where it must be, and people see how that went."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from pausable.db.database import Database
from pausable.db.history import append_event
from pausable.db.operations import lock_operation
from pausable.notifications.notification import DEADLINE, Notification
from pausable.secrets import Secret
from pausable.worker import notifier as notifier_module
from tests.databases import on_postgresql_alone
from tests.execution.service import wait_for
from tests.notifications.endpoint import half, listening

if TYPE_CHECKING:
    from collections.abc import Callable

    from pausable.db.outbox import Outgoing
    from pausable.worker.notifier import Notifier
    from tests.notifications.conftest import Outbox
    from tests.notifications.endpoint import Endpoint

if TYPE_CHECKING:
    Send = Callable[..., Notifier]

FAILED = Notification("failed", Secret("HOOK"), "{step} of {operation_id}: {state}")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notifier that does not wait long between two tries."""
    monkeypatch.setattr(notifier_module, "_FIRST", 0.01)
    monkeypatch.setattr(notifier_module, "_LONGEST", 0.05)


def test_what_is_put_in_is_delivered_once_and_noted(outbox: Outbox, send: Send, endpoint: Endpoint) -> None:
    operation = outbox.put(20)

    send(FAILED)
    outbox.wait_until("Sent")

    assert {one.said["data"]["text"] for one in endpoint.received} == {f"clean of {operation}: Failed"}
    assert len({one.headers["webhook-id"] for one in endpoint.received}) == len(endpoint.received) == 20
    assert outbox.events(operation) == []


def test_what_is_put_in_later_is_delivered_when_the_courier_is_woken(
    outbox: Outbox, send: Send, endpoint: Endpoint
) -> None:
    notifier = send(FAILED)
    for _ in range(3):
        outbox.put()
        notifier.wake()
        outbox.wait_until("Sent")

    assert len(endpoint.received) == 3


@pytest.mark.usefixtures("hasty")
def test_an_endpoint_that_fails_half_the_time_gets_all_under_the_same_ids(
    outbox: Outbox, send: Send, endpoint: Endpoint
) -> None:
    endpoint.answers = half
    outbox.put(50)

    send(FAILED)
    outbox.wait_until("Sent")

    assert len({one.headers["webhook-id"] for one in endpoint.received}) == 50
    assert len(endpoint.delivered()) == 50
    assert len(endpoint.received) > 60


@pytest.mark.usefixtures("hasty")
def test_the_first_failure_and_the_success_after_it_stand_in_the_history(
    outbox: Outbox, send: Send, endpoint: Endpoint
) -> None:
    endpoint.answers = lambda number: 503 if number <= 3 else 204
    operation = outbox.put()

    send(FAILED)
    outbox.wait_until("Sent")

    place = f"notification 0 of all to http://{endpoint.host}"
    assert [(event.who, event.step, event.new, event.why) for event in outbox.events(operation)] == [
        ("notifications", "clean", "NotificationFailed", f"{place}: it answered 503; retrying"),
        ("notifications", "clean", "NotificationSent", f"{place}: delivered with attempt 4"),
    ]
    assert [(row.attempts, row.error) for row in outbox.rows()] == [(4, None)]


@on_postgresql_alone
def test_the_history_tells_it_behind_what_another_is_about_to_commit(
    outbox: Outbox, send: Send, endpoint: Endpoint
) -> None:
    endpoint.answers = lambda _number: 503
    operation, database = outbox.put(), outbox.service.engine.database
    other = Database(database.url)

    with closing(other), other.write() as tx:
        lock_operation(tx, operation)
        append_event(tx, operation, at=time.time(), who="ada", new="PAUSED")
        send(FAILED)
        wait_for(lambda: is_anybody_waiting(database) or bool(outbox.events(operation)))
        assert outbox.events(operation) == []

    wait_for(lambda: len(outbox.events(operation)) == 2)
    assert [event.new for event in outbox.events(operation)] == ["PAUSED", "NotificationFailed"]


def is_anybody_waiting(database: Database) -> bool:
    """Whether a connection waits for a row that another holds."""
    with database.glance() as tx:
        return bool(tx.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one())


@pytest.mark.usefixtures("hasty")
def test_one_that_is_never_taken_is_given_up_and_can_be_tried_again(
    outbox: Outbox, send: Send, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier_module, "TRIES", 3)
    endpoint.answers = lambda _number: 410
    operation = outbox.put()

    send(FAILED)
    outbox.wait_until("Failed")

    first, last = outbox.events(operation)
    assert len(endpoint.received) == 3
    assert str(first.why).endswith("it answered 410; retrying")
    assert str(last.why).endswith("given up after 3 attempts: it answered 410")
    assert [(row.attempts, row.due_at, row.error) for row in outbox.rows()] == [(3, None, "it answered 410")]


def test_one_that_the_code_has_no_more_is_given_up_at_once(outbox: Outbox, send: Send, endpoint: Endpoint) -> None:
    operation = outbox.put(number=1, source="step:reports.clean")

    send(FAILED)
    outbox.wait_until("Failed")

    assert endpoint.received == []
    assert outbox.rows()[0].error == "the code has no notification 1 of step:reports.clean any more"
    assert [event.new for event in outbox.events(operation)] == ["NotificationFailed"]


@pytest.mark.usefixtures("hasty")
def test_a_dead_endpoint_shows_neither_address_nor_secret(
    outbox: Outbox, send: Send, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier_module, "TRIES", 2)
    endpoint.answers = lambda _number: -1
    operation = outbox.put()

    send(FAILED, Notification("failed", "http://127.0.0.1:1/token-b"))
    outbox.put(number=1)
    outbox.wait_until("Failed")

    told = f"{outbox.rows()} {outbox.events(operation)}"
    assert "token" not in told
    assert "whsec" not in told


@pytest.mark.usefixtures("hasty")
def test_one_that_cannot_be_made_now_is_tried_again_and_holds_up_no_other(
    outbox: Outbox, send: Send, endpoint: Endpoint
) -> None:
    broken = outbox.put(change_that="is gone")
    outbox.service.change("UPDATE notifications SET facts = '{}'")
    outbox.put()

    send(FAILED)
    wait_for(lambda: len(endpoint.received) == 1 and outbox.rows(broken)[0].attempts > 1)

    assert outbox.rows(broken)[0].error == "it could not be built (KeyError)"


def test_a_hanging_endpoint_keeps_a_courier_from_leaving_for_its_grace_alone(
    outbox: Outbox, send: Send, endpoint: Endpoint
) -> None:
    endpoint.gate = threading.Event()
    outbox.put(20)
    notifier = send(FAILED)
    wait_for(lambda: len(endpoint.received) == notifier_module.THREADS)

    began = time.monotonic()
    notifier.stop()

    assert time.monotonic() - began < DEADLINE / 2
    assert len(endpoint.received) == notifier_module.THREADS
    endpoint.gate.set()


def test_threads_that_hang_are_replaced(
    outbox: Outbox, send: Send, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier_module, "_HANGS", 0.1)
    endpoint.gate = threading.Event()
    outbox.put(notifier_module.THREADS)
    notifier = send(FAILED)
    wait_for(lambda: len(endpoint.received) == notifier_module.THREADS)

    outbox.put()
    notifier.wake()
    wait_for(lambda: len(endpoint.received) == notifier_module.THREADS + 1)

    endpoint.gate.set()
    outbox.wait_until("Sent")


def test_a_handler_that_hangs_is_named_and_takes_few_places(
    outbox: Outbox, send: Send, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notifier_module, "_HANGS", 0.1)
    monkeypatch.setattr(notifier_module, "_wait", lambda _attempts: 0.05)
    gate = threading.Event()
    told: list[str] = []

    def tell(_engine: object, row: Outgoing) -> None:
        told.append(row.source)
        if row.source == "step:hangs":
            assert gate.wait(60)

    outbox.service.engine.notices.tell = tell
    operation = outbox.put(source="step:hangs")
    for _ in range(3 * notifier_module.THREADS):
        outbox.put(source="step:hangs")
    for _ in range(20):
        outbox.put(source="step:reports.clean")
    outbox.service.change("UPDATE notifications SET kind = 'telling'")

    send()
    wait_for(lambda: told.count("step:reports.clean") == 20)
    wait_for(lambda: f"the state handlers of step:hangs (operation {operation}" in caplog.text)

    assert "may hang: it has not returned for 0.1 s" in caplog.text
    assert told.count("step:hangs") <= notifier_module._BATCH + 2  # what was in hand at first, and as many as may hang
    gate.set()


def test_what_a_courier_before_had_in_hand_is_delivered_when_its_lease_is_over(
    outbox: Outbox, send: Send, endpoint: Endpoint
) -> None:
    outbox.put()
    outbox.service.change("UPDATE notifications SET attempts = 1, due_at = ?", time.time() + 0.3)

    send(FAILED)
    outbox.wait_until("Sent")

    assert [(one.path, row.attempts) for one, row in zip(endpoint.received, outbox.rows(), strict=True)] == [
        ("/hook/token-a", 2)
    ]


def test_handlers_are_told_by_whoever_is_to_tell_them(outbox: Outbox, send: Send, endpoint: Endpoint) -> None:
    told: list[tuple[int, str]] = []
    outbox.service.engine.notices.tell = lambda _engine, row: told.append((row.operation_id, row.source))
    operation = outbox.put(source="step:reports.clean")
    outbox.service.change("UPDATE notifications SET kind = 'telling'")

    send()
    outbox.wait_until("Sent")

    assert told == [(operation, "step:reports.clean")]
    assert endpoint.received == []


def test_an_endpoint_that_hangs_does_not_keep_others_waiting(
    outbox: Outbox, send: Send, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier_module, "_SLOW", 0.3)
    monkeypatch.setattr("pausable.notifications.notification.DEADLINE", 0.5)
    with listening(gate=threading.Event()) as hanging:
        monkeypatch.setenv("HANGING", hanging.url())
        monkeypatch.setattr(outbox.service.engine.notices.post._webhook, "_hosts", {hanging.host, endpoint.host})
        notifier = send(FAILED, Notification("failed", Secret("HANGING")))
        outbox.put(200, number=1)
        notifier.wake()
        wait_for(lambda: len(hanging.received) > notifier_module.THREADS)
        outbox.put(50)
        notifier.wake()
        wait_for(lambda: len(endpoint.received) == 50)

        assert len(hanging.received) < 100
