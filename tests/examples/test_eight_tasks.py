"""The example of eight tasks: run, run again, paused in every place, and drawn."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from examples.eight_tasks import build, told
from pausable.model.states import StepState
from tests.execution.pausing import in_database
from tests.execution.service import Service, make_service
from tests.execution.test_pausing_everywhere import paused_in, undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

if TYPE_CHECKING:
    NewService = Callable[[], Service]

ROOT = Path(__file__).parents[2]
_S = StepState
KEPT, ALL = ("t1", "t2", "t3"), tuple(f"t{number}" for number in range(1, 9))


@pytest.fixture
def new_service(broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewService]:
    """Make a service whose targets are empty."""
    with ExitStack() as made:

        def make() -> Service:
            folder = tmp_path_factory.mktemp("eight")
            service = make_service(folder, in_database(broker_url, 12), flows=("examples.eight_tasks",))
            made.callback(service.close)
            service.queue.flushdb()
            return made.enter_context(service.at_work())

        yield make


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESULTS", str(tmp_path / "results"))
    return tmp_path / "results"


def test_the_first_run_keeps_what_three_of_four_return(results: Path) -> None:
    state = build().run()

    assert told(state).splitlines()[0] == 'eight-tasks: Success("All reference tasks succeeded.")'
    assert {ended.name for ended in state.result.values()} == {"Success"}
    kept = {file.stem: file.read_text() for file in results.rglob("*.txt")}
    assert kept == {"t1": "one", "t2": "two", "t3": "one and two"}


def test_the_second_run_finds_them_and_runs_the_fourth_again(results: Path) -> None:
    flow = build()
    flow.run()

    state = flow.run()

    ended = {node.label: of.name for node, of in state.result.items()}
    assert ended == {name: "Cached" if name in KEPT else "Success" for name in ALL}
    assert [of.result for node, of in state.result.items() if node.label in ("t7", "t8")] == [
        "two and 6",
        "two, one and two",
    ]


def test_as_a_program_it_tells_each_task_and_draws_it(results: Path, tmp_path: Path) -> None:
    environ = {"PYTHONPATH": str(ROOT), "RESULTS": str(results)}
    command = [sys.executable, "-m", "examples.eight_tasks"]
    said = subprocess.check_output(command, cwd=tmp_path, env=environ, text=True).splitlines()

    assert said[0] == "t4 was given: one and two"
    assert said[1:] == [
        'eight-tasks: Success("All reference tasks succeeded.")',
        *(f't{number}: Success("Task run succeeded.")' for number in range(1, 9)),
        "eight_tasks.svg written",
    ]
    picture = (tmp_path / "eight_tasks.svg").read_text()
    assert [name for name in ALL if f">{name}<" not in picture] == []


def test_on_the_service_a_second_operation_finds_the_targets_of_the_first(new_service: NewService) -> None:
    service = new_service()

    first = undisturbed(service, "eight-tasks")
    operation = service.start("eight-tasks")
    service.deliver_all()

    assert first == [5, "two and 6", "two, one and two"]
    assert {slug: state for slug, state in service.states(operation).items() if state is _S.CACHED} == dict.fromkeys(
        KEPT, _S.CACHED
    )
    assert service.show(operation).result == '[5,"two and 6","two, one and two"]'


@pytest.mark.parametrize("slug", ALL)
def test_paused_in_any_task_it_gives_the_same(new_service: NewService, slug: str) -> None:
    result, held = paused_in(new_service(), "eight-tasks", slug)

    assert result == [5, "two and 6", "two, one and two"]
    assert held or slug in ("t5", "t6", "t7", "t8")
