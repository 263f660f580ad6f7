"""`python -m app.supervisor`, which is what `make run` runs: it refuses whole, or starts and stops whole."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from app.supervisor.broker import free_port
from pausable.config import Settings, broker_address
from tests.supervisor.conftest import DEADLINE, ROOT, is_alive, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMMAND = [sys.executable, "-m", "app.supervisor"]
NAMES = [name.upper() for name in Settings.model_fields]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment in which the service runs on folders and a port of its own, whatever the developer's says."""
    given = {"DATA_DIR": f"{tmp_path}/var", "INPUT_DIR": f"{tmp_path}/input", "PORT": str(free_port())}
    return {**os.environ, **dict.fromkeys(NAMES, ""), **given}


def run(environ: dict[str, str], *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end, which must come soon."""
    command = [*COMMAND, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environ | changes, capture_output=True, text=True, timeout=DEADLINE, check=False
    )


def test_all_faults_are_named_at_once_and_nothing_is_started(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    broker = f"redis://:hunter2@127.0.0.1:{free_port()}/0"

    refused = run(environ, PORT="eighty", INPUT_DIR=f"{tmp_path}/file/input", BROKER_URL=broker, WORKERS="0")

    assert refused.returncode == 2
    named = [line.split()[0] for line in refused.stderr.splitlines()]
    assert named == ["The", "PORT", "WORKERS", "INPUT_DIR", "BROKER_URL"]
    assert "hunter2" not in refused.stderr
    assert not (tmp_path / "var" / "operations.db").exists()


def test_prepare_lays_the_database_and_the_first_user_and_ends(environ: dict[str, str], tmp_path: Path) -> None:
    prepared = run(environ, "prepare")

    assert (prepared.returncode, prepared.stderr) == (0, "")
    assert prepared.stdout == f"The first user's token is kept in {tmp_path}/var/token.\n"
    assert (tmp_path / "var" / "operations.db").exists()


def test_a_token_that_is_given_is_the_first_user_s(environ: dict[str, str], tmp_path: Path) -> None:
    run(environ, "prepare", OPERATIONS_TOKEN="a-token-of-our-own")

    assert (tmp_path / "var" / "token").read_text() == "a-token-of-our-own\n"


def test_a_second_service_on_the_same_folder_is_refused(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    with (tmp_path / "var" / "supervisor.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        refused = run(environ)

    assert refused.returncode == 2
    assert f"DATA_DIR {tmp_path}/var is in use by a service that runs" in refused.stderr


@pytest.mark.parametrize("arguments", [(), ("prepare",)])
def test_a_database_of_a_newer_version_is_refused(environ: dict[str, str], arguments: tuple[str, ...]) -> None:
    run(environ, "prepare")
    age(f"{environ['DATA_DIR']}/operations.db")

    refused = run(environ, *arguments)

    assert refused.returncode == 2
    assert "The database stands at migration 9999, which " in refused.stderr


def age(database: str) -> None:
    connection = sqlite3.connect(database)
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()


class Service:
    """The whole service, as a person starts it, and what it has printed so far."""

    def __init__(self, environ: dict[str, str], output: Path) -> None:
        self.output = output
        with output.open("w") as printed:
            self.process = subprocess.Popen(
                COMMAND, cwd=ROOT, env=environ, stdout=printed, stderr=printed, start_new_session=True
            )
        until(lambda: "Ctrl-C stops everything" in output.read_text() or self.process.poll() is not None, "it is ready")
        assert self.process.poll() is None, output.read_text()

    def line_to_paste(self) -> str:
        [line] = re.findall(r"^curl .+$", self.output.read_text(), re.MULTILINE)
        return str(line)

    def ask(self, line: str) -> Any:
        """What a line in a shell prints, which is JSON."""
        done = subprocess.run(["sh", "-c", line], cwd=ROOT, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def processes(self) -> list[int]:
        """The broker, the worker with its two processes, the web server with its one."""
        until(lambda: len(descendants(self.process.pid)) >= 6, "all processes have been started")
        return descendants(self.process.pid)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(DEADLINE)


def descendants(pid: int) -> list[int]:
    children = [child for child, parent in parents() if parent == pid]
    return children + [below for child in children for below in descendants(child)]


def parents() -> Iterator[tuple[int, int]]:
    """Every process of this machine with the one that started it."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            yield int(stat.parent.name), int(stat.read_text().rpartition(")")[2].split()[1])


@pytest.fixture
def start(environ: dict[str, str], tmp_path: Path) -> Iterator[Callable[[], Service]]:
    """Starts the service; whatever of it is left at the end of the test is stopped."""
    started: list[Service] = []

    def begin() -> Service:
        started.append(Service(environ, tmp_path / f"output-{len(started)}"))
        return started[-1]

    yield begin
    for service in started:
        if service.process.poll() is None:
            service.stop()


@pytest.mark.skipif(shutil.which("curl") is None, reason="the line to paste is one for curl")
def test_the_line_to_paste_starts_an_operation_and_a_second_run_finds_it(start: Callable[[], Service]) -> None:
    service = start()
    line = service.line_to_paste()
    asked = service.ask(line)
    assert service.stop() == 0

    second = start()

    listed = second.ask(re.sub(r" -X POST| -d '.*?'", "", line))
    assert str(asked["id"]) in json.dumps(listed)


def test_ctrl_c_leaves_no_process_behind(start: Callable[[], Service]) -> None:
    service = start()
    processes = service.processes()

    assert service.stop() == 0

    assert [pid for pid in processes if is_alive(pid)] == []


def test_a_killed_supervisor_leaves_no_process_behind(start: Callable[[], Service]) -> None:
    service = start()
    processes = service.processes()

    service.process.kill()
    service.process.wait()

    until(lambda: [pid for pid in processes if is_alive(pid)] == [], "all have ended")


def test_the_broker_is_told_to_no_stranger(start: Callable[[], Service], tmp_path: Path) -> None:
    service = start()

    url = broker_address(Settings(data_dir=tmp_path / "var"))

    assert url is not None
    password = url.split("@")[0].removeprefix("redis://:")
    assert password not in service.output.read_text()
    with redis.Redis.from_url(url) as client:
        assert client.ping()
