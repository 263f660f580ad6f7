"""A process that is stopped inside a write transaction does not stop the others with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from pausable.db.database import Database
from pausable.processes import start_of
from tests.execution.service import ROOT, wait_for

if TYPE_CHECKING:
    from pathlib import Path

WRITE_AND_STOP = """
import os, signal, sys
from sqlalchemy import text
from pausable.db.database import Database
with Database(sys.argv[1]).write() as tx:
    tx.execute(text("INSERT INTO notes VALUES ('half')"))
    os.kill(os.getpid(), getattr(signal, sys.argv[2]) if sys.argv[2] else 0)
    print("goes on", flush=True)
    sys.stdin.readline()
"""


def notes(database: Database) -> list[str]:
    with database.read() as tx:
        return [row[0] for row in tx.exec_driver_sql("SELECT note FROM notes")]


def laid(tmp_path: Path) -> tuple[Database, str]:
    url = f"sqlite:///{tmp_path / 'notes.db'}"
    database = Database(url)
    with database.write() as tx:
        tx.exec_driver_sql("CREATE TABLE notes (note TEXT)")
    return database, url


def writer(url: str, stopping_signal: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITE_AND_STOP, url, stopping_signal],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def state_of(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0]


def test_a_writer_that_is_stopped_in_its_transaction_is_killed_and_the_next_one_writes(tmp_path: Path) -> None:
    database, url = laid(tmp_path)
    with writer(url, "SIGSTOP") as stopped:
        wait_for(lambda: state_of(stopped.pid) == "T")

        with database.write() as tx:
            tx.exec_driver_sql("INSERT INTO notes VALUES ('whole')")

        assert start_of(stopped.pid) is None
    assert notes(database) == ["whole"]
    database.close()


def test_a_writer_that_is_only_slow_is_waited_for(tmp_path: Path) -> None:
    database, url = laid(tmp_path)
    with writer(url, "") as slow:
        assert slow.stdin
        assert slow.stdout
        assert slow.stdout.readline() == "goes on\n"
        waiting = subprocess.Popen([sys.executable, "-c", WRITE_AND_STOP, url, ""], cwd=ROOT, stdin=subprocess.DEVNULL)
        with waiting:
            wait_for(lambda: state_of(waiting.pid) == "S" and is_waiting_for_flock(waiting.pid))
            os.kill(waiting.pid, signal.SIGCONT)
            slow.stdin.write("\n")
            slow.stdin.flush()
    assert (slow.returncode, waiting.returncode) == (0, 0)
    assert notes(database) == ["half", "half"]
    database.close()


def is_waiting_for_flock(pid: int) -> bool:
    with open("/proc/locks") as locks:
        return any("->" in line and f" {pid} " in line for line in locks)
