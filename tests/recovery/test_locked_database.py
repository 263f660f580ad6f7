"""An SQLite file that another program keeps locked: everybody waits, nobody is taken for dead, nothing runs twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.execution.service import wait_for
from tests.recovery.flows import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service
    from tests.recovery.mortal import Mortal

    Employ = Callable[..., Mortal]

# A process of its own: two libraries of SQLite in one process take away each other's locks.
LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
"""


def locked(service: Service) -> subprocess.Popen[str]:
    """A program that has begun to write without queuing, and goes on when it is given a line."""
    command = [sys.executable, "-c", LOCK, str(service.settings.data_dir / "operations.db")]
    locker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert locker.stdout
    assert locker.stdout.readline() == "locked\n"
    return locker


def refusals(service: Service) -> int:
    """How often the database has refused to record what a worker had run."""
    return (service.settings.data_dir / "worker.log").read_text().count("the database cannot be reached")


def test_what_ends_while_another_program_holds_the_lock_is_recorded_once_it_lets_go(
    service: Service, employ: Employ
) -> None:
    workers = [employ(), employ()]
    ledger, gate = service.path(), service.path()
    held = [service.start("held", ledger=ledger, gate=gate) for _ in range(4)]
    queued = [service.start("held", ledger=ledger, gate=gate) for _ in range(6)]
    wait_for(lambda: len(lines_of(ledger)) == 4)

    with locked(service) as locker:
        Path(gate).touch()
        wait_for(lambda: refusals(service) >= 2)  # that is after 5 s each, and three leases
        locker.communicate("\n")

    assert [service.ended(operation).result for operation in held + queued] == ["3"] * 10
    assert len(lines_of(ledger)) == 10
    assert {step.losses for operation in held + queued for step in service.steps(operation).values()} == {0}
    assert [worker.process.poll() for worker in workers] == [None, None]
