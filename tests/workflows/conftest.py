"""Fixtures for workflows whose steps are called here, one after another, without a worker."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from celery.contrib.testing.app import setup_default_app

from pausable import load_workflows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pausable import Canvas

# Celery forgets the tasks of a module that is imported while a test has its own default app; these stay known.
load_workflows()

PEOPLE = Path(__file__).parents[3] / "shared" / "data" / "people-10k.csv"


@pytest.fixture(autouse=True)
def own_app() -> Iterator[None]:
    """A Celery app of each test's own: one that another test has closed would still be the current one."""
    with setup_default_app(Celery("tests", broker="memory://")):
        yield


@pytest.fixture
def input_dir(tmp_path: Path) -> Iterator[Path]:
    """An empty INPUT_DIR, known to the tasks through their Celery app."""
    folder = tmp_path / "input"
    folder.mkdir()
    app = Celery("tests", broker="memory://")
    app.conf.input_dir = str(folder)
    with setup_default_app(app):
        yield folder


@pytest.fixture
def people(input_dir: Path) -> Path:
    """A CSV of some thousand people below INPUT_DIR."""
    place = input_dir / "people.csv"
    if PEOPLE.exists():
        place.write_bytes(PEOPLE.read_bytes())
    else:
        write_people(place)
    return place


def write_people(place: Path) -> None:
    with place.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["first_name", "last_name", "gender", "company"])
        table.writerows([f"A{n}", f"B, {n}", "FMN"[n % 3], f'Company "{n % 97}"'] for n in range(5_000))


def run(canvas: Canvas, after: Callable[[int], None] = lambda _: None) -> Any:
    """The value of a chain whose steps are called in turn, each given what the one before returned, through JSON.

    `after` is called with the number of each step that is done.
    """
    value: list[Any] = []
    for number, signature in enumerate(canvas["kwargs"]["tasks"], 1):
        returned = signature.type(*value, *signature["args"], **signature["kwargs"])
        value = [json.loads(json.dumps(returned))]
        after(number)
    return value[0]
