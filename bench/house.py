"""`python -m bench.house`: how large the code is, how it hangs together, and how much of it one act runs through."""

from __future__ import annotations

import ast
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from app import create_app
from bench.bed import bed
from bench.profile import pretend_to_be_a_worker
from bench.scale import FULL
from pausable.engine.runner import run_slice
from pausable.service.operations import Commands

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flask.testing import FlaskClient

    from bench.bed import Bed
    from pausable.db.database import Database

_ROOT: Final = Path(__file__).parents[1]
_PACKAGES: Final = ("app", "pausable")


def main() -> int:
    """Print each figure on a line."""
    modules = _modules()
    imports = {name: _imports(name, file, modules) for name, file in modules.items()}
    importers = Counter(imported for found in imports.values() for imported in found)
    lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in modules.values())
    _say("source files in pausable/ and app/", len(modules))
    _say("lines", lines)
    _say("modules in import circles, types counted", sum(map(len, _circles(imports))))
    _say("modules with one importer", sum(1 for name in modules if importers[name] == 1))
    with bed(FULL) as here:
        _measure_acts(here)
    return 0


def _say(what: str, figure: int) -> None:
    print(f"{what:<60} {figure:>7,}")


def _modules() -> dict[str, Path]:
    files = [file for package in _PACKAGES for file in sorted((_ROOT / package).rglob("*.py"))]
    return {".".join(file.relative_to(_ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def _imports(name: str, file: Path, modules: Mapping[str, Path]) -> set[str]:
    """Return the modules that a module imports anywhere in it, those for a type checker alone included."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            parts = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
            above = parts[: len(parts) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            found |= {inner if (inner := f"{origin}.{each.name}") in modules else origin for each in node.names}
        elif isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
    return (found & modules.keys()) - {name}


def _circles(imports: Mapping[str, set[str]]) -> list[set[str]]:
    """Return the sets of modules of which each imports, directly or not, all others (Tarjan's components)."""
    ways = {name: _reach(name, imports) for name in imports}
    circles = {
        frozenset(other for other in ways[name] if name in ways[other]) for name in imports if name in ways[name]
    }
    return [set(circle) for circle in circles]


def _reach(name: str, imports: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(imports[name])
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting += imports[one]
    return seen


def _measure_acts(here: Bed) -> None:
    with here.service() as service:
        (warm, one, idle) = service.start_many(3)
        commands = Commands(service.commands.engine, service.commands.workflows)
        pretend_to_be_a_worker(service)
        run_slice(service.celery.engine, warm, 0)
        with _files_run() as files:
            run_slice(service.celery.engine, one, 0)
        _say("files whose code runs for a chain of five plain steps", len(files))
        engine = service.celery.engine
        with _statements(engine.database) as statements:
            commands.pause(service.user, idle)
        _say("SQL statements of a pause of an idle operation", len(statements))
        with _statements(engine.database) as statements:
            commands.resume(service.user, idle)
        _say("SQL statements of its resume", len(statements))
        (idle,) = service.start_many(1)
        client = create_app(service.settings).test_client()
        _ask(client, service.settings.operations_token, f"/operations/{warm}/pause")
        with _files_run() as files:
            _ask(client, service.settings.operations_token, f"/operations/{idle}/pause")
        _say("files whose code runs for a pause, from POST to PAUSED", len(files))


def _ask(client: FlaskClient, token: Any, path: str) -> None:
    secret = token.get_secret_value() if hasattr(token, "get_secret_value") else token
    client.post(path, json={}, headers={"Authorization": f"Bearer {secret}"})


@contextmanager
def _files_run() -> Iterator[set[str]]:
    """Collect the files of the two packages in which a function is called within the block, in any thread."""
    files: set[str] = set()
    ours = tuple(f"{_ROOT / package}/" for package in _PACKAGES)

    def note(frame: Any, event: str, _argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(ours):
            files.add(frame.f_code.co_filename)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield files
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


@contextmanager
def _statements(database: Database) -> Iterator[list[str]]:
    """Collect the statements that this thread's connection runs within the block."""
    statements: list[str] = []
    with database.glance() as tx:
        driver: Any = tx.connection.driver_connection
    driver.set_trace_callback(statements.append)
    try:
        yield statements
    finally:
        driver.set_trace_callback(None)


if __name__ == "__main__":
    sys.exit(main())
