"""The service with the examples, a worker of it, and an endpoint on loopback for what they post."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.execution.pausing import in_database
from tests.execution.service import Service, make_service
from tests.notifications.endpoint import Endpoint, listening

if TYPE_CHECKING:
    from collections.abc import Iterator

FLOWS = ("examples.state_handlers",)


@pytest.fixture(scope="package")
def _slack() -> Iterator[Endpoint]:
    with listening() as endpoint, pytest.MonkeyPatch.context() as environment:
        environment.setenv("SLACK_URL", endpoint.url("/services/token-a"))
        yield endpoint


@pytest.fixture(scope="package")
def _examples(broker_url: str, tmp_path_factory: pytest.TempPathFactory, _slack: Endpoint) -> Iterator[Service]:
    service = make_service(tmp_path_factory.mktemp("examples"), in_database(broker_url, 11), flows=FLOWS)
    with service.at_work(), service.working(1):
        service.run("notify-on-retry", outages=0)  # from here on the worker's log holds what tests make it say
        yield service
    service.close()


@pytest.fixture
def slack(_slack: Endpoint) -> Endpoint:
    """Where the secret SLACK_URL leads."""
    _slack.received.clear()
    _slack.answers = lambda _number: 200
    return _slack


@pytest.fixture
def service(_examples: Service) -> Iterator[Service]:
    """The service with one worker process."""
    with _examples.at_work():
        yield _examples
