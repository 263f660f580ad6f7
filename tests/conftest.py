"""Fixtures shared by every test: a real broker for the session, and migrated databases of both kinds."""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from app.supervisor.broker import free_port, prepare_broker
from pausable.db.database import Database
from pausable.db.migrations import upgrade_database
from tests.amounts import load_profile
from tests.deadlines import WAIT, pytest_runtest_call, pytest_runtest_setup, pytest_runtest_teardown
from tests.postgresql import PostgreSQL, running_postgresql

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

if TYPE_CHECKING:
    #: Makes a migrated database, empty of rows; on SQLite in the given folder. Returns its URL.
    NewDatabase = Callable[[Path], str]

__all__ = ["broker_url", "free_port", "pytest_runtest_call", "pytest_runtest_setup", "pytest_runtest_teardown"]

_MIGRATED = "migrated"
#: A machine on which nothing moves for some seconds is to cost no test its transaction; the service would lose it.
_UNHURRIED = "&options=-c%20idle_in_transaction_session_timeout%3D60s"

load_profile()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a report hold no half of a character: those of a test process could not be sent to the one that prints."""
    report = yield
    report.sections = [(name, _sendable(text)) for name, text in report.sections]
    if report.longrepr is not None and _sendable(told := str(report.longrepr)) != told:
        report.longrepr = _sendable(told)
    return report


def _sendable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


@pytest.fixture(scope="session")
def broker_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real broker on loopback that lives as long as the session; database 0 is its default."""
    broker = prepare_broker(tmp_path_factory.mktemp("broker"))
    with subprocess.Popen(broker.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        until = time.monotonic() + WAIT
        while not broker.answers():
            assert server.poll() is None, "the broker ended at start"
            assert time.monotonic() < until, "the broker does not answer"
            time.sleep(0.01)
        yield broker.url
        server.terminate()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file at the newest migration, empty of rows; nobody has it open, so it may be copied."""
    file = tmp_path_factory.mktemp("migrated") / "operations.db"
    upgrade_database(Database(f"sqlite:///{file}"))
    return file


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A real PostgreSQL server that lives as long as the session, with a migrated database to copy."""
    with running_postgresql() as server:
        upgrade_database(Database(server.create(_MIGRATED)))
        yield server


@pytest.fixture
def database_kind() -> str:
    """The kind of database that a test runs on; see `tests.databases`."""
    return "sqlite"


@pytest.fixture
def new_database(database_kind: str, request: pytest.FixtureRequest) -> Iterator[NewDatabase]:
    """Makes databases of the test's own, of the kind that it runs on."""
    if database_kind == "sqlite":
        file: Path = request.getfixturevalue("migrated_file")
        yield lambda folder: f"sqlite:///{shutil.copy(file, folder)}"
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    lent: list[str] = []

    def lend(_folder: Path) -> str:
        name, url = server.lend(_MIGRATED)
        lent.append(name)
        return url + _UNHURRIED

    yield lend
    for name in lent:
        server.take_back(name, _MIGRATED)
