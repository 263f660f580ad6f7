"""Nothing is ever unpickled: what comes in a message or a file is JSON or refused."""

from __future__ import annotations

import ast
import base64
import json
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pausable.model.states import Completion
from tests.databases import both_when_long
from tests.execution.service import QUEUE, Service, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

database_kind = both_when_long()

ROOT = Path(__file__).parents[2]
MODULES = sorted(module for package in ("pausable", "app") for module in (ROOT / package).rglob("*.py"))
#: What makes objects of bytes, and so runs code that the bytes choose.
FORBIDDEN = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "jsonpickle"}
#: Loaders that do so too unless they are told otherwise, and what runs text.
CALLS = {"eval", "exec", "compile", "__import__", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all"}

#: It compiles the source of a module to tell whether that is what was loaded, and never runs what comes of it.
NEVER_RUN = {"pausable/documents/fingerprint.py": {"compile"}}


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def called(tree: ast.AST) -> Iterator[str]:
    """What is called: `name`, or `owner.name`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield f"{getattr(node.func.value, 'id', '')}.{node.func.attr}"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_can_unpickle_or_run_text(module: Path) -> None:
    tree = ast.parse(module.read_text())

    assert not FORBIDDEN & {*imported(tree)}
    assert not CALLS & {*called(tree)} - NEVER_RUN.get(str(module.relative_to(ROOT)), set())


def test_the_celery_app_accepts_json_and_nothing_else(service: Service) -> None:
    conf = service.celery.conf

    assert (conf.accept_content, conf.result_accept_content) == (["json"], ["json"])
    assert (conf.task_serializer, conf.event_serializer) == ("json", "json")


class Trap:
    """What makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("claims", ["application/x-python-serialize", "application/json", "application/data"])
def test_a_pickled_message_is_refused_and_the_worker_lives_on(service: Service, tmp_path: Path, claims: str) -> None:
    sprung = tmp_path / "sprung"

    service.queue.lpush(QUEUE, message(pickle.dumps(((Trap(sprung),), {}, {})), claims))

    wait_for(lambda: service.messages() == 0)
    assert service.run("adding", numbers=[1, 2]).completion is Completion.COMPLETED
    assert not sprung.exists()


CALL = b"[[1, 0], {}, {}]"
NO_CALLS: dict[str, dict[str, Any]] = {
    "no JSON": {"body": b"\x80"},
    "a word": {"body": b'"[]"'},
    "a call without arguments": {"body": b"[]"},
    "arguments that are none": {"body": b"[7, {}, {}]"},
    "keywords that are none": {"body": b"[[], [], {}]"},
    "nested deep": {"body": b"[" * 100_000},
    "no body": {"body": b""},
    "no headers": {"body": CALL, "headers": {}},
    "a task that is a number": {"body": CALL, "headers": {"task": 7, "id": "1"}},
    "an unknown task": {"body": CALL, "headers": {"task": "os.system", "id": "1"}},
    "a call without an id": {"body": CALL, "headers": {"task": "operations.run_slice"}},
    "arguments that name no step": {"body": b'[["x", {}], {}, {}]'},
    "too many arguments": {"body": b"[[1, 2, 3, 4], {}, {}]"},
}


@pytest.mark.parametrize("what", NO_CALLS)
def test_what_is_no_call_is_thrown_away_and_the_worker_lives_on(service: Service, what: str) -> None:
    service.queue.lpush(QUEUE, message(content_type="application/json", **NO_CALLS[what]))

    wait_for(lambda: service.messages() == 0)
    assert service.run("adding", numbers=[1, 2]).completion is Completion.COMPLETED


def message(body: bytes, content_type: str, headers: dict[str, Any] | None = None) -> str:
    """A message as kombu puts it into Redis."""
    delivery = {"exchange": "", "routing_key": QUEUE}
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-encoding": "binary",
            "content-type": content_type,
            "headers": {"lang": "py", "task": "operations.run_slice", "id": "1"} if headers is None else headers,
            "properties": {
                "correlation_id": "1",
                "delivery_info": delivery,
                "delivery_tag": "1",
                "body_encoding": "base64",
                "delivery_mode": 2,
                "priority": 0,
            },
        }
    )
