"""Celery, kombu and billiard still have what `pausable.celery_compat` uses of them, and it does what is relied on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import billiard.pool
import pytest
from celery import Celery, chain, signature
from celery.apps import worker
from celery.concurrency.asynpool import AsynPool
from celery.utils import uuid
from celery.worker import state as worker_state
from celery.worker.consumer import Consumer
from celery.worker.request import Request
from kombu import Connection, Queue
from kombu.asynchronous.semaphore import LaxBoundedSemaphore
from kombu.exceptions import OperationalError
from kombu.transport import redis, virtual

from pausable import celery_compat
from tests.execution.pausing import in_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CELERY_WORKER: Any = worker
#: Names that are used where they are overridden, and so are no functions of `celery_compat`.
OVERRIDDEN = [
    (Consumer, "create_task_handler"), (Consumer, "on_close"), (Consumer, "ensure_connected"),
    (Request, "on_timeout"), (Request, "on_failure"), (redis.QoS, "append"), (redis.QoS, "ack"), (redis.QoS, "reject"),
    (redis.QoS, "restore_unacked"), (virtual.QoS, "append"), (virtual.QoS, "ack"), (redis.Channel, "do_restore"),
    (redis.Channel, "QoS"),
]  # fmt: skip


@pytest.fixture
def celery() -> Any:
    return Celery("compat", broker="memory://", backend="cache+memory://", set_as_current=False)


def traced(celery: Any, task: Any, **request: Any) -> Any:
    tracer: Any = celery_compat.build_tracer(task.name, task, celery.loader, app=celery)
    return tracer(uuid(), (), {}, {"id": "1", "is_eager": False, "delivery_info": {}, **request})


def one() -> int:
    return 1


def name_of_running_task() -> str:
    return str(celery_compat.running_task().name)


def doubled(run: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: 2 * run(*args)


def test_a_task_is_traced_and_tells_how_it_ended(celery: Any) -> None:
    @celery.task(name="seven", shared=False)
    def seven() -> int:
        return 7

    found = traced(celery, seven)

    assert (found.retval, found.info) == (7, None)
    celery_compat.trace_task(seven, "an-id", (), {}, {"id": "an-id", "delivery_info": {}}, app=celery)
    assert celery.AsyncResult("an-id").get(timeout=5) == 7


def test_a_chain_is_of_the_class_of_chains_and_a_call_is_not(celery: Any) -> None:
    call = signature("a.task", app=celery)

    assert isinstance(chain(call, call, app=celery), celery_compat.Chain)
    assert not isinstance(call, celery_compat.Chain)


def test_a_copy_of_a_call_has_its_app_and_its_task(celery: Any) -> None:
    @celery.task(name="seven", shared=False)
    def seven() -> int:
        return 7

    call = seven.s()
    copy: Any = type(call)(call)

    celery_compat.copy_app_and_type(call, copy)

    assert celery_compat.app_of(copy) is celery
    assert copy.type is call.type
    assert celery_compat.app_of(signature("a.task")) is None


def test_a_task_with_a_call_of_its_own_is_known(celery: Any) -> None:
    class Calling(celery.Task):  # type: ignore[misc]
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return super().__call__(*args, **kwargs)

    plain, calling = (celery.task(one, name=name, base=base) for name, base in (("a", None), ("b", Calling)))

    assert not celery_compat.has_own_call(plain)
    assert celery_compat.has_own_call(calling)


@pytest.mark.parametrize(("options", "factor"), [({}, 4), ({"autoretry_for": (KeyError,)}, 8)])
def test_the_function_of_a_task_is_wrapped_within_the_retries_of_celery_and_around_them(
    celery: Any, options: dict[str, Any], factor: int
) -> None:
    task: Any = celery.task(one, name="wrapped", **options)

    celery_compat.wrap_run(task, doubled, doubled, doubled)

    assert task.run() == factor


def test_the_task_that_runs_is_known_while_it_runs(celery: Any) -> None:
    task: Any = celery.task(name_of_running_task, name="asking", shared=False)

    assert traced(celery, task).retval == "asking"
    assert celery_compat.running_task() is None


def test_error_callbacks_are_called_with_the_request_and_what_was_raised(celery: Any) -> None:
    told: list[Any] = []

    @celery.task(name="told", shared=False)
    def tell(request: Any, fault: Any, traceback: Any) -> None:
        told.append((request.id, fault, traceback))

    fault = KeyError("x")
    request = SimpleNamespace(id="1", errbacks=[tell.s()], root_id="1", delivery_info={})
    celery_compat.call_task_errbacks(celery, request, fault, None)

    assert told == [("1", fault, None)]


def test_a_process_of_a_pool_knows_that_a_signal_has_told_it_to_leave() -> None:
    program = """
import os, signal
from billiard.common import reset_signals
from pausable.celery_compat import is_terminating
reset_signals()
assert not is_terminating()
try:
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()
except SystemExit:
    os.write(1, str(is_terminating()).encode())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)

    assert (ended.stdout, ended.stderr) == (b"True", b"")


def test_billiard_looks_its_handler_of_soft_time_limits_up_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(billiard.pool), "soft_timeout_sighandler", None)
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)}

    def handler(*_: Any) -> None: ...

    celery_compat.handle_soft_time_limits(handler)
    process: Any = SimpleNamespace(
        inqW_fd=-1, outqR_fd=-1, initializer=None, initargs=(), sigprotection=False, _make_child_methods=lambda: None,
        inq=None, outq=None, synq=None, _job_terminated=False, _make_recv_method=lambda _: None,
        on_loop_start=lambda *_, **__: None,
    )  # fmt: skip
    try:
        billiard.pool.Worker.after_fork(process)
        assert signal.getsignal(billiard.pool.SIG_SOFT_TIMEOUT) is handler
    finally:
        for number, kept in before.items():
            signal.signal(number, kept)


def test_a_worker_says_what_it_says_in_signal_handlers_by_the_name_that_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(CELERY_WORKER, "safe_say", CELERY_WORKER.safe_say)
    said: list[str] = []

    celery_compat.write_signal_messages_with(lambda message, *_: said.append(message))
    CELERY_WORKER.safe_say("bye")

    assert said == ["bye"]
    assert "safe_say" in CELERY_WORKER._shutdown_handler.__code__.co_names + tuple(
        name
        for code in CELERY_WORKER._shutdown_handler.__code__.co_consts
        if hasattr(code, "co_names")
        for name in code.co_names
    )


def test_a_worker_counts_its_deliveries_from_their_receipt_to_their_end() -> None:
    class Delivery(SimpleNamespace):
        __hash__ = object.__hash__  # type: ignore[assignment]

    delivery, before = Delivery(id=uuid(), name="a.task"), celery_compat.count_of_deliveries()

    worker_state.task_reserved(delivery)
    assert delivery in celery_compat.reserved_deliveries()
    worker_state.task_accepted(delivery)
    assert delivery in celery_compat.active_deliveries()
    assert celery_compat.count_of_deliveries() == before + 1

    celery_compat.forget_delivery(delivery)
    assert delivery not in celery_compat.reserved_deliveries() | celery_compat.active_deliveries()


def test_what_waits_for_a_process_of_the_pool_can_be_withdrawn() -> None:
    given: list[str] = []
    semaphore = LaxBoundedSemaphore(1)
    for delivery in ("first", "second", "third"):
        semaphore.acquire(given.append, delivery)

    assert celery_compat.withdraw(semaphore, "second")
    assert not celery_compat.withdraw(semaphore, "second")
    assert not celery_compat.withdraw(None, "third")
    semaphore.release()
    semaphore.release()

    assert given == ["first", "third"]


@pytest.fixture
def connection(broker_url: str) -> Iterator[Any]:
    """A connection to a database of the broker that nothing else uses."""
    with Connection(in_database(broker_url, 14), transport_options={"global_keyprefix": uuid()}) as made:
        yield made


def publish(connection: Any, *bodies: str) -> Any:
    queue = connection.SimpleQueue("compat")
    for body in bodies:
        queue.put(body)
    return queue


def test_how_many_messages_wait_in_a_queue_is_told_of_one_that_is_empty_too(connection: Any) -> None:
    with connection.channel() as channel:
        assert celery_compat.queue_size(channel, "compat") == 0
        publish(connection, "a", "b")
        assert celery_compat.queue_size(channel, "compat") == 2


def test_a_message_that_was_taken_is_put_back_at_the_head_of_its_queue(connection: Any) -> None:
    queue = publish(connection, "a", "b")
    taken = queue.get(timeout=5)

    celery_compat.restore_message(taken.channel, taken)
    virtual.QoS.ack(taken.channel.qos, taken.delivery_tag)

    assert [queue.get(timeout=5).payload for _ in range(2)] == ["a", "b"]


def test_a_message_that_redis_popped_for_a_reply_that_nobody_reads_is_received(connection: Any) -> None:
    received: list[Any] = []
    with connection.channel() as channel, connection.Consumer(Queue("compat"), channel=channel) as consumer:
        consumer.register_callback(lambda body, _message: received.append(body))
        channel.client.connection = channel.client.connection_pool.get_connection()  # as kombu's event loop does
        channel._brpop_start()
        publish(connection, "a")

        celery_compat.read_popped_message(channel)
        celery_compat.read_popped_message(channel)
        celery_compat.read_popped_message(None)

    assert received == ["a"]


def test_what_a_process_has_reported_of_its_message_is_read_before_the_worker_forgets_it() -> None:
    reads, writes = os.pipe()
    job = SimpleNamespace(_accepted=False, _write_to=SimpleNamespace(outqR_fd=reads))
    others = [
        SimpleNamespace(_accepted=False, _write_to=None),
        SimpleNamespace(_accepted=True, _write_to=job._write_to),
    ]

    def handle(source: int) -> None:
        assert os.read(source, 1) == b"!"
        job._accepted = True

    handler = SimpleNamespace(handle_event=handle)
    cache = dict(enumerate([job, *others]))
    pool = SimpleNamespace(_pool=SimpleNamespace(_cache=cache, _fileno_to_outq={}, _result_handler=handler))

    celery_compat.read_start_reports(pool, 0.01)
    assert not job._accepted
    os.write(writes, b"!")
    celery_compat.read_start_reports(pool, 60)
    celery_compat.read_start_reports(SimpleNamespace(_pool=None), 60)

    assert job._accepted
    assert "_fileno_to_outq" in AsynPool.__init__.__code__.co_names
    assert {"_cache", "_result_handler"} <= {*billiard.pool.Pool.__init__.__code__.co_names}
    assert hasattr(AsynPool.ResultHandler, "handle_event")
    for descriptor in (reads, writes):
        os.close(descriptor)


def test_a_channel_to_redis_is_made_to_publish_with_one_client(connection: Any) -> None:
    with connection.channel() as channel:
        first, second = channel._create_client(), channel._create_client()
        assert first is not second

        celery_compat.keep_client(channel)
        clients = []
        for _ in range(2):
            with channel.conn_or_acquire() as client:
                clients.append(client)

    assert clients[0] is clients[1]


def test_what_a_broker_s_client_raises_is_raised_as_an_error_of_kombu(connection: Any) -> None:
    connection.ensure_connection(max_retries=1)

    with pytest.raises(OperationalError, match="gone"), celery_compat.library_errors(connection):
        raise connection.recoverable_connection_errors[0]("gone")


@pytest.mark.parametrize(("kind", "name"), OVERRIDDEN, ids=lambda value: getattr(value, "__qualname__", value))
def test_what_is_overridden_is_there(kind: type, name: str) -> None:
    assert name in vars(kind) or any(name in vars(base) for base in kind.__mro__)


def test_kombu_keeps_what_was_delivered_by_its_tag(connection: Any) -> None:
    taken = publish(connection, "a").get(timeout=5)

    assert taken.channel.qos._delivered == {taken.delivery_tag: taken}
    taken.ack()
