"""Programs that tests start: how they take signals, and how they are ended."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.deadlines import WAIT

if TYPE_CHECKING:
    from collections.abc import Iterator


_TAKE_INTERRUPTS = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def interruptible(command: list[str]) -> list[str]:
    """Return the command of a program that takes SIGINT as at a terminal.

    A parent that ignores SIGINT, such as nohup or a shell that runs `make test &`, leaves that to all its children. The
    process becomes the program: it keeps its id.
    """
    return [sys.executable, "-S", "-c", _TAKE_INTERRUPTS, *command]


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Run a program that can be interrupted inside the block, and end it in any case."""
    program = subprocess.Popen(interruptible(command), **options)
    try:
        yield program
    finally:
        end(program, patience=0)


def end(program: subprocess.Popen[Any], patience: float = WAIT) -> None:
    """Ask a program to end, and kill it when it has not ended after `patience` seconds."""
    if patience:
        program.terminate()
        try:
            program.wait(patience)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait(WAIT)
            raise
    program.kill()
    program.wait(WAIT)
    for pipe in (program.stdin, program.stdout, program.stderr):
        if pipe:
            pipe.close()
