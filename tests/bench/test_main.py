"""The bench itself, with numbers so small that they say nothing: it runs, tells, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.__main__ import MEASURES
from tests.programs import end, interruptible

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
DEADLINE = 120.0


def bench(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A bench that keeps all its files in `folder`."""
    command = interruptible([sys.executable, "-m", "bench", "--quick", *arguments])
    environ = {**os.environ, "TMPDIR": str(folder)}
    return subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def at_work_in(folder: Path) -> list[str]:
    """The processes that were started in this folder, each with what it runs and what it waits for."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                command = (process / "cmdline").read_text().replace("\0", " ")
                found.append(f"{process.name}: {command} ({(process / 'wchan').read_text()})")
        except OSError:
            continue
    return found


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)


def until_none_is_at_work_in(folder: Path) -> None:
    deadline = time.monotonic() + DEADLINE
    while left := at_work_in(folder):
        assert time.monotonic() < deadline, f"these are left: {left}"
        time.sleep(0.02)


def test_every_kind_of_program_is_started_measured_and_ended(tmp_path: Path) -> None:
    ran = bench(tmp_path, "latency", "pause", "--json", str(tmp_path / "run.json"))
    said, complaint = ran.communicate(timeout=DEADLINE)

    assert ran.returncode == 0, complaint
    assert said.startswith("processor")
    figures = json.loads((tmp_path / "run.json").read_text())["figures"]
    assert {figure["beside"] for figure in figures} == {"plain Celery", ""}
    assert at_work_in(tmp_path) == []
    assert list(tmp_path.glob("bench-*")) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only there do programs end with whoever started them")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_bench_leaves_no_process_behind(tmp_path: Path, sign: signal.Signals) -> None:
    run = bench(tmp_path, "latency")
    try:
        until(lambda: len(at_work_in(tmp_path)) > 3, "the workers run")
        run.send_signal(sign)
        run.communicate(timeout=DEADLINE)

        assert run.returncode != 0
        until_none_is_at_work_in(tmp_path)
    finally:
        end(run, patience=0)


def test_a_figure_that_there_is_not_is_refused(tmp_path: Path) -> None:
    ran = bench(tmp_path, "chian")
    _, complaint = ran.communicate(timeout=DEADLINE)

    assert ran.returncode == 2
    assert "invalid choice: 'chian'" in complaint


@pytest.mark.parametrize("name", MEASURES)
def test_the_page_says_what_each_name_measures(name: str) -> None:
    assert f"\n| `{name}` | " in (ROOT / "docs" / "performance.md").read_text()
