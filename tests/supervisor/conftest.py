"""Supervisors of stand-in programs, each a real process, ended when its test ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
DEADLINE = 60.0


def until(condition: Callable[[], Any], what: str) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that ended and waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Supervisor:
    """A supervisor at work on a table of scripts, what it has said so far, and the journal its programs write."""

    def __init__(self, folder: Path, rows: list[dict[str, Any]]) -> None:
        self.folder = folder
        (folder / "table.json").write_text(json.dumps(rows))
        self._said = (folder / "said").open("w")
        command = [sys.executable, "-m", "tests.supervisor.stand_in", str(folder / "table.json")]
        environ = {**os.environ, "HERE": str(folder), "JOURNAL": str(folder / "journal")}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environ, stdout=self._said, stderr=subprocess.STDOUT, start_new_session=True
        )

    def says(self, words: str) -> bool:
        return words in (self.folder / "said").read_text()

    def journal(self) -> list[str]:
        path = self.folder / "journal"
        return path.read_text().split() if path.exists() else []

    def pid_of(self, name: str) -> int:
        return int((self.folder / f"{name}.pid").read_text())

    def ended(self) -> int:
        """Its exit status, once it has ended."""
        return self.process.wait(DEADLINE)

    def close(self) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._said.close()


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Callable[..., Supervisor]]:
    """Starts a supervisor of rows: `name`, `script` (of a shell), maybe `ready` (a file) and `patience`."""
    started: list[Supervisor] = []

    def start(*rows: dict[str, Any]) -> Supervisor:
        started.append(Supervisor(tmp_path, list(rows)))
        return started[-1]

    yield start
    for supervisor in started:
        supervisor.close()
