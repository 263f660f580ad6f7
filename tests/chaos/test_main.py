"""Chaos itself, in short: the real stack survives it, and it leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.programs import end, interruptible

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
#: Seconds for everything, coming to an end and ending all programs included.
DEADLINE = 180.0

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are told by /proc")


def chaos(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A run that keeps all its files in `folder`."""
    command = interruptible([sys.executable, "-m", "chaos", *arguments])
    environ = {**os.environ, "TMPDIR": str(folder)}
    return subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def at_work_in(folder: Path) -> list[str]:
    """The processes that were started in this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if process.readlink().is_relative_to(folder):
                found.append(process.parent.name)
        except OSError:
            continue
    return found


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)


def ended(run: subprocess.Popen[str]) -> str:
    """What a run has said; one that does not end by itself is ended."""
    try:
        return run.communicate(timeout=DEADLINE)[0]
    except subprocess.TimeoutExpired:
        run.terminate()
        raise


def test_nothing_is_lost_stuck_wrong_or_recorded_twice_whatever_breaks(tmp_path: Path) -> None:
    run = chaos(tmp_path, "--seconds", "20", "--operations", "150")

    said = ended(run)

    assert run.returncode == 0, said
    assert at_work_in(tmp_path) == []
    assert list(tmp_path.glob("chaos-*")) == []


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_process_behind(tmp_path: Path, sign: signal.Signals) -> None:
    run = chaos(tmp_path, "--only", "deliver again", "--operations", "20")
    try:
        until(lambda: len(at_work_in(tmp_path)) > 6, "the programs run")
        run.send_signal(sign)
        ended(run)

        assert run.returncode != 0
        until(lambda: at_work_in(tmp_path) == [], "all processes have ended")
    finally:
        end(run, patience=0)
