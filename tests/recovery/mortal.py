"""A worker that a test may kill, stop, continue or tell to leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pausable.processes import start_of
from tests.deadlines import WAIT
from tests.execution.service import QUEUE, wait_for

if TYPE_CHECKING:
    from tests.execution.service import Service


@dataclass
class Mortal:
    """A worker with its pool, in a session of its own."""

    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait(WAIT)

    def stop(self) -> None:
        """Stop the worker and all processes of its pool."""
        os.killpg(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.killpg(self.pid, signal.SIGCONT)

    def leave(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def bury(self) -> None:
        """Kill whatever of it is left."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait(WAIT)


def start_worker(service: Service, *, processes: int = 2, pool: str = "prefork", **settings: object) -> Mortal:
    """Start a real worker and wait until it is in the table."""
    worker = launch_worker(service, processes=processes, pool=pool, **settings)
    wait_for(lambda: worker.pid in {one.pid for one in service.workers()})
    return worker


def launch_worker(service: Service, *, processes: int = 2, pool: str = "prefork", **settings: object) -> Mortal:
    """Start a real worker."""
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
    options = ["-c", str(processes), "-P", pool, "-Q", f"{QUEUE},own", *quiet]
    command = [sys.executable, "-m", "celery", "-A", "worker:celery", "worker", *options]
    environ = service.environment()
    if pool != "prefork":
        environ["WORKFLOWS"] = "tests.recovery.flows"
    environ |= {name.upper(): str(value) for name, value in settings.items()}
    with (service.settings.data_dir / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            command, env=environ, cwd=service.settings.data_dir, stdout=log, stderr=log, start_new_session=True
        )
    return Mortal(process)


def is_gone(pid: int) -> bool:
    return start_of(pid) is None
