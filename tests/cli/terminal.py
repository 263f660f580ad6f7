"""What tests do at a terminal: run a command in this process, or as a program on a terminal of its own."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.programs import running
from tests.web.serving import DEADLINE, ROOT, Served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result

_STEERING = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")


def undrawn(drawn: str) -> str:
    """What was drawn on a terminal without what steers it."""
    return _STEERING.sub("", drawn)


@dataclass
class Terminal:
    """Commands of `flask`, run on an installation of the service."""

    served: Served

    def run(self, *words: str, status: int = 0) -> Result:
        """Run a command that is to end with that status."""
        result = self.served.app.test_cli_runner().invoke(args=words)
        assert result.exit_code == status, result.output
        return result

    def says(self, *words: str) -> str:
        """What a command that succeeds writes to standard output."""
        return self.run(*words).stdout

    def refuses(self, *words: str, status: int = 1) -> str:
        """What a command that is refused writes to standard error, which is all that it writes."""
        result = self.run(*words, status=status)
        assert result.stdout == ""
        return result.stderr

    def start(self, workflow: str, *pairs: str, user: str = "bob") -> str:
        """Start an operation; the answer is its id."""
        said = self.says("operations", "start", workflow, *pairs, "--user", user)
        return said.split()[1]

    def completion(self, operation_id: str) -> str:
        shown = self.says("operations", "show", operation_id)
        return next(line.removeprefix("completion ") for line in shown.splitlines() if line.startswith("completion "))

    def program(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a program of its own, its output going to files."""
        command = [sys.executable, "-m", "flask", *words]
        given = self.served._environ() | {"FLASK_SKIP_DOTENV": "1"} | environ
        return subprocess.run(command, env=given, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE)

    @contextmanager
    def seated(self, *words: str) -> Iterator[Seat]:
        """Run a command as a program of its own, on a terminal of 80 columns."""
        master, slave = pty.openpty()
        environ = self.served._environ() | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24", "FLASK_SKIP_DOTENV": "1"}
        command = [sys.executable, "-m", "flask", *words]
        try:
            with running(command, env=environ, cwd=ROOT, stdin=slave, stdout=slave, stderr=slave) as program:
                os.close(slave)
                yield Seat(master, program)
        finally:
            os.close(master)


@dataclass
class Seat:
    """A program on a terminal, and what it has drawn there so far."""

    terminal: int
    program: subprocess.Popen[bytes]
    drawn: str = ""

    def wait_for(self, words: str) -> None:
        """Wait until the words have been drawn."""
        until = time.monotonic() + DEADLINE
        while words not in undrawn(self.drawn):
            assert time.monotonic() < until, self.drawn
            self._read_some()

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.program.send_signal(signal.SIGINT)

    def status(self) -> int:
        """The status that the program ends with; its terminal is read meanwhile, or a full one would hold it up."""
        until = time.monotonic() + DEADLINE
        while self.program.poll() is None:
            assert time.monotonic() < until, self.drawn
            self._read_some()
        return self.program.returncode

    def _read_some(self) -> None:
        if select.select([self.terminal], [], [], 0.1)[0]:
            self.drawn += self._read()

    def _read(self) -> str:
        try:
            return os.read(self.terminal, 65536).decode()
        except OSError:  # Linux's way to say that nobody has the terminal open any more
            return ""
