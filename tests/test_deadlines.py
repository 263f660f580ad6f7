"""A test that stands still is ended and says where, and programs are interrupted whatever the parent ignores."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.programs import running

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]

STANDS_STILL = """
import os, subprocess, sys, threading

import pytest


def wait_for_a_lock(): threading.Event().wait()
def wait_for_a_pipe(): os.read(os.pipe()[0], 1)
def wait_for_a_program(): subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"])


@pytest.mark.parametrize("wait", [wait_for_a_lock, wait_for_a_pipe, wait_for_a_program], ids=lambda wait: wait.__name__)
def test_waits(wait):
    wait()


@pytest.fixture
def hangs_at_its_end():
    yield
    wait_for_a_lock()


def test_ends(hangs_at_its_end): pass
def test_next(): pass
"""


def suite(folder: Path, **environ: str) -> str:
    """Run pytest on `STANDS_STILL` in a process of its own, with our deadline; return what it says."""
    (folder / "conftest.py").write_text("from tests.deadlines import *\n")
    (folder / "test_still.py").write_text(STANDS_STILL)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", "--rootdir", str(folder)]
    given = {**os.environ, "PYTHONPATH": str(ROOT), **environ}
    ran = subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, timeout=120)
    return ran.stdout


def test_a_test_that_stands_still_fails_and_the_next_one_runs(tmp_path: Path) -> None:
    said = suite(tmp_path, TEST_DEADLINE="1")

    assert "3 failed, 2 passed, 1 error" in said
    assert "Failed: The test stood still for 1 s; standard error says where." in said
    assert "Failed: The teardown stood still for 1 s; standard error says where." in said
    for name in ("wait_for_a_lock", "wait_for_a_pipe", "wait_for_a_program"):
        assert f'test_still.py", line {line_of(name)} in {name}' in said


def line_of(name: str) -> int:
    return next(number for number, line in enumerate(STANDS_STILL.splitlines(), 1) if line.startswith(f"def {name}"))


@pytest.fixture
def _interrupts_are_ignored() -> Iterator[None]:
    """A process that ignores SIGINT, as one that a shell starts in the background."""
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.usefixtures("_interrupts_are_ignored")
def test_a_program_is_interrupted_where_the_parent_ignores_interrupts() -> None:
    with running([sys.executable, "-c", "print(flush=True); input()"], stdin=-1, stdout=-1, stderr=-1) as program:
        assert program.stdout
        assert program.stdout.read(1) == b"\n"

        program.send_signal(signal.SIGINT)

        assert program.wait(60) == -signal.SIGINT
