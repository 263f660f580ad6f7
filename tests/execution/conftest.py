"""Real workers: of an app that knows nothing of the service, and of the service itself."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.execution.pausing import Pausing, at_work, in_database, working
from tests.execution.service import Service, make_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery import Celery


@pytest.fixture(scope="session")
def pausing_app(broker_url: str) -> Iterator[Celery]:
    """An app with a worker."""
    with working(in_database(broker_url, 5)) as celery:
        yield celery


@pytest.fixture
def pausing(pausing_app: Celery) -> Iterator[Pausing]:
    with at_work(pausing_app) as pausing:
        yield pausing


@pytest.fixture(scope="session")
def plain_app(broker_url: str) -> Iterator[Celery]:
    """Plain Celery with results, and a worker that knows the tasks of random canvases."""
    with working(in_database(broker_url, 6), include=["tests.canvases"]) as celery:
        yield celery


@pytest.fixture(scope="session")
def working_service(broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = make_service(tmp_path_factory.mktemp("service"), in_database(broker_url, 1))
    with service.working():
        yield service
    service.close()


@pytest.fixture
def service(working_service: Service) -> Iterator[Service]:
    """The service with two worker processes."""
    with working_service.at_work():
        yield working_service


@pytest.fixture
def by_hand(broker_url: str, tmp_path: Any) -> Iterator[Callable[..., Service]]:
    """Make a service without a worker, with these settings: the test delivers its messages itself."""
    with ExitStack() as made:

        def make(**settings: Any) -> Service:
            service = make_service(tmp_path, in_database(broker_url, 2), **settings)
            made.callback(service.close)
            service.queue.flushdb()
            return made.enter_context(service.at_work())

        yield make
