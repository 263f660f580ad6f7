"""Real workers: of an app that knows nothing of the service, and of the service itself."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.databases import KINDS
from tests.execution.pausing import Pausing, at_work, in_database, working
from tests.execution.service import Service, make_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from celery import Celery

    from tests.conftest import NewDatabase
    from tests.postgresql import PostgreSQL

if TYPE_CHECKING:
    ByHand = Callable[..., Service]


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


@pytest.fixture(params=KINDS)
def database_kind(request: pytest.FixtureRequest) -> str:
    """Both kinds of database, one after the other."""
    return str(request.param)


@pytest.fixture(scope="session")
def service_on_sqlite(broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with working_in(tmp_path_factory.mktemp("service"), in_database(broker_url, 1)) as service:
        yield service


@pytest.fixture(scope="session")
def service_on_postgresql(
    postgresql: PostgreSQL, broker_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    url = postgresql.create("service")
    with working_in(tmp_path_factory.mktemp("service"), in_database(broker_url, 7), database_url=url) as service:
        yield service


@contextmanager
def working_in(folder: Path, broker_url: str, **settings: Any) -> Iterator[Service]:
    service = make_service(folder, broker_url, **settings)
    with service.working():
        yield service
    service.close()


@pytest.fixture
def service(database_kind: str, request: pytest.FixtureRequest) -> Iterator[Service]:
    """The service with two worker processes, which other tests use too."""
    service: Service = request.getfixturevalue(f"service_on_{database_kind}")
    with service.at_work():
        yield service


@pytest.fixture
def by_hand(broker_url: str, tmp_path: Path, new_database: NewDatabase) -> Iterator[Callable[..., Service]]:
    """Make a service without a worker, with these settings: the test delivers its messages itself."""
    with ExitStack() as made:

        def make(**settings: Any) -> Service:
            url = new_database(tmp_path)
            service = make_service(tmp_path, in_database(broker_url, 2), database_url=url, is_migrated=True, **settings)
            made.callback(service.close)
            service.queue.flushdb()
            return made.enter_context(service.at_work())

        yield make


@pytest.fixture
def make_quick(by_hand: ByHand) -> ByHand:
    """Make a service in a process that has measured the steps to be short, on a machine that may be slow."""

    def made(**settings: Any) -> Service:
        service = by_hand(**settings)
        service.engine.pace.latest, service.engine.pace.short = 60.0, 600.0
        for _ in range(3):
            service.start("abreast", ledger=service.path(), width=2)
            service.deliver_all()
        return service

    return made
