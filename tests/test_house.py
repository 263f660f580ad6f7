"""Rules of the house that no linter knows: locks, names, and what `make` says when something is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
NOT_OURS = {".git", ".venv", "var", "input", "node_modules", "vendor", "__pycache__"}
LOCKS = ("requirements.txt", "requirements-test.txt")

# Put together here, so that this file does not hold what it forbids.
REGISTRIES = tuple(
    ".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("debian", "org"))
)
MACHINE_PATHS = tuple(f"/{folder}/" for folder in ("work", "root", "home"))
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "data", "info"}


def files() -> Iterator[Path]:
    """The files of this repository: what lies here, less what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode == 0:
        yield from (ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file())
    else:
        yield from (
            path for path in ROOT.rglob("*") if path.is_file() and not NOT_OURS & {*path.relative_to(ROOT).parts}
        )


def code() -> list[Path]:
    return [
        path
        for path in files()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[:2] != ("migrations", "versions")
    ]


def direct(name: str) -> set[str]:
    """The packages that a requirements file asks for itself."""
    lines = (ROOT / name).read_text().splitlines()
    return {re.split(r"[\[;<>=]", line)[0].strip() for line in lines if line and line[0].isalpha()}


def locked(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[[a-z0-9,-]+\])?==([^ ]+)", (ROOT / name).read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_host_and_every_package_in_it_has_a_hash(lock: str) -> None:
    text = (ROOT / lock).read_text()

    assert "://" not in text
    assert "--index-url" not in text
    assert "--find-links" not in text
    assert all(
        "--hash=sha256:" in block for block in re.split(r"^(?=[a-z])", text, flags=re.MULTILINE) if "==" in block
    )


@pytest.mark.parametrize(("asked", "lock"), [("requirements.in", LOCKS[0]), ("requirements-test.in", LOCKS[1])])
def test_a_lock_pins_all_that_is_asked_for(asked: str, lock: str) -> None:
    assert direct(asked) <= locked(lock).keys()


def test_tests_run_on_the_versions_that_the_service_runs_on() -> None:
    assert locked(LOCKS[0]).items() <= locked(LOCKS[1]).items()


def test_flask_celery_redis_and_pytest_flask_are_asked_for_by_name() -> None:
    assert {"flask", "celery", "redis"} <= direct("requirements.in")
    assert "pytest-flask" in direct("requirements-test.in")


def test_the_package_asks_for_what_the_lock_of_the_service_holds_and_for_the_clients_of_stores() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    names = {Requirement(one).name for one in asked}

    assert names == direct("requirements.in") | {"s3fs", "gcsfs"}
    for requirement in map(Requirement, asked):
        assert requirement.specifier.contains(locked(LOCKS[1])[requirement.name]), requirement


def test_every_dependency_is_accounted_for_in_its_locked_version() -> None:
    text = (ROOT / "docs" / "dependencies.md").read_text()
    rows = dict(re.findall(r"^\| ([a-z0-9-]+) \| (\d[^ |]*) \|", text, re.MULTILINE))

    wanted = direct("requirements.in") | direct("requirements-test.in")
    assert rows == {name: version for name, version in locked(LOCKS[1]).items() if name in wanted}


def test_no_file_names_a_package_host_or_a_place_on_somebody_s_machine() -> None:
    found = []
    for path in files():
        text = path.read_bytes().decode(errors="ignore")
        found += [f"{path.relative_to(ROOT)}: {word}" for word in (*REGISTRIES, *MACHINE_PATHS) if word in text]

    assert found == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [str(path.relative_to(ROOT)) for path in code() if path.stem in VAGUE_NAMES] == []


def test_continuous_integration_runs_make_test() -> None:
    script = ROOT / ".ci" / "run"

    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text().splitlines()


def make(target: str, folder: Path, **programs: str) -> subprocess.CompletedProcess[str]:
    """Run make where the machine has no programs but a shell and these, each a script."""
    for name in ("sh", "echo", "awk"):
        (folder / name).symlink_to(shutil.which(name) or "")
    for name, script in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    command = [shutil.which("make") or "make", "--makefile", str(ROOT / "Makefile"), target]
    environ = {"PATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("programs", [{}, {"python3": 'case "$2" in *version_info*) exit 1;; esac'}])
def test_without_a_python_that_is_new_enough_make_names_the_remedy(tmp_path: Path, programs: dict[str, str]) -> None:
    made = make(".venv/bin/python", tmp_path, **programs)

    assert made.returncode == 2
    assert made.stderr.startswith(
        "Python 3.11 or newer is needed, and neither python3.11 nor python3 is one: install it"
    )


def test_with_a_python_that_cannot_make_environments_make_names_the_remedy(tmp_path: Path) -> None:
    made = make(".venv/bin/python", tmp_path, python3='case "$2" in *ensurepip*) exit 1;; esac')

    assert made.returncode == 2
    assert made.stderr.startswith("python3 cannot make environments: install the package that lets it")


def test_the_newest_python_is_not_needed_where_python_3_11_is(tmp_path: Path) -> None:
    made = make(".venv/bin/python", tmp_path, **{"python3.11": 'echo "$@"', "python3": "exit 1"})

    assert made.returncode == 0
    assert made.stdout.splitlines()[-1] == "-m venv .venv"


def test_make_alone_tells_what_can_be_made(tmp_path: Path) -> None:
    made = make("help", tmp_path)

    targets = re.findall(r"make ([a-z-]+)", made.stdout)
    assert targets == [
        "help",
        "run",
        "test",
        "test-long",
        "quick",
        "coverage",
        "browser",
        "pooler",
        "pictures",
        "lint",
        "format",
        "bench",
        "chaos",
        "soak",
        "lock",
        "clean",
    ]


def test_what_make_quick_runs_is_there() -> None:
    command = [shutil.which("make") or "make", "--dry-run", "quick"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)

    [line] = [line for line in ran.stdout.splitlines() if "pytest" in line]
    places = [word for word in line.split() if word.startswith("tests/")]
    assert {"tests/model", "tests/domain", "tests/store"} <= set(places)
    assert [place for place in places if not (ROOT / place).exists()] == []
