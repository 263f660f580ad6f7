"""Stores of every kind: a folder, S3 as moto serves it, and Google Cloud Storage as fake-gcs-server does."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from pausable.results.local import LocalResult
from pausable.results.remote import GCSResult, S3Result
from tests.execution.conftest import working_in
from tests.execution.pausing import in_database
from tests.execution.service import Service, make_service
from tests.results.servers import serving_gcs, serving_s3

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pausable.results.base import Result
    from tests.conftest import NewDatabase

_numbers = count(1)


@pytest.fixture(scope="session")
def s3_bucket() -> Iterator[str]:
    """A bucket at a server on loopback that speaks as S3 does."""
    with serving_s3() as bucket:
        yield bucket


@pytest.fixture(scope="session")
def gcs_bucket() -> Iterator[str]:
    """A bucket at a server on loopback that speaks as Google Cloud Storage does."""
    with serving_gcs() as bucket:
        yield bucket


@pytest.fixture(params=["local", "s3", "gcs"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Result:
    """An empty store of each kind."""
    prefix = f"of/test-{next(_numbers)}"
    if request.param == "s3":
        return S3Result(request.getfixturevalue("s3_bucket"), prefix)
    if request.param == "gcs":
        return GCSResult(request.getfixturevalue("gcs_bucket"), prefix)
    return LocalResult(tmp_path / "results")


@pytest.fixture(scope="session")
def service_with_targets(broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder, url = tmp_path_factory.mktemp("service"), in_database(broker_url, 15)
    with working_in(folder, url, flows=("tests.results.flows",), results=str(folder / "kept")) as service:
        yield service


@pytest.fixture
def service(service_with_targets: Service) -> Iterator[Service]:
    """The service with two worker processes, which other tests use too."""
    with service_with_targets.at_work():
        yield service_with_targets


@pytest.fixture
def by_hand(broker_url: str, tmp_path: Path, new_database: NewDatabase) -> Iterator[Callable[..., Service]]:
    """Make a service without a worker, with these settings: the test delivers its messages itself."""
    with ExitStack() as made:

        def make(**settings: Any) -> Service:
            flows = ("tests.results.flows",)
            url = new_database(tmp_path)
            service = make_service(tmp_path, in_database(broker_url, 2), flows, database_url=url, **settings)
            made.callback(service.close)
            service.queue.flushdb()
            return made.enter_context(service.at_work())

        yield make
