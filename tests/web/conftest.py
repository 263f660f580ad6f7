"""The application on a real database and a real broker, and those who call it; a worker only where a test has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.execution.pausing import in_database
from tests.web.calling import Caller
from tests.web.serving import Served, serving, token_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask
    from flask.testing import FlaskClient

    from pausable.db.database import Database
    from tests.conftest import NewDatabase


@pytest.fixture
def served(new_database: NewDatabase, broker_url: str, tmp_path: Path) -> Iterator[Served]:
    """The service without a worker: a test delivers messages itself where it wants any delivered."""
    with serving(tmp_path, in_database(broker_url, 3), database_url=new_database(tmp_path), slice_steps=1) as served:
        yield served


@pytest.fixture
def app(served: Served) -> Flask:
    """The application, of which pytest-flask makes `client`."""
    return served.app


@pytest.fixture
def database(served: Served) -> Database:
    return served.commands.engine.database


@pytest.fixture
def ada(client: FlaskClient) -> Caller:
    """An admin."""
    return Caller(client, token_of("ada"))


@pytest.fixture
def bob(client: FlaskClient) -> Caller:
    """A user."""
    return Caller(client, token_of("bob"))


@pytest.fixture
def eve(client: FlaskClient) -> Caller:
    """Another user."""
    return Caller(client, token_of("eve"))


@pytest.fixture
def stranger(client: FlaskClient) -> Caller:
    """Somebody without a token."""
    return Caller(client, None)
