"""The pause primitive in another Celery app: importing it brings one task, and nothing of the service."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
#: Says what an import has loaded, and changed in Celery, in a process that has only just begun.
PROGRAM = """
import json, sys
from celery import Celery, signals
from celery.utils.dispatch import Signal

def connected():
    return {name: len(signal.receivers or ()) for name, signal in vars(signals).items() if isinstance(signal, Signal)}

app = Celery("shop", broker="memory://")
tasks, handlers = {*app.tasks}, connected()
__import__(sys.argv[1])
roots = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps({"roots": roots, "changed": connected() != handlers, "tasks": sorted({*app.tasks} - tasks)}))
"""


def after_importing(module: str) -> Any:
    command = [sys.executable, "-c", PROGRAM, module]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(said.stdout)


@pytest.mark.parametrize(
    ("module", "tasks"), [("pausable.canvas.tappable", []), ("pausable.canvas.pause", ["operations.pause_or_continue"])]
)
def test_importing_the_pause_primitive_loads_no_part_of_the_service(module: str, tasks: list[str]) -> None:
    found = after_importing(module)

    assert not {"sqlalchemy", "flask", "pydantic", "alembic", "rich"} & set(found["roots"])
    assert found["tasks"] == tasks


@pytest.mark.parametrize(
    "module", ["pausable.canvas.tappable", "pausable.canvas.pause", "pausable", "pausable.service.operations"]
)
def test_importing_a_part_of_the_service_connects_no_signal_handler(module: str) -> None:
    assert not after_importing(module)["changed"]
