"""The wheel: what somebody has who installs `pausable` beside a project of their own, whose package is called `app`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import venv
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest
from packaging.requirements import Requirement

import pausable
from app.supervisor.broker import free_port
from pausable.config import Settings
from tests.deadlines import WAIT
from tests.programs import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]

#: A project's workflow. Its first step says by a file that it has begun, and ends once the file at `gate` is there.
FLOWS = '''
import time
from pathlib import Path

from pausable import step, workflow


@step
def wait_for(gate: str) -> int:
    Path(f"{gate}-begun").touch()
    until = time.monotonic() + 60
    while not Path(gate).exists():
        assert time.monotonic() < until, "the gate stayed shut"
        time.sleep(0.02)
    return 1


@step
def add(number: int, more: int) -> int:
    return number + more


@workflow("gated")
def gated(gate: str):
    """Wait, then add."""
    return wait_for.s(gate) | add.s(2) | add.s(3)
'''

#: A plain Celery app of the project, which a process of its own runs, pauses and resumes, and what is asserted of it.
PLAIN = """
import sys
import time
import weakref
from pathlib import Path

from celery import Celery, chain, shared_task, signals, signature
from celery.contrib.testing.worker import start_worker

from pausable import tappable

CLOSED = Path("closed")
kept = []


@shared_task(name="app.add")
def add(number, more):
    return number + more


@shared_task(name="app.is_closed")
def is_closed(value):
    return CLOSED.exists()


@shared_task(name="app.keep")
def keep(value, remaining):
    kept.append((value, remaining))


def receivers(**_told):
    kinds = [one for one in vars(signals).values() if hasattr(one, "receivers")]
    found = [one for kind in kinds for _, one in kind.receivers or ()]
    return [one() if isinstance(one, weakref.ref) else one for one in found]


reports = Celery("reports", broker="memory://", backend="cache+memory://")
with start_worker(reports, perform_ping_check=False, shutdown_timeout=30):
    workflow = tappable(chain(add.s(1, 2), add.s(3), add.s(4)), is_closed.s(), keep.s())
    assert workflow.delay().get(timeout=30) == 10

    CLOSED.touch()
    workflow.delay()
    until = time.monotonic() + 30
    while not kept:
        assert time.monotonic() < until, "it was not paused"
        time.sleep(0.02)
    CLOSED.unlink()
    [(value, remaining)] = kept
    assert value == 3
    assert chain(signature(link) for link in remaining)(value).get(timeout=30) == 10

packages = {name.partition(".")[0] for name in sys.modules}
assert not packages & {"sqlalchemy", "alembic", "flask", "pydantic", "redis", "structlog"}, packages
rooms = {name.split(".")[1] for name in sys.modules if name.startswith("pausable.")}
assert rooms <= {"canvas", "celery_compat", "errors", "model", "texts"}, rooms
signals.task_prerun.connect(receivers)
connected = [one.__module__ for one in receivers() if one is not None]
assert "__main__" in connected, "what is connected is not found"
assert not [module for module in connected if module.startswith("pausable")], connected
print(sys.modules["app"].__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this clone. Its backend comes from the test lock: nothing is asked of a network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WAIT, check=False)
    assert built.returncode == 0, f"{built.stderr}\nRun `make test`: it installs hatchling."
    [found] = folder.glob("*.whl")
    return found


@dataclass
class Project:
    """A project whose own package is called `app`, and an environment in which the wheel is installed."""

    folder: Path
    environment: Path

    def run(self, *command: str, **given: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in the project's folder to its end."""
        return subprocess.run(
            self.command(*command),
            cwd=self.folder,
            env=self.environ(**given),
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=False,
        )

    def command(self, program: str, *arguments: str) -> list[str]:
        """Return the command line of a program of the environment."""
        return [str(self.environment / "bin" / program), *arguments]

    def environ(self, **given: str) -> dict[str, str]:
        """Return the environment variables of somebody who has set nothing of ours but what is given."""
        ours = {*(name.upper() for name in Settings.model_fields), "PYTHONPATH"}
        return {name: value for name, value in os.environ.items() if name not in ours} | given


@pytest.fixture(scope="module")
def make_project(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Callable[..., Project]:
    """Make the project and its environment, with what the plain install and the extras ask for and nothing else."""

    @cache
    def make(*extras: str) -> Project:
        base = tmp_path_factory.mktemp("installed")
        folder, environment = base / "project", base / "environment"
        (folder / "app").mkdir(parents=True)
        for name, text in {"__init__": "", "flows": FLOWS, "plain": PLAIN}.items():
            (folder / "app" / f"{name}.py").write_text(text)
        venv.create(environment, symlinks=True)
        python = environment / "bin" / "python"
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
        install = [*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)]
        subprocess.run(install, check=True, capture_output=True, timeout=WAIT)
        [site] = environment.glob("lib/python*/site-packages")
        [installed] = Distribution.discover(name="pausable", path=[str(site)])
        for one in required(installed, {*extras}, set()):
            link(one, site)
        return Project(folder, environment)

    return make


def required(one: Distribution, extras: set[str], seen: set[str]) -> Iterator[Distribution]:
    """Yield the distributions that one asks for with these extras, and those that they ask for."""
    for text in one.requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker and not any(marker.evaluate({"extra": extra}) for extra in extras or {""}):
            continue
        if f"{requirement.name}{sorted(requirement.extras)}" not in seen:
            seen.add(f"{requirement.name}{sorted(requirement.extras)}")
            found = distribution(requirement.name)
            yield found
            yield from required(found, requirement.extras, seen)


def link(one: Distribution, site: Path) -> None:
    """Put a distribution of the running environment into another: installing it would take a network."""
    tops = {Path(file).parts[0] for file in one.files or ()} - {"..", "__pycache__"}
    for top in tops:
        if not (site / top).exists():
            (site / top).symlink_to(Path(str(one.locate_file(top))).resolve())


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition, as long as a test may stand still."""
    until = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < until, f"it never came: {what}"
        time.sleep(0.05)


class Service:
    """The service as `pausable run` starts it, and what is asked of it over HTTP."""

    def __init__(self, address: str, token: str) -> None:
        self._address = address
        self._token = token

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Return the JSON that it answers."""
        head = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = Request(self._address + path, data, head, method=method)  # noqa: S310
        with urlopen(request, timeout=WAIT) as answer:  # noqa: S310
            return json.load(answer)

    def await_completion(self, operation_id: int, completion: str) -> Any:
        """Return the operation once it stands so."""
        wait_until(lambda: self.ask("GET", f"/operations/{operation_id}")["completion"] == completion, completion)
        return self.ask("GET", f"/operations/{operation_id}")


@contextmanager
def started(project: Project, data: Path) -> Iterator[Service]:
    """Start the service in the project's folder, on its workflows, and end it."""
    port, said = free_port(), data.parent / "said"
    given = {"PORT": str(port), "DATA_DIR": str(data), "INPUT_DIR": f"{data}-input", "WORKERS": "1"}
    environ = project.environ(WORKFLOWS="app.flows", **given)
    with (
        said.open("w") as output,
        running(
            project.command("pausable", "run"), cwd=project.folder, env=environ, stdout=output, stderr=output,
            start_new_session=True,
        ) as program,
    ):  # fmt: skip
        try:
            ready = "Ctrl-C stops everything"
            wait_until(lambda: ready in said.read_text() or program.poll() is not None, "the service is ready")
            assert program.poll() is None, said.read_text()
            yield Service(f"http://127.0.0.1:{port}", (data / "token").read_text().strip())
        finally:
            program.terminate()
            program.wait(WAIT)


def test_the_service_of_the_wheel_pauses_and_resumes_a_workflow_of_a_package_called_app(
    make_project: Callable[..., Project], tmp_path: Path
) -> None:
    project = make_project("service")
    gate = tmp_path / "gate"

    with started(project, tmp_path / "var") as service:
        begun = service.ask("POST", "/operations", {"workflow": "gated", "arguments": {"gate": str(gate)}})
        wait_until(Path(f"{gate}-begun").exists, "the first step has begun")
        service.ask("POST", f"/operations/{begun['id']}/pause")
        gate.touch()
        paused = service.await_completion(begun["id"], "PAUSED")
        service.ask("POST", f"/operations/{begun['id']}/resume")
        ended = service.await_completion(begun["id"], "COMPLETED")
        described = service.ask("GET", "/openapi.json")
        shown = project.run("pausable", "operations", "list", DATA_DIR=f"{tmp_path}/var", WORKFLOWS="app.flows")

    assert paused["progress"]["done"] == 1
    assert ended["result"] == 6
    assert shown.returncode == 0, shown.stderr
    assert re.search(rf"^ *{begun['id']} +gated +COMPLETED", shown.stdout, re.MULTILINE), shown.stdout
    assert described["info"]["version"] == pausable.__version__


def test_tappable_runs_on_a_plain_celery_app_with_the_plain_install_alone(make_project: Callable[..., Project]) -> None:
    project = make_project()

    ran = project.run("python", "-m", "app.plain")

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(str(project.folder))


def test_without_the_service_the_command_names_the_extra_that_brings_it(make_project: Callable[..., Project]) -> None:
    refused = make_project().run("pausable", "run")

    assert refused.returncode == 1
    assert re.fullmatch(r"The service needs \w+, which is not .*: pip install 'pausable\[service\]'\n", refused.stderr)


def test_without_the_extra_for_postgresql_the_service_names_it(make_project: Callable[..., Project]) -> None:
    project = make_project("service")

    refused = project.run(
        "pausable", "run", "prepare", DATA_DIR=str(project.folder / "var"), DATABASE_URL="postgresql://127.0.0.1/none"
    )

    assert refused.returncode == 2
    assert "its driver is missing: pip install 'pausable[postgres]'" in refused.stderr


def test_without_the_extra_for_notifications_one_that_needs_it_is_refused(make_project: Callable[..., Project]) -> None:
    text = "from pausable import Notification; Notification(when='failed', to='slack://a/b/c')"

    refused = make_project("service").run("python", "-c", text)

    assert "slack:// needs a package that is not installed: pip install 'pausable[notify]'" in refused.stderr
