"""A fresh clone of the project, in which what a page prints is done as it is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.supervisor.broker import free_port
from pausable.config import Settings
from tests.deadlines import WAIT
from tests.manual.blocks import ROOT
from tests.programs import end, interruptible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: What a clone is made of; the rest of the repository is not needed to run the service.
PARTS = (
    "app",
    "pausable",
    "migrations",
    "examples",
    "worker.py",
    "wsgi.py",
    "gunicorn.conf.py",
    "Makefile",
    "schema.sql",
)
_SETTINGS = tuple(name.upper() for name in Settings.model_fields)


@dataclass
class Clone:
    """A folder with the project in it, an environment that is made already, and a port of its own."""

    folder: Path
    port: int = field(default_factory=free_port)
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in PARTS:
            (self.folder / part).symlink_to(ROOT / part)
        for lock in ("requirements.txt", "requirements-test.txt"):
            (self.folder / lock).write_bytes((ROOT / lock).read_bytes())
            os.utime(self.folder / lock, (0, 0))  # older than the environment: `make` installs nothing
        programs = self.folder / ".venv" / "bin"
        programs.mkdir(parents=True)
        for program in Path(sys.executable).parent.iterdir():
            (programs / program.name).symlink_to(program)
        for part in ("lib", "lib64", "include", "pyvenv.cfg"):
            source = Path(sys.prefix) / part
            if source.exists():
                (programs.parent / part).symlink_to(source)
        for stamp in (".for-running", ".for-testing"):
            (programs.parent / stamp).touch()

    def adapted(self, text: str) -> str:
        """The text with this clone's port in the place of the one that pages print."""
        return text.replace(":8000", f":{self.port}")

    def run(self, text: str, **environ: str) -> str:
        """Run a block in a shell, as printed; return what it says. It must succeed."""
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", self.adapted(text)],
            cwd=self.folder, env=self.environment(**environ), capture_output=True, text=True, timeout=2 * WAIT,
        )  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    @contextmanager
    def running(self, text: str, ready: str, **environ: str) -> Iterator[Callable[[], str]]:
        """Keep the command of a block running, from when it says `ready`; gives what it has said so far."""
        said = self.folder / f"said-{time.monotonic_ns()}"
        with said.open("w") as output:
            command = interruptible(["bash", "-c", f"exec {self.adapted(text).strip()}"])
            program = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment(**environ),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            self.wait_until(lambda: ready in said.read_text() or program.poll() is not None, said.read_text)
            assert program.poll() is None, said.read_text()
            yield said.read_text
        finally:
            end(program)

    def wait_until(self, condition: Callable[[], Any], told: Callable[[], str]) -> None:
        until = time.monotonic() + 2 * WAIT
        while not condition():
            assert time.monotonic() < until, told()
            time.sleep(0.05)

    def environment(self, **environ: str) -> dict[str, str]:
        """The environment of a person who has set nothing but the port."""
        kept = {name: value for name, value in os.environ.items() if name not in (*_SETTINGS, "MAKEFLAGS", "MAKELEVEL")}
        return {**kept, "PORT": str(self.port), "PYTHONDONTWRITEBYTECODE": "1", **self.environ, **environ}


def without_numbers(text: str) -> str:
    """The text without what differs from run to run: numbers, and how far words stand apart."""
    return re.sub(r"\s+", " ", re.sub(r"\d+(\.\d+)?", "N", text))
